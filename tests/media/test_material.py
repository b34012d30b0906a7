"""Reels from folders and movies: checked on the way in, and guarded afterwards."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from media.dpx import encode_dpx, new_header
from media.errors import (
    EncodingUndeclared,
    FrameUnreadable,
    InputError,
    ReelMixed,
    SourceChanged,
)
from media.material import GapPolicy, SourceSpec, open_reel, reel_id_from
from media.movie import MovieWriter
from media.reader import FrameReader
from media.reel import MadeBy, PictureFormat, Reel
from media.timecode import frames_to_timecode
from media.write import AnyCodes


def put(
    folder: Path,
    number: int,
    rate: Fraction | None = None,
    width: int = 6,
    timecode: str | None = "01:00:00:05",
) -> Path:
    folder.mkdir(exist_ok=True)
    head = new_header(width, 4, 3, 10, rate=rate, timecode=timecode)
    path = folder / f"R1.{number:07d}.dpx"
    path.write_bytes(encode_dpx(np.full((4, width, 3), number, np.uint16), head))
    return path


def spec_of(path: Path, rate: Fraction | None = None) -> SourceSpec:
    return SourceSpec(path=path, reel="R1", encoding="cineon", rate=rate)


def movie(path: Path, count: int = 10) -> Path:
    fmt = PictureFormat(width=16, height=8, channels=3, bits=10)
    with MovieWriter(path, fmt, Fraction(18), "ffv1") as out:
        for n in range(count):
            out.write(np.full((8, 16, 3), 10 * n, np.uint16))
    return path


def test_a_folder_becomes_a_reel(tmp_path: Path) -> None:
    folder = tmp_path / "Bobine é 1"
    files = [put(folder, n, Fraction(16)) for n in (100, 101, 102)]
    calls: list[tuple[int, int]] = []
    reel = open_reel(spec_of(folder), progress=lambda done, total: calls.append((done, total)))
    assert (reel.kind, reel.rate, reel.timecode) == ("dpx", Fraction(16), "01:00:00:05")
    assert str(reel.format) == "6x4x3 10-bit"
    assert [f.number for f in reel.frames] == [100, 101, 102]
    assert [f.index for f in reel.frames] == [0, 1, 2]
    assert reel.frames[1].sha256 == hashlib.sha256(files[1].read_bytes()).hexdigest()
    assert reel.frames[1].size_bytes == files[1].stat().st_size
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert int(FrameReader(reel).read(101).max()) == 101


def test_the_stated_rate_wins_and_the_difference_is_noted(tmp_path: Path) -> None:
    put(tmp_path / "R1", 1, Fraction(24))
    reel = open_reel(spec_of(tmp_path / "R1", Fraction(18)))
    assert reel.rate == 18
    assert reel.notes[0] == "headers say 24 frames per second, the project says 18"
    assert "timecode, which does not exist at 18" in reel.notes[1]


def test_what_is_missing_or_mixed_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "R1"
    path = put(folder, 1)
    with pytest.raises(InputError, match="rate") as caught:
        open_reel(spec_of(folder))
    assert "reels.rate" in caught.value.hint
    with pytest.raises(EncodingUndeclared):
        open_reel(SourceSpec(path=folder, reel="R1", encoding=""))
    with pytest.raises(InputError, match="single frame"):
        open_reel(spec_of(path))
    for n in range(2, 20):
        put(folder, n, width=8 if n in (3, 4, 5, 6, 7, 8) else 6)
    with pytest.raises(ReelMixed, match=r"frame 3 is 8x4x3.*and 1 more") as mixed:
        open_reel(spec_of(folder, Fraction(24)))
    assert (mixed.value.reel, mixed.value.frame) == ("R1", 3)
    (folder / "R1.0000003.dpx").write_bytes(b"")
    with pytest.raises(FrameUnreadable, match="zero bytes") as empty:
        open_reel(spec_of(folder, Fraction(24)))
    assert empty.value.frame == 3


def test_a_changed_source_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "R1"
    path = put(folder, 1, Fraction(24))
    put(folder, 2)
    reader = FrameReader(open_reel(spec_of(folder)))
    reader.verify(1)
    os.utime(path, ns=(1, 1))
    reader.verify(1)
    data = bytearray(path.read_bytes())
    data[-4] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(SourceChanged) as caught:
        reader.verify(1)
    assert (caught.value.reel, caught.value.frame) == ("R1", 1)
    put(folder, 2, width=8)
    with pytest.raises(SourceChanged, match="the reel is"):
        reader.read(2)
    path.unlink()
    with pytest.raises(SourceChanged, match="cannot be read"):
        reader.verify(1)


def test_a_movie_becomes_a_reel(tmp_path: Path) -> None:
    path = movie(tmp_path / "R1.mkv")
    reel = open_reel(spec_of(path))
    assert (reel.kind, reel.rate, len(reel.frames)) == ("movie", Fraction(18), 10)
    assert reel.range.start == 0
    wanted = hashlib.sha256(np.full((8, 16, 3), 30, "<u2").tobytes()).hexdigest()
    assert reel.frames[3].sha256 == wanted
    reader = FrameReader(reel)
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda n: int(reader.read(n)[0, 0, 0]), [9, 0, 5, 3, 3, 8, 1, 2]))
    assert seen == [90, 0, 50, 30, 30, 80, 10, 20]
    reader.verify(3)
    os.utime(path, ns=(1, 1))
    reader.verify(3)
    movie(path, 2)
    with pytest.raises(SourceChanged):
        reader.verify(3)


def test_absent_movie_and_wrong_range(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not there"):
        open_reel(spec_of(tmp_path / "a.mkv"))
    with pytest.raises(InputError, match="not known"):
        open_reel(SourceSpec(path=tmp_path, reel="R1", encoding="cineon", range="pc"))


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("/scans/R 1", "R 1"),
        ("/scans/R1/R1_v2.%07d.dpx", "R1_v2"),
        ("/scans/Été/####.dpx", "Été"),
        ("/scans/take3.mov", "take3"),
        ("/scans/R1.2", "R1.2"),
    ],
)
def test_reel_names(source: str, wanted: str) -> None:
    assert reel_id_from(Path(source)) == wanted


def test_frames_outside_the_reel_are_key_errors(tmp_path: Path) -> None:
    put(tmp_path / "R1", 5, Fraction(24))
    reel: Reel = open_reel(spec_of(tmp_path / "R1"))
    with pytest.raises((KeyError, IndexError)):
        FrameReader(reel).read(7)


def holed(folder: Path, policy: GapPolicy, *damaged: int) -> tuple[Reel, list[tuple[int, int]]]:
    """A reel of 1 to 12 without 4, 7, 8 and 11, as read; and what was shown on the way."""
    for n in (1, 2, 3, 5, 6, 9, 10, 12):
        path = put(folder, n, Fraction(24), timecode=None)
        if n in damaged:
            path.write_bytes(path.read_bytes()[:2060])
    seen: list[tuple[int, int]] = []

    def sight(number: int, codes: AnyCodes, fmt: PictureFormat) -> None:
        assert fmt.bits == 10
        seen.append((number, int(codes.max())))

    spec = SourceSpec(path=folder, reel="R1", encoding="cineon", gaps=policy)
    return open_reel(spec, sight=sight), seen


def test_a_gap_can_be_kept(tmp_path: Path) -> None:
    reel, seen = holed(tmp_path / "R1", "keep")
    assert [n for n, _ in seen] == [f.number for f in reel.frames] == [1, 2, 3, 5, 6, 9, 10, 12]
    assert len(reel.stretches) == 4
    assert any("4, 7-8, 11" in note for note in reel.notes)


def test_a_gap_can_be_held(tmp_path: Path) -> None:
    reel, seen = holed(tmp_path / "R1", "hold")
    assert seen == [(n, {4: 3, 7: 6, 8: 6, 11: 10}.get(n, n)) for n in range(1, 13)]
    made = {f.number: f.made_by for f in reel.frames if f.made_by}
    assert made == dict.fromkeys((4, 7, 8, 11), MadeBy.HOLD)
    assert int(FrameReader(reel).read(8).max()) == 6
    assert reel.frame(8).sha256 == reel.frame(6).sha256
    assert [f.index for f in reel.frames] == list(range(12))


def test_short_gaps_are_rebuilt_and_long_ones_held(tmp_path: Path) -> None:
    folder = tmp_path / "R1"
    for n in (20, 25, 27):
        put(folder, n, Fraction(24), timecode=None)
    spec = SourceSpec(path=folder, reel="R1", encoding="cineon", gaps="rebuild")
    reel = open_reel(spec)
    how = {f.number: f.made_by for f in reel.frames if f.made_by}
    assert how == {**dict.fromkeys(range(21, 25), MadeBy.HOLD), 26: MadeBy.REBUILD}
    assert any("no more than 3" in note for note in reel.notes)


@pytest.mark.parametrize("damaged", [1, 6, 12])
def test_unreadable_frames_go_the_way_of_missing_ones(tmp_path: Path, damaged: int) -> None:
    reel, seen = holed(tmp_path / "R1", "hold", damaged)
    assert [n for n, _ in seen] == list(range(1, 13))
    assert reel.frame(damaged).made_by is MadeBy.HOLD
    assert reel.facts["unreadable"] == {str(damaged): reel.notes[0].split(": ", 1)[1]}
    assert dict(seen)[damaged] == {1: 2, 6: 5, 12: 10}[damaged]
    with pytest.raises(FrameUnreadable, match="truncated") as caught:
        holed(tmp_path / "R2", "keep", damaged)
    assert caught.value.frame == damaged


def test_all_unreadable_frames_are_named(tmp_path: Path) -> None:
    for n in range(1, 9):
        path = put(tmp_path / "R1", n, Fraction(24))
        if n in (3, 5):
            path.write_bytes(b"")
    with pytest.raises(FrameUnreadable, match="also frame 5") as caught:
        open_reel(spec_of(tmp_path / "R1"))
    assert caught.value.frame == 3


def test_a_scan_that_is_still_being_copied(tmp_path: Path) -> None:
    folder = tmp_path / "R1"
    for n in (1, 2, 3):
        os.utime(put(folder, n, Fraction(24)), (1, 1))
    calm = SourceSpec(path=folder, reel="R1", encoding="cineon", untouched_s=60.0)
    assert len(open_reel(calm).frames) == 3
    put(folder, 2, Fraction(24))
    with pytest.raises(SourceChanged, match="may still be copied") as caught:
        open_reel(calm)
    assert caught.value.frame == 2

    def arrive(number: int, codes: AnyCodes, fmt: PictureFormat) -> None:
        put(folder, 4, Fraction(24))

    with pytest.raises(SourceChanged, match="still being copied") as late:
        open_reel(spec_of(folder), sight=arrive)
    assert late.value.frame == 4


def test_timecode_that_jumps_is_noted(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    for n in range(1, 9):
        count = 1790 + n - (100 if n > 4 else 0)
        put(tmp_path / "R1", n, rate, timecode=frames_to_timecode(count, rate, drop=True))
    reel = open_reel(spec_of(tmp_path / "R1"))
    assert reel.facts["timecode"] == ["00:00:59;21", "00:00:56;18"]
    assert [n for n in reel.notes if "timecode" in n] == [
        "timecode jumps back by 100 frames at frame 5 (00:00:56;15)"
    ]


def test_video_levels_are_for_integers(tmp_path: Path) -> None:
    put(tmp_path / "R1", 1, Fraction(24))
    spec = SourceSpec(path=tmp_path / "R1", reel="R1", encoding="rec709", range="limited")
    assert open_reel(spec).levels == "limited"
