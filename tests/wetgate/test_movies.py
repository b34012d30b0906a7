"""Movies in and out of the whole program: pictures, sound, timecode and color."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from media.errors import WetgateError
from media.movie import MovieReader, inspect_movie
from media.reel import PictureFormat
from media.scan import read_codes
from media.write import write_frame
from tests.media.movie_makers import (
    click_after_first_picture_s,
    fmt_of,
    foreign,
    payload,
    put_movie,
)
from tests.reels import frame_file, project_of, put_reel, run_here, scene
from wetgate.config import Project

FRAMES = 6
FMT = PictureFormat(width=96, height=64, channels=3, bits=10)
CODECS = {"ffv1": ".mkv", "prores_422hq": ".mov", "prores_4444": ".mov", "h264": ".mp4"}


def deliver(out: Path, codec: str) -> Path:
    return out / f"deliver/restored/R1{CODECS.get(codec, '.mov')}"


def project(source: Path, codec: str, *sets: str, reel: dict[str, object] | None = None) -> Project:
    """One reel, nothing repaired, delivered as a movie."""
    found = project_of([source], f'deliver.format="{codec}"', *sets, only="none")
    if not reel:
        return found
    reels = tuple(r.model_copy(update=reel) for r in found.reels)
    return found.model_copy(update={"reels": reels})


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reel of DPX frames with timecode."""
    folder = tmp_path_factory.mktemp("film") / "R1"
    folder.mkdir()
    for number, codes in enumerate(scene(1, FRAMES), start=86400):
        write_frame(
            folder / f"R1.{number:07d}.dpx", codes, FMT, "dpx", frame=number, rate=Fraction(24),
            timecode="01:00:00:00", durable=False,
        )  # fmt: skip
    return folder


@pytest.mark.parametrize("codec", list(CODECS))
def test_a_scan_becomes_a_movie(film: Path, tmp_path: Path, codec: str) -> None:
    assert run_here(project(film, codec), tmp_path / "out").failed == ()
    path = deliver(tmp_path / "out", codec)
    info = inspect_movie(path)
    assert (info.frame_count, info.rate, info.timecode) == (FRAMES, Fraction(24), "01:00:00:00")
    assert (info.width, info.height) == (96, 64)
    if codec == "ffv1":
        with MovieReader(path, info=info) as reader:
            for k in range(FRAMES):
                assert np.array_equal(reader.read(k), read_codes(frame_file(film, k)))
        assert (info.matrix, info.range, info.primaries) == ("rgb", "full", None)
    else:
        assert (info.matrix, info.range) == ("bt709", "limited")


@pytest.fixture(scope="module")
def talkie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A movie with sound, whose first picture comes late."""
    path = tmp_path_factory.mktemp("talkie") / "R1.mov"
    return foreign(
        path, "prores_ks", "yuv422p10le", first=7, count=8, sounds=("aac",), click=4, size=(96, 64)
    )


@pytest.mark.parametrize("codec", ["ffv1", "prores_422hq"])
def test_a_movie_keeps_its_sound_in_sync(talkie: Path, tmp_path: Path, codec: str) -> None:
    source = inspect_movie(talkie)
    done = project_of([talkie], f'deliver.format="{codec}"', only="none", encoding="rec709")
    assert run_here(done, tmp_path / "out").failed == ()
    path = deliver(tmp_path / "out", codec)
    info = inspect_movie(path)
    assert (info.frame_count, info.rate) == (8, Fraction(24))
    sound = next(s for s in info.others if s.kind == "audio")
    assert (sound.sha256, sound.packets) == (source.others[0].sha256, source.others[0].packets)
    assert payload(path, "audio") == payload(talkie, "audio")
    late_s = click_after_first_picture_s(path) - click_after_first_picture_s(talkie)
    assert abs(late_s) <= (Fraction(1, 1000) if codec == "ffv1" else Fraction(1, 48000))
    assert (info.primaries, info.transfer) == (source.primaries, source.transfer)
    if codec == "ffv1":
        with MovieReader(path, info=info) as after, MovieReader(talkie, info=source) as before:
            for k in range(8):
                assert np.array_equal(after.read(k), before.read(k))


def test_sound_can_be_left_out(talkie: Path, tmp_path: Path) -> None:
    done = project_of([talkie], 'deliver.format="ffv1"', only="none", encoding="rec709")
    reels = tuple(r.model_copy(update={"sound": False}) for r in done.reels)
    assert run_here(done.model_copy(update={"reels": reels}), tmp_path / "out").failed == ()
    assert inspect_movie(deliver(tmp_path / "out", "ffv1")).others == ()


def test_another_rate_would_lose_the_sound(talkie: Path, tmp_path: Path) -> None:
    done = project_of([talkie], 'deliver.format="ffv1"', only="none", encoding="rec709")
    reels = tuple(r.model_copy(update={"rate": "18"}) for r in done.reels)
    problem = _refusal(done.model_copy(update={"reels": reels}), tmp_path / "out")
    assert "in sync" in problem
    assert not (tmp_path / "out/deliver").exists()


def test_variable_rate_and_count_are_accepted_by_name(tmp_path: Path) -> None:
    jumpy = foreign(
        tmp_path / "R1.mp4", count=6, times=[0, 1, 2, 7, 8, 9], options={"preset": "veryfast"},
        size=(96, 64),
    )  # fmt: skip
    assert "variable frame rate" in _refusal(project(jumpy, "ffv1"), tmp_path / "a")
    taken = project(jumpy, "ffv1", reel={"accept": ("variable_rate",)})
    assert run_here(taken, tmp_path / "b").failed == ()
    assert inspect_movie(deliver(tmp_path / "b", "ffv1")).frame_count == 6

    whole = put_movie(
        tmp_path / "whole.mov", fmt_of(10, 3, 96, 64), list(scene(1, 6)), "prores_422hq"
    )
    cut = tmp_path / "R1.mov"
    data = whole.read_bytes()
    moov = data.index(b"moov") - 4
    # The last picture's packet is emptied in the table of sizes.
    table = data.index(b"stsz", moov) + 16
    cut.write_bytes(data[: table + 20] + bytes(4) + data[table + 24 :])
    assert "promises 6 pictures and holds 5" in _refusal(project(cut, "ffv1"), tmp_path / "c")
    taken = project(cut, "ffv1", reel={"accept": ("frame_count",)})
    assert run_here(taken, tmp_path / "d").failed == ()
    assert inspect_movie(deliver(tmp_path / "d", "ffv1")).frame_count == 5


def test_a_movie_cannot_leave_frames_out(film: Path, tmp_path: Path) -> None:
    reel = put_reel(tmp_path / "R1", list(scene(1, FRAMES)))
    frame_file(reel, 2).unlink()
    problem = _refusal(project(reel, "ffv1", reel={"gaps": "keep"}), tmp_path / "out")
    assert "cannot leave out" in problem


def _refusal(asked: Project, out: Path) -> str:
    """What a run says that refuses: by raising, or as the failure of its reel."""
    try:
        outcome = run_here(asked, out)
    except WetgateError as error:
        return str(error)
    assert outcome.failed or outcome.exit_code
    return (out / "events.jsonl").read_text("utf-8")
