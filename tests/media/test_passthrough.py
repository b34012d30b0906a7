"""A frame that is handed on is the scan's own bytes, checked on the way."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from media.dpx import header_metadata, parse_header
from media.errors import SourceChanged, UsageError
from media.material import SourceSpec, open_reel
from media.passthrough import copy_frame
from media.reel import PictureFormat, Reel
from media.scan import read_codes
from media.write import write_frame

FORMAT = PictureFormat(width=31, height=9, channels=3, bits=10)


@pytest.fixture
def reel(tmp_path: Path) -> Reel:
    rng = np.random.default_rng(2)
    folder = tmp_path / "R1"
    folder.mkdir()
    for n in (7, 8):
        codes = rng.integers(0, 1024, (9, 31, 3)).astype(np.uint16)
        write_frame(folder / f"R1.{n:07d}.dpx", codes, FORMAT, "dpx", rate=Fraction(24), frame=n)
    return open_reel(SourceSpec(path=folder, reel="R1", encoding="cineon"))


def test_the_same_name_gives_the_same_bytes(reel: Reel, tmp_path: Path) -> None:
    target = tmp_path / "R1.0000007.dpx"
    assert copy_frame(reel, 7, target) == reel.frame(7).sha256
    assert target.read_bytes() == reel.frame(7).path.read_bytes()


def test_only_the_file_name_follows_a_new_name(reel: Reel, tmp_path: Path) -> None:
    target = tmp_path / "other.0000008.dpx"
    digest = copy_frame(reel, 8, target)
    data, scan = target.read_bytes(), reel.frame(8).path
    assert hashlib.sha256(data).hexdigest() == digest
    np.testing.assert_array_equal(read_codes(target), read_codes(scan))
    before, after = (header_metadata(parse_header(d)) for d in (scan.read_bytes(), data))
    assert after.pop("file_name") == target.name
    assert before.pop("file_name") == scan.name
    assert after == before


def test_a_scan_that_changed_is_not_handed_on(reel: Reel, tmp_path: Path) -> None:
    scan, target = reel.frame(7).path, tmp_path / "R1.0000007.dpx"
    data = bytearray(scan.read_bytes())
    data[-5] ^= 4
    scan.write_bytes(data)
    with pytest.raises(SourceChanged, match="not the frame that was ingested") as caught:
        copy_frame(reel, 7, target)
    assert (caught.value.reel, caught.value.frame) == ("R1", 7)
    scan.unlink()
    with pytest.raises(SourceChanged, match="cannot be read"):
        copy_frame(reel, 7, target)
    assert not target.exists()


def test_no_place_to_write(reel: Reel, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        copy_frame(reel, 7, tmp_path / "nowhere" / "R1.0000007.dpx")
