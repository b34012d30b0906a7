"""Movies: frame-exact reading in any order, and exact color arithmetic."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media.errors import FrameUnreadable, InputError
from media.fixity import picture_sha256
from media.movie import MovieReader, inspect_movie
from media.movie.color import rgb_to_yuv, yuv_to_rgb16
from tests.media.movie_makers import fmt_of, noise, put_movie

RATE = Fraction(24)


def h264(path: Path, count: int = 40, *, tagged: bool = True, rate: Fraction = RATE) -> Path:
    """A movie with B-frames, key frames every 12 and a moving, numbered pattern."""
    with av.open(str(path), "w") as container:
        options = {"bf": "2", "g": "12", "crf": "10", "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if tagged:
            stream.codec_context.colorspace = 1
            stream.codec_context.color_range = 1
        for n in range(count):
            gray = np.full((48, 64, 3), 40 + 4 * n, np.uint8)
            gray[:, n : n + 8] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_any_order_of_reading_gives_the_same_frames(tmp_path: Path, suffix: str) -> None:
    path = h264(tmp_path / f"é{suffix}")
    with MovieReader(path) as reader:
        assert reader.info.frame_count == 40
        wanted = [reader.read(n).copy() for n in range(40)]
    means = [float(codes.mean()) for codes in wanted]
    assert means == sorted(means)
    with MovieReader(path) as reader:
        for n in (39, 0, 13, 12, 11, 25, 24, 23, 5, 38, 39, 1):
            assert np.array_equal(reader.read(n), wanted[n]), n
    random = np.random.default_rng(0)
    with MovieReader(path) as reader:
        for n in random.integers(0, 40, 25):
            assert np.array_equal(reader.read(int(n)), wanted[int(n)]), n
        with pytest.raises(InputError, match="40 frames"):
            reader.read(40)


def test_info_of_a_movie(tmp_path: Path) -> None:
    info = inspect_movie(h264(tmp_path / "a.mp4", rate=Fraction(24000, 1001)))
    assert (info.width, info.height, info.channels, info.bits) == (64, 48, 3, 16)
    assert info.rate == Fraction(24000, 1001)
    assert (info.codec, info.pix_fmt, info.matrix, info.range) == (
        "h264",
        "yuv420p",
        "bt709",
        "limited",
    )
    assert (info.audio_streams, info.interlaced, info.timecode) == (0, False, None)


def test_untagged_color_is_never_guessed(tmp_path: Path) -> None:
    path = h264(tmp_path / "a.mp4", 4, tagged=False)
    with pytest.raises(InputError, match="matrix") as caught:
        MovieReader(path, reel="R1")
    assert "reels.matrix" in caught.value.hint
    with pytest.raises(InputError, match="range"):
        MovieReader(path, "bt601")
    with pytest.raises(InputError, match="not known"):
        MovieReader(path, "bt470", True)
    with MovieReader(path, "bt709", False) as one, MovieReader(path, "bt601", True) as two:
        assert not np.array_equal(one.read(0), two.read(0))


@pytest.mark.parametrize("matrix", ["bt709", "bt601", "bt2020"])
@pytest.mark.parametrize("full_range", [True, False])
@pytest.mark.parametrize("bits", [8, 10])
def test_color_arithmetic(matrix: str, full_range: bool, bits: int) -> None:
    black, white, zero = (16, 235, 128) if not full_range else (0, 255, 128)
    unit = 1 << (bits - 8)
    top = (1 << bits) - 1 if full_range else white * unit
    kind = np.uint8 if bits == 8 else np.uint16
    chroma = np.full((2, 2), zero * unit, kind)
    for luma, wanted in ((black * unit, 0), (top, 65535)):
        plane = np.full((4, 4), luma, kind)
        rgb = yuv_to_rgb16((plane, chroma, chroma), bits, matrix, full_range=full_range)
        assert set(rgb.ravel().tolist()) == {wanted}


def test_rgb_through_ten_bits_and_back() -> None:
    smooth = np.linspace(0, 65535, 32 * 16 * 3).reshape(16, 32, 3).astype(np.uint16)
    planes = rgb_to_yuv(smooth, 65535, 10)
    back = yuv_to_rgb16(planes, 10, "bt709", full_range=False)
    assert int(np.abs(back.astype(int) - smooth).max()) < 65535 / 876 * 1.5


def test_a_damaged_movie_names_the_frame(tmp_path: Path) -> None:
    path = put_movie(tmp_path / "a.mkv", fmt_of(10), noise(fmt_of(10), 6), "ffv1")
    data = bytearray(path.read_bytes())
    info = inspect_movie(path)
    path.write_bytes(data[: len(data) // 2])
    with MovieReader(path, info=info, reel="R1") as reader:
        reader.read(0)
        with pytest.raises(FrameUnreadable) as caught:
            reader.read(5)
    assert (caught.value.reel, caught.value.frame) == ("R1", 5)


def test_a_picture_that_is_not_the_ingested_one_is_never_given(tmp_path: Path) -> None:
    path = h264(tmp_path / "a.mkv", 20)
    with MovieReader(path) as reader:
        digests = [picture_sha256(reader.read(n)) for n in range(20)]
        info = reader.info
    with MovieReader(path, info=info, digests=digests) as reader:
        for n in (19, 3, 12, 0):
            assert picture_sha256(reader.read(n)) == digests[n]
    wrong = [*digests[:7], digests[8], *digests[8:]]
    with MovieReader(path, info=info, digests=wrong, reel="R1") as reader:
        reader.read(6)
        with pytest.raises(FrameUnreadable, match="not the picture that was ingested") as caught:
            reader.read(7)
        assert caught.value.frame == 7
        reader.read(8)


def test_quartered_chroma_is_spread_evenly() -> None:
    luma = np.full((2, 8), 126, np.uint8)
    ramp = np.array([[128, 168], [128, 168]], np.uint8)
    level = np.full((2, 2), 128, np.uint8)
    rgb = yuv_to_rgb16((luma, level, ramp), 8, "bt601", full_range=False)
    steps = np.diff(rgb[0, :5, 0].astype(int))
    assert steps.max() - steps.min() <= 1
    assert (rgb[0, 4:, 0] == rgb[0, 4, 0]).all()
    odd = yuv_to_rgb16((luma[:, :7], level, ramp), 8, "bt601", full_range=False)
    assert np.array_equal(odd, rgb[:, :7])
