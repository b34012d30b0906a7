"""HAND OVER: color decisions as files other programs read, read back and compared.

Every file is parsed again, by OpenColorIO and OpenTimelineIO where they know the form, and what
comes out is applied to colors and compared with what the render does to them. The outcome lies
beside the files as handover.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from color.ale import ale_document
from color.cdl import IDENTITY, apply_cdl
from color.cdl_files import Correction, cc_document, ccc_document, cdl_document
from color.edl import EdlEvent, edl_document
from color.handed import FILM_COLORS, Apply, cube_code_range, edl_rounded, read_back
from color.lut import clf_document, cube_document
from color.otio_file import OtioReel, otio_document
from color.residual import residual_delta_e
from color.transform import ShotTransform
from media.encoding import ColorEncoding, reel_encoding
from media.errors import StoreError
from media.reel import Reel
from wetgate.chain import as_transform
from wetgate.decisions import ShotDecisions
from wetgate.files import canonical
from wetgate.job import Job
from wetgate.manifest import DeliveredFile
from wetgate.records import IngestedReel
from wetgate.stages.handover_amf import HandedShot, shot_amfs
from wetgate.stages.kept import Kept, relative, small_file, still_right, text_digest

F64 = NDArray[np.float64]
CODES = ".codes.cube"
"""Ends the name of a table on the scan's own code values."""

TOLERANCE_LOG = {".ccc": 2e-6, ".cdl": 2e-6, ".cc": 2e-6, ".otio": 2e-6, ".ale": 2e-6,
                 ".edl": 4e-4, ".clf": 2e-6, ".amf": 2e-6}  # fmt: skip
"""How far colors may come out from the render, film log: six decimals in numbers, four in an EDL.
Where a grade makes colors beyond 1, of the largest.
A .cube is a table: what its interpolation does to a power is measured and stated, not bounded."""


def deliver_color(
    job: Job,
    reels: Mapping[str, IngestedReel],
    decisions: Mapping[str, ShotDecisions],
    kept: Kept,
) -> list[DeliveredFile]:
    """.ccc, .cdl, .otio of the title; .edl and .ale per reel; .cc, .amf, .clf, .cube per shot.

    An .amf is written where ACES knows the scan's encoding and the CDL says it all, tables and
    process lists for shots that are changed.
    raises: StoreError when a file read back does not do what the render does.
    """
    folder = job.folder.deliver / "color"
    shots = [_handed(d) for d in decisions.values()]
    documents = _documents(job, reels, shots)
    amfs, without_amf = shot_amfs(reels, shots)
    documents |= amfs
    same = _read_back_before(job, folder, documents, kept)
    if same is not None:
        return same
    checked = _checked(documents, shots, {n: r.reel for n, r in reels.items()})
    documents["handover.json"] = canonical({**checked, "without_amf": without_amf}) + "\n"
    return [
        small_file(job, folder / file, text.encode(), kept)
        for file, text in sorted(documents.items())
    ]


def _read_back_before(
    job: Job, folder: Path, documents: Mapping[str, str], kept: Kept
) -> list[DeliveredFile] | None:
    """The files of an earlier delivery, where each is still whole and would be written again as
    it is: they were read back then. None where anything differs."""
    found = []
    for name, text in documents.items():
        file = still_right(job, folder / name, text_digest(text.encode()), kept)
        if file is None:
            return None
        found.append(file)
    said = kept.get(relative(job, folder / "handover.json"))
    if said is None or still_right(job, folder / "handover.json", said.made_from, kept) is None:
        return None
    return sorted([*found, said], key=lambda f: f.path)


def _handed(decisions: ShotDecisions) -> HandedShot:
    transform = as_transform(decisions)
    transform = ShotTransform(unfading=transform.unfading, cdl=transform.cdl.rounded())
    cdl = transform.nearest_cdl(FILM_COLORS)
    left = (
        (0.0, 0.0)
        if transform.is_cdl
        else residual_delta_e(
            FILM_COLORS, transform.apply, partial(apply_cdl, cdl=cdl, clamp=False)
        )
    )
    return HandedShot(
        id=decisions.shot,
        reel=decisions.reel,
        transform=transform,
        cdl=cdl,
        left_over=left,
        description=_describe(decisions, left),
    )


def _documents(
    job: Job, reels: Mapping[str, IngestedReel], shots: list[HandedShot]
) -> dict[str, str]:
    title = file_name(job.project.title)
    corrections = {s.id: Correction(id=s.id, cdl=s.cdl, description=s.description) for s in shots}
    documents = {
        f"{title}.ccc": ccc_document(list(corrections.values())),
        f"{title}.cdl": cdl_document(list(corrections.values())),
    }
    timeline = []
    by_id = {s.id: s for s in shots}
    for name, ingested in reels.items():
        reel = ingested.reel
        events = [EdlEvent(id=s.id, frames=s.frames, cdl=by_id[s.id].cdl) for s in ingested.shots]
        first, code = reel.range.start, reel.timecode
        documents[f"{name}.edl"] = edl_document(
            job.project.title, name, reel.rate, first, events, timecode=code
        )
        documents[f"{name}.ale"] = ale_document(name, reel.rate, first, events, timecode=code)
        timeline.append(OtioReel(id=name, rate=reel.rate, events=events))
    documents[f"{title}.otio"] = otio_document(job.project.title, timeline)
    size = job.project.color.lut_size
    for shot in shots:
        documents[f"cc/{shot.id}.cc"] = cc_document(corrections[shot.id])
        if shot.transform.is_identity():
            continue
        documents[f"luts/{shot.id}.clf"] = clf_document(
            shot.transform, id=shot.id, description=shot.description
        )
        if size:
            documents[f"luts/{shot.id}.cube"] = cube_document(
                shot.transform, size=size, title=f"{shot.id} film log"
            )
            reel = reels[shot.reel].reel
            space = reel_encoding(reel)
            if not space.film and reel.format.channels == 3:
                documents[f"luts/{shot.id}{CODES}"] = _code_table(space, shot, size)
    return documents


def _code_table(space: ColorEncoding, shot: HandedShot, size: int) -> str:
    """A table on the scan's own code values, for hosts that do not know film log."""
    decode, encode = cube_code_range(space.to_log), cube_code_range(space.from_log)
    return cube_document(
        shot.transform,
        size=size,
        title=f"{shot.id} {space.name}",
        decode=decode,
        encode=encode,
        linear_range=(2.0**-9, 16.0) if space.name == "linear" else None,
    )


def _checked(
    documents: Mapping[str, str], shots: list[HandedShot], reels: Mapping[str, Reel]
) -> dict[str, Any]:
    """What each file does, read back, against the render. raises: StoreError."""
    by_id = {s.id: s for s in shots}
    files: dict[str, Any] = {}
    for name, text in documents.items():
        worst = 0.0
        found = read_back(name, text)
        for given_id, apply in found.items():
            shot_id = given_id.removesuffix(".codes") if name.endswith(CODES) else given_id
            shot = by_id.get(shot_id)
            if shot is None:
                raise StoreError(f"{name}, read back, names {shot_id!r}, which is no shot")
            if name.endswith(CODES):
                off = _code_table_off(apply, shot, reel_encoding(reels[shot.reel]))
            else:
                expected = _expected(name, shot)
                # Single precision is relative: a wild grade makes colors of hundreds of film log.
                reach = max(1.0, float(np.abs(expected).max()))
                off = float(np.abs(apply(FILM_COLORS) - expected).max()) / reach
            worst = max(worst, off)
        suffix = name[name.rindex(".") :]
        limit = TOLERANCE_LOG.get(suffix)
        if limit is not None and worst > limit:
            raise StoreError(
                f"{name}, read back, is {worst:.2g} film log off what is rendered",
                hint="report this: a delivered color file must not differ from the picture",
            )
        files[name] = {"shots": len(found), "largest_difference_log": float(f"{worst:.3g}")}
    return {
        "schema": 1,
        "files": files,
        "not_a_cdl": {
            s.id: {
                "mean_delta_e": round(s.left_over[0], 3),
                "max_delta_e": round(s.left_over[1], 3),
                "exact_in": f"luts/{s.id}.clf",
            }
            for s in shots
            if not s.transform.is_cdl
        },
    }


def _code_table_off(table: Apply, shot: HandedShot, space: ColorEncoding) -> float:
    """Largest difference in film log, over code values from 0 to 1."""
    decode, codes = cube_code_range(space.to_log), FILM_COLORS
    return float(np.abs(decode(table(codes)) - shot.transform.apply(decode(codes))).max())


def _expected(name: str, shot: HandedShot) -> F64:
    """Tables and process lists do everything, the rest the CDL; an EDL has four decimals."""
    if name.startswith("luts/"):
        return shot.transform.apply(FILM_COLORS)
    cdl = edl_rounded(shot.cdl) if name.endswith(".edl") else shot.cdl
    return apply_cdl(FILM_COLORS, cdl, clamp=False)


def _describe(decisions: ShotDecisions, left: tuple[float, float]) -> str:
    color = decisions.balance
    parts = [color.reason or color.origin, f"confidence {color.confidence:.2f}"]
    if decisions.fade.applied:
        parts.append(
            f"nearest CDL to unfading and balance, mean Delta E {left[0]:.2f}, "
            f"largest {left[1]:.2f}; exact in the CLF"
        )
    r, g, b = (round(v, 2) + 0.0 for v in color.printer_points)
    if decisions.balance.offset != IDENTITY.offset:
        parts.append(f"printer points {r:+.2f} {g:+.2f} {b:+.2f}, plus lifts the scan")
    return "; ".join(parts)


def file_name(title: str) -> str:
    """The title as a file name: separators and control characters become underscores."""
    return "".join("_" if c in '/\\:*?"<>|' or ord(c) < 32 else c for c in title).strip(". ") or "_"
