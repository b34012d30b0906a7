"""Check sums: of Matroska's elements, of FFV1's slices; and what becomes of damaged files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from media.errors import FrameUnreadable, InputError
from media.fixity import picture_sha256
from media.movie import MovieReader, inspect_movie
from media.movie.ffv1 import slices_are_sound
from media.movie.mkv import check_mkv
from tests.media.movie_makers import changed, fmt_of, foreign, noise, put_movie

FMT = fmt_of(10, 3, 16, 12)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A small FFV1 movie, and the digests of its pictures."""
    path = tmp_path_factory.mktemp("archive") / "a.mkv"
    pictures = noise(FMT, 4)
    return put_movie(path, FMT, pictures, "ffv1"), [picture_sha256(p) for p in pictures]


def outcome(path: Path, wanted: list[str]) -> str:
    """``same``, or the name of the error; fails when other pictures come out."""
    try:
        with MovieReader(path, info=inspect_movie(path)) as reader:
            found = [picture_sha256(reader.read(k)) for k in range(reader.info.frame_count)]
    except InputError as error:
        return type(error).__name__
    assert found == wanted
    return "same"


def test_every_top_level_element_is_checked(archive: tuple[Path, list[str]]) -> None:
    found = check_mkv(archive[0])
    assert found is not None
    # FFmpeg writes no check sum over the padding it leaves.
    assert found.checked >= 5
    assert found.elements - found.checked <= 1
    assert outcome(*archive) == "same"


def test_slices_carry_check_sums(archive: tuple[Path, list[str]]) -> None:
    with av.open(str(archive[0])) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    for packet in packets:
        assert slices_are_sound(packet) is True
        for at in (0, len(packet) // 2, len(packet) - 1):
            torn = bytearray(packet)
            torn[at] ^= 4
            assert slices_are_sound(bytes(torn)) is not True
    assert slices_are_sound(b"") is None
    assert slices_are_sound(b"abc") is None


def test_what_is_no_matroska_or_has_no_sums(tmp_path: Path) -> None:
    other = tmp_path / "a.bin"
    other.write_bytes(b"RIFF" + bytes(40))
    assert check_mkv(other) is None
    plain = foreign(
        tmp_path / "b.mkv", "ffv1", "yuv422p", options={"level": "1"},
        container_options={"write_crc32": "0"},
    )  # fmt: skip
    found = check_mkv(plain)
    assert found is not None
    assert found.checked == 0
    assert inspect_movie(plain).frame_count == 25


def test_a_live_recording_is_walked_too(tmp_path: Path) -> None:
    live = foreign(
        tmp_path / "a.mkv", "ffv1", "yuv422p10le", container_options={"live": "1"}
    )  # fmt: skip
    found = check_mkv(live)
    assert found is not None
    info = inspect_movie(live)
    assert (info.frame_count, info.promised_frames) == (25, None)
    cut = tmp_path / "b.mkv"
    cut.write_bytes(live.read_bytes()[:-7])
    with pytest.raises(FrameUnreadable):
        inspect_movie(cut)
    assert check_mkv(cut, whole=False) is not None


def _truncated(data: bytes) -> Iterator[bytes]:
    for stop in range(0, len(data), 64):
        yield data[:stop]


def _flipped(data: bytes) -> Iterator[bytes]:
    random = np.random.default_rng(11)
    for _ in range(300):
        torn = bytearray(data)
        torn[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
        yield bytes(torn)


def _overwritten(data: bytes) -> Iterator[bytes]:
    random = np.random.default_rng(12)
    for _ in range(100):
        torn = bytearray(data)
        at = int(random.integers(len(data) - 16))
        torn[at : at + 16] = random.bytes(16)
        yield bytes(torn)


@pytest.mark.parametrize("damage", [_truncated, _flipped, _overwritten])
def test_damage_is_named_or_harmless(
    archive: tuple[Path, list[str]], tmp_path: Path, damage: object
) -> None:
    assert callable(damage)
    path, wanted = archive
    torn = tmp_path / "torn.mkv"
    seen = set()
    for data in damage(path.read_bytes()):
        torn.write_bytes(data)
        seen.add(outcome(torn, wanted))
    assert "FrameUnreadable" in seen


def test_damaged_prores_has_the_right_count_and_shape_or_an_error(tmp_path: Path) -> None:
    path = put_movie(
        tmp_path / "a.mov", fmt_of(10, 3, 32, 24), noise(fmt_of(10, 3, 32, 24)), "prores_422hq"
    )
    data = path.read_bytes()
    random = np.random.default_rng(13)
    for k in range(150):
        torn = tmp_path / "torn.mov"
        if k < 50:
            torn.write_bytes(data[: len(data) * k // 50])
        else:
            changed(path, torn, int(random.integers(len(data))), random.bytes(1))
        try:
            with MovieReader(torn, info=inspect_movie(torn)) as reader:
                for n in range(reader.info.frame_count):
                    info = reader.info
                    assert reader.read(n).shape == (info.height, info.width, 3)
                assert k >= 50
        except InputError:
            continue
