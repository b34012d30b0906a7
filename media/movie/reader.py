"""Movies as frame-exact sources: any frame by its position.

Positions count presentation order from 0. RGB and gray movies give their own codes; Y'CbCr
becomes 16-bit RGB, because the matrix leaves fractions between the source's codes.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from media.errors import FrameUnreadable, InputError
from media.fixity import picture_sha256
from media.movie.color import check_matrix, yuv_to_rgb16
from media.movie.info import MovieInfo, inspect_movie
from media.movie.tags import CHROMA_STEP, GRAY_BITS, RGB_BITS, SAME_SAMPLES, YUV
from media.movie.walk import open_movie

SUFFIXES = (
    ".mov",
    ".mp4",
    ".m4v",
    ".mkv",
    ".avi",
    ".mxf",
    ".mpg",
    ".mpeg",
    ".ts",
    ".m2ts",
    ".mts",
    ".vob",
    ".webm",
    ".dv",
)
"""File name endings taken for movies."""

_CACHED_FRAMES = 8
_SEEK_BEYOND_FRAMES = 48


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
        digests: Sequence[str] | None = None,
        reel: str | None = None,
    ) -> None:
        """matrix, full_range: override or supply what the file's tags say about Y'CbCr.
        info: from ``inspect_movie``, to save walking over the file again. digests: of every
        picture (``media.fixity``), to find a seek that led to another picture.

        raises: InputError when the matrix or range of Y'CbCr is neither tagged nor given.
        """
        self.path, self.reel = path, reel
        self.info = info or inspect_movie(path, reel=reel)
        self._digests = digests
        self._matrix = matrix or self.info.matrix
        given = None if full_range is None else ("full" if full_range else "limited")
        self._range = given or self.info.range
        if self.info.matrix not in ("rgb", "gray"):
            for key, value in (("matrix", self._matrix), ("range", self._range)):
                if value is None:
                    conflict = self.info.color_conflict
                    raise InputError(
                        f"{path.name}: {conflict}"
                        if conflict
                        else f"{path.name}: the movie does not say its color {key}",
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
        codes = self._decoded(index, anew=False)
        if self._digests is not None and picture_sha256(codes) != self._digests[index]:
            codes = self._decoded(index, anew=True)
            if picture_sha256(codes) != self._digests[index]:
                raise self._unreadable(index, "it is not the picture that was ingested")
        codes.flags.writeable = False
        self._cache[index] = codes
        if len(self._cache) > _CACHED_FRAMES:
            self._cache.popitem(last=False)
        return codes

    def _decoded(self, index: int, *, anew: bool) -> NDArray[np.uint16]:
        """Codes of a frame. anew: decoded from the start of the movie, whatever was read."""
        try:
            if anew:
                self.close()
            found = self._decode_to(index, seek=not anew)
        except av.FFmpegError as error:
            self.close()
            raise self._unreadable(index, error.strerror) from error
        if found is None:
            raise self._unreadable(index, "no such picture comes out of the decoder")
        if found.is_corrupt:
            raise self._unreadable(index, "the decoder calls it corrupt")
        if (found.width, found.height) != (self.info.width, self.info.height):
            raise self._unreadable(index, f"it is {found.width}x{found.height} pixels")
        return self._codes(index, found)

    def _unreadable(self, index: int, why: str) -> FrameUnreadable:
        return FrameUnreadable(
            f"{self.path.name}: frame at position {index} cannot be decoded: {why}",
            hint="check the movie, or copy it again",
            reel=self.reel,
            frame=index,
        )

    def _decode_to(self, index: int, *, seek: bool) -> av.VideoFrame | None:
        if self.info.by_order:
            return self._nth(index)
        target = self.info.pts[index]
        near = self._frames is not None and 0 <= index - self._next < _SEEK_BEYOND_FRAMES
        self._next, before = index + 1, self._next
        if near:
            found = self._walk(target)
            # A picture spoiled by where decoding began comes out right from further back.
            if found is not None and not (found.is_corrupt and before > 0):
                return found
        # Some files seek past the wanted key frame: fall back to earlier ones, then the start.
        place = bisect.bisect_right(self.info.key_pts, target) - 1
        for back in (0, 1, 3) if seek else ():
            if place - back <= 0:
                break
            try:
                found = self._walk_from(self.info.key_pts[place - back], target)
            except av.FFmpegError:
                continue
            if found is not None and not found.is_corrupt:
                return found
        return self._walk_from(None, target)

    def _nth(self, index: int) -> av.VideoFrame | None:
        """The picture at a position, counted from the start of the movie."""
        if self._frames is None or index < self._next:
            self._open_at(None)
            self._next = 0
        while self._frames is not None:
            frame = next(self._frames, None)
            if frame is None:
                self._frames = None
                return None
            self._next += 1
            if self._next == index + 1:
                return frame
        return None

    def _walk_from(self, key: int | None, target: int) -> av.VideoFrame | None:
        self._open_at(key)
        return self._walk(target)

    def _open_at(self, key: int | None) -> None:
        self.close()
        self._container = open_movie(self.path)
        wanted = self.info.stream_index
        stream = next(s for s in self._container.streams.video if s.index == wanted)
        stream.thread_type = "AUTO"
        if key is not None:
            self._container.seek(key, stream=stream, backward=True, any_frame=False)
        self._frames = self._container.decode(stream)

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

    def _codes(self, index: int, frame: av.VideoFrame) -> NDArray[np.uint16]:
        name = frame.format.name
        if name in SAME_SAMPLES:
            frame = frame.reformat(format=SAME_SAMPLES[name])
            name = frame.format.name
        if name in GRAY_BITS:
            return _plane(frame, 0, GRAY_BITS[name], frame.height, frame.width)[..., None].astype(
                np.uint16
            )
        if name in RGB_BITS:
            bits = RGB_BITS[name]
            if name.startswith("gbrp"):
                planes = [_plane(frame, k, bits, frame.height, frame.width) for k in (2, 0, 1)]
                return np.stack(planes, axis=-1).astype(np.uint16)
            packed = frame if bits == 16 else frame.reformat(format="rgb24")
            return np.asarray(packed.to_ndarray(), dtype=np.uint16).copy()
        found = YUV.fullmatch(name)
        if found is None:
            raise self._unreadable(index, f"its pixel format is {name}")
        bits = int(found[3] or 8)
        across, down = CHROMA_STEP[found[2]]
        rows, columns = -(-frame.height // down), -(-frame.width // across)
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
