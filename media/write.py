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
import OpenImageIO
from numpy.typing import NDArray

from media.dpx import encode_dpx, new_header, parse_header, patched_header
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

AnyCodes = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
Values = NDArray[np.float32]

FIXED_DATE = "1970:01:01 00:00:00"
"""Written where a format insists on a date, so that bytes can be reproduced."""

_PNG_LEVEL = 2


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
    if not np.isfinite(values).all():
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


def atomic_write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
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
    user_note: str | None = None,
    durable: bool = True,
) -> None:
    """Write one frame, atomically.

    codes: (H, W, C) as ``to_codes`` gives them for ``fmt``. kind: dpx, tiff, exr or png.
    template: the scan's frame; its header (DPX of the same layout, EXR and TIFF attributes)
    is carried over, so a frame that was not touched comes out with the same bytes in DPX.
    frame, reel: for the header and for error messages. user_note: one line of history, DPX only.
    raises: InputError (fmt does not suit the kind), FrameUnreadable (template), StorageFull,
    UsageError, WorkerError.
    """
    wanted = (fmt.height, fmt.width, fmt.channels)
    if codes.shape != wanted:
        raise InputError(f"picture is {codes.shape}, expected {wanted}", reel=reel, frame=frame)
    if kind == "dpx":
        data = _dpx_bytes(
            codes, fmt, template, path.name, frame, rate, timecode, reel, frames_in_reel, user_note
        )
        atomic_write_bytes(path, data, durable=durable)
    elif kind in ("tiff", "exr", "png"):
        _write_oiio(path, codes, fmt, kind, template, reel, frame, durable)
    else:
        raise UsageError(f"frame kind {kind!r} is not known", hint="use dpx, tiff, exr or png")


def _dpx_bytes(
    codes: AnyCodes,
    fmt: PictureFormat,
    template: Path | None,
    file_name: str,
    frame: int | None,
    rate: Fraction | None,
    timecode: str | None,
    reel: str | None,
    frames_in_reel: int | None,
    user_note: str | None,
) -> bytes:
    if fmt.sample is not SampleType.UINT:
        raise InputError(
            f"DPX cannot hold {fmt}", hint="deliver EXR, or convert to integers", reel=reel
        )
    if template is not None and template.suffix.lower() == ".dpx":
        try:
            source = template.read_bytes()
        except OSError as error:
            raise FrameUnreadable(
                f"cannot read {template.name}: {error.strerror}", reel=reel, frame=frame
            ) from error
        old = parse_header(source)
        layout = (old.width, old.height, old.channels, old.bits)
        if layout == (fmt.width, fmt.height, fmt.channels, fmt.bits):
            head = source[: old.data_offset_bytes]
            # The field follows the real name; an untouched name leaves the header identical.
            name = file_name if old.file_name and old.file_name != file_name else None
            size = len(source)
            if name is not None or user_note is not None:
                longer = patched_header(head, file_name=name, user_note=user_note)
                size += len(longer) - len(head)
                head = longer
            return encode_dpx(codes.astype(np.uint16), head, template_bytes=size)
        rate, timecode = rate or old.rate, timecode or old.timecode
    head = new_header(
        fmt.width,
        fmt.height,
        fmt.channels,
        fmt.bits,
        rate=rate,
        timecode=timecode,
        frame_number=frame,
        frames_in_reel=frames_in_reel,
        reel=reel or "",
        file_name=file_name,
    )
    if user_note is not None:
        head = patched_header(head, user_note=user_note)
    return encode_dpx(codes.astype(np.uint16), head)


def _source_spec(template: Path | None, kind: str) -> OpenImageIO.ImageSpec | None:
    suffixes = {"tiff": (".tif", ".tiff"), "exr": (".exr",), "png": (".png",)}[kind]
    if template is None or template.suffix.lower() not in suffixes:
        return None
    source = OpenImageIO.ImageInput.open(str(template))
    if source is None:
        OpenImageIO.geterror()
        return None
    spec = OpenImageIO.ImageSpec(source.spec())
    source.close()
    return spec


def _oiio_spec(
    codes: AnyCodes, fmt: PictureFormat, kind: str, template: Path | None
) -> tuple[OpenImageIO.ImageSpec, AnyCodes]:
    """The spec to write with, and the codes as OpenImageIO wants them."""
    if (fmt.sample is SampleType.UINT) == (kind == "exr"):
        raise InputError(f"{kind.upper()} cannot hold {fmt}", hint="choose another delivery kind")
    if kind == "png" and fmt.bits not in (8, 16):
        raise InputError(f"PNG cannot hold {fmt}", hint="deliver TIFF or DPX")
    names = {SampleType.HALF: "half", SampleType.FLOAT: "float"}
    sample = names.get(fmt.sample, "uint8" if fmt.bits == 8 else "uint16")
    old = _source_spec(template, kind)
    fits = old is not None and (old.width, old.height) == (fmt.width, fmt.height)
    if old is not None and fits and old.nchannels == fmt.channels:
        spec = old
        spec.set_format(OpenImageIO.TypeDesc(sample))
    else:
        spec = OpenImageIO.ImageSpec(fmt.width, fmt.height, fmt.channels, sample)
        spec.channelnames = ("Y",) if fmt.channels == 1 else ("R", "G", "B")
    if not spec.getattribute("DateTime"):
        spec.attribute("DateTime", FIXED_DATE)
    if kind == "exr":
        spec.attribute("compression", (old and old.getattribute("compression")) or "piz")
    elif kind == "tiff":
        spec.attribute("compression", (old and old.getattribute("compression")) or "none")
        spec.attribute("oiio:BitsPerSample", fmt.bits)
    else:
        spec.attribute("png:compressionLevel", _PNG_LEVEL)
    if fmt.bits in (10, 12):
        wide = codes.astype(np.uint16)
        codes = (wide << (16 - fmt.bits) | wide >> (2 * fmt.bits - 16)).astype(np.uint16)
    return spec, codes


def _write_oiio(
    path: Path,
    codes: AnyCodes,
    fmt: PictureFormat,
    kind: str,
    template: Path | None,
    reel: str | None,
    frame: int | None,
    durable: bool,
) -> None:
    spec, codes = _oiio_spec(codes, fmt, kind, template)
    # OpenImageIO picks its writer by the ending of the name.
    part = part_path(path)
    part = part.with_name(f"{part.name}.{kind}")
    out = OpenImageIO.ImageOutput.create(str(part))
    if out is None:
        raise UsageError(f"no writer for {kind}: {OpenImageIO.geterror()}")
    try:
        # An early probe gives the operating system's own reason (room, rights).
        part.touch(exist_ok=False)
        done = out.open(str(part), spec)
        done = done and out.write_image(np.ascontiguousarray(codes))
        why = "" if done else out.geterror() or OpenImageIO.geterror()
        done = out.close() and done
        if not done:
            raise storage_error(_reason(part, why or out.geterror()), path)
        commit(part, path, durable=durable)
    except OSError as error:
        raise storage_error(error, path) from error
    except WetgateError as error:
        error.reel, error.frame = reel, frame
        raise
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
