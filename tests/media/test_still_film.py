"""What a DPX header says survives in other kinds, and comes back bit for bit."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from media.dpx import header_of, keycode_numbers
from media.errors import InputError
from media.reel import PictureFormat, SampleType
from media.scan import inspect, read_codes
from media.sidecar import packed_bytes, restored_header, sidecar_of, unpacked_bytes
from media.still.kinds import AnyCodes
from media.write import write_frame
from tests.dpx_files import Layout, build
from tests.media.test_still import reader

USER = b"Scanner Inc".ljust(32, b"\0") + bytes(range(256))
LAYOUT = Layout(width=40, height=36, user=USER, offset=2048 + len(USER), order="<", pad=1)
HALF = PictureFormat(width=40, height=36, channels=3, bits=16, sample=SampleType.HALF)


def scan(path: Path) -> tuple[Path, AnyCodes]:
    codes = np.random.default_rng(2).integers(0, 1024, 40 * 36 * 3)
    path.write_bytes(build(LAYOUT, [int(c) for c in codes]))
    return path, read_codes(path)


def test_exr_gets_keycode_timecode_and_every_field(tmp_path: Path) -> None:
    source, codes = scan(tmp_path / "scan.0000123.dpx")
    values = (codes.astype(np.float32) / 1023).astype(np.float16).astype(np.float32)
    target = tmp_path / "scan.0000123.exr"
    write_frame(target, values, HALF, "exr", template=source, rate=Fraction(18), reel="R1")
    found = reader(target)
    spec = found.spec()
    assert spec.getattribute("smpte:KeyCode") == (2, 62, 123456, 7890, 32, 4, 64)
    assert spec.getattribute("smpte:TimeCode") == (0x01020304, 0xABCD)
    assert spec.getattribute("FramesPerSecond") == (18, 1)
    assert spec.getattribute("reelName") == "REEL03"
    assert spec.getattribute("DateTime") == "2026:11:22 10:20:30"
    found.close()
    told, fields = inspect(target)[1], inspect(source)[1]
    for name, value in fields.items():
        assert told[f"film:{name}"] == pytest.approx(value)
    assert (told["timecode"], told["keycode"]) == (fields["timecode"], fields["keycode"])
    assert told["film_rate"] == "18"
    # Back to DPX: the same header, and so the same file.
    back = tmp_path / "back" / "scan.0000123.dpx"
    back.parent.mkdir()
    write_frame(back, codes, inspect(source)[0], "dpx", template=target)
    before, after = inspect(source)[1], inspect(back)[1]
    assert after == before
    assert np.array_equal(read_codes(back), codes)


@pytest.mark.parametrize(("kind", "suffix"), [("tiff", "tif"), ("png", "png")])
def test_tiff_and_png_keep_the_fields_as_text(tmp_path: Path, kind: str, suffix: str) -> None:
    source, codes = scan(tmp_path / "scan.0000123.dpx")
    fmt = PictureFormat(width=40, height=36, channels=3, bits=16)
    target = tmp_path / f"scan.0000123.{suffix}"
    write_frame(target, codes, fmt, kind, template=source)
    told, fields = inspect(target)[1], inspect(source)[1]
    if kind == "tiff":
        kept = json.loads(str(told["ImageDescription"]))
    else:
        kept = {k.removeprefix("film:"): v for k, v in told.items() if k.startswith("film:")}
    for name, value in fields.items():
        assert str(kept[name]) == str(value)
    assert unpacked_bytes(kept["header"]) == header_of(source.read_bytes())
    assert told["Copyright"] == "CC0"
    assert np.array_equal(read_codes(target), codes)
    back = tmp_path / "back" / "scan.0000123.dpx"
    back.parent.mkdir()
    write_frame(back, codes, inspect(source)[0], "dpx", template=target)
    assert header_of(back.read_bytes()) == header_of(source.read_bytes())


def test_history_goes_on_in_exr(tmp_path: Path) -> None:
    source, codes = scan(tmp_path / "scan.0000123.dpx")
    values = codes.astype(np.float32)
    one, two = tmp_path / "a.0001.exr", tmp_path / "b.0001.exr"
    write_frame(one, values, HALF, "exr", template=source, history="O=EXR, T=weave")
    write_frame(two, values, HALF, "exr", template=one, history="O=EXR, T=flicker")
    assert inspect(two)[1]["film:history"] == "O=EXR, T=weave\nO=EXR, T=flicker"


def test_keycode_that_is_no_number_is_left_alone() -> None:
    good = {"film_manufacturer": "02", "film_type": "62", "perf_offset": "32",
            "keycode_prefix": "123456", "keycode_count": "7890"}  # fmt: skip
    assert keycode_numbers(dict(good)) == (2, 62, 123456, 7890, 32, 4, 64)
    assert keycode_numbers({**good, "film_type": "K2"}) is None
    assert keycode_numbers({}) is None


def test_a_sidecar_restores_the_header_bit_for_bit(tmp_path: Path) -> None:
    source, codes = scan(tmp_path / "scan.0000123.dpx")
    sidecar = json.loads(json.dumps(sidecar_of(source, reel="R1", frame=123)))
    assert restored_header(sidecar) == header_of(source.read_bytes())
    assert (sidecar["file"], sidecar["kind"], sidecar["frame"]) == (source.name, "dpx", 123)
    assert (sidecar["timecode"], sidecar["keycode"]) == ("01:02:03:04", "02 62 123456 7890+32")
    assert sidecar["metadata"]["scanned_width"] == 24.9
    assert sidecar["size_bytes"] == source.stat().st_size
    target = tmp_path / "a.0001.exr"
    values = np.zeros((36, 40, 3), np.float32)
    write_frame(target, values, HALF, "exr", template=source)
    other = sidecar_of(target)
    assert target.read_bytes().startswith(restored_header(other))
    assert codes.shape == values.shape


@pytest.mark.parametrize(
    "header",
    [None, {}, {"data": "!"}, {"data": packed_bytes(b"abc"), "bytes": 4},
     {"data": packed_bytes(b"abc" * 99)[:-8], "bytes": 297}],
)  # fmt: skip
def test_a_damaged_sidecar_is_named(header: object) -> None:
    with pytest.raises(InputError):
        restored_header({"header": header})
    assert unpacked_bytes(packed_bytes(b"abc")) == b"abc"
