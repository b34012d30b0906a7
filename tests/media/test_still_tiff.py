"""TIFF built tag by tag: byte orders, private tags, odd sorts refused by name, missing rows."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from media.errors import FrameUnreadable, InputError
from media.scan import inspect, read_codes
from media.still.tiff_graft import _entries
from media.write import AnyCodes, write_frame

SHORT, LONG, LONG8, ASCII, RATIONAL, BYTES = 3, 4, 16, 2, 5, 7
CODES = {SHORT: "H", LONG: "I", LONG8: "Q"}
Tag = tuple[int, tuple[int, ...] | bytes]


def tiff(
    strips: list[bytes],
    tags: dict[int, Tag],
    order: str = "<",
    big: bool = False,
    tiled: bool = False,
) -> bytes:
    """A TIFF of these strips (or tiles) and tags, directory behind the pixels."""
    data = bytearray(
        struct.pack(order + "2sHHHQ", b"II" if order == "<" else b"MM", 43, 8, 0, 0)
        if big
        else struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 0)
    )
    places = []
    for strip in strips:
        places.append(len(data))
        data += strip + b"\0" * (len(strip) % 2)
    wide, slot = ("Q", 8) if big else ("I", 4)
    whole = dict(tags)
    whole[324 if tiled else 273] = (LONG, tuple(places))
    whole[325 if tiled else 279] = (LONG, tuple(map(len, strips)))
    entries = b""
    for tag in sorted(whole):
        kind, values = whole[tag]
        if isinstance(values, bytes):
            raw, count = values, len(values) // (8 if kind == RATIONAL else 1)
        else:
            raw, count = struct.pack(f"{order}{len(values)}{CODES[kind]}", *values), len(values)
        if len(raw) > slot:
            data += b"\0" * (-len(data) % 2)
            field = struct.pack(order + wide, len(data))
            data += raw
        else:
            field = raw.ljust(slot, b"\0")
        entries += struct.pack(order + "HH" + wide, tag, kind, count) + field
    data += b"\0" * (-len(data) % 2)
    struct.pack_into(order + wide, data, 8 if big else 4, len(data))
    return bytes(data) + struct.pack(order + ("Q" if big else "H"), len(whole)) + entries + bytes(8)


def layout(width: int, height: int, samples: int, bits: int, **more: Tag) -> dict[int, Tag]:
    tags: dict[int, Tag] = {
        256: (LONG, (width,)),
        257: (LONG, (height,)),
        258: (SHORT, (bits,) * samples),
        259: (SHORT, (1,)),
        262: (SHORT, (2 if samples == 3 else 1,)),
        277: (SHORT, (samples,)),
        278: (LONG, (height,)),
        284: (SHORT, (1,)),
    }
    return tags | {int(name[1:]): tag for name, tag in more.items()}


def codes_of(height: int, width: int, channels: int, bits: int = 16) -> AnyCodes:
    found = np.random.default_rng(4).integers(0, 1 << bits, (height, width, channels))
    whole: AnyCodes = found.astype(np.uint8) if bits == 8 else found.astype(np.uint16)
    return whole


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_private_tags_stay_in_either_byte_order(tmp_path: Path, order: str, big: bool) -> None:
    codes = codes_of(9, 7, 3)
    private: dict[str, Tag] = {
        "t65000": (BYTES, b"scanner state \0\1\2\3"),
        "t65001": (SHORT, (1, 2, 3)),
        "t65002": (RATIONAL, struct.pack(order + "2I", 355, 113)),
        "t65003": (LONG, (0x01020304,)),
        "t282": (RATIONAL, struct.pack(order + "2I", 4000, 3)),
        "t285": (ASCII, b"page name\0"),
        "t333": (ASCII, b"ink names\0"),
    }
    rows = [r.astype(order + "u2").tobytes() for r in codes]
    tags = layout(7, 9, 3, 16, **private) | {278: (LONG, (1,))}
    source = put(tmp_path / "a.1.tif", tiff(rows, tags, order, big))
    fmt, _ = inspect(source)
    assert np.array_equal(read_codes(source), codes)
    target = tmp_path / "b.1.tif"
    changed = codes[::-1].copy()
    write_frame(target, changed, fmt, "tiff", template=source)
    assert np.array_equal(read_codes(target), changed)
    before, after = ({e.tag: e for e in _entries(p.read_bytes())[2]} for p in (source, target))
    for tag in (282, 285, 333, 65000, 65001, 65002, 65003):
        assert after[tag] == before[tag]
    assert 306 not in after


@pytest.mark.parametrize(("width", "height"), [(1, 1), (17, 33), (32, 16)])
def test_tiles_that_reach_over_the_edge(tmp_path: Path, width: int, height: int) -> None:
    codes = codes_of(height, width, 3, 8)
    across, down = -(-width // 16), -(-height // 16)
    whole = np.zeros((down * 16, across * 16, 3), np.uint8)
    whole[:height, :width] = codes
    tiles = [
        zlib.compress(whole[y * 16 : y * 16 + 16, x * 16 : x * 16 + 16].tobytes())
        for y in range(down)
        for x in range(across)
    ]
    tags = layout(width, height, 3, 8, t322=(LONG, (16,)), t323=(LONG, (16,)), t259=(SHORT, (8,)))
    del tags[278]
    source = put(tmp_path / "a.1.tif", tiff(tiles, tags, tiled=True))
    assert np.array_equal(read_codes(source), codes)
    fmt, changed = inspect(source)[0], 255 - codes
    write_frame(tmp_path / "b.1.tif", changed, fmt, "tiff", template=source)
    assert np.array_equal(read_codes(tmp_path / "b.1.tif"), changed)


def test_jpeg_inside_is_read_or_named(tmp_path: Path) -> None:
    picture = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 4
    done, jpeg = cv2.imencode(".jpg", picture)
    assert done
    tags = layout(16, 16, 1, 8, t259=(SHORT, (7,)))
    source = put(tmp_path / "a.1.tif", tiff([jpeg.tobytes()], tags))
    try:
        fmt, metadata = inspect(source)
        codes = read_codes(source)
    except FrameUnreadable as error:
        assert "JPEG" in error.what  # noqa: PT017
        return
    assert (metadata["lossy"], metadata["delivered_compression"]) == ("jpeg", "lzw")
    plain = cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)
    assert plain is not None
    assert np.array_equal(codes[..., 0], plain)
    target = tmp_path / "b.1.tif"
    write_frame(target, codes, fmt, "tiff", template=source)
    assert np.array_equal(read_codes(target), codes)
    assert inspect(target)[1]["compression"] == "lzw"


@pytest.mark.parametrize(
    ("samples", "bits", "more", "word"),
    [
        (1, 8, {"t262": (SHORT, (3,)), "t320": (SHORT, (0,) * 768)}, "palette"),
        (1, 16, {"t262": (SHORT, (0,))}, "white-is-zero"),
        (4, 8, {"t262": (SHORT, (5,))}, "CMYK"),
        (3, 8, {"t262": (SHORT, (6,))}, "YCbCr"),
        (3, 8, {"t262": (SHORT, (8,))}, "Lab"),
        (1, 16, {"t339": (SHORT, (2,))}, "signed"),
        (1, 32, {"t339": (SHORT, (3,))}, "float"),
        (1, 64, {"t339": (SHORT, (6,))}, "complex"),
        (3, 4, {}, "4-bit"),
        (1, 1, {}, "1-bit"),
        (4, 16, {"t262": (SHORT, (2,)), "t338": (SHORT, (1,))}, "not A"),
        (3, 16, {"t258": (SHORT, (16, 16, 8))}, "different depth"),
        (3, 8, {"t262": (SHORT, (6,)), "t259": (SHORT, (7,))}, "sub-sampled"),
    ],
)
def test_odd_sorts_are_refused_by_name(
    tmp_path: Path, samples: int, bits: int, more: dict[str, Tag], word: str
) -> None:
    pixels = bytes(8 * 4 * samples * max(bits, 8) // 8)
    source = put(tmp_path / "a.1.tif", tiff([pixels], layout(8, 4, samples, bits, **more)))
    for look in (inspect, read_codes):
        with pytest.raises(InputError, match=word) as caught:
            look(source, reel="R1", frame=1)
        assert (caught.value.reel, caught.value.frame) == ("R1", 1)
        assert caught.value.hint


def test_rows_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    codes = codes_of(12, 8, 3)
    strips = [codes[k : k + 4].astype("<u2").tobytes() for k in (0, 4, 8)]
    tags = layout(8, 12, 3, 16) | {278: (LONG, (4,))}
    good = tiff(strips, tags)
    assert np.array_equal(read_codes(put(tmp_path / "a.1.tif", good)), codes)
    short = tiff([*strips[:2], strips[2][:-2]], tags)
    fewer = tiff(strips[:2], tags)
    empty = tiff([strips[0], b"", strips[2]], tags)
    for data in (short, fewer, empty):
        for look in (inspect, read_codes):
            with pytest.raises(FrameUnreadable, match=r"truncated|strips"):
                look(put(tmp_path / "b.1.tif", data))


@pytest.mark.parametrize("size", [(60000, 60000), (0, 5), (1 << 31, 4), (4, 0xFFFFFFFF)])
def test_senseless_sizes_are_refused_before_memory_is_asked_for(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    data = tiff([bytes(100)], layout(*size, 3, 16, t259=(SHORT, (8,))))
    with pytest.raises(FrameUnreadable, match="senseless"):
        read_codes(put(tmp_path / "a.1.tif", data))
