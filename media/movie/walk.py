"""One walk over all packets of a movie: when pictures are shown, and digests of all else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from media.errors import FrameUnreadable
from media.movie.ffv1 import slices_are_sound

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)(\.\d+)?")
_NO_TEXT = b"\x00\x00"
"""What a QuickTime subtitle track holds where there is nothing to read; writers add it anew."""
_FINE_TICKS = 8
"""A clock must tick so often in a picture before a rate can be read off it."""
_TREMBLE_S = Fraction(1, 5000)
"""How far the times of two pictures may be from one step of a stated rate."""
# These give pictures the times they were written with; others guess when pictures are reordered.
_TIMED = ("mov", "matroska", "mpegts")


@dataclass(slots=True)
class Walk:
    """What the packets of a movie say."""

    times: list[int] = field(default_factory=list)
    """Presentation times in stream ticks, ascending; decoding times where ``untimed``."""
    keys: list[int] = field(default_factory=list)
    untimed: bool = False
    """Whether pictures can only be told apart by their order."""
    sound: dict[int, bool | None] = field(default_factory=dict)
    """FFV1 only: presentation time to whether the check sums match."""
    pictures: int = 0
    """All picture packets, those that an edit list leaves out included."""
    chunks: list[int] = field(default_factory=list)
    """Decoding times: in AVI, which tells no others, the places of the pictures."""
    torn: int | None = None
    """Position of the first picture whose packet is incomplete."""
    torn_streams: set[int] = field(default_factory=set)
    doubtful: int = 0
    """Pictures at the end that cannot be trusted."""
    decoded: list[int | None] = field(default_factory=list)
    """Times that the decoder gives, where they had to be looked at."""
    digests: dict[int, hashlib._Hash] = field(default_factory=dict)
    packets: dict[int, int] = field(default_factory=dict)

    def refuse_damaged(self, path: Path, reel: str | None) -> None:
        """raises: FrameUnreadable for the first FFV1 picture whose own check sum is wrong."""
        if None in self.sound.values() and True not in self.sound.values():
            return  # Written without check sums.
        for index, time in enumerate(self.times):
            if self.sound.get(time, True) is not True:
                raise FrameUnreadable(
                    f"{path.name}: frame at position {index} is damaged: its check sum is wrong",
                    hint="copy the movie again, or take it from another copy",
                    reel=reel,
                    frame=index,
                )


def open_movie(path: Path, options: dict[str, str] | None = None) -> InputContainer:
    """A movie to read; names in it that are no UTF-8 (old programs) do no harm.

    raises: av.FFmpegError.
    """
    found: InputContainer = av.open(str(path), options=options, metadata_errors="replace")
    return found


def is_no_text(packet: av.Packet) -> bool:
    """Whether a packet only says that no subtitle is shown for a while."""
    text = packet.stream.type == "subtitle" and packet.size == len(_NO_TEXT)
    return text and bytes(packet) == _NO_TEXT


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The stream of moving pictures: the first that has a decoder and is no cover image."""
    for stream in container.streams.video:
        known: object = stream.codec_context  # None for a codec that is not known here.
        if known is not None and not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def walk_packets(container: InputContainer, stream: VideoStream) -> Walk:
    """Count, time and hash all packets. raises: av.FFmpegError."""
    walk = Walk()
    ffv1 = stream.codec_context.name == "ffv1"
    headers = _adts_filters(container)
    for packet in container.demux():
        if packet.size == 0:
            continue
        index = packet.stream.index
        if index != stream.index:
            if is_no_text(packet):
                continue
            walk.packets[index] = walk.packets.get(index, 0) + 1
            digest = walk.digests.setdefault(index, hashlib.sha256())
            for part in headers[index].filter(packet) if index in headers else (packet,):
                digest.update(bytes(part))
            if packet.is_corrupt:
                walk.torn_streams.add(index)
            continue
        walk.pictures += 1
        if packet.dts is not None:
            walk.chunks.append(packet.dts)
        if packet.is_discard:
            continue
        if packet.is_corrupt:
            walk.torn = len(walk.times) if walk.torn is None else walk.torn
            continue
        time = packet.pts
        if time is None and not stream.codec_context.has_b_frames:
            time = packet.dts
        if time is None:
            walk.untimed = True
            continue
        walk.times.append(time)
        if packet.is_keyframe:
            walk.keys.append(time)
        if ffv1:
            walk.sound[time] = slices_are_sound(bytes(packet))
    timed = container.format.name.startswith(_TIMED)
    walk.untimed = walk.untimed or (bool(stream.codec_context.has_b_frames) and not timed)
    walk.times.sort()
    walk.keys.sort()
    return walk


def _adts_filters(container: InputContainer) -> dict[int, BitStreamFilterContext]:
    """Broadcast AAC repeats a header in each packet, which other containers keep only once."""
    found = {}
    for stream in container.streams.audio:
        context: CodecContext | None = stream.codec_context
        if context is not None and context.name == "aac" and not context.extradata:
            found[stream.index] = BitStreamFilterContext("aac_adtstoasc", stream)
    return found


def decoded_times(path: Path, stream_index: int) -> list[int | None]:
    """Times of all pictures of a movie in the order they are shown. raises: av.FFmpegError."""
    with open_movie(path) as container:
        stream = _video(container, stream_index)
        stream.thread_type = "AUTO"
        return [frame.pts for frame in container.decode(stream)]


def first_picture(path: Path, stream_index: int) -> av.VideoFrame | None:
    """The first picture a decoder gives, None when it gives none.

    Opened anew: seeking back fails in some containers. raises: av.FFmpegError.
    """
    with open_movie(path) as container:
        return next(container.decode(_video(container, stream_index)), None)


def samples_without_edits(path: Path, stream_index: int) -> int:
    """Picture packets of a MOV or MP4 when its edit list is not followed."""
    with open_movie(path, {"ignore_editlist": "1"}) as container:
        packets = container.demux(_video(container, stream_index))
        return sum(1 for p in packets if p.size and not p.is_corrupt)


def _video(container: InputContainer, index: int) -> VideoStream:
    return next(s for s in container.streams.video if s.index == index)


def promised_pictures(container: InputContainer, stream: Stream, rate: Fraction) -> list[int]:
    """How many pictures the container says it holds, in each way to read it; empty: it does not.

    Durations leave one doubt, whether they count from zero or from the first picture.
    """
    frames = getattr(stream, "frames", 0)
    if frames > 0:
        return [int(frames)]
    name = container.format.name
    tick = Fraction(stream.time_base or 0)
    if name == "mxf" and stream.duration:
        return [round(stream.duration * tick * rate)]
    if not name.startswith("matroska"):
        return []  # Elsewhere the duration is a guess from the bit rate.
    start = Fraction(stream.start_time or 0) * tick
    said = {key.lower(): value for key, value in stream.metadata.items()}
    clock = _CLOCK.match(said.get("duration", ""))
    if clock is not None:
        whole = (int(clock[1]) * 60 + int(clock[2])) * 60 + int(clock[3])
        seconds = whole + Fraction(clock[4] or "0")
    elif len(container.streams) == 1 and container.duration:
        seconds = Fraction(container.duration, av.time_base)
    else:
        return []
    return sorted({round((seconds - start) * rate), round(seconds * rate)})


def without_start_hold(chunks: Sequence[int]) -> list[int]:
    """Places of AVI pictures, the first moved to just before the second when only it is held.

    FFmpeg writes an empty chunk there when sound starts earlier: all pictures are late alike.
    """
    places = list(chunks)
    if len(places) > 2 and places[1] - places[0] == 2:
        places[0] += 1
    return places


def constant_rate(
    declared: Sequence[Fraction | None], tick: Fraction, times: Sequence[int]
) -> Fraction | None:
    """The one rate that explains all times to within a tick (containers round), if there is one.

    declared: rates that the file states, most trusted first. One of them is believed too when
    every picture follows the one before in time, and none is half a picture off in the end:
    broadcast clocks tremble.
    """
    stated = [Fraction(r) for r in declared if r and r > 0]
    if len(times) == 1:
        return stated[0] if stated else None
    if times[-1] <= times[0]:
        return None
    candidates = list(stated)
    measured = Fraction(len(times) - 1, times[-1] - times[0]) / tick
    if 1 / (measured * tick) >= _FINE_TICKS:
        video = Fraction(round(measured * 1001, -3), 1001)
        candidates += [measured.limit_denominator(1), video, measured.limit_denominator(1001)]
    for rate in candidates:
        # Where a tick is a whole picture, one tick late is a picture shown twice.
        step = 1 / (rate * tick) if rate > 0 else Fraction(0)
        late = _late(times, step) if rate > 0 else Fraction(1)
        if late <= 1 and late < step / 2:
            return rate
    for rate in stated:
        step = 1 / (rate * tick)
        uneven = max(abs(b - a - step) for a, b in pairwise(times))
        if uneven * tick <= _TREMBLE_S and _late(times, step) < step / 2:
            return rate
    return None


def _late(times: Sequence[int], step: Fraction) -> Fraction:
    """The most that a time is off a grid of this step, in ticks."""
    return max(abs(t - times[0] - k * step) for k, t in enumerate(times))
