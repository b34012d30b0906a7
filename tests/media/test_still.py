"""TIFF, EXR, PNG and JPEG 2000: exact codes both ways, and all that lies beside the picture."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest

from media.errors import FrameUnreadable, InputError
from media.reel import PictureFormat, SampleType
from media.scan import inspect, load, read_codes
from media.still.exr import read_parts
from media.write import AnyCodes, write_frame

H, W = 40, 48
SHARED = Path(__file__).parents[2] / "../shared"
Value = str | int | float | tuple[object, ...]
COMMON: dict[str, Value] = {
    "DateTime": "2001:02:03 04:05:06",
    "ImageDescription": "reel 3, nitrate",
    "Copyright": "CC0",
    "Artist": "scanner",
    "Software": "scan 9",
    "XResolution": 300.0,
    "YResolution": 200.0,
    "ResolutionUnit": "cm",
    "Orientation": 3,
}


def pixels_for(sample: str, channels: int, seed: int = 5) -> AnyCodes:
    random = np.random.default_rng(seed)
    if sample in ("half", "float"):
        values = np.exp(random.normal(-1, 2, (H, W, channels))).astype(np.float32)
        values[0, 0], values[0, 1] = -0.25, 6.1e-5
        rounded: AnyCodes = values.astype(np.float16).astype(np.float32)
        return rounded if sample == "half" else values
    full = 255 if sample == "uint8" else 65535
    codes = random.integers(0, full + 1, (H, W, channels))
    codes[0, :2] = [[0], [full]]
    whole: AnyCodes = codes.astype(np.uint8) if full == 255 else codes.astype(np.uint16)
    return whole


def writer(path: Path) -> OpenImageIO.ImageOutput:
    found = OpenImageIO.ImageOutput.create(str(path))
    assert found is not None, OpenImageIO.geterror()
    return found


def reader(path: Path) -> OpenImageIO.ImageInput:
    found = OpenImageIO.ImageInput.open(str(path))
    assert found is not None, OpenImageIO.geterror()
    return found


def channels_of(path: Path, part: int, first: int, stop: int) -> np.ndarray:
    found = reader(path)
    pixels = found.read_image(part, 0, first, stop, "float")
    found.close()
    assert pixels is not None
    return np.asarray(pixels).reshape(H, W, stop - first)


def put(
    path: Path,
    pixels: AnyCodes,
    sample: str,
    attributes: dict[str, Value] | None = None,
    names: tuple[str, ...] = (),
    tile: int = 0,
    window: tuple[int, int, int, int] | None = None,
    formats: tuple[str, ...] = (),
) -> Path:
    """A file from OpenImageIO alone. window: display window x, y, width, height."""
    spec = OpenImageIO.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], sample)
    spec.channelnames = names or (("Y",) if pixels.shape[2] == 1 else ("R", "G", "B"))
    if formats:
        spec.channelformats = formats
    spec.tile_width = spec.tile_height = tile
    if window:
        spec.x, spec.y = 5, -3
        spec.full_x, spec.full_y, spec.full_width, spec.full_height = window
    for name, value in (attributes or {}).items():
        if isinstance(value, tuple):
            spec.attribute(name, str(value[0]), value[1])
        else:
            spec.attribute(name, value)
    out = writer(path)
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(np.ascontiguousarray(pixels)), out.geterror()
    assert out.close()
    return path


ICC: dict[str, Value] = {"ICCProfile": ("uint8[128]", tuple(range(128)))}
Variant = tuple[str, str, int, dict[str, Value], int]
VARIANTS: dict[str, Variant] = {
    "tiff none": (".tif", "uint16", 3, {"compression": "none"}, 0),
    "tiff 8": (".tif", "uint8", 3, {"compression": "none"}, 0),
    "tiff gray": (".tif", "uint16", 1, {"compression": "lzw"}, 0),
    "tiff lzw": (".tif", "uint16", 3, {"compression": "lzw"}, 0),
    "tiff zip": (".tif", "uint8", 3, {"compression": "zip"}, 0),
    "tiff packbits": (".tif", "uint8", 3, {"compression": "packbits"}, 0),
    "tiff tiled": (".tif", "uint16", 3, {"compression": "zip"}, 16),
    "tiff tiled gray": (".tif", "uint8", 1, {"compression": "none"}, 16),
    "tiff separate": (".tif", "uint16", 3, {"planarconfig": "separate", "compression": "none"}, 0),
    "tiff separate lzw": (".tif", "uint8", 3, {"planarconfig": "separate"}, 16),
    "tiff strips": (".tif", "uint16", 3, {"tiff:RowsPerStrip": 7, "compression": "lzw"}, 0),
    "tiff big": (".tif", "uint16", 3, {"tiff:bigtiff": 1, "compression": "none"}, 0),
    "tiff 10": (".tif", "uint16", 3, {"oiio:BitsPerSample": 10, "compression": "none"}, 0),
    "tiff 12": (".tif", "uint16", 1, {"oiio:BitsPerSample": 12, "compression": "lzw"}, 0),
    **{
        f"exr {name} {sample} {tile}": (".exr", sample, 3, {"compression": name}, tile)
        for name in ("none", "rle", "zips", "zip", "piz")
        for sample, tile in (("half", 0), ("float", 16))
    },
    "exr gray": (".exr", "half", 1, {"compression": "zip"}, 0),
    "exr pxr24": (".exr", "half", 3, {"compression": "pxr24"}, 0),
    "png 8": (".png", "uint8", 3, {"png:compressionLevel": 1}, 0),
    "png 16": (".png", "uint16", 3, {"oiio:Gamma": 2.2}, 0),
    "png gray": (".png", "uint16", 1, {}, 0),
    "png gray 8": (".png", "uint8", 1, {}, 0),
    "jp2 8": (".jp2", "uint8", 3, {}, 0),
    "jp2 10": (".jp2", "uint16", 3, {"oiio:BitsPerSample": 10}, 0),
    "jp2 12": (".jp2", "uint16", 1, {"oiio:BitsPerSample": 12}, 0),
    "jp2 16": (".jp2", "uint16", 3, {}, 0),
    "j2k 16": (".j2k", "uint16", 3, {}, 0),
    "j2k 12": (".j2k", "uint16", 3, {"oiio:BitsPerSample": 12}, 0),
}
KIND = {".tif": "tiff", ".exr": "exr", ".png": "png", ".jp2": "jp2", ".j2k": "j2c"}
NOT_CARRIED = {"film:history", "constant"}


def described(path: Path) -> dict[str, str | int | float]:
    """Metadata without what only says where in the file something lies."""
    return {k: v for k, v in inspect(path)[1].items() if k not in NOT_CARRIED}


@pytest.mark.parametrize("name", VARIANTS)
def test_codes_come_in_and_go_out_exactly_and_metadata_stays(tmp_path: Path, name: str) -> None:
    suffix, sample, channels, own, tile = VARIANTS[name]
    kind, bits = KIND[suffix], int(str(own.get("oiio:BitsPerSample", 0)))
    pixels = pixels_for(sample, channels)
    wide = pixels
    if bits:
        pixels = (pixels.astype(np.uint16) >> (16 - bits)).astype(np.uint16)
        wide = (pixels << (16 - bits) | pixels >> (2 * bits - 16)).astype(np.uint16)
    extra: dict[str, Value] = {} if kind in ("jp2", "j2c") else {**COMMON, **own}
    if kind == "tiff":
        extra |= ICC
    source = put(tmp_path / f"a.0001{suffix}", wide, sample, extra or own, tile=tile)
    fmt, _ = inspect(source)
    assert (fmt.width, fmt.height, fmt.channels) == (W, H, channels)
    codes = read_codes(source)
    assert np.array_equal(codes, pixels)
    same = tmp_path / f"b.0001{suffix}"
    write_frame(same, codes, fmt, kind, template=source)
    assert same.read_bytes() == source.read_bytes()
    changed = codes.copy()
    changed[H // 2, W // 2] = codes[0, 1]
    target = tmp_path / f"c.0001{suffix}"
    write_frame(target, changed, fmt, kind, template=source)
    assert np.array_equal(read_codes(target), changed)
    assert inspect(target)[0] == fmt
    before, after = described(source), described(target)
    # An OpenImageIO compression level is an instruction, and rows in a strip may be chosen anew.
    assert {k: v for k, v in after.items() if "Rows" not in k} == {
        k: v for k, v in before.items() if "Rows" not in k
    }
    twice = tmp_path / f"d.0001{suffix}"
    write_frame(twice, changed, fmt, kind, template=source)
    assert twice.read_bytes() == target.read_bytes()


@pytest.mark.parametrize("window", [(0, 0, 30, 20), (-10, -20, 200, 150)])
def test_overscan_and_crop_keep_both_windows(
    tmp_path: Path, window: tuple[int, int, int, int]
) -> None:
    pixels = pixels_for("half", 3)
    source = put(tmp_path / "a.1.exr", pixels, "half", {"compression": "piz"}, window=window)
    fmt, metadata = inspect(source)
    assert (fmt.width, fmt.height) == (W, H)
    assert metadata["data_window"] == f"{W}x{H}+5-3"
    changed = pixels + np.float32(1)
    changed = changed.astype(np.float16).astype(np.float32)
    write_frame(tmp_path / "b.1.exr", changed, fmt, "exr", template=source)
    assert np.array_equal(read_codes(tmp_path / "b.1.exr"), changed)
    assert described(tmp_path / "b.1.exr") == described(source)


def test_further_channels_are_carried(tmp_path: Path) -> None:
    pixels = pixels_for("float", 5, 8)
    pixels[..., :4] = pixels[..., :4].astype(np.float16)
    pixels[0, 0, 4] = np.float32(np.inf)
    source = put(
        tmp_path / "a.1.exr", pixels, "float", {"compression": "zip", "owner": "us"},
        ("R", "G", "B", "A", "depth.Z"), formats=("half", "half", "half", "half", "float"),
    )  # fmt: skip
    fmt, metadata = inspect(source)
    assert (fmt.sample, fmt.channels) == (SampleType.HALF, 3)
    assert metadata["carried"] == "A, depth.Z"
    codes = read_codes(source)
    assert np.array_equal(codes, pixels[..., :3])
    changed = codes[::-1].copy()
    write_frame(tmp_path / "b.1.exr", changed, fmt, "exr", template=source)
    assert np.array_equal(read_codes(tmp_path / "b.1.exr"), changed)
    whole = channels_of(tmp_path / "b.1.exr", 0, 0, 5)
    assert np.array_equal(whole[..., 3:], pixels[..., 3:])
    assert described(tmp_path / "b.1.exr") == described(source)


def put_parts(path: Path, tiled: bool) -> tuple[AnyCodes, AnyCodes]:
    """Two parts: depth first, then the picture with alpha."""
    depth, picture = pixels_for("float", 1, 2), pixels_for("half", 4, 3)
    specs = []
    for title, count, sample, names in (
        ("depth", 1, "float", ("Z",)),
        ("picture", 4, "half", ("R", "G", "B", "A")),
    ):
        spec = OpenImageIO.ImageSpec(W, H, count, sample)
        spec.channelnames = names
        spec.attribute("oiio:subimagename", title)
        spec.attribute("compression", "dwaa" if title == "depth" else "zip")
        spec.attribute(f"note {title}", f"of {title}")
        spec.attribute("a name of more than thirty-one characters", 7)
        spec.attribute("DateTime", "2001:02:03 04:05:06")
        spec.tile_width = spec.tile_height = 16 if tiled else 0
        specs.append(spec)
    out = writer(path)
    assert out.open(str(path), tuple(specs))
    assert out.write_image(depth)
    assert out.open(str(path), specs[1], "AppendSubimage")
    assert out.write_image(picture)
    assert out.close()
    return depth, picture


@pytest.mark.parametrize("tiled", [False, True])
def test_further_parts_are_carried(tmp_path: Path, tiled: bool) -> None:
    source, target = tmp_path / "a.1.exr", tmp_path / "b.1.exr"
    _, picture = put_parts(source, tiled)
    fmt, metadata = inspect(source)
    assert metadata["carried"] == "A, part 1 (depth)"
    codes = read_codes(source)
    assert np.array_equal(codes, picture[..., :3])
    changed = codes * np.float32(0.5)
    changed = changed.astype(np.float16).astype(np.float32)
    write_frame(target, changed, fmt, "exr", template=source)
    assert np.array_equal(read_codes(target), changed)
    before, after = (read_parts(p.read_bytes())[0] for p in (source, target))
    for one, other in zip(before, after, strict=True):
        assert one.attributes == other.attributes
    assert np.array_equal(channels_of(target, 1, 3, 4), picture[..., 3:])
    assert np.array_equal(channels_of(target, 0, 0, 1), channels_of(source, 0, 0, 1))


def test_attributes_that_the_library_does_not_know_stay(tmp_path: Path) -> None:
    source, target = tmp_path / "a.1.exr", tmp_path / "b.1.exr"
    put(source, pixels_for("half", 3), "half", {"compression": "zip", "owner": "us"})
    data = source.read_bytes()
    parts, end = read_parts(data)
    odd = b"scannerState\0ourOwnType\0" + struct.pack("<i", 5) + b"\0\1\2\3\4"
    count = parts[0].chunks()
    table = np.frombuffer(data, "<u8", count, end) + np.uint64(len(odd))
    source.write_bytes(data[: end - 1] + odd + b"\0" + table.tobytes() + data[end + 8 * count :])
    fmt, _ = inspect(source)
    changed = read_codes(source)[:, ::-1].copy()
    write_frame(target, changed, fmt, "exr", template=source)
    assert np.array_equal(read_codes(target), changed)
    assert read_parts(target.read_bytes())[0][0].attributes["scannerState"] == (
        "ourOwnType",
        b"\0\1\2\3\4",
    )


@pytest.mark.parametrize(
    ("suffix", "sample", "compression", "instead"),
    [
        (".exr", "half", "b44", "piz"),
        (".exr", "half", "b44a", "piz"),
        (".exr", "half", "dwaa", "piz"),
        (".exr", "float", "dwab", "piz"),
        (".exr", "float", "pxr24", "piz"),
    ],
)
def test_a_lossy_source_is_delivered_without_further_loss(
    tmp_path: Path, suffix: str, sample: str, compression: str, instead: str
) -> None:
    source = put(
        tmp_path / f"a.1{suffix}", pixels_for(sample, 3), sample,
        {"compression": compression, **COMMON},
    )  # fmt: skip
    fmt, metadata = inspect(source)
    assert metadata["lossy"] == compression
    assert metadata["delivered_compression"] == instead
    codes = read_codes(source)
    target = tmp_path / f"b.1{suffix}"
    write_frame(target, codes, fmt, KIND[suffix], template=source)
    assert np.array_equal(read_codes(target), codes)
    after = inspect(target)[1]
    assert after["compression"] == instead
    assert "lossy" not in after
    for name in ("ImageDescription", "DateTime", "Copyright"):
        assert after[name] == metadata[name]


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def test_png_chunks_stay(tmp_path: Path) -> None:
    source, target = tmp_path / "a.1.png", tmp_path / "b.1.png"
    put(source, pixels_for("uint16", 3), "uint16")
    data = source.read_bytes()
    before = [
        png_chunk(b"cHRM", struct.pack(">8I", *range(30000, 38000, 1000))),
        png_chunk(b"pHYs", struct.pack(">IIB", 11811, 7874, 1)),
        png_chunk(b"iTXt", b"Title\0\0\0fr\0Titre\0" + "Été".encode()),
        png_chunk(b"viBe", b"private to a scanner"),
    ]
    end = data.index(b"IEND") - 4
    source.write_bytes(data[:33] + b"".join(before) + data[33:end] + png_chunk(b"tEXt", b"k\0v")
                       + data[end:])  # fmt: skip
    changed = read_codes(source)[::-1].copy()
    write_frame(target, changed, inspect(source)[0], "png", template=source)
    assert np.array_equal(read_codes(target), changed)
    written = target.read_bytes()
    for chunk in [*before, png_chunk(b"tEXt", b"k\0v")]:
        assert written.count(chunk) == 1


def test_jp2_boxes_stay(tmp_path: Path) -> None:
    source, target = tmp_path / "a.1.jp2", tmp_path / "b.1.jp2"
    put(source, pixels_for("uint16", 3), "uint16")
    box = struct.pack(">I4s", 8 + 21, b"xml ") + b"<archive>box</archive"
    data = source.read_bytes()
    at = data.index(b"jp2c") - 4
    source.write_bytes(data[:at] + box + data[at:] + box)
    changed = read_codes(source)[::-1].copy()
    write_frame(target, changed, inspect(source)[0], "jp2", template=source)
    assert np.array_equal(read_codes(target), changed)
    assert target.read_bytes()[:at] == data[:at]
    assert target.read_bytes().count(box) == 2


@pytest.mark.parametrize("kind", ["tiff", "png", "exr"])
def test_history_and_date_are_added_where_there_is_a_place(tmp_path: Path, kind: str) -> None:
    sample = "half" if kind == "exr" else "uint16"
    suffix = ".tif" if kind == "tiff" else f".{kind}"
    source = put(tmp_path / f"a.1{suffix}", pixels_for(sample, 3), sample, {**COMMON})
    fmt, _ = inspect(source)
    target = tmp_path / f"b.1{suffix}"
    write_frame(
        target, read_codes(source), fmt, kind, template=source,
        history="O=TIFF, T=x", creation_date="2026-11-22T10:20:30Z",
    )  # fmt: skip
    found = inspect(target)[1]
    assert str(found["DateTime"]).startswith("2026:11:22 10:20:30")
    if kind != "tiff":
        assert found["film:history"] == "O=TIFF, T=x"
    assert found["ImageDescription"] == COMMON["ImageDescription"]
    assert np.array_equal(read_codes(target), read_codes(source))


def test_another_size_keeps_attributes(tmp_path: Path) -> None:
    for suffix, sample in ((".tif", "uint16"), (".exr", "half"), (".png", "uint16")):
        source = put(tmp_path / f"a.1{suffix}", pixels_for(sample, 3), sample, {**COMMON})
        kept = SampleType.HALF if sample == "half" else SampleType.UINT
        fmt = PictureFormat(width=2 * W, height=2 * H, channels=3, bits=16, sample=kept)
        codes = np.repeat(np.repeat(read_codes(source), 2, 0), 2, 1)
        target = tmp_path / f"b.1{suffix}"
        write_frame(target, codes, fmt, KIND[suffix], template=source)
        assert np.array_equal(read_codes(target), codes)
        for name in ("ImageDescription", "DateTime", "Copyright"):
            assert inspect(target)[1][name] == inspect(source)[1][name]


def test_one_read_gives_all(tmp_path: Path) -> None:
    for suffix, sample in ((".tif", "uint16"), (".exr", "float"), (".png", "uint8")):
        path = put(tmp_path / f"a.1{suffix}", pixels_for(sample, 3), sample)
        found = load(path, reel="R1", frame=1)
        assert np.array_equal(found.codes, read_codes(path))
        assert (found.format, found.metadata) == inspect(path)
        assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        stat = path.stat()
        assert (found.size_bytes, found.mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def test_what_is_refused_is_named(tmp_path: Path) -> None:
    rgba = pixels_for("uint16", 4)
    for suffix in (".tif", ".png", ".jp2"):
        path = put(tmp_path / f"a.1{suffix}", rgba, "uint16", names=("R", "G", "B", "A"))
        with pytest.raises(InputError, match="not A"):
            inspect(path)
    path = put(tmp_path / "b.1.exr", pixels_for("half", 2), "half", names=("A", "Z"))
    with pytest.raises(InputError, match="no R, G, B and no Y"):
        inspect(path)
    wrong = tmp_path / "c.1.exr"
    wrong.write_bytes(path.with_name("a.1.png").read_bytes())
    with pytest.raises(FrameUnreadable, match="the file is png"):
        inspect(wrong)
    counts = np.full((H, W, 4), 7, np.uint32)
    path = tmp_path / "d.1.exr"
    spec = OpenImageIO.ImageSpec(W, H, 4, "half")
    spec.channelnames = ("R", "G", "B", "id")
    spec.channelformats = ("half", "half", "half", "uint")
    out = writer(path)
    assert out.open(str(path), spec)
    out.write_image(counts.astype(np.float32))
    out.close()
    with pytest.raises(InputError, match="whole-number channels id"):
        inspect(path)


@pytest.mark.parametrize("suffix", [".jp2", ".j2k"])
def test_tiny_jpeg_2000_is_not_written_empty(tmp_path: Path, suffix: str) -> None:
    fmt = PictureFormat(width=33, height=31, channels=3, bits=8)
    codes = np.zeros((31, 33, 3), np.uint8)
    with pytest.raises(InputError, match="33x31"):
        write_frame(tmp_path / f"a{suffix}", codes, fmt, KIND[suffix], reel="R1", frame=3)
    assert not list(tmp_path.iterdir())


@pytest.mark.reference
def test_real_exr_files_keep_all_but_the_codes(tmp_path: Path) -> None:
    scans = SHARED / "data/scans_formats"
    if not scans.is_dir():
        pytest.skip("no reference material beside the checkout")
    for name in ("exr/CandleGlass.exr", "exr/Desk.exr", "oiio/grid-overscan.exr"):
        source, target = scans / name, tmp_path / "a.0001.exr"
        fmt, metadata = inspect(source)
        codes = read_codes(source)
        write_frame(target, codes, fmt, "exr", template=source)
        assert target.read_bytes() == source.read_bytes() or "lossy" in metadata
        changed = codes[::-1].copy()
        write_frame(target, changed, fmt, "exr", template=source)
        assert np.array_equal(read_codes(target), changed)
        before, after = (read_parts(p.read_bytes())[0][0].attributes for p in (source, target))
        assert {k: v for k, v in after.items() if k not in ("compression", "lineOrder")} == {
            k: v for k, v in before.items() if k not in ("compression", "lineOrder")
        }
        assert inspect(target)[1].get("carried") == metadata.get("carried")
