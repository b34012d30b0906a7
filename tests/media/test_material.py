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
from media.material import FrameReader, SourceSpec, open_reel, reel_id_from
from media.movie import MovieWriter
from media.reel import PictureFormat, Reel


def put(folder: Path, number: int, rate: Fraction | None = None, width: int = 6) -> Path:
    folder.mkdir(exist_ok=True)
    head = new_header(width, 4, 3, 10, rate=rate, timecode="01:00:00:05")
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
    reel = open_reel(spec_of(tmp_path / "R1", Fraction(18)), hash_frames=False)
    assert reel.rate == 18
    assert reel.notes == ("headers say 24 frames per second, the project says 18",)
    assert reel.frames[0].sha256 == ""


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
