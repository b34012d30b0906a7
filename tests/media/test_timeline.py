"""Shot lists: read, checked against the reel, written and read again."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest

from media.errors import InputError
from media.frames import FrameRange
from media.reel import PictureFormat, Reel, SegmentKind, Shot, SourceFrame
from media.timeline import read_shot_list, shot_id, write_otio


def reel_of(rate: Fraction = Fraction(18), timecode: str | None = None, kind: str = "dpx") -> Reel:
    ending = ".mkv" if kind == "movie" else ".dpx"
    first = 0 if kind == "movie" else 86400
    return Reel(
        id="R 1",
        rate=rate,
        encoding="cineon",
        format=PictureFormat(width=8, height=8, channels=3, bits=10),
        kind=kind,
        timecode=timecode,
        frames=tuple(
            SourceFrame(
                number=first + n,
                path=Path(f"/scans/é/R1.{first + n:07d}{ending}" if kind == "dpx" else "/m.mkv"),
                index=n,
                sha256="",
                size_bytes=1,
                mtime_ns=1,
            )
            for n in range(100)
        ),
    )


def shots_of(reel: Reel) -> list[Shot]:
    a = reel.range.start
    return [
        Shot(id="R_1_0010", reel="R 1", frames=FrameRange(a, a + 30), dissolve_out=4),
        Shot(
            id="R_1_0020",
            reel="R 1",
            frames=FrameRange(a + 30, a + 60),
            dissolve_in=5,
            fade_out=7,
            confidence=0.75,
        ),
        Shot(id="R_1_0030", reel="R 1", frames=FrameRange(a + 60, a + 100), kind=SegmentKind.BLACK),
    ]


@pytest.mark.parametrize(
    "rate", [Fraction(16), Fraction(18), Fraction(200, 11), Fraction(24000, 1001)]
)
@pytest.mark.parametrize("kind", ["dpx", "movie"])
def test_otio_round_trip(tmp_path: Path, rate: Fraction, kind: str) -> None:
    reel = reel_of(rate, kind=kind)
    path = tmp_path / "é.otio"
    write_otio(path, reel, shots_of(reel))
    assert read_shot_list(path, reel) == shots_of(reel)
    first = path.read_bytes()
    write_otio(path, reel, shots_of(reel))
    assert path.read_bytes() == first


def test_otio_refers_to_the_frames(tmp_path: Path) -> None:
    reel = reel_of()
    path = tmp_path / "a.otio"
    write_otio(path, reel, shots_of(reel))
    timeline = otio.adapters.read_from_file(str(path))
    clip = timeline.find_clips()[1]
    media = clip.media_reference
    assert media.target_url_for_image_number(30) == "/scans/é/R1.0086430.dpx"
    assert (clip.name, clip.source_range.start_time.value) == ("R_1_0020", 86430)


CSV = "shot,first,last,dissolve_in,dissolve_out,kind\n"


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "\ufeff" + CSV + "10,86400,86439,,3,\n,86440,86499,2,,leader\n", encoding="utf-8"
    )
    one, two = read_shot_list(path, reel_of())
    assert (one.id, one.frames, one.dissolve_out) == ("R_1_10", FrameRange(86400, 86440), 3)
    assert (two.id, two.dissolve_in, two.kind) == ("R_1_0020", 2, SegmentKind.LEADER)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ("a,86400,86440\nb,86440,86499\n", "line 3: overlaps"),
        ("a,86400,86430\nb,86440,86499\n", "line 3: frames 86431-86439 belong to no shot"),
        ("a,86400,86500\n", "line 2: frames 86400-86500 are outside"),
        ("a,86400,86430\n", "86431-86499 belong to no shot"),
        ("a,86410,86499\n", "86400-86409 belong to no shot"),
        ("a,86430,86420\n", "ends at"),
        ("a,x,86499\n", "line 2: not a frame number"),
        ("a,86400,86449\na,86450,86499\n", "listed twice"),
        ("a,86400,86499,500\n", "does not fit"),
        ("a,86400,86499,,,poem\n", "kind 'poem'"),
        ("a,86400,86499,,,,,\n", "more cells"),
        ("", "lists no shots"),
    ],
)
def test_csv_errors_name_the_line(tmp_path: Path, rows: str, word: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(CSV + rows)
    with pytest.raises(InputError, match=word) as caught:
        read_shot_list(path, reel_of())
    assert caught.value.reel == "R 1"


EDL = """TITLE: R1
FCM: NON-DROP FRAME

001  R1       V     C        {0}:00:00:00 {0}:00:02:00 01:00:00:00 01:00:02:00
* FROM CLIP NAME: first
002  R1       V     C        {0}:00:02:00 {0}:00:02:00 01:00:02:00 01:00:02:00
002  R1       V     D    008 {0}:00:02:00 {0}:00:04:00 01:00:02:00 01:00:04:00
003  R1       AA    C        {0}:00:00:00 {0}:00:04:00 01:00:00:00 01:00:04:00
004  R1       V     C        {0}:00:04:00 {0}:00:{1} 01:00:04:00 01:00:{1}
"""


@pytest.mark.parametrize(("rate", "end"), [(24, "04:04"), (18, "05:10"), (16, "06:04")])
@pytest.mark.parametrize(("hour", "timecode"), [("00", None), ("01", None), ("10", "10:00:00:00")])
def test_edl_at_any_rate(
    tmp_path: Path, rate: int, end: str, hour: str, timecode: str | None
) -> None:
    path = tmp_path / "a.edl"
    path.write_text(EDL.format(hour, end))
    shots = read_shot_list(path, reel_of(Fraction(rate), timecode))
    assert [s.frames.start - 86400 for s in shots] == [0, 2 * rate, 4 * rate]
    assert [s.dissolve_in for s in shots] == [0, 8, 0]
    assert shots[-1].frames.stop == 86500


def test_edl_agrees_with_the_otio_adapter(tmp_path: Path) -> None:
    path = tmp_path / "a.edl"
    path.write_text(EDL.format("00", "04:04"))
    ours = [s.frames.start - 86400 for s in read_shot_list(path, reel_of(Fraction(24)))]
    timeline = otio.adapters.read_from_file(str(path), rate=24.0)
    clips = timeline.video_tracks()[0].find_clips()
    assert ours == [c.source_range.start_time.value for c in clips]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("001 R1 V C 00:00:00:20 00:00:02:00 00:00:00:20 00:00:02:00", "line 1.*frame 20"),
        ("001 R1 V W001 010 00:00:00:00 00:00:02:00 00:00:00:00 00:00:02:00", "only cuts"),
        ("001 R1 V C 0 1 2 3", "not a CMX 3600 event"),
        ("nothing here", "lists no shots"),
    ],
)
def test_edl_errors(tmp_path: Path, line: str, word: str) -> None:
    path = tmp_path / "a.edl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=word):
        read_shot_list(path, reel_of(Fraction(18)))


def test_other_errors(tmp_path: Path) -> None:
    reel = reel_of()
    path = tmp_path / "a.otio"
    write_otio(path, reel, shots_of(reel))
    with pytest.raises(InputError, match=r"clip R_1_0010: runs at 18 frames.*the reel at 24"):
        read_shot_list(path, reel_of(Fraction(24)))
    with pytest.raises(InputError, match="outside"):
        read_shot_list(path, replace(reel, frames=reel.frames[:50]))
    path.write_text("{}")
    with pytest.raises(InputError):
        read_shot_list(path, reel)
    with pytest.raises(InputError, match="cannot be read"):
        read_shot_list(tmp_path / "absent.csv", reel)
    with pytest.raises(InputError, match="no shot list"):
        read_shot_list(tmp_path / "a.xml", reel)


def test_ids() -> None:
    assert shot_id("R1", 0) == "R1_0010"
    assert shot_id("Été 1/a.b", 11) == "_t__1_a.b_0120"
