"""Movies out: FFV1 for keeping (bit-exact), ProRes for looking at. Same input, same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

from media.errors import InputError, WetgateError, WorkerError
from media.movie_color import rgb_to_yuv10
from media.reel import PictureFormat, SampleType
from media.write import commit, part_path, storage_error

CODECS = ("ffv1", "prores_422hq", "prores_4444")
"""Names of the movie codecs that can be written."""

_FFV1_RGB = {8: "bgr0", 10: "gbrp10le", 12: "gbrp12le", 16: "gbrp16le"}
_FFV1_GRAY = {8: "gray", 10: "gray10le", 12: "gray12le", 16: "gray16le"}
_PRORES = {"prores_422hq": ("3", "yuv422p10le"), "prores_4444": ("4", "yuv444p10le")}
_UNSTATED, _BT709, _LINEAR, _SRGB = 2, 1, 8, 13
_MATRIX_RGB, _LIMITED, _FULL = 0, 1, 2
# (primaries, transfer) by declared encoding. Film densities have no code: they stay unstated.
_TAGS = {
    "rec709": (_BT709, _BT709),
    "gamma24": (_BT709, _BT709),
    "srgb": (_BT709, _SRGB),
    "linear": (_BT709, _LINEAR),
}


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
        audio_from: Path | None = None,
        durable: bool = True,
    ) -> None:
        """fmt: layout of the codes that will be written (integers only). codec: ``ffv1`` (use
        .mkv), ``prores_422hq`` or ``prores_4444`` (.mov). encoding: declared encoding, for the
        color tags. audio_from: a movie whose sound packets are copied unchanged.

        raises: InputError (codec, format or sound do not fit), StorageFull, UsageError.
        """
        if codec not in CODECS:
            raise InputError(f"movie codec {codec!r} is not known", hint="use " + ", ".join(CODECS))
        if fmt.sample is not SampleType.UINT:
            raise InputError(f"movies cannot hold {fmt}", hint="deliver EXR, or integers")
        suffix, container_name = (".mkv", "matroska") if codec == "ffv1" else (".mov", "mov")
        if path.suffix.lower() != suffix:
            raise InputError(f"{codec} goes into {suffix}, not {path.name}", hint=f"use {suffix}")
        if codec == "prores_422hq" and fmt.width % 2:
            raise InputError(
                f"4:2:2 needs an even width, not {fmt.width}", hint="use prores_4444 or ffv1"
            )
        self.path, self.format, self.rate, self.codec = path, fmt, rate, codec
        self._part, self._durable = part_path(path), durable
        self._count = 0
        self._sound: InputContainer | None = None
        self._container: OutputContainer | None = None
        try:
            self._container = av.open(
                str(self._part), "w", format=container_name, options={"fflags": "+bitexact"}
            )
            self._stream = self._add_picture(encoding)
            if timecode is not None:
                self._stream.metadata["timecode"] = timecode
            self._packets = self._copy_sound(audio_from)
        except (av.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise self._named(error) from error
        except WetgateError:
            self.abort()
            raise

    def _add_picture(self, encoding: str) -> VideoStream:
        fmt = self.format
        primaries, transfer = _TAGS.get(encoding, (_UNSTATED, _UNSTATED))
        if self.codec == "ffv1":
            table = _FFV1_GRAY if fmt.channels == 1 else _FFV1_RGB
            # Slices must not be smaller than what the coder can split.
            slices = 16 if min(fmt.width, fmt.height) >= 64 else 4
            options = {"level": "3", "slices": str(slices), "slicecrc": "1", "g": "1"}
            stream = self._open().add_stream("ffv1", rate=self.rate, options=options)
            stream.pix_fmt = table[fmt.bits]
            stream.codec_context.gop_size = 1
            matrix, color_range = (_UNSTATED if fmt.channels == 1 else _MATRIX_RGB), _FULL
        else:
            profile, pix_fmt = _PRORES[self.codec]
            options = {"profile": profile, "vendor": "apl0"}
            stream = self._open().add_stream("prores_ks", rate=self.rate, options=options)
            stream.pix_fmt = pix_fmt
            matrix, color_range = _BT709, _LIMITED
        stream.width, stream.height = fmt.width, fmt.height
        stream.time_base = 1 / self.rate
        context = stream.codec_context
        context.time_base = 1 / self.rate
        context.color_primaries, context.color_trc = primaries, transfer
        context.colorspace, context.color_range = matrix, color_range
        context.flags |= av.codec.context.Flags.bitexact
        return stream

    def _copy_sound(self, audio_from: Path | None) -> Iterator[av.Packet]:
        if audio_from is None:
            return iter(())
        try:
            sound = self._sound = av.open(str(audio_from))
        except av.FFmpegError as error:
            raise InputError(
                f"sound of {audio_from.name} cannot be read: {error.strerror}",
                hint="check the movie the sound is taken from",
            ) from error
        sources = list(sound.streams.audio)
        if not sources:
            return iter(())
        try:
            targets = {s.index: self._open().add_stream_from_template(s) for s in sources}
        except (av.FFmpegError, ValueError) as error:
            raise InputError(
                f"sound of {audio_from.name} does not fit {self.path.name}: {error}",
                hint="deliver without sound, or convert the sound to PCM first",
            ) from error
        return _retargeted(sound, sources, targets)

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
            self._mux_sound(Fraction(self._count) / self.rate)
            for packet in self._stream.encode(frame):
                self._open().mux(packet)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._named(error) from error
        self._count += 1

    def _mux_sound(self, until_s: Fraction | None) -> None:
        for packet in self._packets:
            time_s = Fraction(packet.dts) * Fraction(packet.time_base)
            self._open().mux(packet)
            if until_s is not None and time_s >= until_s:
                return

    def _frame(self, codes: NDArray[np.uint8] | NDArray[np.uint16]) -> av.VideoFrame:
        fmt = self.format
        frame = av.VideoFrame(fmt.width, fmt.height, self._stream.pix_fmt)
        planes: list[NDArray[Any]]
        if self.codec != "ffv1":
            rgb: NDArray[np.uint16] = np.broadcast_to(codes, (fmt.height, fmt.width, 3)).astype(
                np.uint16
            )
            halve = self.codec == "prores_422hq"
            planes = list(rgb_to_yuv10(rgb, fmt.full_scale, halve_chroma=halve))
        elif fmt.channels == 1:
            planes = [codes[..., 0]]
        elif fmt.bits == 8:
            packed = np.zeros((fmt.height, fmt.width, 4), np.uint8)
            packed[..., :3] = codes[..., ::-1]
            planes = [packed.reshape(fmt.height, -1)]
        else:
            planes = [codes[..., 1], codes[..., 2], codes[..., 0]]
        dtype = np.dtype(np.uint8 if fmt.bits == 8 and self.codec == "ffv1" else "<u2")
        for plane, samples in zip(frame.planes, planes, strict=True):
            _fill(plane, samples, dtype)
        frame.color_range = _FULL if self.codec == "ffv1" else _LIMITED
        frame.colorspace = self._stream.codec_context.colorspace
        return frame

    def close(self) -> None:
        """Finish the movie and put it in place. raises: StorageFull, UsageError, WorkerError."""
        if self._container is None:
            return
        try:
            for packet in self._stream.encode(None):
                self._open().mux(packet)
            self._mux_sound(None)
            self._container.close()
            self._container = None
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
            if self._sound is not None:
                self._sound.close()
                self._sound = None
            self._part.unlink(missing_ok=True)


def _fill(plane: VideoPlane, samples: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Copy (h, w) samples into a frame's plane, whose rows may be longer."""
    rows = np.zeros((samples.shape[0], plane.line_size), np.uint8)
    packed = np.ascontiguousarray(samples.astype(dtype)).view(np.uint8)
    rows[:, : packed.shape[1]] = packed
    plane.update(rows.tobytes())


def _retargeted(
    sound: InputContainer, sources: list[AudioStream], targets: dict[int, AudioStream]
) -> Iterator[av.Packet]:
    for packet in sound.demux(sources):
        if packet.dts is not None:
            packet.stream = targets[packet.stream.index]
            yield packet
