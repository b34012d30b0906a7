"""Movies out: FFV1 for keeping, others for grading and looking. Same input, same bytes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

from media.errors import InputError, WetgateError, WorkerError
from media.fixity import picture_sha256
from media.movie.codecs import codec_named, color_tags, padded_size, samples, timecode_at
from media.movie.copied import CopiedStreams, first_sound_s, shared_clock
from media.movie.mkv_aspect import display_shape, state_aspect
from media.reel import PictureFormat
from media.write import commit, part_path, storage_error


class MovieWriter:
    """Writes frames to one movie; the target appears, whole, only when it is closed.

    Leaving the ``with`` block by an exception removes what was written.
    """

    def __init__(
        self,
        path: Path,
        fmt: PictureFormat,
        rate: Fraction,
        codec: str,
        *,
        encoding: str = "",
        timecode: str | None = None,
        tags: tuple[int, int] | None = None,
        pixel_aspect: Fraction = Fraction(1),
        streams_from: Path | None = None,
        streams_start_s: Fraction = Fraction(0),
        durable: bool = True,
    ) -> None:
        """fmt: layout of the codes that will be written (integers only). codec: a name in
        ``media.movie.codecs.CODECS``; the file name must end as that codec asks. encoding:
        declared encoding, for the color tags and for proxies. timecode: of the first picture;
        left out where the rate has no such timecode (``media.movie.codecs.timecode_at``). tags:
        primaries and transfer of the source (ISO 23001-8), in place of those of the encoding.
        pixel_aspect: width of a pixel by its height. streams_from: a movie whose sound and
        subtitle packets are copied unchanged; streams_start_s: when its first picture is shown.
        Where its sound is heard before, the first picture comes as much later here too.

        raises: InputError (codec, format, pixel aspect or sound do not fit), StorageFull,
        UsageError.
        """
        self._codec = codec_named(codec, fmt, path.suffix)
        self.path, self.format, self.rate, self.codec = path, fmt, rate, codec
        self.picture_digests: list[str] = []
        """SHA-256 of the pictures written so far."""
        self._encoding = encoding
        self._part, self._durable = part_path(path), durable
        self._pixel_aspect = pixel_aspect
        display_shape(path.name, *padded_size(self._codec, fmt), pixel_aspect)
        self._count = 0
        self._copied: CopiedStreams | None = None
        self._container: OutputContainer | None = None
        self._lead_s, self._clock = Fraction(0), 0
        try:
            if streams_from is not None:
                self._lead_s, self._clock = _lead(streams_from, streams_start_s, rate)
            self._container = av.open(
                str(self._part),
                "w",
                format=self._codec.container,
                options=_container_options(self._codec.container, self._clock),
            )
            self._stream = self._add_picture(encoding, tags)
            self._stream.codec_context.sample_aspect_ratio = pixel_aspect
            written = timecode_at(timecode, rate)
            if written is not None:
                self._stream.metadata["timecode"] = written
            if streams_from is not None:
                self._copied = CopiedStreams(
                    streams_from, self._container, path.name, streams_start_s - self._lead_s
                )
            self._start(streams_from)
        except (av.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise self._named(error) from error
        except WetgateError:
            self.abort()
            raise

    def _start(self, source: Path | None) -> None:
        """Write the head of the file. raises: InputError for sound that it cannot hold."""
        try:
            self._open().start_encoding()
        except (av.FFmpegError, ValueError) as error:
            if source is None or isinstance(error, OSError):
                raise
            raise InputError(
                f"sound of {source.name} does not fit {self.path.name}: {error}",
                hint="set reels.sound = false to deliver without, or deliver another kind of file",
            ) from error

    def _add_picture(self, encoding: str, tags: tuple[int, int] | None) -> VideoStream:
        fmt, codec = self.format, self._codec
        stream = self._open().add_stream(codec.encoder, rate=self.rate, options=codec.options(fmt))
        if not isinstance(stream, VideoStream):
            raise WorkerError(f"{codec.encoder} is no picture encoder here")
        stream.pix_fmt = codec.pix_fmt(fmt)
        stream.width, stream.height = padded_size(codec, fmt)
        stream.time_base = 1 / self.rate
        context = stream.codec_context
        if codec.name == "ffv1":
            context.gop_size = 1
        context.time_base = 1 / self.rate
        self._tags = color_tags(codec, fmt, encoding, tags)
        context.color_primaries, context.color_trc = self._tags[:2]
        context.colorspace, context.color_range = self._tags[2:]
        context.flags |= av.codec.context.Flags.bitexact
        return stream

    def _named(self, error: Exception) -> WetgateError:
        if isinstance(error, OSError):
            return storage_error(error, self.path)
        return WorkerError(
            f"cannot encode {self.path.name}: {error}", hint="report the codec and picture size"
        )

    def _open(self) -> OutputContainer:
        if self._container is None:
            raise WorkerError(f"{self.path.name} is closed already")
        return self._container

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def write(self, codes: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
        """Append one frame: (H, W, C) codes of the writer's format.

        raises: InputError (wrong shape or code), StorageFull, UsageError, WorkerError.
        """
        fmt = self.format
        wanted = (fmt.height, fmt.width, fmt.channels)
        if codes.shape != wanted:
            raise InputError(f"picture is {codes.shape}, expected {wanted}")
        if codes.size and int(codes.max()) > fmt.full_scale:
            raise InputError(f"code {int(codes.max())} does not fit {fmt.bits} bits")
        frame = self._frame(codes)
        frame.pts, frame.time_base = self._count, 1 / self.rate
        try:
            if self._copied is not None:
                self._copied.mux(self._lead_s + Fraction(self._count) / self.rate)
            self._mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._named(error) from error
        self.picture_digests.append(picture_sha256(codes))
        self._count += 1

    def _mux(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            if self._lead_s:
                step = Fraction(packet.time_base) * self._clock
                late = round(self._lead_s * self._clock)
                packet.pts = late + round((packet.pts or 0) * step)
                packet.dts = late + round((packet.dts or 0) * step)
                packet.duration = round((packet.duration or 0) * step)
                packet.time_base = Fraction(1, self._clock)
            self._open().mux(packet)

    def _frame(self, codes: NDArray[np.uint8] | NDArray[np.uint16]) -> av.VideoFrame:
        width, height = padded_size(self._codec, self.format)
        frame = av.VideoFrame(width, height, self._codec.pix_fmt(self.format))
        planes = samples(self._codec, self.format, codes, self._encoding)
        bits = self._codec.bits or self.format.bits
        dtype = np.dtype(np.uint8 if bits == 8 else "<u2")
        for plane, values in zip(frame.planes, planes, strict=True):
            _fill(plane, values, dtype)
        frame.colorspace, frame.color_range = self._tags[2:]
        return frame

    def close(self) -> None:
        """Finish the movie and put it in place. raises: StorageFull, UsageError, WorkerError."""
        if self._container is None:
            return
        try:
            self._mux(self._stream.encode(None))
            if self._copied is not None:
                self._copied.mux(None)
            self._container.close()
            self._container = None
            if self._codec.container == "matroska":
                width, height = padded_size(self._codec, self.format)
                state_aspect(self._part, width, height, self._pixel_aspect)
            commit(self._part, self.path, durable=self._durable)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._named(error) from error
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop what was written; the target is not touched."""
        container, self._container = self._container, None
        try:
            if container is not None:
                container.close()
        except (av.FFmpegError, OSError):
            container = None  # No trailer could be written; the part file goes away anyway.
        finally:
            if self._copied is not None:
                self._copied.close()
                self._copied = None
            self._part.unlink(missing_ok=True)


def _lead(source: Path, start_s: Fraction, rate: Fraction) -> tuple[Fraction, int]:
    """How long sound is heard before the first picture, and a clock that holds both."""
    try:
        heard_s = first_sound_s(source)
    except av.FFmpegError as error:
        raise InputError(
            f"sound of {source.name} cannot be read: {error.strerror}",
            hint="check the movie the sound is taken from",
        ) from error
    if heard_s is None or heard_s >= start_s:
        return Fraction(0), 0
    clock, lead_s = shared_clock(rate, start_s - heard_s)
    return lead_s, clock


def _container_options(container: str, clock: int) -> dict[str, str]:
    options = {"fflags": "+bitexact"}
    if clock and container in ("mov", "mp4"):
        # Without this the lead would be rounded to a thousandth of a second.
        options |= {"movie_timescale": str(clock), "video_track_timescale": str(clock)}
    return options


def _fill(plane: VideoPlane, samples: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Copy (h, w) samples into a frame's plane, whose rows may be longer."""
    rows = np.zeros((samples.shape[0], plane.line_size), np.uint8)
    packed = np.ascontiguousarray(samples.astype(dtype)).view(np.uint8)
    rows[:, : packed.shape[1]] = packed
    plane.update(rows.tobytes())
