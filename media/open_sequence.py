"""A folder of frames as a reel: listed, headers compared, every frame read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from media.ahead import in_order
from media.arrival import refuse_arrivals, refuse_fresh
from media.clock import clock_facts
from media.dpx import metadata_rate
from media.errors import FrameUnreadable, InputError, ReelMixed
from media.frames import FrameRange
from media.gaps import filled
from media.listing import list_sequence, named_runs
from media.reel import PictureFormat, Reel, SampleType, SourceFrame
from media.scan import Metadata, inspect, load
from media.source import Progress, Sight, SourceSpec, rate_notes
from media.write import AnyCodes

_THREADS = 4
_AHEAD = 6
_NAMED_OFFENDERS = 5


def open_sequence(spec: SourceSpec, progress: Progress | None, sight: Sight | None) -> Reel:
    """See ``media.material.open_reel``."""
    files, kind = list_sequence(spec.path, reel=spec.reel, gaps=bool(spec.gaps))
    refuse_fresh(spec, files)
    bad: dict[int, str] = {}
    heads = _headers(spec, files, bad)
    fmt = _common_format(spec.reel, {n: head[0] for n, head in heads.items()})
    if spec.range == "limited" and fmt.sample is not SampleType.UINT:
        raise InputError(
            f"{fmt} has no video levels", hint="leave reels.range empty", reel=spec.reel
        )
    first_head = next(iter(heads.values()))[1]
    rate = spec.rate or metadata_rate(first_head)
    if rate is None:
        raise InputError(
            "no frame rate is stated and the frames carry none",
            hint="set reels.rate in the project, or --rate, for instance 24 or 18",
            reel=spec.reel,
        )
    frames: list[SourceFrame] = []
    flat: list[int] = []
    readable = [(n, path) for n, path in files if n not in bad]
    shown = _Shown(spec, files[0][0], fmt, sight)
    for done, (item, found) in enumerate(
        zip(readable, _loaded(spec, readable, bad), strict=True), start=1
    ):
        number, path = item
        if progress is not None:
            progress(done, len(readable))
        if found is None:
            continue
        codes, digest, size, mtime, constant = found
        if constant:
            flat.append(number)
        shown.show(number, codes)
        frames.append(
            SourceFrame(
                number=number,
                path=path,
                index=len(frames),
                sha256=digest,
                size_bytes=size,
                mtime_ns=mtime,
            )
        )
    shown.finish(files[-1][0])
    refuse_arrivals(spec, files)
    scanned, gap_notes = filled(spec.reel, spec.gaps, frames, files, bad, spec.longest_run)
    facts, clock_notes = clock_facts({n: head[1] for n, head in heads.items()}, rate)
    if bad:
        facts["unreadable"] = {str(n): why for n, why in sorted(bad.items())}
    timecode = first_head.get("timecode")
    return Reel(
        id=spec.reel,
        rate=rate,
        encoding=spec.encoding,
        format=fmt,
        levels=spec.range or "full",
        kind=kind,
        frames=scanned,
        timecode=str(timecode) if timecode is not None else None,
        facts=facts,
        notes=(
            *rate_notes(spec.rate, [metadata_rate(head[1]) for head in heads.values()]),
            *clock_notes,
            *gap_notes,
            *_flat_notes(flat),
        ),
    )


def _flat_notes(flat: list[int]) -> tuple[str, ...]:
    """Frames without a picture in them: all one code."""
    if not flat:
        return ()
    runs = [FrameRange(a, b) for a, b in _runs(flat)]
    return (f"{len(flat)} frames hold one code only: {named_runs(runs)}",)


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for n in numbers:
        if found and found[-1][1] == n:
            found[-1] = (found[-1][0], n + 1)
        else:
            found.append((n, n + 1))
    return found


def _headers(
    spec: SourceSpec, files: list[tuple[int, Path]], bad: dict[int, str]
) -> dict[int, tuple[PictureFormat, Metadata]]:
    """Format and metadata of every frame by its header. Fills ``bad`` where policy allows."""

    def look(item: tuple[int, Path]) -> tuple[PictureFormat, Metadata] | FrameUnreadable:
        try:
            return inspect(item[1], reel=spec.reel, frame=item[0], spare=spec.spare)
        except FrameUnreadable as error:
            return error

    heads = {}
    refused: list[FrameUnreadable] = []
    for (number, _), found in zip(
        files, in_order(look, files, threads=_THREADS, ahead=64), strict=True
    ):
        if not isinstance(found, FrameUnreadable):
            heads[number] = found
        elif spec.gaps in ("hold", "rebuild"):
            bad[number] = found.what
        else:
            refused.append(found)
            if len(refused) == _NAMED_OFFENDERS:
                break
    if refused:
        raise _all_named(refused)
    if not heads:
        raise InputError("no frame can be read", hint=next(iter(bad.values())), reel=spec.reel)
    return heads


def _all_named(errors: list[FrameUnreadable]) -> FrameUnreadable:
    first = errors[0]
    if len(errors) > 1:
        others = "; ".join(f"frame {e.frame}: {e.what}" for e in errors[1:])
        first.what = f"{first.what}; also {others}"
    return first


def _loaded(
    spec: SourceSpec, files: list[tuple[int, Path]], bad: dict[int, str]
) -> Iterator[tuple[AnyCodes, str, int, int, bool] | None]:
    """Codes, digest, size, time and whether it is all one code; None where policy takes the
    file for missing."""

    def read(item: tuple[int, Path]) -> tuple[AnyCodes, str, int, int, bool] | None:
        try:
            found = load(item[1], reel=spec.reel, frame=item[0], spare=spec.spare)
        except FrameUnreadable as error:
            if spec.gaps not in ("hold", "rebuild"):
                raise
            bad[item[0]] = error.what
            return None
        constant = bool(found.metadata.get("constant"))
        return found.codes, found.sha256, found.size_bytes, found.mtime_ns, constant

    return in_order(read, files, threads=_THREADS, ahead=_AHEAD)


class _Shown:
    """Shows pictures in order, those that a gap policy will make included."""

    def __init__(
        self, spec: SourceSpec, first: int, fmt: PictureFormat, sight: Sight | None
    ) -> None:
        self._fills = spec.gaps in ("hold", "rebuild")
        self._format = fmt
        self._next = first
        self._sight = sight
        self._last: AnyCodes | None = None

    def show(self, number: int, codes: AnyCodes) -> None:
        self._fill(number, self._last if self._last is not None else codes)
        if self._sight is not None:
            self._sight(number, codes, self._format)
        self._next, self._last = number + 1, codes

    def finish(self, last: int) -> None:
        if self._last is not None:
            self._fill(last + 1, self._last)

    def _fill(self, until: int, codes: AnyCodes) -> None:
        if self._fills and self._sight is not None:
            for number in range(self._next, until):
                self._sight(number, codes, self._format)


def _common_format(reel: str, formats: dict[int, PictureFormat]) -> PictureFormat:
    usual = Counter(formats.values()).most_common(1)[0][0]
    odd = [(n, f) for n, f in formats.items() if f != usual]
    if odd:
        named = "; ".join(f"frame {n} is {f}" for n, f in odd[:_NAMED_OFFENDERS])
        more = f" and {len(odd) - _NAMED_OFFENDERS} more" if len(odd) > _NAMED_OFFENDERS else ""
        raise ReelMixed(
            f"most frames are {usual}, but {named}{more}",
            hint="scan these frames again, or give the parts as reels of their own",
            reel=reel,
            frame=odd[0][0],
        )
    return usual
