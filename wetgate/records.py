"""Reels, shots and evidence to files and back."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from media.errors import StoreError
from media.fixity import file_sha256
from media.frames import FrameRange, rate_text
from media.npy import HEADS
from media.reel import (
    DefectMap,
    MadeBy,
    MapFrame,
    PictureFormat,
    Reel,
    SampleType,
    SegmentKind,
    Shot,
    SourceFrame,
)
from media.shots.spans import Span, SpanKind
from media.write import atomic_write_bytes
from restore.rebuild.measure import Finding
from wetgate.decisions import FrameDecision
from wetgate.files import read_json, write_json

SCHEMA = 2


@dataclass(frozen=True, slots=True)
class IngestedReel:
    """A reel with its shots, as ingest left them."""

    reel: Reel
    shots: tuple[Shot, ...]
    spans: tuple[Span, ...] = ()
    """Dissolves, fades, flashes, leader, titles and black, as found."""
    findings: tuple[Finding, ...] = ()
    """Destroyed, torn and spliced frames, as found."""
    frames: Mapping[str, tuple[FrameDecision, ...]] = field(default_factory=dict)
    """By shot id: what is done about them, ``wetgate.frames``."""
    aside: frozenset[int] = frozenset()
    """Of these, frames that are destroyed all over and shown so: nothing is measured on them."""

    def shot(self, name: str) -> Shot:
        """The shot with this id. raises: KeyError."""
        return next(s for s in self.shots if s.id == name)


def reel_to_json(reel: Reel, asked: Mapping[str, object]) -> dict[str, object]:
    """asked: the reel's section of the project, to notice when it changes."""
    return {
        "schema": SCHEMA,
        "asked": dict(asked),
        "id": reel.id,
        "rate": rate_text(reel.rate),
        "encoding": reel.encoding,
        "format": asdict(reel.format),
        "levels": reel.levels,
        "kind": reel.kind,
        "timecode": reel.timecode,
        "notes": list(reel.notes),
        "facts": dict(reel.facts),
        "doubled": list(reel.doubled),
        "defect_map": _map_to_json(reel.defect_map),
        "made": {str(f.number): f.made_by.value for f in reel.frames if f.made_by},
        "frames": [
            [f.number, str(f.path), f.index, f.sha256, f.size_bytes, f.mtime_ns]
            for f in reel.frames
        ],
    }


def span_to_json(span: Span) -> dict[str, object]:
    """Frame numbers inclusive, as people write them."""
    return {
        "kind": span.kind.value,
        "frames": [span.frames.start, span.frames.stop - 1],
        "confidence": round(span.confidence, 3),
        "reason": span.reason,
    }


def span_from_json(value: Mapping[str, Any]) -> Span:
    """Inverse of ``span_to_json``."""
    return Span(
        kind=SpanKind(value["kind"]),
        frames=FrameRange(value["frames"][0], value["frames"][1] + 1),
        confidence=value["confidence"],
        reason=value["reason"],
    )


def reel_from_json(value: Mapping[str, Any]) -> Reel:
    """raises: StoreError for another schema."""
    if value.get("schema") != SCHEMA:
        raise StoreError(
            f"ingest record has schema {value.get('schema')}, this version reads {SCHEMA}",
            hint="use the version of Wetgate that made it, or start a new output folder",
        )
    made = {int(n): MadeBy(how) for n, how in value["made"].items()}
    return Reel(
        id=value["id"],
        rate=Fraction(value["rate"]),
        encoding=value["encoding"],
        format=_format(value["format"]),
        levels=value["levels"],
        kind=value["kind"],
        frames=tuple(
            SourceFrame(
                number=n,
                path=Path(path),
                index=i,
                sha256=sha,
                size_bytes=size,
                mtime_ns=mtime,
                made_by=made.get(n),
            )
            for n, path, i, sha, size, mtime in value["frames"]
        ),
        timecode=value["timecode"],
        doubled=tuple(value["doubled"]),
        defect_map=_map_from_json(value.get("defect_map")),
        facts=value["facts"],
        notes=tuple(value["notes"]),
    )


def _map_to_json(found: DefectMap | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "source": found.source,
        "bright": found.bright,
        "format": None if found.format is None else asdict(found.format),
        "frames": [
            [n, str(f.path), f.sha256, f.size_bytes, f.mtime_ns] for n, f in found.frames.items()
        ],
    }


def _map_from_json(value: Mapping[str, Any] | None) -> DefectMap | None:
    if value is None:
        return None
    fmt = value["format"]
    return DefectMap(
        source=value["source"],
        bright=value["bright"],
        format=None if fmt is None else _format(fmt),
        frames={n: MapFrame(Path(path), *rest) for n, path, *rest in value["frames"]},
    )


def _format(value: Mapping[str, Any]) -> PictureFormat:
    return PictureFormat(**{**value, "sample": SampleType(value["sample"])})


def shot_to_json(shot: Shot) -> dict[str, object]:
    """Frame numbers inclusive, as people write them."""
    return {
        "shot": shot.id,
        "reel": shot.reel,
        "frames": [shot.frames.start, shot.frames.stop - 1],
        "kind": shot.kind.value,
        "dissolve_in": shot.dissolve_in,
        "dissolve_out": shot.dissolve_out,
        "fade_in": shot.fade_in,
        "fade_out": shot.fade_out,
        "boundary_confidence": shot.confidence,
    }


def shot_from_json(value: Mapping[str, Any]) -> Shot:
    """Inverse of ``shot_to_json``."""
    return Shot(
        id=value["shot"],
        reel=value["reel"],
        frames=FrameRange(value["frames"][0], value["frames"][1] + 1),
        kind=SegmentKind(value["kind"]),
        dissolve_in=value["dissolve_in"],
        dissolve_out=value["dissolve_out"],
        fade_in=value["fade_in"],
        fade_out=value["fade_out"],
        confidence=value["boundary_confidence"],
    )


def write_evidence(
    path: Path,
    key: str,
    evidence: Mapping[str, object],
    numerics: Mapping[str, str],
    measured_by: Mapping[str, str],
) -> None:
    """JSON beside an .npz that holds its arrays; the JSON is written last and vouches for it.

    numerics: the profile that is part of the key. measured_by: kind of worker by probe.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    plain = _without_arrays(evidence, "", arrays)
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path.with_suffix(".npz"), packed.getvalue())
    digest = file_sha256(path.with_suffix(".npz"))
    write_json(
        path,
        {
            "schema": SCHEMA,
            "key": key,
            "numerics": dict(numerics),
            "measured_by": dict(measured_by),
            "arrays_sha256": digest,
            "evidence": plain,
        },
    )


def read_evidence(
    path: Path, key: Callable[[Mapping[str, str]], str], own: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]] | None:
    """The evidence that answers the same question, and which kind of worker measured what of it.

    key: the question, as asked on a worker with a given numerics profile. Evidence that another
    kind of worker measured is as good as one's own (``own``): decisions are made once.
    returns: None when it is missing, stale or damaged.
    """
    value = read_json(path)
    arrays_path = path.with_suffix(".npz")
    if value is None or value.get("schema") != SCHEMA:
        return None
    numerics, measured_by = value.get("numerics", own), value.get("measured_by", {})
    if not isinstance(numerics, dict) or value.get("key") != key(numerics):
        return None
    if not arrays_path.is_file() or file_sha256(arrays_path) != value.get("arrays_sha256"):
        return None
    with HEADS, np.load(arrays_path, allow_pickle=False) as arrays:
        restored = _with_arrays(value["evidence"], arrays)
    if not isinstance(restored, dict) or not isinstance(measured_by, dict):
        return None
    return restored, measured_by


def _without_arrays(value: object, name: str, arrays: dict[str, np.ndarray[Any, Any]]) -> object:
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {k: _without_arrays(v, f"{name}/{k}", arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(v, f"{name}/{i}", arrays) for i, v in enumerate(value)]
    return value


def _with_arrays(value: object, arrays: Mapping[str, np.ndarray[Any, Any]]) -> object:
    if isinstance(value, Mapping):
        if set(value) == {"array"}:
            return arrays[str(value["array"])]
        return {k: _with_arrays(v, arrays) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_arrays(v, arrays) for v in value]
    return value
