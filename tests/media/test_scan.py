"""Sequences: numbering, kinds, and every bad frame refused with reel and frame named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO
import pytest

from media.dpx import encode_dpx, new_header
from media.errors import (
    FrameDuplicate,
    FrameMissing,
    FrameUnreadable,
    InputError,
)
from media.listing import list_sequence
from media.reel import SampleType
from media.scan import inspect, read_codes

SHARED = Path(__file__).parents[2] / "../shared"


def put_dpx(path: Path, value: int = 500, size: tuple[int, int] = (4, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    codes = np.full((*size, 3), value, np.uint16)
    path.write_bytes(encode_dpx(codes, new_header(size[1], size[0], 3, 10)))
    return path


def put_image(path: Path, pixels: np.ndarray, names: tuple[str, ...], sample: str) -> Path:
    height, width = pixels.shape[:2]
    spec = OpenImageIO.ImageSpec(width, height, len(names), sample)
    spec.channelnames = names
    out = OpenImageIO.ImageOutput.create(str(path))
    assert out is not None
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(np.ascontiguousarray(pixels)), out.geterror()
    out.close()
    return path


def test_folder_and_patterns_with_spaces_and_accents(tmp_path: Path) -> None:
    folder = tmp_path / "Bobine n°1 – été"
    for n in (9, 10, 11):
        put_dpx(folder / f"Été 1.{n:07d}.dpx")
    (folder / "notes.txt").write_text("x")
    for source in (folder, folder / "Été 1.%07d.dpx", folder / "Été 1.####.dpx"):
        found, kind = list_sequence(source)
        assert kind == "dpx"
        assert [n for n, _ in found] == [9, 10, 11]
    assert int(read_codes(found[0][1]).max()) == 500


def test_the_number_is_the_last_group_of_digits(tmp_path: Path) -> None:
    for n in (1, 2):
        put_dpx(tmp_path / f"reel2_take3_{n}_v.dpx")
    assert [n for n, _ in list_sequence(tmp_path)[0]] == [1, 2]


def test_gaps_are_named(tmp_path: Path) -> None:
    for n in (1, 2, 5, 6, 8):
        put_dpx(tmp_path / f"a.{n:04d}.dpx")
    with pytest.raises(FrameMissing, match="3 frames") as caught:
        list_sequence(tmp_path, reel="R1")
    assert "3-4, 7" in caught.value.hint
    assert (caught.value.reel, caught.value.frame) == ("R1", 3)


def test_duplicates_name_both_files(tmp_path: Path) -> None:
    put_dpx(tmp_path / "a.7.dpx")
    put_dpx(tmp_path / "a.0007.dpx")
    with pytest.raises(FrameDuplicate, match=r"a\.0007\.dpx and a\.7\.dpx"):
        list_sequence(tmp_path)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frames"):
        list_sequence(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        list_sequence(tmp_path / "absent")
    put_dpx(tmp_path / "a.1.dpx")
    (tmp_path / "a.2.png").write_bytes(b"x")
    with pytest.raises(InputError, match="mixed kinds"):
        list_sequence(tmp_path)
    assert len(list_sequence(tmp_path / "a.#.dpx")[0]) == 1
    (tmp_path / "a.2.png").unlink()
    put_dpx(tmp_path / "b.2.dpx")
    with pytest.raises(InputError, match="different names"):
        list_sequence(tmp_path)
    (tmp_path / "b.2.dpx").rename(tmp_path / "x.dpx")
    with pytest.raises(InputError, match="no frame number"):
        list_sequence(tmp_path)


def test_unreadable_frames_name_reel_and_frame(tmp_path: Path) -> None:
    good = put_dpx(tmp_path / "a.1.dpx").read_bytes()
    for suffix, data in (
        (".dpx", b""),
        (".dpx", good[:-8]),
        (".dpx", b"\0" * len(good)),
        (".png", b"not a picture"),
        (".tif", b""),
        (".exr", b"\x76\x2f\x31\x01junk"),
    ):
        path = tmp_path / f"bad.0042{suffix}"
        path.write_bytes(data)
        for look in (inspect, read_codes):
            with pytest.raises(FrameUnreadable) as caught:
                look(path, reel="R1", frame=42)
            assert (caught.value.reel, caught.value.frame) == ("R1", 42)
            assert path.name in str(caught.value)
    with pytest.raises(FrameUnreadable):
        read_codes(tmp_path / "absent.0001.dpx")


@pytest.mark.parametrize(
    ("suffix", "sample"), [("png", "uint16"), ("tif", "uint8"), ("exr", "half")]
)
def test_truncated_pictures_are_unreadable(tmp_path: Path, suffix: str, sample: str) -> None:
    noise = np.random.default_rng(0).integers(0, 250, (64, 64, 3))
    path = tmp_path / f"a.1.{suffix}"
    put_image(
        path, noise.astype("float32" if sample == "half" else sample), ("R", "G", "B"), sample
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(FrameUnreadable):
        read_codes(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_alpha_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    pixels = np.ones((4, 4, 4), np.uint16)
    path = put_image(tmp_path / f"a.1.{suffix}", pixels, ("R", "G", "B", "A"), "uint16")
    with pytest.raises(InputError, match="not A") as caught:
        inspect(path)
    assert "strip the alpha" in caught.value.hint


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_exr_names_count_and_place(tmp_path: Path, bad: float) -> None:
    pixels = np.zeros((4, 5, 3), np.float32)
    pixels[2, 3, 1] = pixels[3, 0, 0] = bad
    path = put_image(tmp_path / "a.1.exr", pixels, ("R", "G", "B"), "half")
    with pytest.raises(FrameUnreadable, match=r"2 samples.*row 2, column 3, channel 1"):
        read_codes(path, reel="R1", frame=1)


def test_formats_and_codes_of_other_kinds(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint16).reshape(4, 5, 3) * 1000
    path = put_image(tmp_path / "a.1.png", pixels, ("R", "G", "B"), "uint16")
    fmt, _ = inspect(path)
    assert (fmt.width, fmt.height, fmt.channels, fmt.bits) == (5, 4, 3, 16)
    assert np.array_equal(read_codes(path), pixels)
    path = put_image(tmp_path / "a.1.tif", pixels[..., :1].astype(np.uint8), ("Y",), "uint8")
    assert inspect(path)[0].bits == 8
    assert read_codes(path).dtype == np.uint8
    path = put_image(tmp_path / "a.1.exr", pixels.astype(np.float32), ("R", "G", "B"), "float")
    assert inspect(path)[0].sample is SampleType.FLOAT
    assert np.array_equal(read_codes(path), pixels.astype(np.float32))
    wrong = path.rename(tmp_path / "b.1.tif")
    with pytest.raises(FrameUnreadable, match="the file is exr"):
        inspect(wrong)


@pytest.mark.reference
def test_reference_quirks_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    if not (SHARED / "data").is_dir():
        pytest.skip("no reference material beside the checkout")
    scans = SHARED / "data/scans_formats"
    with pytest.raises(InputError, match="sub-sampled"):
        inspect(scans / "exr/CrissyField.exr")
    with pytest.raises(InputError, match="palette"):
        inspect(scans / "oiio/flower-palette-16.tif")
    with pytest.raises(FrameUnreadable, match="truncated"):
        inspect(scans / "dpx_truncated/8bit.00000001.dpx")
    assert OpenImageIO.geterror() == ""
    assert capfd.readouterr().err == ""
