"""What is written: to the bit, to the same bytes, tagged, at the right levels, with timecode."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from media.encoding import Domain, convert, encoding
from media.errors import InputError, StorageFull
from media.movie import MovieReader, MovieWriter, inspect_movie
from media.movie.codecs import CODECS, timecode_at
from media.movie.ffv1 import slices_are_sound
from media.movie.mkv import check_mkv
from media.reel import PictureFormat, SampleType
from tests.media.movie_makers import RATE, fmt_of, noise, put_movie

NTSC = Fraction(30000, 1001)


def packets_of(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [p for p in container.demux(video=0) if p.size]


def slices_in(packet: bytes) -> int:
    count, stop = 0, len(packet)
    while stop > 0:
        stop -= int.from_bytes(packet[stop - 8 : stop - 5], "big") + 8
        count += 1
    return count


@pytest.mark.parametrize(
    "fmt",
    [fmt_of(8), fmt_of(10), fmt_of(12), fmt_of(16), fmt_of(8, 1), fmt_of(10, 1), fmt_of(12, 1),
     fmt_of(16, 1), fmt_of(10, 3, 2, 2), fmt_of(12, 3, 3, 2), fmt_of(10, 3, 10, 6),
     fmt_of(16, 3, 17, 9), fmt_of(16, 1, 5, 7), fmt_of(10, 3, 67, 101)],
    ids=str,
)  # fmt: skip
def test_ffv1_is_bit_exact_and_as_archives_ask(tmp_path: Path, fmt: PictureFormat) -> None:
    frames = noise(fmt)
    path = put_movie(tmp_path / "a.mkv", fmt, frames, "ffv1")
    with MovieReader(path) as reader:
        info = reader.info
        assert (info.frame_count, info.rate, info.timecode) == (3, RATE, "01:00:00:00")
        assert (info.matrix, info.range) == ("rgb" if fmt.channels == 3 else "gray", "full")
        assert info.format == fmt
        for n, codes in enumerate(frames):
            assert np.array_equal(reader.read(n), codes)
    packets = packets_of(path)
    assert all(p.is_keyframe and slices_are_sound(bytes(p)) for p in packets)
    wanted = 16 if min(fmt.width, fmt.height) >= 8 else 4
    assert {slices_in(bytes(p)) for p in packets} == {wanted}


def test_ffv1_extremes(tmp_path: Path) -> None:
    fmt = fmt_of(16)
    extremes = [np.full((66, 80, 3), code, np.uint16) for code in (0, 65535, 1, 65534)]
    path = put_movie(tmp_path / "a.mkv", fmt, extremes, "ffv1")
    with MovieReader(path) as reader:
        assert [int(reader.read(n).min()) for n in range(4)] == [0, 65535, 1, 65534]
        assert [int(reader.read(n).max()) for n in range(4)] == [0, 65535, 1, 65534]


def test_ffv1_channel_order(tmp_path: Path) -> None:
    fmt = fmt_of(10)
    codes = np.zeros((66, 80, 3), np.uint16)
    codes[..., 0], codes[..., 1], codes[..., 2] = 100, 200, 300
    path = put_movie(tmp_path / "a.mkv", fmt, [codes], "ffv1")
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert (frame.format.name, int(frame.colorspace), int(frame.color_range)) == ("gbrp10le", 0, 2)
    assert [int(np.frombuffer(p, "<u2")[0]) for p in frame.planes] == [200, 300, 100]


@pytest.mark.parametrize("codec", list(CODECS))
def test_the_same_pictures_give_the_same_bytes(tmp_path: Path, codec: str) -> None:
    fmt = fmt_of(10, 3, 256, 120)
    suffix = CODECS[codec].suffix
    pictures = noise(fmt, 6)
    one, two = (put_movie(tmp_path / f"{n}{suffix}", fmt, pictures, codec) for n in "ab")
    assert one.read_bytes() == two.read_bytes()
    info = inspect_movie(one)
    assert (info.frame_count, info.rate, info.timecode) == (6, RATE, "01:00:00:00")
    if CODECS[codec].bits:
        tags = (info.matrix, info.range, info.primaries, info.transfer)
        assert tags == ("bt709", "limited", "bt709", "bt709")


@pytest.mark.parametrize(
    ("codec", "bits", "rms"),
    [
        ("prores_422hq", 10, 8), ("prores_4444", 10, 3), ("prores_4444", 8, 3),
        ("prores_4444", 12, 3), ("dnxhr_hqx", 10, 8), ("dnxhr_444", 10, 8),
    ],
)  # fmt: skip
def test_intermediates_are_close(tmp_path: Path, codec: str, bits: int, rms: float) -> None:
    fmt = fmt_of(bits, 3, 256, 128)
    ramp = np.linspace(0.0625, 0.92, 256)
    picture = np.broadcast_to(ramp[None, :, None], (128, 256, 3)).copy()
    picture[:64, :, 0] = 0.68
    codes = np.rint(picture * fmt.full_scale).astype(np.uint8 if bits == 8 else np.uint16)
    path = put_movie(tmp_path / "a.mov", fmt, [codes] * 2, codec)
    with MovieReader(path) as reader:
        back = reader.read(1) / 65535 * 1023
    error = back - codes.astype(np.float64) * (1023 / fmt.full_scale)
    assert float(np.sqrt(np.square(error).mean())) < rms
    assert abs(float(error.mean())) < 0.5


def test_tags_are_in_container_and_stream(tmp_path: Path) -> None:
    fmt = fmt_of(10)
    for name, codec in (("a.mov", "prores_422hq"), ("a.mp4", "h264"), ("a.mkv", "ffv1")):
        with MovieWriter(tmp_path / name, fmt, RATE, codec, encoding="rec709", tags=(9, 16)) as out:
            out.write(noise(fmt)[0])
        info = inspect_movie(tmp_path / name)
        assert (info.primaries_code, info.transfer_code) == (9, 16)
        assert info.matrix == ("rgb" if codec == "ffv1" else "bt709")
        with av.open(str(tmp_path / name)) as container:
            context = container.streams.video[0].codec_context
            assert (int(context.color_primaries), int(context.color_trc)) == (9, 16)
    data = (tmp_path / "a.mov").read_bytes()
    assert b"colrnclc\x00\x09\x00\x10\x00\x01" in data
    # Matroska: matrix 0, range full, transfer, primaries, in the Colour element.
    mkv = (tmp_path / "a.mkv").read_bytes()
    for element in (
        b"\x55\xb1\x81\x00",
        b"\x55\xb9\x81\x02",
        b"\x55\xba\x81\x10",
        b"\x55\xbb\x81\x09",
    ):
        assert element in mkv


def test_film_codes_claim_no_primaries(tmp_path: Path) -> None:
    fmt = fmt_of(10)
    path = put_movie(tmp_path / "a.mkv", fmt, noise(fmt), "ffv1", encoding="cineon")
    info = inspect_movie(path)
    assert (info.primaries, info.transfer, info.matrix) == (None, None, "rgb")


@pytest.mark.parametrize("name", ["rec709", "cineon", "linear"])
def test_a_proxy_shows_the_right_levels(tmp_path: Path, name: str) -> None:
    fmt = fmt_of(10, 3, 65, 49)
    for code in (64, 200, 445, 700, 940):
        picture = np.full((49, 65, 3), code, np.uint16)
        path = tmp_path / f"{code}.mp4"
        put_movie(path, fmt, [picture] * 3, "h264", encoding=name)
        shown = code / 1023
        if name != "rec709":
            log = encoding(name).to_log(torch.full((3, 1, 1), shown))
            shown = float(convert(log, Domain.LOG_DENSITY, Domain.DISPLAY)[0, 0, 0])
        info = inspect_movie(path)
        assert (info.width, info.height) == (66, 50)
        assert (info.matrix, info.range, info.transfer) == ("bt709", "limited", "bt709")
        with av.open(str(path)) as container:
            frame = list(container.decode(video=0))[2]
        luma = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)
        wanted = 16 + 219 * min(max(shown, 0.0), 1.0)
        assert np.abs(luma[:50, :66].astype(float) - wanted).max() <= 2
        for plane in list(frame.planes)[1:]:
            chroma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:25, :33]
            assert np.abs(chroma.astype(float) - 128).max() <= 2


@pytest.mark.parametrize(
    ("text", "rate", "written"),
    [
        ("01:00:00:00", Fraction(24), "01:00:00:00"),
        ("23:59:59;28", NTSC, "23:59:59;28"),
        ("00:01:00,02", NTSC, "00:01:00;02"),
        ("00:01:00;00", NTSC, None),
        ("01:00:00;00", Fraction(25), None),
        ("01:00:00:24", Fraction(24), None),
        ("01:00:00:00", Fraction(18), None),
        ("01:00:00:00", Fraction(200, 11), None),
        ("10:00:00:59", Fraction(60), "10:00:00:59"),
        (None, Fraction(24), None),
    ],
)
def test_timecode_is_written_where_the_rate_has_it(
    tmp_path: Path, text: str | None, rate: Fraction, written: str | None
) -> None:
    assert timecode_at(text, rate) == written
    fmt = fmt_of(10)
    for name, codec in (("a.mov", "prores_422hq"), ("a.mkv", "ffv1"), ("a.mp4", "h264")):
        path = put_movie(tmp_path / name, fmt, noise(fmt), codec, rate=rate, timecode=text)
        info = inspect_movie(path)
        assert (info.timecode, info.rate, info.frame_count) == (written, rate, 3)


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    fmt = fmt_of(10)
    for name, codec in (("a.mov", "prores_422hq"), ("a.mp4", "h264"), ("a.mkv", "ffv1")):
        with MovieWriter(tmp_path / name, fmt, RATE, codec, pixel_aspect=Fraction(16, 15)) as out:
            out.write(noise(fmt)[0])
        assert inspect_movie(tmp_path / name).pixel_aspect == Fraction(16, 15)


@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(64, 45), Fraction(12, 11)])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (719, 575), (2, 2), (1998, 2)])
def test_a_shape_in_matroska_moves_no_byte_of_the_pictures(
    tmp_path: Path, aspect: Fraction, width: int, height: int
) -> None:
    fmt = PictureFormat(width=width, height=height, channels=3, bits=10)
    for name, shape in (("a.mkv", Fraction(1)), ("b.mkv", aspect)):
        with MovieWriter(tmp_path / name, fmt, RATE, "ffv1", pixel_aspect=shape) as out:
            for picture in noise(fmt):
                out.write(picture)
        check = check_mkv(tmp_path / name)
        assert check is not None
        assert check.checked > 3
        assert inspect_movie(tmp_path / name).pixel_aspect == shape
    plain, shaped = ((tmp_path / n).read_bytes() for n in ("a.mkv", "b.mkv"))
    assert len(plain) == len(shaped)
    cluster = plain.index(bytes.fromhex("1f43b675"))
    assert plain[cluster:] == shaped[cluster:]


def test_a_shape_that_cannot_be_written_is_refused_before_any_picture(tmp_path: Path) -> None:
    fmt = fmt_of(10)
    with pytest.raises(InputError, match="cannot be written"):
        MovieWriter(tmp_path / "a.mkv", fmt, RATE, "ffv1", pixel_aspect=Fraction(70001, 70003))
    assert not list(tmp_path.iterdir())


def test_gray_prores_at_a_slow_rate(tmp_path: Path) -> None:
    fmt = fmt_of(12, 1, 64, 64)
    path = put_movie(tmp_path / "a.mov", fmt, noise(fmt, 5), "prores_422hq", rate=Fraction(200, 11))
    info = inspect_movie(path)
    assert (info.rate, info.frame_count) == (Fraction(200, 11), 5)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    half = PictureFormat(width=8, height=8, channels=3, bits=16, sample=SampleType.HALF)
    for name, fmt, codec, word in (
        ("a.mkv", half, "ffv1", "cannot hold"),
        ("a.mov", fmt_of(10), "ffv1", r"\.mkv"),
        ("a.mov", fmt_of(10), "cinepak", "not known"),
        ("a.mov", fmt_of(10, 3, 33), "prores_422hq", "even width"),
        ("a.mov", fmt_of(10, 3, 254, 120), "dnxhr_hqx", "below 256x120"),
        ("a.mov", fmt_of(10, 3, 256, 119), "dnxhr_444", "below 256x120"),
        ("a.mkv", fmt_of(10, 3, 1, 9), "ffv1", "below 2x2"),
        ("a.mkv", fmt_of(10, 3, 9, 1), "ffv1", "below 2x2"),
    ):
        with pytest.raises(InputError, match=word):
            MovieWriter(tmp_path / name, fmt, RATE, codec)
    with MovieWriter(tmp_path / "b.mkv", fmt_of(10), RATE, "ffv1") as out:
        with pytest.raises(InputError, match="expected"):
            out.write(np.zeros((4, 4, 3), np.uint16))
        with pytest.raises(InputError, match="does not fit"):
            out.write(np.full((66, 80, 3), 1024, np.uint16))
        out.write(noise(fmt_of(10))[0])


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    fmt = fmt_of(10)

    def fail() -> None:
        with MovieWriter(tmp_path / "a.mkv", fmt, RATE, "ffv1") as out:
            out.write(noise(fmt)[0])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    part = tmp_path / "part"
    part.symlink_to("/dev/full")
    monkeypatch.setattr("media.movie.write.part_path", lambda _: part)
    fmt = fmt_of(16, 3, 320, 256)

    def fill() -> None:
        with MovieWriter(tmp_path / "a.mkv", fmt, RATE, "ffv1") as out:
            for codes in noise(fmt, 6):
                out.write(codes)

    with pytest.raises(StorageFull):
        fill()
    assert not list(tmp_path.iterdir())
