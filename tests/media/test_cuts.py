"""Cuts: found under flicker, noise and dirt; flashes and ruined frames are none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from media.encoding import light_to_log, rec709_decode
from media.errors import InputError
from media.movie import MovieReader
from media.reel import SegmentKind
from media.shots.cuts import CutFinder

CLIPS = Path(__file__).parents[2] / "../shared/data/clean_video"
BIKES_CUTS = [30, 76, 137, 187, 242]
Frames = np.ndarray


def scene(seed: int, count: int, drift_px: float = 0.5) -> Frames:
    """(count, 72, 128) display values: blobs that drift, one arrangement per seed."""
    random = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(random.random((140, 260)).astype(np.float32), (0, 0), 7)
    wide = (wide - wide.mean()) / wide.std() * 0.18 + 0.45
    out = []
    for n in range(count):
        shift = np.array([[1, 0, -10 - n * drift_px], [0, 1, -10 - 0.3 * n * drift_px]], np.float32)
        out.append(cv2.warpAffine(wide, shift, (128, 72), borderMode=cv2.BORDER_REFLECT))
    return np.asarray(np.clip(np.stack(out), 0, 1), dtype=np.float32)


def damaged(frames: Frames, seed: int = 1) -> Frames:
    """±25 % exposure per frame, noise of 8/255, and specks of dirt."""
    random = np.random.default_rng(seed)
    gains = random.uniform(0.75, 1.25, (len(frames), 1, 1))
    out = np.clip(frames * gains + random.normal(0, 8 / 255, frames.shape), 0, 1)
    for picture in out:
        for _ in range(6):
            y, x = random.integers(0, frames.shape[1] - 6), random.integers(0, 120)
            picture[y : y + random.integers(1, 6), x : x + random.integers(1, 6)] = random.choice(
                [0.0, 1.0]
            )
    return out.astype(np.float32)


def finder(frames: Frames, first: int = 0) -> CutFinder:
    log = light_to_log(rec709_decode(torch.from_numpy(frames.astype(np.float32)))).numpy()
    found = CutFinder()
    for n, picture in enumerate(log):
        found.observe(first + n, picture)
    return found


def cuts(frames: Frames, kind: str | None = None) -> list[int]:
    return [b.frame for b in finder(frames).finish() if kind in (None, b.kind)]


@pytest.mark.parametrize("harm", [False, True])
def test_cuts_of_shots_long_and_short(harm: bool) -> None:
    lengths = [20, 2, 3, 15, 4, 30]
    frames = np.concatenate([scene(k, n) for k, n in enumerate(lengths)])
    wanted = np.cumsum(lengths)[:-1].tolist()
    assert cuts(damaged(frames) if harm else frames) == wanted


def test_flashes_ruined_frames_and_motion_are_no_cuts() -> None:
    frames = scene(1, 60, drift_px=1.5)
    frames[10] = 1.0
    frames[20:23] = np.clip(frames[20:23] * 2.5 + 0.3, 0, 1)
    frames[30] = 0.0
    frames[40] = scene(9, 1)[0]
    frames[50, 30:] = 0.9
    assert cuts(frames) == []
    assert cuts(damaged(frames)) == []


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("harm", [False, True])
def test_a_short_bright_shot_inside_a_scene_is_no_flash(count: int, harm: bool) -> None:
    frames = scene(1, 40)
    frames[20 : 20 + count] = np.clip(scene(9, count) + 0.3, 0, 1)
    assert cuts(damaged(frames) if harm else frames) == [20, 20 + count]
    # The same frames lightened are one, even where nothing but white is left of them.
    for gain in (1.6, 2.2, 9.0):
        lit = scene(1, 40)
        lit[20 : 20 + count] = np.clip(lit[20 : 20 + count] * gain + 0.1, 0, 1)
        assert cuts(damaged(lit) if harm else lit) == []


@pytest.mark.parametrize("drift_px", [12.0, 24.0])
def test_stretched_material_that_moves_fast_has_no_cuts(drift_px: float) -> None:
    wide = np.concatenate([scene(k, 1)[0] for k in range(15)], axis=1)
    wide = cv2.GaussianBlur(wide, (0, 0), 1.5)
    order = [k - (k % 5 == 4) for k in range(60)]
    frames = np.stack([wide[:, round(k * drift_px) :][:, :128] for k in order])
    assert cuts(frames) == []
    joined = np.concatenate([scene(20, 31), frames])
    assert cuts(joined) == [31]


def test_a_lighting_change_is_no_cut() -> None:
    frames = scene(2, 40)
    frames[20:] *= 0.6
    assert cuts(frames) == []


@pytest.mark.parametrize("harm", [False, True])
def test_fades_and_black(harm: bool) -> None:
    one, two = scene(3, 50), scene(4, 46)
    one[30:] *= np.linspace(1, 0.02, 20)[:, None, None]
    two[:16] *= np.linspace(0.02, 1, 16)[:, None, None]
    frames = np.concatenate([one, np.zeros((12, 72, 128), np.float32), two])
    shots = finder(damaged(frames) if harm else frames, 1000).shots("R 1")
    assert [s.kind for s in shots] == [SegmentKind.SHOT, SegmentKind.BLACK, SegmentKind.SHOT]
    assert abs(shots[1].frames.start - 1050) <= 3
    assert abs(shots[1].frames.stop - 1062) <= 3
    assert 12 <= shots[0].fade_out <= 24
    assert 9 <= shots[2].fade_in <= 20
    assert [s.id for s in shots] == ["R_1_0010", "R_1_0020", "R_1_0030"]
    assert (shots[0].frames.start, shots[2].frames.stop) == (1000, 1108)


@pytest.mark.parametrize("harm", [False, True])
@pytest.mark.parametrize("length", [8, 16, 24])
def test_dissolves(length: int, harm: bool) -> None:
    one, two = scene(5, 70, 0.1), scene(6, 70, 0.1)
    share = ((np.arange(length) + 1) / (length + 1))[:, None, None]
    mixed = np.sqrt((1 - share) * one[30 : 30 + length] ** 2 + share * two[:length] ** 2)
    frames = np.concatenate([one[:30], mixed, two[length:]]).astype(np.float32)
    (found,) = finder(damaged(frames) if harm else frames).finish()
    assert found.kind == "dissolve"
    assert abs(found.frame - (30 + length / 2)) <= 3 + length / 6
    assert length * 0.5 <= found.dissolve_in + found.dissolve_out <= length * 1.4
    first, second = finder(frames).shots("R1")
    assert first.frames.stop == second.frames.start
    assert first.dissolve_out > 0
    assert second.dissolve_in > 0


def test_frames_must_come_in_order() -> None:
    found = CutFinder()
    assert found.shots("R1") == []
    found.observe(5, scene(1, 1)[0])
    with pytest.raises(InputError, match="expected frame 6"):
        found.observe(7, scene(1, 1)[0])
    (only,) = found.shots("R1")
    assert (only.frames.start, only.frames.stop, only.confidence) == (5, 6, 1.0)


def clip(name: str, step: int = 1) -> Frames:
    if not CLIPS.is_dir():
        pytest.skip("no reference material beside the checkout")
    out = []
    with MovieReader(CLIPS / name, "bt709", False) as reader:
        for n in range(0, reader.info.frame_count, step):
            codes = reader.read(n)
            size = (128, round(128 * codes.shape[0] / codes.shape[1]))
            small = cv2.resize(codes, size, interpolation=cv2.INTER_AREA)
            out.append(small @ np.array([0.2126, 0.7152, 0.0722], np.float32) / 65535)
    return np.stack(out).astype(np.float32)


@pytest.mark.reference
def test_bikes_cuts_where_common_detectors_fail() -> None:
    frames = clip("bikes_6shots.mp4")
    assert cuts(frames) == BIKES_CUTS
    for seed in range(3):
        assert cuts(damaged(frames, seed)) == BIKES_CUTS
    # The usual tool on the same damaged pictures, for comparison.
    harmed = (damaged(frames, 0) * 255).astype(np.uint8)
    for detector in (ContentDetector(), AdaptiveDetector()):
        theirs: list[int] = []
        for n, picture in enumerate(harmed):
            color = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
            theirs += [t.frame_num for t in detector.process_frame(FrameTimecode(n, 25.0), color)]
        assert sorted(theirs) != BIKES_CUTS


@pytest.mark.reference
@pytest.mark.parametrize(
    "name", ["sam2_01_dog.mp4", "sam2_03_blocks.mp4", "car-detection.mp4", "bigbuckbunny_720p.mp4"]
)
def test_single_shots_stay_whole(name: str) -> None:
    frames = clip(name, 2 if name.startswith("sam2") else 1)
    assert cuts(frames) == []
    assert cuts(damaged(frames)) == []


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("at", [19, 20])
def test_a_ruined_frame_at_a_cut_hides_it_from_nobody(level: float, at: int) -> None:
    frames = np.concatenate([scene(1, 20), scene(2, 20)])
    frames[at] = 0.02 * frames[at] + 0.98 * level
    assert cuts(frames, "cut") == [at + 1]


@pytest.mark.parametrize("run", [2, 3])
@pytest.mark.parametrize("before", [True, False])
def test_a_few_burnt_frames_at_a_cut_hide_it_from_nobody(run: int, before: bool) -> None:
    frames = np.concatenate([scene(1, 20), scene(2, 20)])
    first = 20 - run if before else 20
    for at in range(first, first + run):
        rng = np.random.default_rng(at)
        holes = cv2.GaussianBlur(rng.standard_normal(frames[at].shape), (0, 0), 12)
        frames[at] = np.where(holes > 0, 0.98, 0.5)
    assert cuts(frames, "cut") == [first + run]


def test_a_jolt_of_two_frames_is_no_cut() -> None:
    frames = scene(3, 40, drift_px=0.2)
    frames[20] = np.roll(frames[20], 40, axis=1)
    assert cuts(frames, "cut") == []


@pytest.mark.parametrize("seeds", [(1, 2), (5, 6), (9, 10)])
def test_a_single_frame_of_another_shot_hides_no_cut(seeds: tuple[int, int]) -> None:
    left_over = scene(seeds[0] + 50, 1)
    frames = np.concatenate([scene(seeds[0], 20), left_over, scene(seeds[1], 20)])
    assert cuts(frames) == [21]
    assert cuts(damaged(frames)) == [21]
    assert cuts(np.concatenate([scene(seeds[0], 20), left_over, scene(seeds[0], 20)])) == []
