"""Movies: frame-exact reading, exact color arithmetic, bit-exact and repeatable writing."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media.errors import FrameUnreadable, InputError, StorageFull
from media.movie import MovieReader, MovieWriter, inspect_movie
from media.movie_color import rgb_to_yuv, yuv_to_rgb16
from media.reel import PictureFormat, SampleType

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


def put_movie(path: Path, fmt: PictureFormat, frames: list[np.ndarray], codec: str) -> Path:
    with MovieWriter(path, fmt, RATE, codec, encoding="rec709", timecode="01:00:00:00") as out:
        for codes in frames:
            out.write(codes)
    return path


def noise(fmt: PictureFormat, count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(5)
    kind = np.uint8 if fmt.bits == 8 else np.uint16
    shape = (count, fmt.height, fmt.width, fmt.channels)
    return list(random.integers(0, fmt.full_scale + 1, shape).astype(kind))


def fmt_of(bits: int, channels: int = 3, width: int = 80, height: int = 66) -> PictureFormat:
    return PictureFormat(width=width, height=height, channels=channels, bits=bits)


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


@pytest.mark.parametrize(
    "fmt",
    [fmt_of(8), fmt_of(10), fmt_of(12), fmt_of(16), fmt_of(8, 1), fmt_of(10, 1), fmt_of(16, 1),
     fmt_of(10, 3, 10, 6), fmt_of(16, 3, 17, 9)],
    ids=str,
)  # fmt: skip
def test_ffv1_is_bit_exact(tmp_path: Path, fmt: PictureFormat) -> None:
    frames = noise(fmt)
    path = put_movie(tmp_path / "a.mkv", fmt, frames, "ffv1")
    with MovieReader(path) as reader:
        assert reader.info.format == fmt
        assert (reader.info.rate, reader.info.timecode) == (RATE, "01:00:00:00")
        for n, codes in enumerate(frames):
            assert np.array_equal(reader.read(n), codes)


def test_ffv1_puts_channels_where_others_expect_them(tmp_path: Path) -> None:
    fmt = fmt_of(10)
    codes = np.zeros((fmt.height, fmt.width, 3), np.uint16)
    codes[...] = (100, 200, 300)
    path = put_movie(tmp_path / "a.mkv", fmt, [codes], "ffv1")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        assert stream.codec_context.pix_fmt == "gbrp10le"
        assert int(frame.color_range) == 2
    assert [int(np.frombuffer(p, "<u2")[0]) for p in frame.planes] == [200, 300, 100]


@pytest.mark.parametrize("codec", ["prores_422hq", "prores_4444"])
def test_prores_is_tagged_close_and_repeatable(tmp_path: Path, codec: str) -> None:
    fmt = fmt_of(10, 3, 96, 64)
    ramp = np.linspace(64, 940, 96).astype(np.uint16)
    picture = np.broadcast_to(ramp[None, :, None], (64, 96, 3)).copy()
    picture[:32, :, 0] = 700
    one, two = tmp_path / "a.mov", tmp_path / "b.mov"
    for path in (one, two):
        put_movie(path, fmt, [picture] * 3, codec)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (one, two)}
    assert len(digests) == 1
    with MovieReader(one) as reader:
        assert (reader.info.matrix, reader.info.range) == ("bt709", "limited")
        assert reader.info.timecode == "01:00:00:00"
        back = reader.read(1).astype(np.float64) / 65535 * 1023
    error = np.abs(back - picture)
    assert float(np.sqrt(np.square(error).mean())) < (8 if codec == "prores_422hq" else 3)
    with av.open(str(one)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)


def test_ffv1_bytes_repeat(tmp_path: Path) -> None:
    fmt = fmt_of(10)
    one, two = (put_movie(tmp_path / f"{n}.mkv", fmt, noise(fmt), "ffv1") for n in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_slow_rates_and_gray_prores(tmp_path: Path) -> None:
    fmt = fmt_of(12, 1, 64, 64)
    with MovieWriter(tmp_path / "a.mov", fmt, Fraction(200, 11), "prores_422hq") as out:
        for codes in noise(fmt, 5):
            out.write(codes)
    info = inspect_movie(tmp_path / "a.mov")
    assert (info.rate, info.frame_count) == (Fraction(200, 11), 5)


def test_sound_is_copied_packet_for_packet(tmp_path: Path) -> None:
    source = tmp_path / "sound.mov"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48000)
        stream.layout = "mono"
        wave = np.random.default_rng(0).integers(-9000, 9000, (1, 48000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave, "s16", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    def sound(path: Path) -> bytes:
        with av.open(str(path)) as container:
            return b"".join(bytes(p) for p in container.demux(container.streams.audio[0]))

    fmt = fmt_of(10)
    for name, codec in (("a.mkv", "ffv1"), ("a.mov", "prores_422hq")):
        path = tmp_path / name
        with MovieWriter(path, fmt, RATE, codec, streams_from=source) as out:
            for codes in noise(fmt, 12):
                out.write(codes)
        assert sound(path) == sound(source) != b""
        assert inspect_movie(path).audio_streams == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    fmt = fmt_of(10)

    def fail() -> None:
        with MovieWriter(tmp_path / "a.mkv", fmt, RATE, "ffv1") as out:
            out.write(noise(fmt)[0])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    half = PictureFormat(width=8, height=8, channels=3, bits=16, sample=SampleType.HALF)
    for name, fmt, codec, word in (
        ("a.mkv", half, "ffv1", "cannot hold"),
        ("a.mov", fmt_of(10), "ffv1", r"\.mkv"),
        ("a.mov", fmt_of(10), "h264", "not known"),
        ("a.mov", fmt_of(10, 3, 33), "prores_422hq", "even width"),
    ):
        with pytest.raises(InputError, match=word):
            MovieWriter(tmp_path / name, fmt, RATE, codec)
    with pytest.raises(InputError, match="sound of"):
        MovieWriter(tmp_path / "a.mkv", fmt_of(10), RATE, "ffv1", streams_from=tmp_path / "no.mov")
    with MovieWriter(tmp_path / "b.mkv", fmt_of(10), RATE, "ffv1") as out:
        with pytest.raises(InputError, match="expected"):
            out.write(np.zeros((4, 4, 3), np.uint16))
        with pytest.raises(InputError, match="does not fit"):
            out.write(np.full((66, 80, 3), 1024, np.uint16))
        out.write(noise(fmt_of(10))[0])


def test_unreadable_alpha_and_variable_rate(tmp_path: Path) -> None:
    bad = tmp_path / "a.mov"
    bad.write_bytes(b"no movie at all")
    with pytest.raises(FrameUnreadable, match=r"a\.mov"):
        inspect_movie(bad, reel="R1")
    with av.open(str(tmp_path / "b.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "bgra"
        frame = av.VideoFrame(64, 64, "bgra")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="bgra"):
        inspect_movie(tmp_path / "b.mkv")
    with av.open(str(tmp_path / "c.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for time in (0, 1, 2, 7, 8, 20):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts, frame.time_base = time, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="variable frame rate"):
        inspect_movie(tmp_path / "c.mp4")


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


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    writer = MovieWriter(tmp_path / "a.mkv", fmt_of(16, 3, 320, 256), RATE, "ffv1")
    (tmp_path / writer._part.name).unlink(missing_ok=True)
    writer._part.symlink_to("/dev/full")

    def fill() -> None:
        for codes in noise(writer.format, 6):
            writer.write(codes)
        writer.close()

    with pytest.raises(StorageFull):
        fill()
    writer.abort()
    assert not list(tmp_path.iterdir())
