"""Movies as frame-exact sources: what is inside, and any frame by its position.

Positions count presentation order from 0. RGB and gray movies give their own codes; Y'CbCr
becomes 16-bit RGB, because the matrix leaves fractions between the source's codes.
"""

from __future__ import annotations

import bisect
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from media.errors import FrameUnreadable, InputError
from media.movie_color import check_matrix, matrix_of_tag, yuv_to_rgb16
from media.movie_write import MovieWriter
from media.reel import PictureFormat

__all__ = ["SUFFIXES", "MovieInfo", "MovieReader", "MovieWriter", "inspect_movie"]

SUFFIXES = (".mov", ".mp4", ".m4v", ".mkv", ".avi", ".mxf", ".mpg", ".mpeg", ".ts")
"""File name endings taken for movies."""

_RGB_BITS = {
    "rgb24": 8, "bgr24": 8, "bgr0": 8, "rgb0": 8, "0rgb": 8, "0bgr": 8, "gbrp": 8,
    "gbrp10le": 10, "gbrp12le": 12, "gbrp16le": 16, "rgb48le": 16,
}  # fmt: skip
_GRAY_BITS = {"gray": 8, "gray10le": 10, "gray12le": 12, "gray16le": 16}
_YUV = re.compile(r"yuv(j?)(420|422|444)p(\d*)(le)?")
# Same samples in another order: rearranged without arithmetic before anything else.
_PLANAR = {"nv12": "yuv420p", "yuyv422": "yuv422p", "uyvy422": "yuv422p"}
_ALPHA = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|^ya")
_RGB_TAG = 0
_LIMITED, _FULL = 1, 2
_CACHED_FRAMES = 8
_SEEK_BEYOND_FRAMES = 48


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
    timecode: str | None
    audio_streams: int
    interlaced: bool
    pts: tuple[int, ...] = field(repr=False)
    """Presentation time of every frame, ascending, in stream ticks."""
    key_pts: tuple[int, ...] = field(repr=False)
    """Presentation times a decoder can start at."""

    @property
    def format(self) -> PictureFormat:
        """Format of the codes that ``MovieReader`` gives."""
        return PictureFormat(
            width=self.width, height=self.height, channels=self.channels, bits=self.bits
        )


def inspect_movie(path: Path, *, reel: str | None = None) -> MovieInfo:
    """Walk over a movie's packets and look at its first frame.

    raises: FrameUnreadable (cannot be opened or decoded), InputError (no picture, alpha or
    another unsupported pixel format, variable frame rate).
    """
    try:
        with av.open(str(path)) as container:
            return _inspect(container, path, reel)
    except av.FFmpegError as error:
        raise FrameUnreadable(
            f"{path.name}: cannot be decoded: {error.strerror}",
            hint="check the file with its own player, or copy it again",
            reel=reel,
        ) from error


def _inspect(container: InputContainer, path: Path, reel: str | None) -> MovieInfo:
    if not container.streams.video:
        raise InputError(f"{path.name}: no picture in this movie", reel=reel)
    stream = container.streams.video[0]
    times, keys = [], []
    for packet in container.demux(stream):
        if packet.size == 0 or packet.is_discard:
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
        times.append(time)
        if packet.is_keyframe:
            keys.append(time)
    if not times:
        raise FrameUnreadable(f"{path.name}: no frames in this movie", reel=reel)
    times.sort()
    rate = _constant_rate(stream, times, path, reel)
    container.seek(times[0], stream=stream)
    first = next(container.decode(stream), None)
    if first is None:
        raise FrameUnreadable(f"{path.name}: the first frame cannot be decoded", reel=reel)
    channels, bits = _layout(first.format.name, path, reel)
    matrix, range_name = _tags(first)
    timecode = None
    holders = [stream.metadata, container.metadata, *(d.metadata for d in container.streams.data)]
    for metadata in holders:
        # Matroska writes the key in capitals.
        found = {key.lower(): value for key, value in metadata.items()}
        timecode = timecode or found.get("timecode")
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
        timecode=timecode,
        audio_streams=len(container.streams.audio),
        interlaced=bool(first.interlaced_frame),
        pts=tuple(times),
        key_pts=tuple(sorted(keys)),
    )


def _constant_rate(stream: VideoStream, times: list[int], path: Path, reel: str | None) -> Fraction:
    """The one rate that explains all times to within a tick (containers round)."""
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
    raise InputError(
        f"{path.name}: variable frame rate",
        hint="deliver an image sequence, or a movie of constant rate",
        reel=reel,
    )


def _layout(name: str, path: Path, reel: str | None) -> tuple[int, int]:
    """Channels and bits of the codes given for a pixel format."""
    if name in _RGB_BITS:
        return 3, _RGB_BITS[name]
    if name in _GRAY_BITS:
        return 1, _GRAY_BITS[name]
    if _YUV.fullmatch(name) or name in _PLANAR:
        return 3, 16
    hint = "strip the alpha" if _ALPHA.search(name) else "convert it to RGB, gray or YUV"
    raise InputError(f"{path.name}: pixel format {name} is not supported", hint=hint, reel=reel)


def _tags(frame: av.VideoFrame) -> tuple[str | None, str | None]:
    name = frame.format.name
    if name in _RGB_BITS or name in _GRAY_BITS:
        return ("rgb" if name in _RGB_BITS else "gray"), "full"
    ranges = {_LIMITED: "limited", _FULL: "full"}
    range_name = "full" if name.startswith("yuvj") else ranges.get(int(frame.color_range))
    return matrix_of_tag(int(frame.colorspace)), range_name


class MovieReader:
    """Frames of a movie by position, exact whatever the codec's frame order.

    Not thread-safe: use one reader per thread (``media.material.FrameReader`` does). Reading
    forward decodes each frame once; going back starts again at the key frame before.
    """

    def __init__(
        self,
        path: Path,
        matrix: str | None = None,
        full_range: bool | None = None,
        *,
        info: MovieInfo | None = None,
        reel: str | None = None,
    ) -> None:
        """matrix, full_range: override or supply what the file's tags say about Y'CbCr.
        info: from ``inspect_movie``, to save walking over the file again.

        raises: InputError when the matrix or range of Y'CbCr is neither tagged nor given.
        """
        self.path, self.reel = path, reel
        self.info = info or inspect_movie(path, reel=reel)
        self._matrix = matrix or self.info.matrix
        given = None if full_range is None else ("full" if full_range else "limited")
        self._range = given or self.info.range
        if self.info.matrix not in ("rgb", "gray"):
            for key, value in (("matrix", self._matrix), ("range", self._range)):
                if value is None:
                    raise InputError(
                        f"{path.name}: the movie does not say its color {key}",
                        hint=f"set reels.{key} in the project; it is never guessed",
                        reel=reel,
                    )
            check_matrix(str(self._matrix))
        self._cache: OrderedDict[int, NDArray[np.uint16]] = OrderedDict()
        self._container: InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] | None = None
        self._next = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        self._frames = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def read(self, index: int) -> NDArray[np.uint16]:
        """Codes of the frame at ``index`` (0-based): (H, W, C) uint16, ``info.bits`` deep.

        The array is shared with a small cache: copy before changing it (it is read-only).
        raises: FrameUnreadable when it cannot be decoded, InputError when out of range.
        """
        if not 0 <= index < self.info.frame_count:
            raise InputError(
                f"{self.path.name} has {self.info.frame_count} frames, asked for {index}",
                reel=self.reel,
                frame=index,
            )
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        try:
            found = self._decode_to(index)
        except av.FFmpegError as error:
            self.close()
            raise self._unreadable(index, error.strerror) from error
        if found is None:
            raise self._unreadable(index, "no such picture comes out of the decoder")
        codes = self._codes(found)
        codes.flags.writeable = False
        self._cache[index] = codes
        if len(self._cache) > _CACHED_FRAMES:
            self._cache.popitem(last=False)
        return codes

    def _unreadable(self, index: int, why: str) -> FrameUnreadable:
        return FrameUnreadable(
            f"{self.path.name}: frame at position {index} cannot be decoded: {why}",
            hint="check the movie, or copy it again",
            reel=self.reel,
            frame=index,
        )

    def _decode_to(self, index: int) -> av.VideoFrame | None:
        target = self.info.pts[index]
        near = self._frames is not None and 0 <= index - self._next < _SEEK_BEYOND_FRAMES
        if near:
            found = self._walk(target)
            if found is not None:
                self._next = index + 1
                return found
        # Some files seek past the wanted key frame: fall back to earlier ones, then the start.
        place = bisect.bisect_right(self.info.key_pts, target) - 1
        for back in (0, 1, 3):
            if place - back <= 0:
                break
            found = self._walk_from(self.info.key_pts[place - back], target)
            if found is not None:
                self._next = index + 1
                return found
        found = self._walk_from(None, target)
        self._next = index + 1
        return found

    def _walk_from(self, key: int | None, target: int) -> av.VideoFrame | None:
        self.close()
        self._container = av.open(str(self.path))
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        if key is not None:
            self._container.seek(key, stream=stream, backward=True, any_frame=False)
        self._frames = self._container.decode(stream)
        return self._walk(target)

    def _walk(self, target: int) -> av.VideoFrame | None:
        """Decode on until the picture of this time; None when it was passed or never comes."""
        if self._frames is None:
            return None
        for frame in self._frames:
            time = frame.pts if frame.pts is not None else frame.dts
            if time == target:
                return frame
            if time is not None and time > target:
                break
        self._frames = None
        return None

    def _codes(self, frame: av.VideoFrame) -> NDArray[np.uint16]:
        name = frame.format.name
        if name in _GRAY_BITS:
            return _plane(frame, 0, _GRAY_BITS[name], frame.height, frame.width)[..., None].astype(
                np.uint16
            )
        if name in _RGB_BITS:
            bits = _RGB_BITS[name]
            if name.startswith("gbrp"):
                planes = [_plane(frame, k, bits, frame.height, frame.width) for k in (2, 0, 1)]
                return np.stack(planes, axis=-1).astype(np.uint16)
            packed = frame if bits == 16 else frame.reformat(format="rgb24")
            return np.asarray(packed.to_ndarray(), dtype=np.uint16).copy()
        if name in _PLANAR:
            frame = frame.reformat(format=_PLANAR[name])
            name = frame.format.name
        found = _YUV.fullmatch(name)
        if found is None:
            raise self._unreadable(0, f"pixel format changed to {name}")
        bits = int(found[3] or 8)
        rows = -(-frame.height // 2) if found[2] == "420" else frame.height
        columns = frame.width if found[2] == "444" else -(-frame.width // 2)
        planes_yuv = (
            _plane(frame, 0, bits, frame.height, frame.width),
            _plane(frame, 1, bits, rows, columns),
            _plane(frame, 2, bits, rows, columns),
        )
        return yuv_to_rgb16(planes_yuv, bits, str(self._matrix), full_range=self._range == "full")


def _plane(
    frame: av.VideoFrame, index: int, bits: int, height: int, width: int
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """One plane of a decoded frame, (height, width), without its row padding."""
    plane = frame.planes[index]
    raw = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height]
    if bits == 8:
        return raw[:, :width]
    return np.ascontiguousarray(raw[:, : width * 2]).view("<u2").astype(np.uint16)
