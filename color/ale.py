"""Avid Log Exchange: one line a shot, with ASC_SOP and ASC_SAT columns.

Six decimals, always a decimal point and never an exponent: readers drop a whole decision for
``(1 1 1)``. Avid needs the two columns shown in its bin before it takes them in.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from color.cdl import CDL, FILE_DECIMALS, Triple
from color.edl import EdlEvent, cdl_of_text, count_rate, edl_reel, timecode_frames, timecode_text
from media.errors import ConfigError
from media.frames import rate_text

COLUMNS = ("Name", "Tracks", "Start", "End", "Tape", "Scan Filename", "ASC_SOP", "ASC_SAT")


def ale_document(
    reel: str,
    rate: Fraction,
    first_frame: int,
    events: Sequence[EdlEvent],
    *,
    timecode: str | None = None,
) -> str:
    """The shots of a reel as ALE text, sorted by frame; source times as in ``edl_document``.

    raises: ConfigError when there is no event or the timecode does not fit the rate.
    """
    if not events:
        raise ConfigError("no shot to write into an ALE", hint="select at least one", reel=reel)
    fps = count_rate(rate)
    start, drop = (first_frame, False) if timecode is None else timecode_frames(timecode, fps)
    lines = [
        "Heading",
        "FIELD_DELIM\tTABS",
        "VIDEO_FORMAT\tCUSTOM",
        f"FPS\t{rate_text(rate) if rate.denominator == 1 else f'{float(rate):.3f}'}",
        "",
        "Column",
        "\t".join(COLUMNS),
        "",
        "Data",
    ]
    for event in sorted(events, key=lambda e: e.frames):
        first, last = event.frames.start - first_frame, event.frames.stop - first_frame
        lines.append(
            "\t".join(
                (
                    event.id,
                    "V",
                    timecode_text(start + first, fps, drop=drop),
                    timecode_text(start + last, fps, drop=drop),
                    edl_reel(reel),
                    event.id,
                    sop_text(event.cdl),
                    f"{round(event.cdl.saturation, FILE_DECIMALS) + 0.0:.{FILE_DECIMALS}f}",
                )
            )
        )
    return "\n".join([*lines, ""])


def sop_text(cdl: CDL) -> str:
    """``(s s s)(o o o)(p p p)``, six decimals."""
    return "".join(_group(v) for v in (cdl.slope, cdl.offset, cdl.power))


def read_ale_cdls(text: str, name: str) -> list[tuple[str, CDL]]:
    """(name, CDL) of every line that carries a decision. raises: ConfigError when malformed."""
    columns: list[str] = []
    found: list[tuple[str, CDL]] = []
    section = ""
    for line in text.splitlines():
        if line.strip() in ("Heading", "Column", "Data"):
            section = line.strip()
        elif section == "Column" and line.strip():
            columns = line.split("\t")
        elif section == "Data" and line.strip():
            row = dict(zip(columns, line.split("\t"), strict=False))
            sop, sat = row.get("ASC_SOP", "").strip(), row.get("ASC_SAT", "").strip()
            if sop or sat:
                clip = row.get("Name", "").strip()
                found.append((clip, cdl_of_text(sop, sat, f"{name}, clip {clip!r}")))
    return found


def _group(values: Triple) -> str:
    return (
        "(" + " ".join(f"{round(v, FILE_DECIMALS) + 0.0:.{FILE_DECIMALS}f}" for v in values) + ")"
    )
