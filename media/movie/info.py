"""What is in a movie: one walk over all its packets, each stream counted and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Set
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from media.errors import FrameUnreadable, InputError
from media.movie.mkv import check_mkv
from media.movie.tags import PRIMARIES, TRANSFERS, color_tags_of, layout, timecode_of
from media.movie.walk import (
    Walk,
    constant_rate,
    decoded_times,
    first_picture,
    open_movie,
    picture_stream,
    promised_pictures,
    samples_without_edits,
    walk_packets,
    without_start_hold,
)
from media.movie.whole import bytes_missing
from media.reel import PictureFormat

VARIABLE_RATE, FRAME_COUNT = "variable_rate", "frame_count"
"""Faults that a project may accept by name."""

_ACCEPT_COUNT = "set reels.accept = ['frame_count'] to take what is there"
_UNMARKED = ("mxf", "mpeg")
"""Containers whose last packet is handed out without a word when half of it is there."""
_DOUBTFUL = 4
"""Pictures left out at such an end: which of the last ones is torn cannot be told."""
_MAX_RATE = 1000
_REORDERED = 32
"""No codec shows a picture more than so many pictures after it was decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherStream:
    """A stream beside the picture: sound, subtitles, data."""

    index: int
    kind: str
    codec: str
    language: str
    packets: int
    sha256: str
    """Digest of all packets, in order, as they lie in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieInfo:
    """What is in a movie file, found by walking over all its packets."""

    width: int
    height: int
    channels: int
    bits: int
    """Bits of the codes that ``MovieReader`` gives."""
    rate: Fraction
    frame_count: int
    """Pictures really in the file, not what its header claims."""
    pix_fmt: str
    codec: str
    stream_index: int
    """Of the picture stream in its container."""
    matrix: str | None
    """``rgb``, ``gray``, ``bt709``, ``bt601``, ``bt2020``, or None when untagged."""
    range: str | None
    """``full``, ``limited``, or None when untagged."""
    color_conflict: str
    """Where pictures and container contradict each other on matrix or range; usually empty."""
    primaries: str | None
    transfer: str | None
    """ISO 23001-8 names, or None when untagged."""
    primaries_code: int
    transfer_code: int
    """The same as the file's own numbers, to hand on."""
    pixel_aspect: Fraction
    """Width of a pixel by its height."""
    rotation_deg: int
    """What a player is asked to turn the picture by; pictures are given as they are stored."""
    timecode: str | None
    start_s: Fraction
    """Presentation time of the first picture: what the other streams are in sync with."""
    tick_s: Fraction
    """Unit of ``pts``."""
    others: tuple[OtherStream, ...]
    interlaced: bool
    promised_frames: int | None
    """Pictures the container says it holds; None when it says nothing."""
    by_order: bool
    """True where the container gives pictures no times of their own: they are then told apart by
    their order only, and going back means decoding from the start."""
    pts: tuple[int, ...] = field(repr=False)
    """Presentation time of every frame, ascending, in stream ticks; 0, 1, 2, ... by order."""
    key_pts: tuple[int, ...] = field(repr=False)
    """Presentation times a decoder can start at; empty by order."""

    @property
    def audio_streams(self) -> int:
        """Number of sound streams."""
        return sum(s.kind == "audio" for s in self.others)

    def drift_s(self, rate: Fraction) -> Fraction:
        """The most that a picture is moved in time when all follow at ``rate`` (seconds)."""
        if self.by_order or rate <= 0:
            return Fraction(0)
        first = self.pts[0]
        return max(abs((t - first) * self.tick_s - k / rate) for k, t in enumerate(self.pts))

    @property
    def format(self) -> PictureFormat:
        """Format of the codes that ``MovieReader`` gives."""
        return PictureFormat(
            width=self.width, height=self.height, channels=self.channels, bits=self.bits
        )


def inspect_movie(
    path: Path, *, reel: str | None = None, accept: Set[str] = frozenset()
) -> MovieInfo:
    """Walk over a movie's packets and look at its first frame.

    Check sums are looked at where the file has them: Matroska elements and FFV1 slices. accept:
    faults the project takes as they are: ``variable_rate`` (every picture counts as one frame)
    and ``frame_count`` (the container promises more than it holds: what is there is taken).
    raises: FrameUnreadable (cannot be opened or decoded, damaged, cut short), InputError (no
    picture, alpha or another unsupported pixel format, variable frame rate).
    """
    try:
        check_mkv(path, reel=reel, whole=FRAME_COUNT not in accept)
        with open_movie(path) as container:
            missing = _refuse_short(container, path, reel, accept)
            return _inspect(container, path, reel, accept, torn_end=missing > 0)
    except av.FFmpegError as error:
        raise FrameUnreadable(
            f"{path.name}: cannot be decoded: {error.strerror}",
            hint="check the file with its own player, or copy it again",
            reel=reel,
        ) from error
    except OSError as error:
        raise FrameUnreadable(
            f"{path.name}: cannot be read: {error.strerror}", reel=reel
        ) from error


def _refuse_short(container: InputContainer, path: Path, reel: str | None, accept: Set[str]) -> int:
    missing = bytes_missing(path, container.format.name)
    if missing and FRAME_COUNT not in accept:
        raise FrameUnreadable(
            f"{path.name} ends {missing} bytes too early",
            hint=f"copy the movie again, or {_ACCEPT_COUNT}",
            reel=reel,
        )
    return missing


def _inspect(
    container: InputContainer,
    path: Path,
    reel: str | None,
    accept: Set[str],
    *,
    torn_end: bool,
) -> MovieInfo:
    stream = picture_stream(container)
    if stream is None:
        raise InputError(f"{path.name}: no picture in this movie that can be read", reel=reel)
    walk = walk_packets(container, stream)
    if torn_end and container.format.name in _UNMARKED:
        walk.untimed, walk.doubtful = True, _DOUBTFUL
    _refuse_torn(walk, path, reel, accept)
    if not walk.times:
        raise FrameUnreadable(f"{path.name}: no frames in this movie", reel=reel)
    walk.refuse_damaged(path, reel)
    first = first_picture(path, stream.index)
    if first is None:
        raise FrameUnreadable(f"{path.name}: the first frame cannot be decoded", reel=reel)
    if walk.untimed and not _times_hold(walk, path, stream):
        start, rate, promised, times = _by_order(container, stream, walk, path, reel, accept)
    else:
        _refuse_headless(walk, first, path, reel, accept)
        times, walk.untimed = walk.times, False
        shown = without_start_hold(times) if container.format.name == "avi" else times
        start, rate = shown[0], _rate(container, stream, shown, path, reel, accept)
        promised = _refuse_miscount(container, stream, rate, walk, path, reel, accept)
    channels, bits = layout(first.format.name, path, reel)
    tags = color_tags_of(stream, first)
    tick = Fraction(stream.time_base or 0)
    return MovieInfo(
        width=first.width,
        height=first.height,
        channels=channels,
        bits=bits,
        rate=rate,
        frame_count=len(times),
        pix_fmt=first.format.name,
        codec=stream.codec_context.name,
        stream_index=stream.index,
        matrix=tags.matrix,
        range=tags.range,
        color_conflict=tags.conflict,
        primaries=PRIMARIES.get(tags.primaries_code),
        transfer=TRANSFERS.get(tags.transfer_code),
        primaries_code=tags.primaries_code,
        transfer_code=tags.transfer_code,
        pixel_aspect=Fraction(stream.sample_aspect_ratio or 1),
        rotation_deg=int(first.rotation),
        timecode=timecode_of(
            [stream.metadata, container.metadata, *(d.metadata for d in container.streams.data)]
        ),
        start_s=start * tick,
        tick_s=tick,
        others=_others(container, stream, walk),
        interlaced=bool(first.interlaced_frame),
        promised_frames=promised,
        by_order=walk.untimed,
        pts=tuple(times),
        key_pts=() if walk.untimed else tuple(walk.keys),
    )


def _refuse_torn(walk: Walk, path: Path, reel: str | None, accept: Set[str]) -> None:
    """raises: FrameUnreadable when packets are incomplete and this is not accepted."""
    if FRAME_COUNT in accept:
        return
    if walk.torn is not None:
        raise FrameUnreadable(
            f"{path.name}: frame at position {walk.torn} is incomplete",
            hint=f"copy the movie again, or {_ACCEPT_COUNT}",
            reel=reel,
            frame=walk.torn,
        )
    if walk.torn_streams:
        raise FrameUnreadable(
            f"{path.name}: stream {min(walk.torn_streams)} is incomplete",
            hint=f"copy the movie again, or {_ACCEPT_COUNT}",
            reel=reel,
        )


def _refuse_headless(
    walk: Walk, first: av.VideoFrame, path: Path, reel: str | None, accept: Set[str]
) -> None:
    """Pictures before the first that can be decoded lack what they refer to (a cut recording)."""
    start = first.pts if first.pts is not None else first.dts
    lost = sum(t < start for t in walk.times) if start is not None else 0
    if not lost:
        return
    if FRAME_COUNT not in accept:
        raise FrameUnreadable(
            f"{path.name}: the first {lost} pictures refer to pictures that are not there",
            hint=f"take the movie from its source, or {_ACCEPT_COUNT}",
            reel=reel,
            frame=0,
        )
    del walk.times[:lost]


def _refuse_miscount(
    container: InputContainer,
    stream: VideoStream,
    rate: Fraction,
    walk: Walk,
    path: Path,
    reel: str | None,
    accept: Set[str],
) -> int | None:
    """What the container promises. raises: FrameUnreadable when it does not hold as much."""
    promised = promised_pictures(container, stream, rate)
    if not promised:
        return None
    held = walk.pictures
    name = container.format.name
    if name == "avi" and walk.chunks:
        held = walk.chunks[-1] + 1  # Empty chunks count: they show the picture before once more.
    if name.startswith("mov") and held < promised[0]:
        held = samples_without_edits(path, stream.index)
    # A writer that does not know how long the last picture is shown leaves it out of a duration.
    exact = stream.frames > 0 or name == "mxf"
    fits = [n for n in promised if n == held or (not exact and n == held - 1)]
    if fits or FRAME_COUNT in accept or (VARIABLE_RATE in accept and not exact):
        return walk.pictures if fits else promised[0]
    raise FrameUnreadable(
        f"{path.name} promises {promised[0]} pictures and holds {held}",
        hint=f"copy the movie again; if it is meant to be so, {_ACCEPT_COUNT}",
        reel=reel,
        frame=min(promised[0], held),
    )


def _times_hold(walk: Walk, path: Path, stream: VideoStream) -> bool:
    """Whether the times that a container guesses are those of the pictures, in their order."""
    walk.decoded = decoded_times(path, stream.index)
    return (
        not walk.doubtful and walk.decoded == walk.times and len(set(walk.times)) == len(walk.times)
    )


def _by_order(
    container: InputContainer,
    stream: VideoStream,
    walk: Walk,
    path: Path,
    reel: str | None,
    accept: Set[str],
) -> tuple[int, Fraction, int | None, list[int]]:
    """Start, rate, promised pictures and positions of a movie whose pictures carry no times."""
    decoded = len(walk.decoded)
    declared = [r for r in _declared(container, stream) if r < _MAX_RATE]
    tick = Fraction(stream.time_base or 0)
    start = walk.times[0]
    if container.format.name == "avi":
        places = without_start_hold(walk.chunks)
        start = places[0]
        regular = places == list(range(start, start + len(places)))
        rate = declared[0] if declared and regular else None
    else:
        rate = next((r for r in declared if _fits(r, walk, tick)), None)
    if rate is None and VARIABLE_RATE in accept and declared:
        rate = declared[0]
    if rate is None:
        raise _variable(path, reel)
    promised = _refuse_miscount(container, stream, rate, walk, path, reel, accept)
    if promised is not None and decoded < walk.pictures and FRAME_COUNT not in accept:
        raise FrameUnreadable(
            f"{path.name} holds {walk.pictures} pictures, {decoded} can be decoded",
            hint=f"copy the movie again, or {_ACCEPT_COUNT}",
            reel=reel,
        )
    return start, rate, promised, list(range(max(1, decoded - walk.doubtful)))


def _fits(rate: Fraction, walk: Walk, tick: Fraction) -> bool:
    """Whether the times that are there lie on a grid of this rate, as long as the movie is."""
    step = 1 / (rate * tick)
    places = [(t - walk.times[0]) / step for t in walk.times]
    missing = len(walk.decoded) - 1 - round(places[-1])
    untold = max(_REORDERED, walk.pictures - len(walk.times))
    return all(abs(p - round(p)) * step <= 1 for p in places) and 0 <= missing <= untold


def _declared(container: InputContainer, stream: VideoStream) -> list[Fraction]:
    """Rates that a movie states, most trusted first."""
    found = [Fraction(r) for r in (stream.average_rate, stream.guessed_rate) if r]
    # A program stream states none itself: the average is estimated, the codec's own is not.
    return found[::-1] if container.format.name == "mpeg" else found


def _rate(
    container: InputContainer,
    stream: VideoStream,
    times: list[int],
    path: Path,
    reel: str | None,
    accept: Set[str],
) -> Fraction:
    tick = Fraction(stream.time_base or 0)
    declared = _declared(container, stream)
    rate = constant_rate(declared, tick, times) if tick else None
    if rate is None and VARIABLE_RATE in accept:
        return declared[0] if declared else Fraction(24)
    if rate is None:
        raise _variable(path, reel)
    return rate


def _variable(path: Path, reel: str | None) -> InputError:
    return InputError(
        f"{path.name}: variable frame rate",
        hint="deliver an image sequence or a movie of constant rate, or set "
        "reels.accept = ['variable_rate'] and reels.rate to count every picture as one frame",
        reel=reel,
    )


def _others(container: InputContainer, stream: VideoStream, walk: Walk) -> tuple[OtherStream, ...]:
    return tuple(
        OtherStream(
            index=other.index,
            kind=str(other.type),
            codec=other.codec_context.name if other.codec_context is not None else "",
            language=str(other.metadata.get("language", "")),
            packets=walk.packets.get(other.index, 0),
            sha256=walk.digests.get(other.index, hashlib.sha256()).hexdigest(),
        )
        for other in container.streams
        if other.index != stream.index
    )
