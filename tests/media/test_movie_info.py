"""What movies of all makes say, and that healthy ones are read and damaged ones are named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from media.errors import FrameUnreadable, InputError
from media.movie import MovieReader, inspect_movie
from media.movie.walk import constant_rate
from media.movie.whole import bytes_missing
from tests.media.movie_makers import add_subtitles, atom, changed, fmt_of, foreign, noise, put_movie

_QUICK = {"preset": "veryfast", "g": "12"}
_SLOW = Fraction(200, 11)
_NTSC = Fraction(24000, 1001)
# Container, codec, samples, options, rate, sound.
_HEALTHY: tuple[tuple[str, str, str, dict[str, str], Fraction, str], ...] = (
    ("mov", "libx264", "yuv420p", {**_QUICK, "bf": "2"}, _NTSC, "aac"),
    ("mp4", "libx264", "yuv420p", {**_QUICK, "bf": "3"}, Fraction(18), "aac"),
    ("m4v", "mpeg4", "yuv420p", {"bf": "2"}, Fraction(25), "aac"),
    ("mkv", "libx264", "yuv420p", {**_QUICK, "bf": "2"}, _SLOW, "mp2"),
    ("mkv", "libx265", "yuv420p10le", {"x265-params": "log-level=none"}, Fraction(24), "aac"),
    ("mkv", "libvpx-vp9", "yuv420p", {"cpu-used": "8"}, Fraction(16), "libopus"),
    ("ts", "libx264", "yuv420p", {**_QUICK, "bf": "2"}, Fraction(25), "aac"),
    ("ts", "libx265", "yuv420p10le", {"x265-params": "log-level=none"}, _NTSC, "mp2"),
    ("ts", "mpeg2video", "yuv420p", {"bf": "2"}, Fraction(30000, 1001), "mp2"),
    ("mpg", "mpeg2video", "yuv420p", {"bf": "2"}, Fraction(25), "mp2"),
    ("mpg", "mpeg2video", "yuv420p", {"bf": "2"}, _NTSC, ""),
    ("avi", "libx264", "yuv420p", {**_QUICK, "bf": "2"}, Fraction(25), "pcm_s16le"),
    ("avi", "mpeg4", "yuv420p", {"bf": "2"}, Fraction(16), ""),
    ("avi", "huffyuv", "yuv422p", {}, _SLOW, "pcm_s16le"),
    ("avi", "utvideo", "gbrp", {}, Fraction(24), "aac"),
    ("avi", "ffv1", "yuv420p", {"level": "1"}, Fraction(18), ""),
    ("avi", "ffv1", "yuv422p10le", {"level": "3", "slicecrc": "0"}, Fraction(24), "pcm_s16le"),
    ("avi", "ffv1", "yuv444p16le", {"level": "3", "slicecrc": "1", "g": "10"}, _NTSC, ""),
    ("mkv", "ffv1", "yuv422p", {"level": "3", "slicecrc": "0", "g": "5"}, Fraction(24), "flac"),
    ("mov", "prores_ks", "yuv422p10le", {}, Fraction(24), "pcm_s16le"),
    ("mov", "v210", "yuv422p10le", {}, Fraction(25), "pcm_s16le"),
    ("mov", "mjpeg", "yuvj420p", {}, Fraction(18), ""),
    ("mov", "qtrle", "rgb24", {}, Fraction(24), ""),
    ("mov", "png", "rgb48be", {}, Fraction(24), ""),
    ("mxf", "mpeg2video", "yuv422p", {"bf": "2"}, Fraction(25), "pcm_s16le"),
    ("mxf", "libx264", "yuv420p", {**_QUICK, "bf": "2"}, Fraction(30000, 1001), ""),
)


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt", "options", "rate", "sound"),
    _HEALTHY,
    ids=[f"{h[0]}-{h[1]}-{k}" for k, h in enumerate(_HEALTHY)],
)
def test_a_healthy_movie_is_read_whole_and_in_order(
    tmp_path: Path,
    suffix: str,
    codec: str,
    pix_fmt: str,
    options: dict[str, str],
    rate: Fraction,
    sound: str,
) -> None:
    path = foreign(
        tmp_path / f"a.{suffix}",
        codec,
        pix_fmt,
        rate=rate,
        options=options,
        sounds=(sound,) if sound else (),
    )
    info = inspect_movie(path)
    assert (info.frame_count, info.rate, info.audio_streams) == (25, rate, 1 if sound else 0)
    untagged = info.matrix not in ("rgb", "gray")
    args: tuple[Any, ...] = ("bt709", info.range == "full") if untagged else ()
    with MovieReader(path, *args, info=info) as reader:
        pictures = [reader.read(k).copy() for k in range(25)]
        brightness = [float(p.mean()) for p in pictures]
        assert brightness == sorted(brightness)
        for k in (24, 3, 14, 13, 0):
            assert np.array_equal(reader.read(k), pictures[k])


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in sorted((Path(__file__).parents[2] / "../shared/data/clean_video").glob("*"))
        if p.suffix in (".mp4", ".mkv", ".mov")
    ]
    or [None],
    ids=lambda p: p.name if p else "none",
)
def test_movies_of_other_people(path: Path | None) -> None:
    if path is None:
        pytest.skip("no movies here")
    info = inspect_movie(path)
    with av.open(str(path)) as container:
        assert info.frame_count == sum(1 for p in container.demux(video=0) if p.size)
    assert info.frame_count == info.promised_frames
    assert not info.by_order


def test_an_edit_list_hides_pictures_and_nothing_is_missing(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.mp4", first=-6, options=_QUICK, sounds=("aac",))
    info = inspect_movie(path)
    assert (info.frame_count, info.start_s) == (19, Fraction(0))
    with MovieReader(path, info=info) as reader:
        assert reader.read(0).mean() < reader.read(18).mean()
    trimmed = _trimmed(path, tmp_path / "b.mp4")
    info = inspect_movie(trimmed)
    assert 8 <= info.frame_count < 19
    with MovieReader(trimmed, info=info) as reader:
        for k in range(info.frame_count):
            reader.read(k)


def _trimmed(path: Path, target: Path) -> Path:
    """The edit of the picture track ends after 10 pictures."""
    at = atom(path, b"moov", b"trak", b"edts", b"elst")
    assert at > 0
    return changed(path, target, at + 16, round(1000 * 10 / 24).to_bytes(4, "big"))


def test_a_late_start_is_told(tmp_path: Path) -> None:
    for name in ("a.mov", "a.mkv"):
        info = inspect_movie(foreign(tmp_path / name, first=12, options=_QUICK, sounds=("aac",)))
        assert (info.frame_count, info.start_s) == (25, Fraction(1, 2))


def test_variable_rate_is_refused_and_can_be_accepted(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "libx264"), ("a.avi", "utvideo")):
        pix = "yuv420p" if codec == "libx264" else "gbrp"
        times = [0, 1, 2, 7, 8, 20]
        path = foreign(tmp_path / name, codec, pix, count=6, times=times)
        with pytest.raises(InputError, match="variable frame rate") as caught:
            inspect_movie(path, reel="R1")
        assert "variable_rate" in caught.value.hint
        info = inspect_movie(path, accept={"variable_rate"})
        assert info.frame_count == 6
        assert info.drift_s(Fraction(24)) == Fraction(15, 24)


def test_one_picture_shown_twice_is_variable_rate(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.avi", "utvideo", "gbrp", count=6, times=[0, 1, 2, 4, 5, 6])
    with pytest.raises(InputError, match="variable"):
        inspect_movie(path)


def test_a_wrong_count_is_refused_and_can_be_accepted(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.mov", "prores_ks", "yuv422p10le", rate=Fraction(24))
    sizes = atom(path, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz")
    entry = sizes + 20 + 24 * 4
    broken = changed(path, tmp_path / "b.mov", entry, b"\x00\x00\x00\x00")
    with pytest.raises(FrameUnreadable, match="promises 25 pictures and holds 24"):
        inspect_movie(broken)
    assert inspect_movie(broken, accept={"frame_count"}).frame_count == 24


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt", "options"),
    [
        ("mov", "prores_ks", "yuv422p10le", {}),
        ("avi", "mpeg4", "yuv420p", {}),
        ("ts", "libx264", "yuv420p", _QUICK),
        ("mxf", "mpeg2video", "yuv422p", {"bf": "2"}),
        ("mpg", "mpeg2video", "yuv420p", {"bf": "2"}),
        ("mkv", "ffv1", "yuv422p10le", {"level": "1"}),
    ],
)
def test_a_movie_cut_short_is_refused_and_can_be_taken(
    tmp_path: Path, suffix: str, codec: str, pix_fmt: str, options: dict[str, str]
) -> None:
    front = {"movflags": "faststart"} if suffix == "mov" else {}
    path = foreign(
        tmp_path / f"a.{suffix}",
        codec,
        pix_fmt,
        options=options,
        sounds=() if suffix in ("mxf", "mpg") else ("mp2",),
        container_options=front,
    )
    data = path.read_bytes()
    with MovieReader(path, "bt709", False) as reader:
        whole = [reader.read(k).copy() for k in range(25)]
    cut = tmp_path / f"cut.{suffix}"
    for share in (0.02, 0.3, 0.5, 0.71, 0.97):
        # A transport packet boundary is the one place where nothing tells.
        cut.write_bytes(data[: int(len(data) * share) // 188 * 188 + 5])
        with pytest.raises(InputError):
            inspect_movie(cut)
        try:
            with MovieReader(
                cut, "bt709", False, info=inspect_movie(cut, accept={"frame_count"})
            ) as r:
                found = [r.read(k).copy() for k in range(r.info.frame_count)]
        except InputError:
            continue
        assert len(found) <= 25
        for k, picture in enumerate(found):
            assert np.array_equal(picture, whole[k]), (share, k)


def test_a_cover_image_is_not_the_picture(tmp_path: Path) -> None:
    plain = foreign(tmp_path / "a.mp4", options=_QUICK)
    path = tmp_path / "b.mp4"
    with av.open(str(plain)) as before, av.open(str(path), "w") as after:
        cover: Any = after.add_stream("mjpeg", rate=24)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        moving = after.add_stream_from_template(before.streams.video[0])
        after.mux(cover.encode(av.VideoFrame(32, 32, "yuvj420p")))
        after.mux(cover.encode(None))
        for packet in before.demux(video=0):
            if packet.size:
                packet.stream = moving
                after.mux(packet)
    info = inspect_movie(path)
    assert (info.width, info.height, info.frame_count) == (64, 48, 25)
    with MovieReader(path, info=info) as reader:
        assert reader.read(24).shape == (48, 64, 3)


def test_tags_of_pictures_and_container_must_agree(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.mov", "prores_ks", "yuv422p10le")
    info = inspect_movie(path)
    assert (info.matrix, info.primaries, info.transfer) == ("bt709", "bt709", "bt709")
    data = path.read_bytes()
    nclc, picture = data.index(b"nclc"), data.index(b"icpf")
    wrong = changed(path, tmp_path / "b.mov", picture + 18, b"\x01\x01\x06")
    info = inspect_movie(wrong)
    assert info.matrix is None
    with pytest.raises(InputError, match="matrix 6 in its pictures and 1 in its container"):
        MovieReader(wrong)
    with MovieReader(wrong, "bt709", info=info) as reader:
        reader.read(0)
    quiet = changed(wrong, tmp_path / "c.mov", nclc + 4, b"\x00\x02\x00\x02\x00\x02")
    assert inspect_movie(quiet).matrix == "bt601"


def test_other_streams_are_counted_hashed_and_named(tmp_path: Path) -> None:
    plain = foreign(tmp_path / "a.mp4", options=_QUICK, sounds=("aac", "mp2"))
    path = add_subtitles(plain, tmp_path / "b.mkv", "subrip", [(100, 300, "a"), (500, 800, "b")])
    found = [(s.kind, s.codec, s.language, s.packets > 0) for s in inspect_movie(path).others]
    assert found[2] == ("subtitle", "srt", "eng", True)
    assert [f[0] for f in found] == ["audio", "audio", "subtitle"]
    again = inspect_movie(plain).others
    assert [s.sha256 for s in inspect_movie(path).others][:2] == [s.sha256 for s in again][:2]


def test_the_shape_of_pixels_is_read(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.mp4", options=_QUICK, aspect=Fraction(16, 15))
    assert inspect_movie(path).pixel_aspect == Fraction(16, 15)


def test_what_is_no_movie_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "a.mov"
    bad.write_bytes(b"no movie at all")
    with pytest.raises(FrameUnreadable, match=r"a\.mov"):
        inspect_movie(bad, reel="R1")
    with pytest.raises(FrameUnreadable, match="cannot be read"):
        inspect_movie(tmp_path / "none.mkv")
    alpha = foreign(tmp_path / "b.mkv", "ffv1", "bgra")
    with pytest.raises(InputError, match="bgra"):
        inspect_movie(alpha)
    sound = tmp_path / "c.mkv"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 480), np.int16), "s16", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="no picture"):
        inspect_movie(sound)


def test_sizes_that_containers_state(tmp_path: Path) -> None:
    path = put_movie(tmp_path / "a.mov", fmt_of(10), noise(fmt_of(10)), "prores_422hq")
    assert bytes_missing(path, "mov,mp4") == 0
    path.write_bytes(path.read_bytes() + bytes(8))
    assert bytes_missing(path, "mov,mp4") == 0, "zeros after the last atom are harmless"
    assert bytes_missing(path, "flv") == 0
    (tmp_path / "b.mxf").write_bytes(b"\x06\x0e\x2b\x34" + bytes(12) + b"\x83\x00\x01\x00" + b"x")
    assert bytes_missing(tmp_path / "b.mxf", "mxf") == 255
    (tmp_path / "c.avi").write_bytes(b"RIFF\xff\xff\xff\xffAVI " + bytes(40))
    assert bytes_missing(tmp_path / "c.avi", "avi") == 0


def test_rates_that_explain_all_times() -> None:
    tick = Fraction(1, 1000)
    exact = [round(k * 1001 / 24) for k in range(2000)]
    assert constant_rate([Fraction(24)], tick, exact) == _NTSC
    assert constant_rate([None], tick, [0]) is None
    assert constant_rate([Fraction(18)], tick, [40]) == 18
    assert constant_rate([Fraction(24)], tick, [0, 0]) is None
    clock = Fraction(1, 90000)
    trembling = [3750 * k + (k % 3) * 4 for k in range(100)]
    assert constant_rate([Fraction(24)], clock, trembling) == 24
    drifting = [3760 * k for k in range(400)]
    assert constant_rate([Fraction(24)], clock, drifting) != 24
    assert constant_rate([Fraction(24)], Fraction(1, 24), [0, 1, 2, 4, 5]) is None
