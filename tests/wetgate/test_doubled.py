"""Frames shown twice and frames that are missing: measured past, repaired alike, marked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.errors import ConfigError, FrameMissing
from media.scan import read_codes
from media.write import AnyCodes
from tests.reels import TEN_BIT, project_of, put_reel, rendered_shots, run_here, scene
from tests.strategies import add_grain, pan
from wetgate.job import open_job
from wetgate.review import doubts

FIRST = 1001


def panned(frames: int, seed: int = 4, step_px: float = 1.7) -> AnyCodes:
    """(T, H, W, 3) 10-bit codes of an undamaged, grainy pan."""
    values = add_grain(pan(seed, frames, 64, 96, step_px), 0.006, seed + 1, 0.7)
    codes: AnyCodes = np.rint(values.transpose(0, 2, 3, 1) * 1023).clip(0, 1023).astype(np.uint16)
    return codes


def doubled(codes: AnyCodes, places: set[int]) -> tuple[AnyCodes, list[int]]:
    """With some frames shown twice; and the scan number of each second showing."""
    order = [k for at in range(len(codes)) for k in ([at, at] if at in places else [at])]
    numbers = [FIRST + k for k in range(1, len(order)) if order[k] == order[k - 1]]
    return codes[order], numbers


def ingested(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "reels/R1/ingest.json").read_text("utf-8"))
    return found


def decided(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "reels/R1/decisions/R1_0010.json").read_text("utf-8"))
    return found


def delivered(out: Path) -> dict[int, AnyCodes]:
    files = sorted((out / "deliver/restored/R1").iterdir())
    return {int(f.name.split(".")[1]): read_codes(f) for f in files}


def touched(out: Path) -> dict[int, AnyCodes]:
    files = sorted((out / "touch/R1").iterdir())
    return {int(f.name.split(".")[1]): read_codes(f)[:, :, 0] for f in files}


ONE_SHOT = "ingest.detect_shots=false"


@pytest.mark.parametrize("found", [True, False])
def test_dirt_on_a_doubled_frame(tmp_path: Path, found: bool) -> None:
    codes = panned(14).copy()
    codes[6, 30:35, 40:46] = 900
    frames, numbers = doubled(codes, {3, 6, 10})
    scan = put_reel(tmp_path / "R1", frames, FIRST)
    out = tmp_path / "out"
    sets = (ONE_SHOT, f"ingest.find_doubled={str(found).lower()}")
    assert run_here(project_of([scan], *sets, only="dirt"), out).failed == ()
    assert ingested(out)["doubled"] == (numbers if found else [])
    pair = [FIRST + 7, FIRST + 8]
    planes, pictures = touched(out), delivered(out)
    marked = [(planes[n][31:34, 41:45] == 2).mean() for n in pair]
    if found:
        assert marked == [1.0, 1.0]
        # One picture, repaired once: both showings come out the same.
        np.testing.assert_array_equal(pictures[pair[0]], pictures[pair[1]])
        assert int(pictures[pair[0]][31:34, 41:45].max()) < 800
    else:
        # Two frames that share dirt do not vouch for it.
        assert min(marked) > 0.5


def test_a_doubled_pan_is_not_taken_for_weave(tmp_path: Path) -> None:
    frames, numbers = doubled(panned(24), set(range(2, 24, 3)))
    scan = put_reel(tmp_path / "R1", frames, FIRST)
    for found, limit_px in ((True, 0.1), (False, None)):
        out = tmp_path / f"out-{found}"
        sets = (ONE_SHOT, f"ingest.find_doubled={str(found).lower()}", "restore.weave.floor_px=0.0")
        run_here(project_of([scan], *sets, only="weave"), out)
        shifts = decided(out)["weave"]["dx_px"]
        if limit_px is not None:
            assert len(shifts) in (0, len(frames))
            assert max(map(abs, shifts), default=0.0) < limit_px
            report = ingested(out)["cadence"]
            assert (report["period"], report["apparent_rate"]) == (4, "18")
            assert report["doubled"] == numbers
            for number in numbers:
                if shifts:
                    assert shifts[number - FIRST] == shifts[number - FIRST - 1]
        else:
            assert max(map(abs, shifts)) > 0.3


def test_repeats_resume_and_chunk_like_any_other_frame(tmp_path: Path) -> None:
    frames, _ = doubled(scene(1, 12), {2, 3, 7, 8})
    scan = put_reel(tmp_path / "R1", frames, FIRST)
    pictures = []
    for chunk in (3, 16):
        out = tmp_path / f"out-{chunk}"
        run_here(project_of([scan], ONE_SHOT, f"render.chunk_frames={chunk}"), out)
        pictures.append(delivered(out))
    for number, picture in pictures[0].items():
        np.testing.assert_array_equal(picture, pictures[1][number])


def gapped(folder: Path, codes: AnyCodes, *missing: int) -> Path:
    scan = put_reel(folder, codes, FIRST)
    for at in missing:
        (scan / f"R1.{FIRST + at:07d}.dpx").unlink()
    return scan


def test_a_gap_is_refused_with_what_can_be_done(tmp_path: Path) -> None:
    scan = gapped(tmp_path / "R1", panned(8), 3, 4)
    with pytest.raises(FrameMissing, match="2 frames are missing") as caught:
        run_here(project_of([scan]), tmp_path / "out")
    assert "reels.gaps" in caught.value.hint
    assert caught.value.frame == FIRST + 3


@pytest.mark.parametrize("only", ["none", "weave,dirt,noise"])
def test_a_kept_gap_stays_a_gap(tmp_path: Path, only: str) -> None:
    codes = scene(1, 14)
    scan = gapped(tmp_path / "R1", codes, 6, 7)
    out = tmp_path / "out"
    outcome = run_here(project_of([scan], "reels.gaps=keep", ONE_SHOT, only=only), out)
    assert (outcome.failed, outcome.frames_delivered) == ((), 12)
    kept = [FIRST + k for k in range(14) if k not in (6, 7)]
    assert list(delivered(out)) == list(touched(out)) == kept
    shots = [s["frames"] for s in json.loads((out / "manifest.json").read_text())["shots"]]
    assert shots == [[FIRST, FIRST + 5], [FIRST + 8, FIRST + 13]]
    assert run_here(project_of([scan], "reels.gaps=keep", ONE_SHOT, only=only), out).failed == ()


def test_a_held_gap_is_filled_and_marked(tmp_path: Path) -> None:
    codes = panned(12)
    scan = gapped(tmp_path / "R1", codes, 5, 6)
    out = tmp_path / "out"
    project = project_of([scan], "reels.gaps=hold", "deliver.names=source", ONE_SHOT, only="none")
    outcome = run_here(project, out)
    assert outcome.frames_delivered == 12
    pictures, planes = delivered(out), touched(out)
    for k in range(12):
        shown = 4 if k in (5, 6) else k
        np.testing.assert_array_equal(pictures[FIRST + k], codes[shown])
        assert (planes[FIRST + k] == (2 if k in (5, 6) else 0)).all()
    assert run_here(project, out).frames_delivered == 12


def test_a_rebuilt_frame_lies_between_its_neighbours(tmp_path: Path) -> None:
    codes = panned(12)
    scan = gapped(tmp_path / "R1", codes, 5)
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="rebuild"):
        run_here(project_of([scan], "reels.gaps=rebuild"), out)
    allowed = ("reels.gaps=rebuild", "policy.allow_invented=true", ONE_SHOT)
    assert run_here(project_of([scan], *allowed, only="none"), out).exit_code == 0
    pictures, planes = delivered(out), touched(out)
    assert (planes[FIRST + 5] == 3).all()
    assert not planes[FIRST + 4].any()
    inside = (slice(8, -8), slice(8, -8))

    def apart(found: AnyCodes) -> float:
        difference = found[inside].astype(np.float64) - codes[5][inside]
        return float(np.sqrt(np.square(difference).mean()))

    assert apart(pictures[FIRST + 5]) < 0.35 * apart(codes[4])
    np.testing.assert_array_equal(pictures[FIRST + 4], codes[4])


def test_a_frame_missing_at_a_cut_is_held_and_said_so(tmp_path: Path) -> None:
    codes = np.concatenate([panned(8, seed=4), panned(8, seed=11)])
    scan = gapped(tmp_path / "R1", codes, 8)
    out = tmp_path / "out"
    listed = tmp_path / "cuts.csv"
    listed.write_text(f"first,last\n{FIRST},{FIRST + 8}\n{FIRST + 9},{FIRST + 15}\n", "utf-8")
    sets = ("reels.gaps=rebuild", "policy.allow_invented=true", f"reels.shots={listed}")
    run_here(project_of([scan], *sets, only="none"), out)
    np.testing.assert_array_equal(delivered(out)[FIRST + 8], codes[7])
    assert (touched(out)[FIRST + 8] == 2).all()
    assert f"frame {FIRST + 8} is missing at a cut" in (out / "reels/R1/ingest.txt").read_text()
    (doubt, *_) = doubts(open_job(out))
    assert f"frame {FIRST + 8} missing, and not rebuilt" in doubt.held_because[0]


def test_more_missing_frames_than_can_be_made_hold_the_shot(tmp_path: Path) -> None:
    scan = gapped(tmp_path / "R1", panned(14), 5, 6, 7, 8)
    out = tmp_path / "out"
    sets = ("reels.gaps=rebuild", "policy.allow_invented=true", ONE_SHOT)
    outcome = run_here(project_of([scan], *sets, only="none"), out)
    assert outcome.held == ("R1_0010",)
    assert all(bool((touched(out)[FIRST + k] == 2).all()) for k in (5, 6, 7, 8))
    (doubt,) = doubts(open_job(out))
    said = f"frames {FIRST + 5}-{FIRST + 8} missing, and not rebuilt"
    assert said in doubt.held_because[0]
    meant = project_of([scan], "reels.gaps=hold", ONE_SHOT, only="none")
    assert run_here(meant, tmp_path / "meant").held == ()


def test_an_unreadable_frame_can_be_held(tmp_path: Path) -> None:
    scan = put_reel(tmp_path / "R1", panned(8), FIRST)
    (scan / f"R1.{FIRST + 3:07d}.dpx").write_bytes(b"")
    out = tmp_path / "out"
    project = project_of([scan], "reels.gaps=hold", ONE_SHOT, only="none")
    for _ in range(2):
        assert run_here(project, out).frames_delivered == 8
    assert "cannot be read" in (out / "reels/R1/ingest.txt").read_text("utf-8")
    assert str(FIRST + 3) in ingested(out)["facts"]["unreadable"]


def test_nothing_is_rendered_or_stored_for_a_scan_that_is_handed_on(tmp_path: Path) -> None:
    scan = put_reel(tmp_path / "R1", panned(6), FIRST)
    out = tmp_path / "out"
    run_here(project_of([scan], only="none"), out)
    assert rendered_shots(out) == []
    assert not list((out / "store").glob("??/*"))
    summary = (out / "reels/R1/ingest.txt").read_text("utf-8")
    assert f"{TEN_BIT} (dpx), declared as cineon" in summary
