"""The one place that clips, rounds, quantises and puts frames on disk.

Every write is atomic: a part file beside the target, synced, then renamed over it. What was
written reads back bit for bit, and the same picture always gives the same bytes.
"""

from __future__ import annotations

import errno
import os
import secrets
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.errors import (
    FrameUnreadable,
    InputError,
    NotFinite,
    StorageFull,
    UsageError,
    WetgateError,
    WorkerError,
)
from media.reel import PictureFormat, SampleType
from media.still.kinds import KINDS
from media.still.kinds import AnyCodes as AnyCodes
from media.still.write import Extra, dpx_bytes, encode_still, is_untouched

Values = NDArray[np.float32]


def to_values(codes: AnyCodes, fmt: PictureFormat) -> Values:
    """Stored codes to float32 values, same shape: full scale is 1.0; floats stay as they are.

    ``to_codes`` gives back exactly the same codes.
    """
    if fmt.sample is not SampleType.UINT:
        return np.asarray(codes, dtype=np.float32)
    return np.asarray(codes, dtype=np.float32) / np.float32(fmt.full_scale)


def to_codes(values: Values, fmt: PictureFormat) -> AnyCodes:
    """Float32 values (H, W, C) to codes as stored.

    UINT: nearest code, clipped to 0..full scale, uint8 up to 8 bits, else uint16. HALF: float32
    holding half-precision numbers, not clipped but kept from overflowing. FLOAT: untouched.
    raises: NotFinite for NaN or Inf.
    """
    # A sum of finite values is finite, but for absurd ones; only then every sample is asked.
    if not np.isfinite(np.sum(values)) and not np.isfinite(values).all():
        bad = int(np.size(values) - np.count_nonzero(np.isfinite(values)))
        raise NotFinite(f"{bad} samples are NaN or Inf", hint="park the shot and report the step")
    if fmt.sample is SampleType.FLOAT:
        return np.asarray(values, dtype=np.float32)
    if fmt.sample is SampleType.HALF:
        limit = np.float32(65504.0)
        half: Values = np.clip(values, -limit, limit).astype(np.float16).astype(np.float32)
        return half
    # float64 only for 16 bits: there float32 steps near full scale reach the rounding decision.
    scaled = np.multiply(values, fmt.full_scale, dtype=np.float64 if fmt.bits > 12 else np.float32)
    np.rint(scaled, out=scaled)
    whole = np.clip(scaled, 0, fmt.full_scale, out=scaled)
    codes: AnyCodes = whole.astype(np.uint8) if fmt.bits <= 8 else whole.astype(np.uint16)
    return codes


def empty_codes(fmt: PictureFormat, *frames: int) -> AnyCodes:
    """Room for codes as ``to_codes`` gives them: (*frames, H, W, C)."""
    shape = (*frames, fmt.height, fmt.width, fmt.channels)
    if fmt.sample is not SampleType.UINT:
        return np.empty(shape, np.float32)
    return np.empty(shape, np.uint8) if fmt.bits <= 8 else np.empty(shape, np.uint16)


def codes_of_planes(
    planes: Values,
    fmt: PictureFormat,
    out: AnyCodes,
    own: AnyCodes | None = None,
    touch: NDArray[np.uint8] | None = None,
) -> None:
    """``to_codes`` of (C, H, W) values, into ``out`` (H, W, C) of ``empty_codes``.

    own, touch: codes (H, W, C) that pixels keep where touch (H, W) is 0. raises: NotFinite.
    """
    if fmt.sample is SampleType.UINT and fmt.bits <= 12:
        from media import compiled  # compiled on first use, not at import

        marks = np.empty((0, 0), np.uint8) if touch is None else touch
        kept = out[:0] if own is None else own
        scale = float(fmt.full_scale)
        if not compiled.quantised(planes, marks, kept, own is not None, scale, out):
            return
        # Named by the one who knows how to count them.
    codes = to_codes(np.ascontiguousarray(planes.transpose(1, 2, 0)), fmt)
    out[:] = codes if own is None or touch is None else np.where(touch[:, :, None], codes, own)


def storage_error(error: OSError, path: Path) -> WetgateError:
    """The named error for an operating-system error met while writing ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return StorageFull(
            f"no room to write {path.name}: {error.strerror}",
            hint="free space, then run the same command",
        )
    if isinstance(error, PermissionError):
        return UsageError(
            f"not allowed to write {path}", hint="choose another output folder or fix its rights"
        )
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
        return UsageError(f"cannot write {path}: {error.strerror}", hint="check the output folder")
    return WorkerError(f"cannot write {path}: {error}", hint="check the disk, then run again")


def part_path(path: Path) -> Path:
    """A fresh temporary name beside ``path`` (same folder, so that renaming is atomic)."""
    return path.with_name(f".{path.name}.part-{os.getpid()}-{secrets.token_hex(4)}")


def commit(part: Path, path: Path, *, durable: bool = True) -> None:
    """Sync ``part``, rename it over ``path``, sync the folder. raises: OSError."""
    if durable:
        _sync(part, os.O_RDWR)
    part.replace(path)
    if durable:
        _sync(path.parent, os.O_RDONLY)


def atomic_write_bytes(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Write a file so that it is either the old one or the whole new one.

    durable: sync to disk before and after renaming; off only for scratch.
    raises: StorageFull, UsageError, WorkerError.
    """
    part = part_path(path)
    try:
        with part.open("xb") as stream:
            stream.write(data)
        commit(part, path, durable=durable)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)


def write_frame(
    path: Path,
    codes: AnyCodes,
    fmt: PictureFormat,
    kind: str,
    *,
    template: Path | None = None,
    frame: int | None = None,
    rate: Fraction | None = None,
    timecode: str | None = None,
    reel: str | None = None,
    frames_in_reel: int | None = None,
    history: str | None = None,
    creation_date: str | None = None,
    moved_frames: int = 0,
    durable: bool = True,
) -> None:
    """Write one frame, atomically.

    codes: (H, W, C) as ``to_codes`` gives them for ``fmt``. kind: dpx, tiff, exr, png, jp2, j2c.
    template: the scan's frame. Of the same kind, all that it holds beside the picture is
    carried over, and a frame with the template's own codes comes out with the same bytes (but
    for a DPX file name that no longer matches); a lossy compression becomes a lossless one. Of
    another kind, its metadata goes where the format has a place for it.
    frame, reel: for the header and for error messages. history: lines for the FADGI process
    history, see ``media.dpx.history_line``; other kinds than DPX and TIFF keep it as
    ``film:history``. creation_date: ISO 8601; nothing is dated without it.
    moved_frames: how far this frame lies after the template (DPX frame position and timecode).
    raises: InputError (fmt does not suit the kind), FrameUnreadable (template), StorageFull,
    UsageError, WorkerError.
    """
    wanted = (fmt.height, fmt.width, fmt.channels)
    if codes.shape != wanted:
        raise InputError(f"picture is {codes.shape}, expected {wanted}", reel=reel, frame=frame)
    if kind not in KINDS.values():
        raise UsageError(f"frame kind {kind!r} is not known", hint="use dpx, tiff, exr or png")
    extra = Extra(
        rate=rate,
        timecode=timecode,
        reel=reel,
        frame=frame,
        frames_in_reel=frames_in_reel,
        history=history,
        creation_date=creation_date,
        moved_frames=moved_frames,
    )
    try:
        if kind == "dpx":
            data = dpx_bytes(codes, fmt, template, path.name, extra)
        elif template is not None and is_untouched(codes, fmt, kind, template, extra):
            data = template.read_bytes()
        else:
            _write_oiio(path, codes, fmt, kind, template, extra, durable)
            return
    except InputError as error:
        error.reel, error.frame = error.reel or reel, frame if error.frame is None else error.frame
        raise
    except OSError as error:
        name = template.name if template is not None else path.name
        raise FrameUnreadable(
            f"cannot read {name}: {error.strerror}", reel=reel, frame=frame
        ) from error
    atomic_write_bytes(path, data, durable=durable)


def _write_oiio(
    path: Path,
    codes: AnyCodes,
    fmt: PictureFormat,
    kind: str,
    template: Path | None,
    extra: Extra,
    durable: bool,
) -> None:
    # OpenImageIO picks its writer by the ending of the name; bare code streams are .j2k to it.
    part = part_path(path)
    part = part.with_name(f"{part.name}.{'j2k' if kind == 'j2c' else kind}")
    try:
        # An early probe gives the operating system's own reason (room, rights).
        part.touch(exist_ok=False)
        problem = encode_still(part, codes, fmt, kind, template, extra)
        if problem:
            raise _reason(part, problem)
        commit(part, path, durable=durable)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)


def _reason(part: Path, text: str) -> OSError:
    """The most likely operating-system error behind a library's failed write."""
    free = os.statvfs(part.parent)
    if free.f_bavail * free.f_frsize < 1 << 20:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return OSError(errno.EIO, text or "write failed")


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
