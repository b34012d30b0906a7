"""What is in a movie: one walk over all its packets, each stream counted and hashed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Set
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from media.errors import FrameUnreadable, InputError
from media.ffv1_check import slices_are_sound
from media.mkv_check import check_mkv
from media.movie_color import matrix_of_tag
from media.reel import PictureFormat

VARIABLE_RATE, FRAME_COUNT = "variable_rate", "frame_count"
"""Faults that a project may accept by name."""

RGB_BITS = {
    "rgb24": 8, "bgr24": 8, "bgr0": 8, "rgb0": 8, "0rgb": 8, "0bgr": 8, "gbrp": 8,
    "gbrp10le": 10, "gbrp12le": 12, "gbrp16le": 16, "rgb48le": 16,
}  # fmt: skip
GRAY_BITS = {"gray": 8, "gray10le": 10, "gray12le": 12, "gray16le": 16}
YUV = re.compile(r"yuv(j?)(420|422|444)p(\d*)(le)?")
# Same samples in another order: rearranged without arithmetic before anything else.
PLANAR = {"nv12": "yuv420p", "yuyv422": "yuv422p", "uyvy422": "yuv422p"}
_ALPHA = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|^ya")
_LIMITED, _FULL = 1, 2

_PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432",
}  # fmt: skip
_TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log100", 10: "log316", 13: "srgb", 14: "bt2020-10", 15: "bt2020-12", 16: "pq",
    17: "smpte428", 18: "hlg",
}  # fmt: skip
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)(\.\d+)?")


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
    matrix: str | None
    """``rgb``, ``gray``, ``bt709``, ``bt601``, ``bt2020``, or None when untagged."""
    range: str | None
    """``full``, ``limited``, or None when untagged."""
    primaries: str | None
    transfer: str | None
    """ISO 23001-8 names, or None when untagged."""
    primaries_code: int
    transfer_code: int
    """The same as the file's own numbers, to hand on."""
    timecode: str | None
    start_s: Fraction
    """Presentation time of the first picture: what the other streams are in sync with."""
    others: tuple[OtherStream, ...]
    interlaced: bool
    promised_frames: int | None
    """Pictures the container says it holds; None when it says nothing."""
    pts: tuple[int, ...] = field(repr=False)
    """Presentation time of every frame, ascending, in stream ticks."""
    key_pts: tuple[int, ...] = field(repr=False)
    """Presentation times a decoder can start at."""

    @property
    def audio_streams(self) -> int:
        """Number of sound streams."""
        return sum(s.kind == "audio" for s in self.others)

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
    and ``frame_count`` (the container promises another number of pictures than it holds).
    raises: FrameUnreadable (cannot be opened or decoded, damaged, cut short), InputError (no
    picture, alpha or another unsupported pixel format, variable frame rate).
    """
    check_mkv(path, reel=reel)
    try:
        with av.open(str(path)) as container:
            return _inspect(container, path, reel, accept)
    except av.FFmpegError as error:
        raise FrameUnreadable(
            f"{path.name}: cannot be decoded: {error.strerror}",
            hint="check the file with its own player, or copy it again",
            reel=reel,
        ) from error


@dataclass(slots=True)
class _Walk:
    """What the packets say."""

    times: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    sound: dict[int, bool | None] = field(default_factory=dict)
    """FFV1 only: presentation time to whether the check sums match."""
    pictures: int = 0
    """All video packets, those that an edit list leaves out included."""
    digests: dict[int, hashlib._Hash] = field(default_factory=dict)
    packets: dict[int, int] = field(default_factory=dict)


def _walk(container: InputContainer, stream: VideoStream, path: Path, reel: str | None) -> _Walk:
    walk = _Walk()
    ffv1 = stream.codec_context.name == "ffv1"
    for packet in container.demux():
        if packet.size == 0:
            continue
        index = packet.stream.index
        if index != stream.index:
            walk.digests.setdefault(index, hashlib.sha256()).update(bytes(packet))
            walk.packets[index] = walk.packets.get(index, 0) + 1
            continue
        walk.pictures += 1
        if packet.is_discard:
            continue
        time = packet.pts
        if time is None and not stream.codec_context.has_b_frames:
            time = packet.dts
        if time is None:
            raise InputError(
                f"{path.name}: frames carry no presentation times",
                hint="re-wrap it to Matroska, or deliver an image sequence",
                reel=reel,
            )
        walk.times.append(time)
        if packet.is_keyframe:
            walk.keys.append(time)
        if ffv1:
            walk.sound[time] = slices_are_sound(bytes(packet))
    if not walk.times:
        raise FrameUnreadable(f"{path.name}: no frames in this movie", reel=reel)
    walk.times.sort()
    _refuse_damaged(walk, path, reel)
    return walk


def _refuse_damaged(walk: _Walk, path: Path, reel: str | None) -> None:
    """raises: FrameUnreadable for the first FFV1 picture whose own check sum is wrong."""
    if None in walk.sound.values() and True not in walk.sound.values():
        return  # Written without check sums.
    for index, time in enumerate(walk.times):
        if walk.sound.get(time, True) is not True:
            raise FrameUnreadable(
                f"{path.name}: frame at position {index} is damaged: its check sum is wrong",
                hint="copy the movie again, or take it from another copy",
                reel=reel,
                frame=index,
            )


def _inspect(
    container: InputContainer, path: Path, reel: str | None, accept: Set[str]
) -> MovieInfo:
    if not container.streams.video:
        raise InputError(f"{path.name}: no picture in this movie", reel=reel)
    stream = container.streams.video[0]
    walk = _walk(container, stream, path, reel)
    times = walk.times
    rate = _rate(stream, times, path, reel, accept)
    promised = _promised(container, stream, rate)
    if promised is not None and FRAME_COUNT not in accept and promised != walk.pictures:
        raise FrameUnreadable(
            f"{path.name} promises {promised} pictures and holds {walk.pictures}",
            hint="copy the movie again; if it is meant to be so, set "
            "reels.accept = ['frame_count'] to take what is there",
            reel=reel,
            frame=min(promised, walk.pictures),
        )
    container.seek(times[0], stream=stream)
    first = next(container.decode(stream), None)
    if first is None:
        raise FrameUnreadable(f"{path.name}: the first frame cannot be decoded", reel=reel)
    channels, bits = _layout(first.format.name, path, reel)
    matrix, range_name = _tags(first)
    primaries, transfer = int(first.color_primaries), int(first.color_trc)
    return MovieInfo(
        width=first.width,
        height=first.height,
        channels=channels,
        bits=bits,
        rate=rate,
        frame_count=len(times),
        pix_fmt=first.format.name,
        codec=stream.codec_context.name,
        matrix=matrix,
        range=range_name,
        primaries=_PRIMARIES.get(primaries),
        transfer=_TRANSFERS.get(transfer),
        primaries_code=primaries,
        transfer_code=transfer,
        timecode=_timecode(container, stream),
        start_s=times[0] * Fraction(stream.time_base or 0),
        others=_others(container, stream, walk),
        interlaced=bool(first.interlaced_frame),
        promised_frames=promised,
        pts=tuple(times),
        key_pts=tuple(sorted(walk.keys)),
    )


def _timecode(container: InputContainer, stream: VideoStream) -> str | None:
    holders = [stream.metadata, container.metadata, *(d.metadata for d in container.streams.data)]
    for metadata in holders:
        # Matroska writes the key in capitals.
        found = {key.lower(): value for key, value in metadata.items()}
        if found.get("timecode"):
            return str(found["timecode"])
    return None


def _others(container: InputContainer, stream: VideoStream, walk: _Walk) -> tuple[OtherStream, ...]:
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


def _promised(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    """How many pictures the container says it holds."""
    if stream.frames > 0:
        return int(stream.frames)
    said = {key.lower(): value for key, value in stream.metadata.items()}
    clock = _CLOCK.match(said.get("duration", ""))
    if clock is not None:
        whole = (int(clock[1]) * 60 + int(clock[2])) * 60 + int(clock[3])
        seconds = whole + Fraction(clock[4] or "0") if clock[4] else Fraction(whole)
        start = Fraction(stream.start_time or 0) * Fraction(stream.time_base or 0)
        # Written as the end of the last picture, in a clock that counts from zero.
        return round((seconds - start) * rate)
    if len(container.streams) == 1 and container.duration:
        return round(Fraction(container.duration, av.time_base) * rate)
    return None


def _rate(
    stream: VideoStream, times: list[int], path: Path, reel: str | None, accept: Set[str]
) -> Fraction:
    rate = _constant_rate(stream, times)
    if rate is None and VARIABLE_RATE in accept:
        return Fraction(stream.average_rate or stream.guessed_rate or 24)
    if rate is None:
        raise InputError(
            f"{path.name}: variable frame rate",
            hint="deliver an image sequence or a movie of constant rate, or set "
            "reels.accept = ['variable_rate'] and reels.rate to count every picture as one frame",
            reel=reel,
        )
    return rate


def _constant_rate(stream: VideoStream, times: list[int]) -> Fraction | None:
    """The one rate that explains all times to within a tick (containers round), if there is one."""
    tick = Fraction(stream.time_base or 0)
    candidates = [Fraction(r) for r in (stream.average_rate, stream.guessed_rate) if r]
    if len(times) > 1:
        measured = (
            Fraction(len(times) - 1, times[-1] - times[0]) / tick if times[-1] > times[0] else 0
        )
        candidates += [Fraction(measured).limit_denominator(d) for d in (1, 1001)]
    for rate in candidates:
        if rate > 0 and len(times) == 1:
            return rate
        if rate <= 0:
            continue
        step = 1 / (rate * tick)
        late = max(abs(t - times[0] - k * step) for k, t in enumerate(times))
        if late <= 1:
            return rate
    return None


def _layout(name: str, path: Path, reel: str | None) -> tuple[int, int]:
    """Channels and bits of the codes given for a pixel format."""
    if name in RGB_BITS:
        return 3, RGB_BITS[name]
    if name in GRAY_BITS:
        return 1, GRAY_BITS[name]
    if YUV.fullmatch(name) or name in PLANAR:
        return 3, 16
    hint = "strip the alpha" if _ALPHA.search(name) else "convert it to RGB, gray or YUV"
    raise InputError(f"{path.name}: pixel format {name} is not supported", hint=hint, reel=reel)


def _tags(frame: av.VideoFrame) -> tuple[str | None, str | None]:
    name = frame.format.name
    if name in RGB_BITS or name in GRAY_BITS:
        return ("rgb" if name in RGB_BITS else "gray"), "full"
    ranges = {_LIMITED: "limited", _FULL: "full"}
    range_name = "full" if name.startswith("yuvj") else ranges.get(int(frame.color_range))
    return matrix_of_tag(int(frame.colorspace)), range_name
