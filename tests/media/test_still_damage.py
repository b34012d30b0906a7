"""Damaged files: the same codes or a named error, never anything else, never for long."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.errors import FrameUnreadable, InputError, SourceChanged
from media.scan import Loaded, inspect, load, read_codes
from media.still.exr import read_parts
from media.still.tiff import read_directory
from media.write import AnyCodes
from tests.dpx_files import Layout, build
from tests.media.test_still import Value, put

SIZE = 24
EXTREMES = [0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 24, 100_000]
CASES = {
    "dpx": [""],
    "tif": ["none", "lzw", "zip", "none tiled", "lzw tiled"],
    "exr": ["none", "rle", "zip", "piz", "pxr24", "zip tiled", "b44", "dwaa"],
    "png": [""],
    "jp2": [""],
}
ALL = [(suffix, how) for suffix, cases in CASES.items() for how in cases]


def sample_file(path: Path, suffix: str, how: str) -> bytes:
    """A small file of the kind, of noise, without a date."""
    if suffix == "dpx":
        layout = Layout(width=SIZE, height=SIZE, pad=1)
        noise = np.random.default_rng(1).integers(0, 1024, SIZE * SIZE * 3)
        path.write_bytes(build(layout, [int(s) for s in noise]))
        return path.read_bytes()
    size = 40 if suffix == "jp2" else SIZE
    pixels: AnyCodes = (
        np.random.default_rng(1).integers(0, 60000, (size, size, 3)).astype(np.uint16)
    )
    attributes: dict[str, Value] = {"DateTime": "2001:02:03 04:05:06"}
    if how:
        attributes["compression"] = how.split()[0]
    sample = "half" if suffix == "exr" else "uint16"
    if suffix == "exr":
        pixels = pixels.astype(np.float32)
    put(path, pixels, sample, attributes, tile=16 if "tiled" in how else 0)
    return path.read_bytes()


@pytest.mark.parametrize(("suffix", "how"), ALL)
def test_cut_files_are_refused_wherever_they_are_cut(tmp_path: Path, suffix: str, how: str) -> None:
    path = tmp_path / f"a.0001.{suffix}"
    data = sample_file(path, suffix, how)
    cuts = [*range(0, len(data), 64), len(data) - 1]
    for length in cuts:
        path.write_bytes(data[:length])
        for look in (read_codes, load, inspect):
            with pytest.raises(FrameUnreadable) as caught:
                look(path, reel="R1", frame=1)
            assert (caught.value.reel, caught.value.frame) == ("R1", 1)


def facts(path: Path, suffix: str) -> object:
    """Our own reading of what decides how pixels are understood."""
    data = path.read_bytes()
    if suffix == "dpx":
        # Sizes, layout of the element; the byte order; the size the header claims.
        return data[:8], data[16:20], data[768:784], data[800:801], data[803:816]
    if suffix == "exr":
        parts, _ = read_parts(data)
        return (
            [(p.window, p.channels, p.compression, p.tiled) for p in parts],
            data[:8],
            [p.attributes.get(name) for p in parts for name in ("channels", "lineOrder", "tiles")],
        )
    with path.open("rb") as stream:
        found = read_directory(stream, len(data))
    layout = (
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        277,
        278,
        279,
        284,
        317,
        *range(322, 326),
        338,
        339,
    )
    return {tag: found.tags.get(tag) for tag in layout}, found.order, found.big


def header_bytes(data: bytes, suffix: str, path: Path) -> list[int]:
    """Positions that hold no pixels."""
    if suffix == "dpx":
        return list(range(2048))
    if suffix == "exr":
        parts, end = read_parts(data)
        return list(range(end + 8 * parts[0].chunks()))
    if suffix == "png":
        return [*range(8 + 25 + 8), *range(len(data) - 12, len(data))]
    with path.open("rb") as stream:
        found = read_directory(stream, len(data))
    taken = set()
    for offsets, counts in ((273, 279), (324, 325)):
        for start, length in zip(
            found.tags.get(offsets, ()), found.tags.get(counts, ()), strict=True
        ):
            taken |= set(range(start, start + length))
    return [k for k in range(len(data)) if k not in taken]


Damage = Callable[[bytearray, random.Random, list[int]], None]


def flip_bytes(data: bytearray, chance: random.Random, places: list[int]) -> None:
    for _ in range(chance.randint(1, 3)):
        data[chance.choice(places)] ^= 1 << chance.randrange(8)


def set_words(data: bytearray, chance: random.Random, places: list[int]) -> None:
    for _ in range(chance.randint(1, 2)):
        place = chance.choice(places[:-3])
        if not set(range(place, place + 4)) <= set(places):
            continue
        data[place : place + 4] = struct.pack(chance.choice("<>") + "I", chance.choice(EXTREMES))


def loaded(path: Path) -> Loaded | InputError:
    """The frame, or the named error in its place; no other error is taken."""
    try:
        return load(path, reel="R1", frame=1)
    except InputError as error:
        return error


@pytest.mark.parametrize("damage", [flip_bytes, set_words])
@pytest.mark.parametrize("suffix", ["dpx", "tif", "exr", "png"])
@settings(
    max_examples=150, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 1 << 30), which=st.integers(0, 9))
def test_damaged_headers_give_the_codes_or_a_named_error(
    tmp_path: Path, suffix: str, damage: Damage, seed: int, which: int
) -> None:
    how = CASES[suffix][which % len(CASES[suffix])]
    kept = tmp_path / f"{how.replace(' ', '-')}.0001.{suffix}"
    if not kept.exists():
        sample_file(kept, suffix, how)
    data, codes = bytearray(kept.read_bytes()), read_codes(kept)
    damage(data, random.Random(seed), header_bytes(bytes(data), suffix, kept))
    path = tmp_path / f"damaged.0001.{suffix}"
    path.write_bytes(data)
    found = loaded(path)
    if isinstance(found, InputError):
        assert (found.reel, found.frame) == ("R1", 1)
        assert found.what
        return
    if found.codes.shape == codes.shape and np.array_equal(found.codes, codes):
        return
    # Another picture is read only where the header consistently describes another one.
    assert suffix != "png"
    assert facts(path, suffix) != facts(kept, suffix)


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.0001.dpx"
    data = sample_file(path, "dpx", "")
    read = Path.read_bytes

    def growing(self: Path) -> bytes:
        found = read(self)
        with self.open("ab") as stream:
            stream.write(b"more")
        return found

    monkeypatch.setattr(Path, "read_bytes", growing)
    with pytest.raises(SourceChanged, match="while it was read") as caught:
        load(path, reel="R1", frame=1)
    assert (caught.value.reel, caught.value.frame) == ("R1", 1)
    monkeypatch.undo()
    path.write_bytes(data)
    assert load(path).size_bytes == len(data)


@pytest.mark.parametrize("window", [(0, 0, 1 << 30, 1 << 30), (0, 0, 60000, 60000), (5, 5, 4, 4)])
def test_senseless_windows_are_refused_before_memory_is_asked_for(
    tmp_path: Path, window: tuple[int, int, int, int]
) -> None:
    path = tmp_path / "a.0001.exr"
    data = sample_file(path, "exr", "zip")
    old = b"dataWindow\0box2i\0" + struct.pack("<i", 16)
    at = data.index(old) + len(old)
    path.write_bytes(data[:at] + struct.pack("<4i", *window) + data[at + 16 :])
    with pytest.raises(FrameUnreadable, match="senseless"):
        read_codes(path)


@pytest.mark.parametrize("place", range(60, 3000, 97))
def test_damage_in_a_png_picture_is_noticed(tmp_path: Path, place: int) -> None:
    path = tmp_path / "a.0001.png"
    data = bytearray(sample_file(path, "png", ""))
    data[place] ^= 0x20
    path.write_bytes(data)
    with pytest.raises(FrameUnreadable):
        read_codes(path)
