"""DPX: every layout exact, the header untouched, bad files refused by name."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenImageIO
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.dpx import decode_dpx, encode_dpx, new_header, parse_header, patched_header
from media.errors import FrameUnreadable, InputError

LAYOUTS = [(8, 0), (10, 0), (10, 1), (10, 2), (12, 0), (12, 1), (12, 2), (16, 0)]
SHARED = Path(__file__).parents[2] / "../shared"


def header(
    width: int,
    height: int,
    channels: int,
    bits: int,
    packing: int,
    order: str = ">",
    eol: int | None = None,
) -> bytes:
    """A header of any layout, in either byte order."""
    head = bytearray(new_header(width, height, channels, bits))
    struct.pack_into(">H", head, 804, packing)
    if eol is not None:
        struct.pack_into(">I", head, 812, eol)
    if order == "<":
        head[:4] = b"XPDS"
        for code, offsets in (
            ("I", [4, 16, 20, 24, 28, 32, 772, 776, 780, 784, 792, 808, 812]),
            ("H", [768, 770, 804, 806]),
        ):
            for offset in offsets:
                value = struct.unpack_from(">" + code, head, offset)[0]
                struct.pack_into("<" + code, head, offset, value)
    return bytes(head)


def codes_of(shape: tuple[int, int, int], bits: int, seed: int = 1) -> np.ndarray:
    codes = np.random.default_rng(seed).integers(0, 1 << bits, shape).astype(np.uint16)
    codes.reshape(-1)[:2] = (0, (1 << bits) - 1)
    return codes


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize(("bits", "packing"), LAYOUTS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width", [8, 7])
def test_round_trip_is_exact(
    width: int, channels: int, bits: int, packing: int, order: str
) -> None:
    codes = codes_of((5, width, channels), bits)
    data = encode_dpx(codes, header(width, 5, channels, bits, packing, order))
    assert np.array_equal(decode_dpx(data), codes)
    assert encode_dpx(decode_dpx(data), data[:2048], template_bytes=len(data)) == data


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize(("bits", "packing"), LAYOUTS)
@pytest.mark.parametrize(("channels", "width"), [(1, 12), (3, 12), (3, 7), (1, 7)])
def test_openimageio_reads_the_same_codes(
    tmp_path: Path, bits: int, packing: int, channels: int, width: int, order: str
) -> None:
    codes = codes_of((4, width, channels), bits)
    path = tmp_path / "f.dpx"
    path.write_bytes(encode_dpx(codes, header(width, 4, channels, bits, packing, order)))
    if (channels, width, bits) == (1, 7, 10) and packing != 0:
        # OpenImageIO mixes up the last, partly filled word of a luma row; ffmpeg does not.
        with av.open(str(path), format="image2") as container:
            frame = next(container.decode(video=0))
        assert np.array_equal(frame.to_ndarray(), codes[..., 0])
        return
    source = OpenImageIO.ImageInput.open(str(path))
    assert source is not None, OpenImageIO.geterror()
    wide = source.read_image(0, 0, 0, channels, "uint16")
    source.close()
    assert np.array_equal(np.asarray(wide).reshape(codes.shape) >> (16 - bits), codes)


@settings(max_examples=60, deadline=None)
@given(
    layout=st.sampled_from(LAYOUTS),
    order=st.sampled_from([">", "<"]),
    channels=st.sampled_from([1, 3]),
    width=st.integers(1, 19),
    height=st.integers(1, 6),
    eol=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_any_size_and_line_padding(
    layout: tuple[int, int],
    order: str,
    channels: int,
    width: int,
    height: int,
    eol: int,
    seed: int,
) -> None:
    bits, packing = layout
    codes = codes_of((height, width, channels), bits, seed) if width > 1 else None
    if codes is None:
        codes = np.full((height, width, channels), seed, np.uint16)
    data = encode_dpx(codes, header(width, height, channels, bits, packing, order, eol))
    assert np.array_equal(decode_dpx(data), codes)


def test_unpadded_rows_are_recognised_by_file_size() -> None:
    codes = codes_of((5, 7, 3), 16)
    head = header(7, 5, 3, 16, 0, eol=0)
    data = head + codes.astype(">u2").tobytes()
    assert np.array_equal(decode_dpx(data), codes)
    assert encode_dpx(codes, head, template_bytes=len(data)) == data


def test_header_fields_come_back() -> None:
    head = new_header(
        16,
        8,
        3,
        10,
        rate=Fraction(18),
        timecode="01:02:03;04",
        frame_number=86400,
        reel="Été 3",
        file_name="Été 3.0086400.dpx",
    )
    seen = parse_header(head)
    assert len(head) == 2048
    assert (seen.width, seen.height, seen.channels, seen.bits) == (16, 8, 3, 10)
    assert (seen.packing, seen.transfer, seen.colorimetric) == (1, 1, 1)
    assert {seen.film_rate, seen.tv_rate, seen.rate} == {Fraction(18)}
    assert seen.timecode == "01:02:03;04"
    assert (seen.file_name, seen.creator) == ("Été 3.0086400.dpx", "Wetgate")
    assert seen.file_bytes == 2048 + 16 * 8 * 4


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(200, 11), Fraction(16)])
def test_rates_are_exact(rate: Fraction) -> None:
    assert parse_header(new_header(4, 4, 3, 10, rate=rate)).rate == rate


def test_undefined_fields_are_none() -> None:
    seen = parse_header(new_header(4, 4, 1, 16))
    assert (seen.rate, seen.timecode, seen.user_id) == (None, None, "")


def test_patch_changes_only_what_is_asked() -> None:
    head = new_header(6, 2, 3, 10, file_name="a.dpx")
    named = patched_header(head, file_name="b.dpx")
    assert [k for k in range(2048) if head[k] != named[k]] == [36]
    noted = patched_header(head, history="O=DPXv2, T=restored")
    codes = codes_of((2, 6, 3), 10)
    data = encode_dpx(codes, noted)
    assert np.array_equal(decode_dpx(data), codes)
    assert parse_header(data).data_offset_bytes == len(noted) > 2048
    assert b"O=DPXv2, T=restored\n" in noted
    assert struct.unpack_from(">I", data, 16)[0] == len(data)


@pytest.mark.parametrize(
    ("offset", "code", "value", "word"),
    [
        (806, ">H", 1, "run-length"),
        (800, "B", 4, "alpha only"),
        (800, "B", 51, "RGBA"),
        (800, "B", 100, "4:2:2"),
        (770, ">H", 2, "elements"),
        (803, "B", 32, "32-bit"),
        (804, ">H", 5, "packing"),
        (780, ">I", 1, "signed"),
    ],
)
def test_other_kinds_are_refused(offset: int, code: str, value: int, word: str) -> None:
    data = bytearray(encode_dpx(codes_of((2, 4, 3), 10), new_header(4, 2, 3, 10)))
    struct.pack_into(code, data, offset, value)
    with pytest.raises(InputError, match=word):
        decode_dpx(bytes(data))


def test_broken_files_are_unreadable() -> None:
    data = encode_dpx(codes_of((2, 4, 3), 10), new_header(4, 2, 3, 10))
    for broken, word in (
        (b"", "empty"),
        (b"JUNK" + data[4:], "magic"),
        (data[:800], "truncated"),
        (data[:-1], "truncated"),
    ):
        with pytest.raises(FrameUnreadable, match=word):
            decode_dpx(broken)


def test_codes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="does not fit"):
        encode_dpx(np.full((2, 4, 3), 1024, np.uint16), new_header(4, 2, 3, 10))
    with pytest.raises(InputError, match="header says"):
        encode_dpx(np.zeros((2, 5, 3), np.uint16), new_header(4, 2, 3, 10))


@pytest.mark.reference
def test_reference_files_match_and_pass_through_identically() -> None:
    if not (SHARED / "data").is_dir():
        pytest.skip("no reference material beside the checkout")
    folders = [SHARED / "golden/dpx", *(SHARED / "data/scans_formats").glob("*")]
    files = sorted(f for d in folders for f in d.glob("*.dpx") if f.name != "8bit.00000001.dpx")
    assert len(files) > 20
    for path in files:
        data = path.read_bytes()
        head = parse_header(data)
        source = OpenImageIO.ImageInput.open(str(path))
        assert source is not None
        wide = np.asarray(source.read_image(0, 0, 0, head.channels, "uint16"))
        source.close()
        codes = decode_dpx(data)
        assert np.array_equal(codes, wide.reshape(codes.shape) >> (16 - head.bits)), path.name
        again = encode_dpx(codes, data[: head.data_offset_bytes], template_bytes=len(data))
        assert again == data, path.name


@pytest.mark.reference
def test_reference_header_of_the_golden_file() -> None:
    path = SHARED / "golden/dpx/rgb10_filledA_be_user_tv.dpx"
    if not (SHARED / "data").is_dir():
        pytest.skip("no reference material beside the checkout")
    seen = parse_header(path.read_bytes())
    assert {seen.film_rate, seen.tv_rate} == {Fraction(18)}
    assert seen.timecode == "01:02:03:04"
