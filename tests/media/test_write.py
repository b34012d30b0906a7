"""Writing: exact codes, reproducible bytes, no torn files, named errors."""

from __future__ import annotations

import errno
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.dpx import encode_dpx, new_header, parse_header
from media.errors import InputError, NotFinite, StorageFull, UsageError, WorkerError
from media.reel import PictureFormat, SampleType
from media.scan import inspect, read_codes
from media.write import (
    AnyCodes,
    atomic_write_bytes,
    storage_error,
    to_codes,
    to_values,
    write_frame,
)


def fmt_of(
    bits: int, channels: int = 3, sample: SampleType = SampleType.UINT, width: int = 9
) -> PictureFormat:
    return PictureFormat(width=width, height=6, channels=channels, bits=bits, sample=sample)


def codes_for(fmt: PictureFormat, seed: int = 3) -> AnyCodes:
    shape = (fmt.height, fmt.width, fmt.channels)
    random = np.random.default_rng(seed)
    if fmt.sample is SampleType.UINT:
        codes = random.integers(0, fmt.full_scale + 1, shape)
        return codes.astype(np.uint8) if fmt.bits == 8 else codes.astype(np.uint16)
    values = random.normal(0.2, 0.5, shape).astype(np.float32)
    return to_codes(values, fmt)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_every_code_survives_values_and_back(bits: int) -> None:
    fmt = PictureFormat(width=1 << bits, height=1, channels=1, bits=bits)
    ramp = np.arange(1 << bits).reshape(1, -1, 1)
    codes: AnyCodes = ramp.astype(np.uint8) if bits == 8 else ramp.astype(np.uint16)
    values = to_values(codes, fmt)
    assert (float(values.min()), float(values.max())) == (0.0, 1.0)
    assert values.dtype == np.float32
    back = to_codes(values, fmt)
    assert np.array_equal(back, codes)
    assert back.dtype == codes.dtype


@given(st.floats(-3, 3, width=32), st.sampled_from([8, 10, 12, 16]))
def test_rounding_is_to_nearest_and_clipped(value: float, bits: int) -> None:
    fmt = PictureFormat(width=1, height=1, channels=1, bits=bits)
    code = int(to_codes(np.full((1, 1, 1), value, np.float32), fmt)[0, 0, 0])
    wanted = min(max(value * fmt.full_scale, 0.0), float(fmt.full_scale))
    assert abs(code - wanted) <= 0.501
    assert 0 <= code <= fmt.full_scale


def test_floats_are_not_clipped_but_must_be_finite() -> None:
    values = np.array([-0.5, 7.25, 100000.0], np.float32).reshape(1, 3, 1)
    assert to_codes(values, fmt_of(32, 1, SampleType.FLOAT))[0, 2, 0] == 100000.0
    assert to_codes(values, fmt_of(16, 1, SampleType.HALF)).ravel().tolist() == [
        -0.5,
        7.25,
        65504.0,
    ]
    for bits, sample in ((10, SampleType.UINT), (16, SampleType.HALF), (32, SampleType.FLOAT)):
        with pytest.raises(NotFinite, match="1 samples"):
            to_codes(np.array([[[np.nan]]], np.float32), fmt_of(bits, 1, sample))


CASES = [
    ("dpx", fmt_of(8)),
    ("dpx", fmt_of(10)),
    ("dpx", fmt_of(12, 1)),
    ("dpx", fmt_of(16)),
    ("tiff", fmt_of(8)),
    ("tiff", fmt_of(10)),
    ("tiff", fmt_of(12)),
    ("tiff", fmt_of(16, 1)),
    ("png", fmt_of(8, 1)),
    ("png", fmt_of(16)),
    ("exr", fmt_of(16, 3, SampleType.HALF)),
    ("exr", fmt_of(32, 1, SampleType.FLOAT)),
]
SUFFIX = {"dpx": ".dpx", "tiff": ".tif", "png": ".png", "exr": ".exr"}


@pytest.mark.parametrize(("kind", "fmt"), CASES)
def test_frames_read_back_bit_for_bit_and_bytes_repeat(
    tmp_path: Path, kind: str, fmt: PictureFormat
) -> None:
    codes = codes_for(fmt)
    one, two = (tmp_path / f"{name} é.0007{SUFFIX[kind]}" for name in ("a", "b"))
    for path in (one, two):
        write_frame(path, codes, fmt, kind, frame=7, rate=Fraction(18), reel="R1")
    assert np.array_equal(read_codes(one), codes)
    assert inspect(one)[0] == fmt
    skip = 136 if kind == "dpx" else 0  # the DPX header carries the file's own name
    assert one.read_bytes()[skip:] == two.read_bytes()[skip:]
    # A frame written over its own kind keeps format and codes.
    three = tmp_path / f"c.0007{SUFFIX[kind]}"
    write_frame(three, codes, fmt, kind, template=one)
    assert np.array_equal(read_codes(three), codes)
    assert inspect(three)[0] == fmt
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", ["R1.0007.dpx", ""])
def test_untouched_dpx_passes_through_identically(tmp_path: Path, name: str) -> None:
    fmt = fmt_of(10)
    head = bytearray(new_header(9, 6, 3, 10, rate=Fraction(16), file_name=name))
    head[260:270] = b"A project!"
    source = tmp_path / "in" / "R1.0007.dpx"
    target = tmp_path / "out" / "R1.0007.dpx"
    source.parent.mkdir()
    target.parent.mkdir()
    source.write_bytes(encode_dpx(codes_for(fmt).astype(np.uint16), bytes(head)))
    write_frame(target, read_codes(source), fmt, "dpx", template=source)
    assert target.read_bytes() == source.read_bytes()
    # Another size than the template: a new header, but its rate is kept.
    wide = fmt_of(10, width=18)
    write_frame(target, codes_for(wide), wide, "dpx", template=source)
    assert parse_header(target.read_bytes()).film_rate == 16
    assert np.array_equal(read_codes(target), codes_for(wide))


def test_exr_and_tiff_attributes_are_carried(tmp_path: Path) -> None:
    fmt = fmt_of(16, 3, SampleType.HALF)
    source, target = tmp_path / "a.1.exr", tmp_path / "b.1.exr"
    spec = OpenImageIO.ImageSpec(9, 6, 3, "half")
    for key, value in (
        ("compression", "zip"),
        ("reelName", "R1"),
        ("DateTime", "2001:02:03 04:05:06"),
    ):
        spec.attribute(key, value)
    out = OpenImageIO.ImageOutput.create(str(source))
    assert out is not None
    assert out.open(str(source), spec)
    out.write_image(codes_for(fmt))
    out.close()
    write_frame(target, codes_for(fmt, 9), fmt, "exr", template=source)
    metadata = inspect(target)[1]
    assert metadata["compression"] == "zip"
    assert metadata["reelName"] == "R1"
    assert metadata["DateTime"] == "2001:02:03 04:05:06"


@pytest.mark.parametrize(
    ("kind", "fmt"),
    [
        ("dpx", fmt_of(16, 3, SampleType.HALF)),
        ("png", fmt_of(10)),
        ("tiff", fmt_of(32, 3, SampleType.FLOAT)),
        ("exr", fmt_of(16)),
    ],
)
def test_kinds_that_cannot_hold_a_format(tmp_path: Path, kind: str, fmt: PictureFormat) -> None:
    with pytest.raises(InputError, match="cannot hold"):
        write_frame(tmp_path / "a", codes_for(fmt), fmt, kind)
    with pytest.raises(InputError, match="expected"):
        write_frame(tmp_path / "a", codes_for(fmt)[:2], fmt, kind)
    assert not list(tmp_path.iterdir())


def test_atomic_write_leaves_the_old_file_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    atomic_write_bytes(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageFull, match="no room") as caught:
        atomic_write_bytes(path, b"new")
    assert caught.value.hint == "free space, then run the same command"
    assert path.read_bytes() == b"old"
    fmt = fmt_of(16)
    with pytest.raises(StorageFull):
        write_frame(tmp_path / "b.png", codes_for(fmt), fmt, "png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    atomic_write_bytes(path, b"new", durable=False)
    assert path.read_bytes() == b"new"


def test_errors_of_the_system_get_names(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for number, kind in (
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EROFS, StorageFull),
        (errno.EACCES, UsageError),
        (errno.EIO, WorkerError),
    ):
        assert isinstance(storage_error(OSError(number, "why"), path), kind)
    with pytest.raises(UsageError):
        atomic_write_bytes(tmp_path / "absent" / "x", b"")
    with pytest.raises(UsageError):
        write_frame(tmp_path / "absent/x.png", codes_for(fmt_of(8)), fmt_of(8), "png")
    with pytest.raises(UsageError, match="not known"):
        write_frame(path, codes_for(fmt_of(8)), fmt_of(8), "gif")
