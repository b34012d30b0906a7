"""Sound and subtitles: the same packets, at the same pictures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from media.errors import InputError
from media.movie import inspect_movie
from media.movie.copied import first_sound_s, shared_clock, streams_that_do_not_fit
from tests.media.movie_makers import (
    SOUND_HZ,
    add_subtitles,
    click_after_first_picture_s,
    fmt_of,
    foreign,
    noise,
    payload,
    put_movie,
)

FMT = fmt_of(10)
QUICK = {"preset": "veryfast", "g": "12", "bf": "2"}
SAMPLE_S = Fraction(1, SOUND_HZ)
# Matroska counts in thousandths of a second: the picture and the sound may each be rounded.
TICK_S = Fraction(1, 1000)
TARGETS = (("ffv1", ".mkv"), ("prores_422hq", ".mov"))


@pytest.mark.parametrize("sound", ["aac", "pcm_s16le"])
@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv", "ts"])
@pytest.mark.parametrize("first", [0, 7])
def test_a_click_stays_at_its_picture(tmp_path: Path, sound: str, suffix: str, first: int) -> None:
    if (suffix, sound) == ("ts", "pcm_s16le"):
        sound = "mp2"
    rate = Fraction(24000, 1001)
    source = foreign(
        tmp_path / f"a.{suffix}", rate=rate, options=QUICK, first=first, sounds=(sound,), click=10
    )
    info = inspect_movie(source)
    clicked_s = click_after_first_picture_s(source)
    assert abs(clicked_s - 10 / rate) <= TICK_S + SAMPLE_S
    for codec, ending in TARGETS:
        target = put_movie(
            tmp_path / f"b{ending}",
            FMT,
            noise(FMT, 25),
            codec,
            rate=rate,
            streams_from=source,
            start_s=info.start_s,
        )
        coarse = ".mkv" in (ending, source.suffix)
        late_s = click_after_first_picture_s(target) - clicked_s
        assert abs(late_s) <= (TICK_S if coarse else SAMPLE_S)
        found = inspect_movie(target)
        assert found.frame_count == 25
        kept = [s for s in found.others if s.kind == "audio"]
        assert [s.sha256 for s in kept] == [s.sha256 for s in info.others]
        assert payload(target, "audio")[0] == payload(source, "audio")[0]
        if suffix != "ts":
            assert payload(target, "audio")[1] == payload(source, "audio")[1] != b""


def test_several_tracks_keep_order_and_language(tmp_path: Path) -> None:
    plain = foreign(tmp_path / "a.mp4", options=QUICK, sounds=("aac", "mp2"), click=3)
    lines = [(100, 400, "Guten Tag"), (600, 900, "Ende")]
    text = add_subtitles(plain, tmp_path / "b.mp4", "mov_text", lines)
    info = inspect_movie(plain)
    clicked_s = [click_after_first_picture_s(plain, k) for k in range(2)]
    for source, codec, ending in (
        (plain, "ffv1", ".mkv"),
        (text, "prores_422hq", ".mov"),
        (text, "h264", ".mp4"),
    ):
        target = put_movie(tmp_path / f"c{ending}", FMT, noise(FMT, 25), codec, streams_from=source)
        found = [s for s in inspect_movie(target).others if s.kind != "data"]
        assert [s.sha256 for s in found[:2]] == [s.sha256 for s in info.others]
        for k in range(2):
            assert abs(click_after_first_picture_s(target, k) - clicked_s[k]) <= TICK_S
        if source == text:
            assert found[2] == replace(inspect_movie(text).others[2], index=found[2].index)
    languages = inspect_movie(tmp_path / "c.mkv").others
    assert [s.language for s in languages] == [s.language for s in info.others]


def test_languages_are_kept(tmp_path: Path) -> None:
    source = foreign(tmp_path / "a.mkv", options=QUICK, sounds=("aac", "aac"))
    assert [s.language for s in inspect_movie(source).others] == ["deu", "fra"]
    for codec, ending, wanted in (
        ("ffv1", ".mkv", ["deu", "fra"]),
        ("h264", ".mp4", ["deu", "fra"]),
        ("prores_422hq", ".mov", ["ger", "fra"]),
    ):
        target = put_movie(tmp_path / f"b{ending}", FMT, noise(FMT, 25), codec, streams_from=source)
        found = [s.language for s in inspect_movie(target).others if s.kind == "audio"]
        assert found == wanted


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    plain = foreign(tmp_path / "a.mp4", options=QUICK, sounds=("aac",))
    srt = add_subtitles(plain, tmp_path / "b.mkv", "subrip", [(100, 400, "Guten Tag")])
    mov = add_subtitles(plain, tmp_path / "b.mp4", "mov_text", [(100, 400, "Guten Tag")])
    for source, codec, ending, named in (
        (srt, "prores_422hq", ".mov", r"subtitle stream 2 of b\.mkv \(srt\)"),
        (mov, "ffv1", ".mkv", r"subtitle stream 2 of b\.mp4 \(mov_text\)"),
    ):
        with pytest.raises(InputError, match=named) as caught:
            put_movie(tmp_path / f"c{ending}", FMT, noise(FMT), codec, streams_from=source)
        assert "reels.sound" in caught.value.hint
        assert not (tmp_path / f"c{ending}").exists()
    assert streams_that_do_not_fit(srt, "matroska") == []
    assert "srt" in streams_that_do_not_fit(srt, "mov")[0]
    with pytest.raises(InputError, match=r"none\.mov"):
        put_movie(tmp_path / "c.mkv", FMT, noise(FMT), "ffv1", streams_from=tmp_path / "none.mov")
    assert not [p for p in tmp_path.iterdir() if ".part-" in p.name]


def test_one_clock_for_pictures_and_lead() -> None:
    clock, lead_s = shared_clock(Fraction(24000, 1001), Fraction(1024, 48000))
    assert (clock, lead_s) == (24000, Fraction(1024, 48000))
    assert (clock * lead_s).denominator == 1
    clock, lead_s = shared_clock(Fraction(24000, 1001), Fraction(1, 999_999_937))
    assert clock <= 1 << 30
    assert lead_s == 0


def test_where_sound_begins(tmp_path: Path) -> None:
    assert first_sound_s(foreign(tmp_path / "a.mp4", options=QUICK)) is None
    sound = foreign(tmp_path / "b.mp4", options=QUICK, sounds=("aac",))
    assert first_sound_s(sound) == 0, "what primes a decoder is not heard"
