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
from media.shots.spans import Span, SpanKind
from media.shots.timeline import read_shot_list, shot_id, write_csv, write_edl, write_otio


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


SMPTE_RATES = [Fraction(24), Fraction(25), Fraction(24000, 1001), Fraction(30000, 1001)]
SILENT_RATES = [Fraction(16), Fraction(18), Fraction(200, 11)]


def with_gap(reel: Reel) -> Reel:
    """Frames 40 to 49 are missing."""
    return replace(reel, frames=reel.frames[:40] + reel.frames[50:])


def gap_shots(reel: Reel) -> list[Shot]:
    a = reel.range.start
    ranges = [(0, 20), (20, 40), (50, 100)]
    return [
        Shot(
            id=shot_id("R 1", n),
            reel="R 1",
            frames=FrameRange(a + first, a + stop),
            dissolve_out=3 if n == 0 else 0,
            dissolve_in=4 if n == 1 else 0,
            fade_in=2 * n,
            confidence=1.0 if n == 0 else 1 / 3,
        )
        for n, (first, stop) in enumerate(ranges)
    ]


@pytest.mark.parametrize("timecode", [None, "01:00:59:20", "10:00:00:00"])
@pytest.mark.parametrize("rate", SMPTE_RATES)
def test_every_list_reads_back_the_same(
    tmp_path: Path, rate: Fraction, timecode: str | None
) -> None:
    whole = reel_of(rate, timecode)
    for reel, shots in ((whole, shots_of(whole)), (with_gap(whole), gap_shots(whole))):
        for name, write in (("a.edl", write_edl), ("a.csv", write_csv), ("a.otio", write_otio)):
            write(tmp_path / name, reel, shots)
            assert read_shot_list(tmp_path / name, reel) == shots, name


@pytest.mark.parametrize("rate", SILENT_RATES)
def test_silent_rates_have_no_edl(tmp_path: Path, rate: Fraction) -> None:
    reel = reel_of(rate)
    with pytest.raises(InputError, match=r"none at (16|18|200/11) frames per second"):
        write_edl(tmp_path / "a.edl", reel, shots_of(reel))
    assert not (tmp_path / "a.edl").exists()
    for name, write in (("a.csv", write_csv), ("a.otio", write_otio)):
        write(tmp_path / name, reel, shots_of(reel))
        assert read_shot_list(tmp_path / name, reel) == shots_of(reel)


def test_drop_frame_is_counted_as_it_is_written(tmp_path: Path) -> None:
    reel = reel_of(Fraction(30000, 1001), "00:00:58;00")
    write_edl(tmp_path / "a.edl", reel, shots_of(reel))
    text = (tmp_path / "a.edl").read_text()
    # Frame 60 would be 00:01:00;00, which drop frame leaves out.
    assert "00:01:00;02" in text
    assert "FCM: DROP FRAME" in text
    assert read_shot_list(tmp_path / "a.edl", reel) == shots_of(reel)
    broken = text.replace("00:01:00;02", "00:01:00;00")
    (tmp_path / "b.edl").write_text(broken)
    with pytest.raises(InputError, match=r"line \d+: .*drop frame"):
        read_shot_list(tmp_path / "b.edl", reel)


def test_dissolves_stand_in_the_edl_as_cmx_has_them(tmp_path: Path) -> None:
    reel = reel_of(Fraction(24))
    write_edl(tmp_path / "a.edl", reel, shots_of(reel))
    # 4 frames before the boundary at frame 30 and 5 after it.
    assert "D    009 00:00:01:02 00:00:02:12" in (tmp_path / "a.edl").read_text()
    timeline = otio.adapters.read_from_file(str(tmp_path / "a.edl"), rate=24.0)
    assert len(timeline.find_clips()) == 3


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ("a,86400,86499\n", "runs over frames 86440-86449"),
        ("a,86400,86439\nb,86445,86499\n", "starts at frame 86445, which the reel lacks"),
        ("a,86400,86435\nb,86450,86499\n", "86436-86449 belong to no shot"),
    ],
)
def test_missing_numbers_belong_to_no_shot(tmp_path: Path, rows: str, word: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(CSV + rows)
    with pytest.raises(InputError, match=word):
        read_shot_list(path, with_gap(reel_of()))


def test_rate_clashes_name_the_line(tmp_path: Path) -> None:
    reel = reel_of(Fraction(24000, 1001))
    write_csv(tmp_path / "a.csv", reel, shots_of(reel))
    with pytest.raises(InputError, match="line 2: runs at 24000/1001"):
        read_shot_list(tmp_path / "a.csv", reel_of(Fraction(24)))
    # A float cannot tell these two apart; the rational in the metadata can.
    near = Fraction(23976, 1000)
    write_otio(tmp_path / "a.otio", reel, shots_of(reel))
    with pytest.raises(InputError, match="runs at 24000/1001"):
        read_shot_list(tmp_path / "a.otio", reel_of(near))


def test_spans_are_markers(tmp_path: Path) -> None:
    reel = reel_of(Fraction(24))
    spans = [
        Span(kind=SpanKind.FLASH, frames=FrameRange(86435, 86437), confidence=0.9, reason="bright"),
        Span(kind=SpanKind.DISSOLVE, frames=FrameRange(86426, 86435), confidence=1, reason="sum"),
    ]
    write_otio(tmp_path / "a.otio", reel, shots_of(reel), spans)
    assert read_shot_list(tmp_path / "a.otio", reel) == shots_of(reel)
    timeline = otio.adapters.read_from_file(str(tmp_path / "a.otio"))
    (flash,) = timeline.find_clips()[1].markers
    assert (flash.name, flash.marked_range.start_time.value) == ("flash", 86435)
    assert flash.metadata["wetgate"]["last"] == 86436
    (mixed,) = timeline.video_tracks()[0].markers
    assert (mixed.name, mixed.marked_range.start_time.value) == ("dissolve", 26)
