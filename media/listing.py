"""The files of a reel in the order of their numbers, and what the numbering lacks."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from media.errors import FrameDuplicate, FrameMissing, InputError
from media.frames import FrameRange, frames_text
from media.scan import KINDS

_PATTERN = re.compile(r"%0?(\d*)d|#+")
_NAMED_GAPS = 5


def is_pattern(source: Path) -> bool:
    """Whether the name is a pattern such as ``R1.%07d.dpx`` or ``R1.####.dpx``."""
    return _PATTERN.search(source.name) is not None and not source.is_dir()


def list_sequence(
    source: Path, *, reel: str | None = None, gaps: bool = False
) -> tuple[list[tuple[int, Path]], str]:
    """The frames of a folder or pattern as sorted (number, file), and their kind.

    The number is the last group of digits of the name. Files of other kinds (notes, checksums,
    sound) are passed over. gaps: numbers may be missing, the caller knows what to do about it.
    raises: InputError (nothing there, kinds or names mixed, no number), FrameDuplicate,
    FrameMissing.
    """
    if is_pattern(source):
        folder, wanted = source.parent, _pattern_regex(source.name)
    else:
        folder, wanted = source, None
    if not folder.is_dir():
        hint = "give the folder of the frames, or a pattern such as R1.####.dpx"
        raise InputError(f"{folder} is not a folder", hint=hint, reel=reel)
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in KINDS
        and not path.name.startswith(".")
        and (wanted is None or wanted.fullmatch(unicodedata.normalize("NFC", path.name)))
    ]
    if not files:
        raise InputError(
            f"no frames in {source}",
            hint="expected " + ", ".join(KINDS) + " files with a number in the name",
            reel=reel,
        )
    kinds = sorted({KINDS[path.suffix.lower()] for path in files})
    if len(kinds) > 1:
        raise InputError(
            f"mixed kinds of frames in {folder}: {', '.join(kinds)}",
            hint="give a pattern such as R1.####.dpx, or one folder for each",
            reel=reel,
        )
    numbered = _numbered(files, reel)
    if not gaps:
        _refuse_gaps([n for n, _ in numbered], reel)
    return numbered, kinds[0]


def _pattern_regex(name: str) -> re.Pattern[str]:
    name = unicodedata.normalize("NFC", name)
    found = list(_PATTERN.finditer(name))[-1]
    head, tail = re.escape(name[: found.start()]), re.escape(name[found.end() :])
    return re.compile(rf"{head}\d+{tail}")


def _numbered(files: list[Path], reel: str | None) -> list[tuple[int, Path]]:
    by_number: dict[int, Path] = {}
    names: dict[tuple[str, str], Path] = {}
    for path in files:
        found = re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem)
        if found is None:
            raise InputError(
                f"{path.name} has no frame number in its name",
                hint="move it away, or give a pattern such as R1.####.dpx",
                reel=reel,
            )
        names.setdefault((unicodedata.normalize("NFC", found[1]), found[3]), path)
        if len(names) > 1:
            one, other = [p.name for p in names.values()]
            raise InputError(
                f"frames of different names in one folder: {one} and {other}",
                hint="give a pattern such as R1.####.dpx, or one folder for each",
                reel=reel,
            )
        number = int(found[2])
        if number in by_number:
            raise FrameDuplicate(
                f"{by_number[number].name} and {path.name} are both frame {number}",
                hint="move one of them away",
                reel=reel,
                frame=number,
            )
        by_number[number] = path
    return sorted(by_number.items())


def missing_runs(numbers: Sequence[int]) -> list[FrameRange]:
    """Runs of numbers left out between the first and the last of ascending ``numbers``."""
    return [FrameRange(a + 1, b) for a, b in itertools.pairwise(numbers) if b > a + 1]


def named_runs(runs: Sequence[FrameRange]) -> str:
    """The first few runs in words: ``17, 20-24 and 3 more``."""
    texts = [f"{r.start}" if len(r) == 1 else str(r) for r in runs]
    more = f" and {len(runs) - _NAMED_GAPS} more" if len(runs) > _NAMED_GAPS else ""
    return ", ".join(texts[:_NAMED_GAPS]) + more


def _refuse_gaps(numbers: Sequence[int], reel: str | None) -> None:
    runs = missing_runs(numbers)
    if runs:
        lacking = sum(map(len, runs))
        be = "is" if lacking == 1 else "are"
        raise FrameMissing(
            f"{frames_text(lacking)} {be} missing between {numbers[0]} and {numbers[-1]}",
            hint=f"missing: {named_runs(runs)}; copy them, give the parts as reels of their own, "
            "or say what to do with reels.gaps = 'keep', 'hold' or 'rebuild'",
            reel=reel,
            frame=runs[0].start,
        )
