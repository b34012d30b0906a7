"""DPX of every layout, from a generator that knows the standard and nothing of the product."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.dpx import decode_dpx, encode_dpx, encode_like, header_metadata, header_of, parse_header
from media.reel import PictureFormat
from media.scan import inspect, load, read_codes
from media.write import write_frame
from tests.dpx_files import FIELDS, INDUSTRY, Layout, build

DEPTHS = [(8, 0), (10, 0), (10, 1), (10, 2), (12, 0), (12, 1), (12, 2), (16, 0), (16, 1)]
SHARED = Path(__file__).parents[2] / "../shared"


def samples_of(layout: Layout, seed: int = 1) -> list[int]:
    """Random codes with zeros and full scale among them."""
    full = (1 << layout.bits) - 1
    random = np.random.default_rng(seed)
    found = random.integers(0, full + 1, layout.height * layout.width * layout.channels)
    found[random.random(found.size) < 0.2] = full
    found[random.random(found.size) < 0.1] = 0
    return [int(s) for s in found]


def as_array(layout: Layout, samples: list[int]) -> np.ndarray:
    return np.array(samples, np.uint16).reshape(layout.height, layout.width, layout.channels)


def check(layout: Layout, seed: int = 1) -> None:
    """Our reader gives the codes, our writer gives the bytes."""
    samples = samples_of(layout, seed)
    data = build(layout, samples)
    codes = as_array(layout, samples)
    assert np.array_equal(decode_dpx(data), codes), layout
    assert encode_like(codes, data) == data, layout
    # Other codes in the same place leave header, padding and trailing bytes alone.
    others = samples_of(layout, seed + 1)
    assert encode_like(as_array(layout, others), data) == build(layout, others), layout


@settings(max_examples=250, deadline=None)
@given(
    depth=st.sampled_from(DEPTHS),
    order=st.sampled_from("<>"),
    channels=st.sampled_from([1, 3]),
    width=st.integers(1, 23),
    height=st.integers(1, 5),
    eol=st.sampled_from([None, 0, 1, 2, 3, 4, 7]),
    aligned=st.booleans(),
    offset=st.sampled_from([1664, 2048, 2080, 2560, 8192]),
    element_offset=st.booleans(),
    version=st.sampled_from([b"V1.0", b"V2.0", b"V2.0HDR"]),
    pad=st.integers(0, 1),
    trailing=st.sampled_from([b"", b"t", b"tail of the file"]),
    defined=st.booleans(),
    seed=st.integers(0, 999),
)
def test_every_layout_both_ways(
    depth: tuple[int, int],
    order: str,
    channels: int,
    width: int,
    height: int,
    eol: int | None,
    aligned: bool,
    offset: int,
    element_offset: bool,
    version: bytes,
    pad: int,
    trailing: bytes,
    defined: bool,
    seed: int,
) -> None:
    # Undeclared alignment after a declared padding is nothing the standard knows.
    aligned = aligned and not eol
    user = b"FADGI process history".ljust(32, b"\0") if offset > 2080 else b""
    check(
        Layout(
            width=width, height=height, channels=channels, bits=depth[0], packing=depth[1],
            order=order, eol=eol, aligned=aligned, offset=offset, element_offset=element_offset,
            version=version, user=user, pad=pad, trailing=trailing, defined=defined,
        ),
        seed,
    )  # fmt: skip


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "packing"), DEPTHS)
@pytest.mark.parametrize("channels", [1, 3])
def test_one_pixel_and_one_wide_strip(bits: int, packing: int, channels: int, order: str) -> None:
    for width, height in ((1, 1), (4099, 2)):
        check(
            Layout(
                width=width, height=height, channels=channels, bits=bits, packing=packing,
                order=order,
            )
        )  # fmt: skip


@pytest.mark.parametrize(("channels", "places"), [(3, (20, 10, 0)), (1, (0, 10, 20))])
def test_ten_bit_luma_begins_at_the_least_significant_datum(
    channels: int, places: tuple[int, ...]
) -> None:
    layout = Layout(width=3 // channels, height=1, channels=channels)
    data = build(layout, [1, 2, 3])
    word = int.from_bytes(data[2048:2052], "big")
    assert [word >> (2 + place) & 0x3FF for place in places] == [1, 2, 3]
    assert decode_dpx(data).ravel().tolist() == [1, 2, 3]


def test_many_rows_cross_the_blocks_of_work() -> None:
    for bits, packing in DEPTHS:
        layout = Layout(width=331, height=3, bits=bits, packing=packing)
        row = samples_of(replace(layout, height=1), 7)
        tall = build(replace(layout, height=700), row * 700)
        codes = decode_dpx(tall)
        assert (codes == codes[:1]).all()
        assert codes[0].ravel().tolist() == row
        assert encode_like(codes, tall) == tall


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_header_field_is_told(order: str) -> None:
    user = b"Somebody".ljust(32, b"\0") + b"own data"
    layout = Layout(width=4, height=3, order=order, offset=2096, user=user)
    found = header_metadata(parse_header(build(layout, samples_of(layout))))
    assert json.loads(json.dumps(found)) == found
    for name, (_, code, value) in (FIELDS | INDUSTRY).items():
        if code == "I" and value == 0xFFFFFFFF:
            assert name not in found
        elif isinstance(value, bytes):
            assert found[name] == value.decode()
        elif name not in ("film_rate", "tv_rate", "timecode", "user_bits"):
            assert found[name] == value
    assert (found["film_rate"], found["tv_rate"]) == ("18", "18")
    assert (found["timecode"], found["user_bits"]) == ("01:02:03:04", "0000ABCD")
    assert found["keycode"] == "02 62 123456 7890+32"
    assert (found["user_id"], found["version"], found["packing"]) == ("Somebody", "V2.0", 1)
    assert (found["data_offset"], found["file_name"]) == (2096, "scan.0000123.dpx")


def test_undefined_fields_are_left_out() -> None:
    layout = Layout(width=4, height=3, defined=False)
    found = header_metadata(parse_header(build(layout, samples_of(layout))))
    told = set(found) & set(FIELDS | INDUSTRY)
    assert told == set()
    assert "keycode" not in found


@pytest.mark.parametrize("touched", [False, True])
def test_a_written_frame_keeps_all_but_its_codes(tmp_path: Path, touched: bool) -> None:
    layout = Layout(
        width=7, height=5, bits=12, packing=1, order="<", offset=8192, pad=1, eol=3, aligned=False,
        trailing=b"what a scanner left", user=b"Scanner".ljust(40, b"\0"), name=b"a.0001.dpx",
    )  # fmt: skip
    samples = samples_of(layout)
    source = tmp_path / "a.0001.dpx"
    source.write_bytes(build(layout, samples))
    fmt, _ = inspect(source)
    codes = read_codes(source)
    if touched:
        codes[2, 3, 1] ^= 1
    (tmp_path / "out").mkdir()
    for target, name in (
        (tmp_path / "out/a.0001.dpx", layout.name),
        (tmp_path / "b.dpx", b"b.dpx"),
    ):
        write_frame(target, codes, fmt, "dpx", template=source, reel="R1", frame=1)
        wanted = build(replace(layout, name=name), [int(c) for c in codes.ravel()])
        assert target.read_bytes() == wanted


def test_another_size_keeps_the_header_fields(tmp_path: Path) -> None:
    layout = Layout(width=7, height=5, order="<", user=b"Own".ljust(44, b"\0"), offset=2092)
    source = tmp_path / "a.0001.dpx"
    source.write_bytes(build(layout, samples_of(layout)))
    for bits, channels in ((10, 3), (16, 3), (10, 1)):
        fmt = PictureFormat(width=14, height=10, channels=channels, bits=bits)
        codes = np.full((10, 14, channels), 900, np.uint16)
        target = tmp_path / "wide.dpx"
        write_frame(target, codes, fmt, "dpx", template=source)
        assert np.array_equal(read_codes(target), codes)
        assert inspect(target)[0] == fmt
        before, after = inspect(source)[1], inspect(target)[1]
        differs = {key for key in before | after if before.get(key) != after.get(key)}
        assert differs <= {"file_bytes", "file_name", "bits", "packing", "descriptor",
                           "eol_padding", "high_code"}  # fmt: skip
        assert after["file_bytes"] == target.stat().st_size


def test_a_constant_frame_is_told(tmp_path: Path) -> None:
    layout = Layout(width=6, height=4, bits=8, packing=0)
    for value, name in ((0, "black.dpx"), (255, "white.dpx")):
        (tmp_path / name).write_bytes(build(layout, [value] * 72))
        assert load(tmp_path / name).metadata["constant"] is True
    (tmp_path / "c.dpx").write_bytes(build(layout, [9] * 71 + [8]))
    assert "constant" not in load(tmp_path / "c.dpx").metadata


@pytest.mark.reference
def test_golden_codes_and_all_scans_round_trip() -> None:
    if not (SHARED / "golden/dpx").is_dir():
        pytest.skip("no reference material beside the checkout")
    golden = SHARED / "golden/dpx"
    told = json.loads((golden / "manifest.json").read_text("utf-8"))["files"]
    for name, facts in told.items():
        data = (golden / f"{name}.dpx").read_bytes()
        codes = decode_dpx(data)
        assert codes.ravel().tolist() == facts["codes"], name
        assert encode_like(codes, data) == data, name
    scans = sorted((SHARED / "data/scans_formats").rglob("*.dpx"))
    whole = [path for path in scans if path.name != "8bit.00000001.dpx"]
    assert len(told) == 10
    assert len(whole) >= 18
    for path in whole:
        data = path.read_bytes()
        assert encode_like(decode_dpx(data), data) == data, path.name
        assert encode_dpx(decode_dpx(data), header_of(data), template_bytes=len(data)) == data
