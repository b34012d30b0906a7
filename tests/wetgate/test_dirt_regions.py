"""Dirt that a person names: a blotch on several frames, which nothing tells from the scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from media.errors import ConfigError
from media.synthetic import Damage, damage_shot
from media.write import AnyCodes, to_codes
from tests.reels import HEIGHT_PX, MARGIN_PX, TEN_BIT, WIDTH_PX, project_of, put_reel, run_here
from tests.strategies import pan
from tests.wetgate.test_doubled import ONE_SHOT, decided, delivered, touched
from wetgate.events import read_events

FIRST, FRAMES = 1001, 10
BLOTCHED = range(1004, 1008)
LEFT, TOP, WIDTH, HEIGHT = 40, 24, 18, 14
BOX = (slice(TOP, TOP + HEIGHT), slice(LEFT, LEFT + WIDTH))
GRAIN = Damage(dirt_per_frame=0.0, weave_px=(0.0, 0.0), flicker_stops=0.0, grain_sigma=0.006)
SETS = (ONE_SHOT, "policy.max_repaired_share=0.3", "render.chunk_frames=2")


@pytest.fixture
def shot(tmp_path: Path) -> tuple[Path, AnyCodes, AnyCodes]:
    """A reel of one shot with a blotch on four frames in one place; its codes, and without."""
    damage = replace(GRAIN, flicker_channel_stops=0.0, flicker_local_stops=0.0)
    wide = pan(4, FRAMES, HEIGHT_PX + 2 * MARGIN_PX, WIDTH_PX + 2 * MARGIN_PX, 0.4)
    frames, _ = damage_shot(wide, damage, 4, MARGIN_PX)
    values = np.ascontiguousarray(frames.transpose(0, 2, 3, 1))
    sound: AnyCodes = np.stack([to_codes(v, TEN_BIT).astype(np.uint16) for v in values])
    dirty = sound.copy()
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    apart = np.hypot(
        (rows - TOP - HEIGHT / 2 + 0.5) / 5.0, (columns - LEFT - WIDTH / 2 + 0.5) / 7.0
    )
    for number in BLOTCHED:
        dirty[number - FIRST][apart < 1.0] = 190
    return put_reel(tmp_path / "R1", dirty, FIRST), dirty, sound


def named(out: Path, frames: tuple[int, int], box: tuple[int, ...]) -> None:
    out.mkdir(exist_ok=True)
    line = f"regions = [{{ frames = {list(frames)}, box_px = {list(box)} }}]\n"
    (out / "overrides.toml").write_text(f'["R1_0010".dirt]\n{line}', "utf-8")


def test_a_blotch_on_several_frames_is_covered_once_it_is_named(
    shot: tuple[Path, AnyCodes, AnyCodes], tmp_path: Path
) -> None:
    scan, dirty, sound = shot
    out = tmp_path / "out"
    project = project_of([scan], *SETS, only="dirt")
    run_here(project, out)
    before = touched(out)
    named(out, (BLOTCHED.start, BLOTCHED.stop - 1), (LEFT, TOP, WIDTH, HEIGHT))
    done = run_here(project, out)
    assert done.held == () == done.failed
    (region,) = decided(out)["dirt"]["regions"]
    assert region == {"frames": [1004, 1007], "box_px": [LEFT, TOP, WIDTH, HEIGHT]}
    assert decided(out)["dirt"]["origin"] == "human"
    page = (out / "report/index.html").read_text("utf-8")
    assert "18 x 14 px at 40, 24 on frames 1004 to 1007" in page
    pictures, planes = delivered(out), touched(out)
    for number in range(FIRST, FIRST + FRAMES):
        k = number - FIRST
        same = planes[number] == 0
        np.testing.assert_array_equal(pictures[number][same], dirty[k][same])
        if number in BLOTCHED:
            assert bool((planes[number][BOX][2:-2, 2:-2] == 2).all())
            gap = pictures[number][BOX].astype(np.float64) - sound[k][BOX]
            assert float(np.sqrt(np.square(gap).mean())) < 20.0
        else:
            np.testing.assert_array_equal(planes[number], before[number])


def test_only_chunks_that_see_it_are_rendered_again(
    shot: tuple[Path, AnyCodes, AnyCodes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    project = project_of([shot[0]], *SETS, only="dirt")
    run_here(project, out)
    named(out, (1010, 1010), (LEFT, TOP, WIDTH, HEIGHT))
    run_here(project, out)
    chunks = [e for e in read_events(out / "events.jsonl") if e.get("event") == "chunk_rendered"]
    # Five, and of those the last two, which look as far as the last frame.
    assert len(chunks) == 7


@pytest.mark.parametrize(
    ("frames", "box", "said"),
    [
        ((1004, 1011), (LEFT, TOP, 4, 4), r"frames \[1004, 1011\] are not in this shot"),
        ((1007, 1004), (LEFT, TOP, 4, 4), r"frames \[1007, 1004\] are not in this shot"),
        ((1004, 1004), (90, TOP, 10, 4), r"\[90, 24, 10, 4\] does not lie in the frame"),
        ((1004, 1004), (LEFT, TOP, 0, 4), "does not lie in the frame"),
        ((1003, 1007), (LEFT, TOP, 4, 4), "no frame within 2 of 1005 shows what is behind"),
        ((1001, 1003), (LEFT, TOP, 4, 4), "no frame within 2 of 1001 shows what is behind"),
    ],
)
def test_what_cannot_be_done_is_refused(
    shot: tuple[Path, AnyCodes, AnyCodes],
    tmp_path: Path,
    frames: tuple[int, int],
    box: tuple[int, ...],
    said: str,
) -> None:
    out = tmp_path / "out"
    named(out, frames, box)
    with pytest.raises(ConfigError, match=said):
        run_here(project_of([shot[0]], *SETS, only="dirt"), out)


def test_where_dirt_is_left_alone_nothing_can_be_named(
    shot: tuple[Path, AnyCodes, AnyCodes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    named(out, (1004, 1004), (LEFT, TOP, 4, 4))
    with pytest.raises(ConfigError, match="dirt is left alone on this shot"):
        run_here(project_of([shot[0]], *SETS, only="scratch"), out)
