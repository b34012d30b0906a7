"""Contact sheets: a scene's shots side by side, as scanned above, with their color below.

For looking: 8 bit, small. A scene is what a person called one, else shots that were compared with
each other; what stands alone comes by reel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from media.encoding import reel_encoding
from media.errors import WetgateError
from media.write import atomic_write_bytes
from wetgate.chain import as_transform
from wetgate.decisions import ShotDecisions
from wetgate.report.given import ReportInput
from wetgate.report.pictures import display_of, small_log

U8 = NDArray[np.uint8]

_WIDTH_PX, _GAP_PX, _LINE_PX = 240, 6, 16
_COLUMNS = 6
_PAPER = 24


def write_contact_sheets(given: ReportInput) -> list[str]:
    """One JPEG per scene in report/contact/; returns their names. Shots that cannot be read are
    shown as an empty field with the reason."""
    folder = given.job.folder.report / "contact"
    folder.mkdir(parents=True, exist_ok=True)
    scenes = given.job.project.scenes
    groups = contact_groups(given.decisions, {s.name: s.shots for s in scenes})
    names = []
    for number, (title, shots) in enumerate(groups, 1):
        sheet = _sheet(given, title, shots)
        encoded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
        name = f"{number:03d}_{_plain(title)}.jpg"
        atomic_write_bytes(folder / name, encoded)
        names.append(name)
    for old in folder.iterdir():
        if old.name not in names:
            old.unlink()
    return names


def contact_groups(
    decisions: Mapping[str, ShotDecisions], scenes: Mapping[str, Sequence[str]]
) -> list[tuple[str, list[str]]]:
    """(title, shots) in running order: named scenes, groups of look-alikes, the rest by reel."""
    order = list(decisions)
    groups = [(name, [s for s in order if s in shots]) for name, shots in scenes.items()]
    placed = {s for _, shots in groups for s in shots}
    for shot in order:
        if shot in placed or not decisions[shot].balance.links:
            continue
        group, waiting = {shot}, [shot]
        while waiting:
            for mate in decisions[waiting.pop()].balance.links:
                if mate in decisions and mate not in group | placed:
                    group.add(mate)
                    waiting.append(mate)
        placed |= group
        groups.append((f"like {shot}", [s for s in order if s in group]))
    for reel in dict.fromkeys(d.reel for d in decisions.values()):
        alone = [s for s in order if s not in placed and decisions[s].reel == reel]
        if alone:
            groups.append((f"alone on {reel}", alone))
    return [(title, shots) for title, shots in groups if shots]


def _sheet(given: ReportInput, title: str, shots: Sequence[str]) -> U8:
    cells = [_cell(given, shot) for shot in shots]
    height = max(c.shape[0] for c in cells)
    padded = [
        cv2.copyMakeBorder(
            c,
            0,
            height - c.shape[0] + _GAP_PX,
            0,
            _WIDTH_PX - c.shape[1] + _GAP_PX,
            cv2.BORDER_CONSTANT,
            value=(_PAPER,) * 3,
        )
        for c in cells
    ]
    columns = min(_COLUMNS, len(padded))
    blank = np.full_like(padded[0], _PAPER)
    padded += [blank] * (-len(padded) % columns)
    rows = [np.hstack(padded[k : k + columns]) for k in range(0, len(padded), columns)]
    body = np.vstack(rows)
    view = given.job.project.color.view
    head = _line(f"{title} (seen through {view})" if view else title, body.shape[1])
    return np.asarray(np.vstack([head, body]), dtype=np.uint8)


def _cell(given: ReportInput, shot_id: str) -> U8:
    """Name, scan, result, and what was decided."""
    decided = given.decisions[shot_id]
    reel = given.reels[decided.reel].reel
    first, last = decided.frames
    color = decided.balance
    try:
        codes = given.read_source(decided.reel, (first + last) // 2)
        log = small_log(codes, reel.format, reel_encoding(reel), _WIDTH_PX)
    except WetgateError as error:
        return np.vstack([_line(shot_id, _WIDTH_PX), _line(error.what, _WIDTH_PX)])
    after = as_transform(decided).apply(log.astype(np.float64)).astype(np.float32)
    show = display_of(given.job.project, reel)
    pictures = [
        np.ascontiguousarray(np.rint(show(p) * 255.0).astype(np.uint8)[:, :, ::-1])
        for p in (log, after)
    ]
    width = pictures[0].shape[1]
    points = " ".join(f"{p:+.1f}" for p in color.printer_points)
    words = ", ".join(decided.flags) or f"{points} pt, conf. {color.confidence:.2f}"
    return np.vstack([_line(shot_id, width), *pictures, _line(words, width)])


def _line(text: str, width: int) -> U8:
    """A line of small type; OpenCV's fonts know ASCII."""
    strip = np.full((_LINE_PX, width, 3), _PAPER, np.uint8)
    plain = text.encode("ascii", "replace").decode()
    where, size, ink = (2, _LINE_PX - 5), 0.36, (210, 210, 210)
    cv2.putText(strip, plain, where, cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)
    return strip


def _plain(text: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in text)[:60]
