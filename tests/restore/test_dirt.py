"""Dirt: found where it is, nowhere else, and replaced by what was behind it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from media.passes import Effect, Window
from restore.dirt.apply import DirtOperator
from restore.dirt.blobs import Blob
from restore.dirt.borrow import cover
from restore.dirt.closer import Closer
from restore.dirt.detect import DirtOptions
from restore.dirt.evidence import FOLD, believed, folded, levelled, planes, told_apart
from restore.dirt.invent import invent
from restore.dirt.network import probability, probability_of_cells
from restore.dirt.rules import deviation
from restore.dirt.whole import made_whole
from restore.motion import luma, steering_image
from tests.restore.conftest import CLEAN, F32, FRAMES, SHOT, damage, rendered, scene
from tests.strategies import pan, psnr_db, still, with_ball

DIRT = replace(CLEAN, grain_sigma=0.010, dirt_per_frame=3.0, dirt_size_px=(2.0, 10.0))
NO_DIRT = replace(DIRT, dirt_per_frame=0.0)
SIGMA = 0.0075
Mask = NDArray[np.bool_]


RULES = DirtOptions(detector="rules")
BOTH = pytest.mark.parametrize("options", [DirtOptions(), RULES], ids=["network", "rules"])


def repair(
    options: DirtOptions | None = None, protected: frozenset[int] = frozenset()
) -> DirtOperator:
    return DirtOperator(sigma=SIGMA, options=options or DirtOptions(), protected=protected)


def grown(mask: Mask) -> Mask:
    """Two pixels more all around: the rim of a speck is repaired with it."""
    square = np.ones((5, 5), np.uint8)
    return np.stack([cv2.dilate(m.astype(np.uint8), square) > 0 for m in mask])


def scores(found: Mask, truth: Mask) -> tuple[float, float]:
    """F1, and the share of the picture that was touched without cause."""
    near = grown(truth)
    recall = float((found & truth).sum() / truth.sum())
    precision = float((found & near).sum() / max(int(found.sum()), 1))
    return 2 * recall * precision / (recall + precision), float((found & ~near).mean())


@BOTH
@pytest.mark.parametrize("kind", ["still", "pan", "drift", "foreground", "ball"])
def test_dirt_is_found_and_replaced(kind: str, options: DirtOptions) -> None:
    frames, truth = damage(scene(kind), DIRT)
    clean, _ = damage(scene(kind), NO_DIRT)
    fixed, touch = rendered([repair(options)], frames)
    f1, spurious = scores(touch > 0, truth.dirt)
    assert f1 >= 0.85
    assert spurious <= 0.001
    before, after = psnr_db(frames, clean, truth.dirt), psnr_db(fixed, clean, truth.dirt)
    assert after >= before + 9.0
    assert psnr_db(fixed, clean) >= psnr_db(frames, clean) + 6.0


@BOTH
@pytest.mark.parametrize("kind", ["still", "pan", "drift", "foreground"])
def test_clean_picture_is_left_alone(kind: str, options: DirtOptions) -> None:
    frames, _ = damage(scene(kind, 2), NO_DIRT)
    _, touch = rendered([repair(options)], frames)
    assert float((touch > 0).mean()) <= 0.0005


@BOTH
@pytest.mark.parametrize(("radius_px", "level"), [(4.0, 0.68), (6.0, 0.16), (9.0, 0.66)])
@pytest.mark.parametrize("kind", ["still", "pan"])
def test_a_fast_ball_lives(kind: str, radius_px: float, level: float, options: DirtOptions) -> None:
    clean, where = with_ball(scene(kind), 12.0, radius_px, level)
    frames, _ = damage(clean, NO_DIRT)
    _, touch = rendered([repair(options)], frames)
    inner = where[:, 8:-8, 8:-8]
    assert float((touch > 0)[inner].mean()) < 0.03


def test_only_masked_pixels_change() -> None:
    frames, _ = damage(scene("pan"), DIRT)
    fixed, touch = rendered([repair()], frames)
    changed = (fixed != frames).any(axis=1)
    assert bool(changed.any())
    assert not bool((changed & (touch == 0)).any())
    assert set(np.unique(touch)) == {0, int(Effect.BORROWED)}


@pytest.mark.parametrize("at", [0, FRAMES - 1])
def test_first_and_last_frame_are_repaired(at: int) -> None:
    frames, _ = damage(scene("drift"), NO_DIRT)
    dirty = frames.copy()
    y, x = np.mgrid[0 : frames.shape[2], 0 : frames.shape[3]]
    speck = (y - 70) ** 2 + (x - 100) ** 2 < 16
    dirty[at][:, speck] = 0.8
    fixed, touch = rendered([repair()], dirty)
    assert float((touch[at] > 0)[speck].mean()) > 0.95
    assert psnr_db(fixed[at], frames[at], speck) > 26.0


def test_grain_stays_in_the_repair() -> None:
    frames, truth = damage(scene("still"), DIRT)
    clean, _ = damage(scene("still"), CLEAN)
    fixed, touch = rendered([repair()], frames)
    grain = (fixed - clean)[:, 1]
    under, beside = touch > 0, (touch == 0) & ~grown(truth.dirt)
    ratio = float(np.median(np.abs(grain[under])) / np.median(np.abs(grain[beside])))
    assert 0.7 < ratio < 1.4


def test_protected_frames_are_left_alone() -> None:
    frames, _ = damage(scene("still"), DIRT)
    fixed, touch = rendered([repair(protected=frozenset({SHOT.start + 5}))], frames)
    assert np.array_equal(fixed[5], frames[5])
    assert not touch[5].any()
    assert touch[6].any()


def test_too_much_dirt_is_refused_and_counted() -> None:
    frames, _ = damage(scene("still"), replace(DIRT, dirt_per_frame=6.0))
    operator = repair(DirtOptions(max_area_share=0.0005))
    found = operator.count_suspects(Window.whole(torch.from_numpy(frames[:7]), tuple(SHOT)[:7]))
    assert len(found) == 3
    assert all(f.refused and not f.mask.any() for f in found)
    _, touch = rendered([operator], frames)
    assert not touch.any()


def test_a_large_stain_is_left_alone() -> None:
    frames, _ = damage(scene("still"), NO_DIRT)
    frames = frames.copy()
    frames[10, :, 40:120, 60:140] = 0.75
    fixed, _ = rendered([repair(DirtOptions(max_blob_px=4000))], frames)
    assert np.array_equal(fixed[10, :, 60:100, 80:120], frames[10, :, 60:100, 80:120])


def test_how_large_a_piece_may_be_goes_by_the_frame() -> None:
    """A stain that would fill a small scan is a small part of a large one."""
    sound, _ = damage(still(1, 5, 616, 816), NO_DIRT)
    stain = np.zeros(sound.shape[-2:], np.float32)
    cv2.ellipse(stain, (400, 300), (80, 60), 20.0, 0.0, 360.0, 1.0, -1, cv2.LINE_AA)
    frames = sound.copy()
    frames[2] += (0.2 - frames[2]) * 0.8 * cv2.GaussianBlur(stain, (0, 0), 1.0)
    assert 12_000 < int((stain > 0.5).sum()) < stain.size // 20
    fixed, _ = rendered([repair()], frames)
    inside = stain > 0.9
    left = np.abs(fixed[2] - sound[2])[:, inside]
    assert float(np.median(left)) < 0.2 * float(np.median(np.abs(frames[2] - sound[2])[:, inside]))
    kept, _ = rendered([repair(DirtOptions(max_blob_px=12_000))], frames)
    assert np.array_equal(kept[2][:, inside], frames[2][:, inside])


@pytest.mark.parametrize("flicker", [0.0, 0.15, -0.15])
def test_what_lies_within_a_stain_belongs_to_it_where_it_differs_too(flicker: float) -> None:
    rng = np.random.default_rng(4)
    scene_: F32 = (0.5 + 0.1 * rng.random((80, 100))).astype(np.float32)
    stain = np.zeros((80, 100), np.uint8)
    cv2.ellipse(stain, (50, 40), (30, 22), 0.0, 0.0, 360.0, 1, -1)
    window = np.zeros((80, 100), np.bool_)
    window[36:44, 44:54] = True
    """The stain has a hole there, through which the scene is seen."""
    own = np.where((stain > 0) & ~window, np.float32(0.2), scene_)
    found: Mask = (stain > 0) & ~window
    found[20:40, 55:70] = False
    box = (slice(16, 65), slice(18, 83))
    blob = Blob(16, 18, found[box], 0, int(found.sum()))
    flows = [np.zeros((80, 100, 2), np.float32)] * 2
    # Flicker that is left between the frames, up to half the stain's own contrast, is no dirt.
    whole = laid(made_whole(blob, own, [scene_ + flicker] * 2, flows, 0.003), own.shape)
    truth = (stain > 0) & ~window
    assert float((whole & truth).sum()) > 0.97 * float(truth.sum())
    assert not (whole & ~truth)[
        ~cv2.dilate(truth.astype(np.uint8), np.ones((7, 7))).astype(bool)
    ].any()


def laid(blob: Blob, size: tuple[int, ...]) -> Mask:
    """(H, W) where it lies on the frame."""
    found: Mask = np.zeros(size, np.bool_)
    h, w = blob.inside.shape
    found[blob.top : blob.top + h, blob.left : blob.left + w] = blob.inside
    return found


@pytest.mark.parametrize("level", [0.1, 0.85])
def test_of_a_plain_drop_the_rest_is_found_too(level: float) -> None:
    rng = np.random.default_rng(3)
    scene_ = still(5, 1, 90, 120)[0].mean(axis=0)
    seen, away = (scene_ + rng.normal(0.0, 0.004, scene_.shape).astype(np.float32) for _ in "ab")
    drop, ball = np.zeros((90, 120), np.uint8), np.zeros((90, 120), np.uint8)
    cv2.circle(drop, (50, 45), 11, 1, -1)
    cv2.circle(ball, (70, 45), 8, 1, -1)
    # A thing of the scene touches it, as dark or as light, and every frame shows that.
    for frame in (seen, away):
        frame[ball > 0] = level
    own = np.where(drop > 0, np.float32(level), seen)
    found: Mask = drop > 0
    found[48:] = found[:, 56:] = False
    blob = Blob(30, 35, found[30:60, 35:65], 0, int(found.sum()))
    whole = laid(
        made_whole(blob, own, [away] * 3, [np.zeros((90, 120, 2), np.float32)] * 3, 0.004),
        own.shape,
    )
    truth = (drop > 0) & (ball == 0)
    assert float(whole[truth].mean()) > 0.97
    assert float(whole[~(cv2.dilate(drop, np.ones((5, 5), np.uint8)) > 0)].sum()) == 0.0


@BOTH
def test_what_a_pan_brings_into_view_on_the_last_frame_is_left(options: DirtOptions) -> None:
    sound, _ = damage(pan(2, 8, 176, 256, 6.0), NO_DIRT)
    _, touch = rendered([repair(options)], sound)
    assert not touch[-1, :, -6:].any()
    assert not touch[0, :, :6].any()


def test_two_frames_give_no_evidence() -> None:
    frames, _ = damage(scene("still"), DIRT)
    fixed, touch = rendered([repair()], frames[:2])
    assert np.array_equal(fixed, frames[:2])
    assert not touch.any()


def test_deviation_asks_for_more_where_neighbours_disagree() -> None:
    own = torch.full((20, 20), 0.5)
    own[10, 10] = 0.7
    near = torch.full((2, 1, 20, 20), 0.5)
    sure = float(deviation(own, near)[10, 10])
    near[1, :, 8:13, 8:13] += 0.1
    assert sure == pytest.approx(0.2, abs=2e-3)
    assert 0.0 < float(deviation(own, near)[10, 10]) < 0.1


def test_a_change_of_level_is_not_dirt() -> None:
    rng = np.random.default_rng(8)
    own = torch.from_numpy(rng.normal(0.5, 0.05, (96, 128)).astype(np.float32))
    near = torch.stack([own - 0.06, own + 0.05])[:, None]
    speck = own.clone()
    speck[40:46, 60:66] = 0.15
    score = deviation(speck, levelled(speck, near))
    assert float(score[42, 62]) < -0.15
    score[36:50, 56:70] = 0.0
    assert float(score.abs().max()) < 0.02


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("size", [(96, 128), (37, 70), (40, 20)])
def test_cells_hold_the_planes_the_network_learnt_from(
    size: tuple[int, int], one_sided: bool, half: bool
) -> None:
    rng = np.random.default_rng(5)
    own = rng.uniform(0.2, 0.6, size).astype(np.float32)
    near = own + rng.normal(0.05, 0.03, (3, *size)).astype(np.float32)
    near[:, 10:16, 8:14] = 0.9
    flows: list[F32] = [rng.normal(0, 3, (*size, 2)).astype(np.float32) for _ in near]
    luma, others = torch.from_numpy(own), torch.from_numpy(near)[:, None]
    taught = planes(luma, levelled(luma, others), flows[:2], SIGMA, one_sided=one_sided)
    cells = folded(own, near, flows, SIGMA, one_sided=one_sided, half=half)
    more = (0, -size[1] % 16, 0, -size[0] % 16)
    wanted = F.pixel_unshuffle(F.pad(taught[None], more, mode="replicate"), FOLD)
    assert torch.allclose(cells.float(), wanted, rtol=1 / 256 if half else 0.0, atol=2e-6)
    likely = probability_of_cells(cells, size)
    assert np.abs(likely - probability(taught, half=half).numpy()).max() < (0.03 if half else 0.01)
    assert float(likely[10:16, 8:14].mean()) > 0.1


def test_what_is_remembered_beside_a_frame_changes_nothing() -> None:
    frames, _ = damage(scene("pan"), DIRT)
    shared, touch = rendered([repair()], frames[:7])
    done = repair()(Window.whole(torch.from_numpy(frames[:7]), tuple(SHOT)[:7]))
    assert np.array_equal(done.pixels.numpy(), shared[2:5])
    assert np.array_equal(done.touch[:, 0].numpy(), touch[2:5])


def still_flows(size_px: int) -> list[F32]:
    return [np.zeros((size_px, size_px, 2), np.float32)] * 2


def test_borrowed_pixels_take_the_level_around_them() -> None:
    rng = np.random.default_rng(2)
    own = torch.from_numpy(rng.uniform(0.3, 0.5, (3, 60, 60)).astype(np.float32))
    mask: Mask = np.zeros((60, 60), np.bool_)
    mask[28:33, 28:33] = True
    done = cover(own, [own + 0.05] * 2, still_flows(60), mask, 0.1)
    assert torch.equal(done.pixels[:, ~torch.from_numpy(mask)], own[:, ~torch.from_numpy(mask)])
    assert float((done.pixels - own).abs().max()) < 2e-3
    assert np.array_equal(done.filled, mask)


def test_what_no_neighbour_shows_is_left_and_said() -> None:
    """Behind the piece the neighbours show another scene: covering it would be a patch."""
    rng = np.random.default_rng(2)
    own, others = (
        torch.from_numpy(rng.uniform(low, high, (3, 60, 60)).astype(np.float32))
        for low, high in ((0.3, 0.32), (0.2, 0.9))
    )
    mask: Mask = np.zeros((60, 60), np.bool_)
    mask[28:33, 28:33] = True
    done = cover(own, [others, others.flip(2)], still_flows(60), mask, 0.1)
    assert torch.equal(done.pixels, own)
    assert np.array_equal(done.unknown, mask)
    assert not done.filled.any()


def test_a_piece_in_a_neighbour_is_not_borrowed() -> None:
    rng = np.random.default_rng(4)
    own = torch.from_numpy(rng.uniform(0.3, 0.5, (3, 60, 60)).astype(np.float32))
    dirty = own.clone()
    dirty[:, 26:35, 26:35] = 0.9
    mask: Mask = np.zeros((60, 60), np.bool_)
    mask[28:33, 28:33] = True
    flows = [np.zeros((60, 60, 2), np.float32)] * 4
    done = cover(own, [dirty, own, own, own], flows, mask, 0.2)
    assert float((done.pixels - own).abs().max()) < 0.02


def test_a_piece_that_reaches_into_the_box_of_another_is_left_whole() -> None:
    """What is changed is marked, and what is left is as it was: also where boxes overlap."""
    rng = np.random.default_rng(5)
    own = torch.from_numpy(rng.uniform(0.3, 0.32, (3, 170, 170)).astype(np.float32))
    elsewhere = own.clone()
    elsewhere[:, :100, 114:] = torch.from_numpy(rng.uniform(0.2, 0.9, (3, 100, 56)))
    hair, stain = np.zeros((2, 170, 170), np.bool_)
    hair[20:152, 10:12] = hair[150:152, 10:100] = True
    stain[40:48, 103:143] = True
    own[:, torch.from_numpy(hair | stain)] = 0.6
    done = cover(own, [elsewhere, elsewhere.roll(1, 0)], still_flows(170), hair | stain, 0.1)
    assert np.array_equal((done.pixels != own).any(dim=0).numpy(), hair)
    assert np.array_equal(done.filled, hair)
    assert np.array_equal(done.unknown, stain)


def test_a_rim_that_nothing_changes_stays_as_it_is() -> None:
    rng = np.random.default_rng(6)
    sound = np.float32(0.4) + rng.normal(0.0, 0.005, (3, 3, 80, 80)).astype(np.float32)
    own, speck, taken = sound[0].copy(), np.zeros((80, 80), np.uint8), np.zeros((80, 80), np.uint8)
    cv2.circle(speck, (40, 40), 6, 1, -1)
    cv2.circle(taken, (40, 40), 9, 1, -1)
    own[:, speck > 0] += 0.1
    near = [torch.from_numpy(n) for n in sound[1:]]
    doubtful = np.ones((80, 80), np.bool_)

    def covered(doubtful: Mask | None) -> Mask:
        done = cover(
            torch.from_numpy(own), near, still_flows(80), taken > 0, 0.1, None,
            doubtful=doubtful, alike=0.012,
        )  # fmt: skip
        changed: Mask = (done.pixels.numpy() != own).any(axis=0)
        assert np.array_equal(changed, done.filled)
        return changed

    needed = covered(doubtful)
    around = cv2.dilate(speck, np.ones((3, 3), np.uint8)) > 0
    assert bool(needed[speck > 0].all())
    assert float(needed[(taken > 0) & ~around].mean()) < 0.2
    doubtful[taken > 0] = False
    assert np.array_equal(covered(doubtful), taken > 0)
    assert np.array_equal(covered(None), taken > 0)


@pytest.mark.parametrize("off_px", [-3, 3])
def test_where_motion_does_not_fit_it_is_looked_for_again(off_px: int) -> None:
    rng = np.random.default_rng(8)
    texture = cv2.GaussianBlur(rng.standard_normal((200, 200)).astype(np.float32), (0, 0), 2.5)
    texture = 0.45 + 0.06 * texture / float(texture.std())

    def seen(x_px: int, y_px: int) -> F32:
        part = texture[40 + y_px : 160 + y_px, 40 + x_px : 160 + x_px]
        grain = rng.normal(0.0, 0.004, (3, 120, 120)).astype(np.float32)
        return np.repeat(part[None], 3, axis=0) + grain

    frames = [seen(9 * k, -2 * k) for k in range(-2, 3)]
    own, sound, mask = frames[2].copy(), frames[2], np.zeros((120, 120), np.bool_)
    mask[50:64, 54:66] = True
    own[:, mask] = 0.8
    near = [frames[k] for k in (1, 3, 0, 4)]
    true = [np.array((-9.0 * k, 2.0 * k), np.float32) for k in (-1, 1, -2, 2)]
    lost = [np.broadcast_to(t + off_px, (120, 120, 2)).copy() for t in true]
    closer = Closer(steer(own), [steer(n) for n in near], 0.03)

    def left_db(closer: Closer | None) -> float:
        there = [torch.from_numpy(n) for n in near]
        done = cover(torch.from_numpy(own), there, lost, mask, 1.0, closer=closer)
        return psnr_db(done.pixels.numpy()[:, mask], sound[:, mask])

    assert left_db(closer) > 38.0
    assert left_db(None) < 28.0


def steer(frame: F32) -> NDArray[np.uint8]:
    return steering_image(luma(torch.from_numpy(frame)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_may_be_invented_is_like_what_is_around_it(seed: int) -> None:
    """Stripes: the fill continues them."""
    x = np.arange(96, dtype=np.float32)
    stripes = np.broadcast_to(0.45 + 0.1 * np.sin(0.5 * x), (3, 96, 96))
    grain = np.random.default_rng(seed).normal(0, 0.004, (3, 96, 96))
    clean = torch.from_numpy((stripes + grain).astype(np.float32))
    mask: Mask = np.zeros((96, 96), np.bool_)
    mask[40:50, 40:52] = True
    dirty = clean.clone()
    dirty[:, 40:50, 40:52] = 0.1
    made, filled = invent(dirty, mask, mask)
    assert np.array_equal(filled, mask)
    outside = torch.from_numpy(~mask)
    assert torch.equal(made[:, outside], dirty[:, outside])
    assert psnr_db(made.numpy()[None], clean.numpy()[None], mask[None]) > 38.0


def test_a_cue_mark_stays_unless_asked_for() -> None:
    frames, _ = damage(scene("still"), NO_DIRT)
    frames = frames.copy()
    y, x = np.mgrid[0 : frames.shape[2], 0 : frames.shape[3]]
    corner, middle = ((y - 20) ** 2 + (x - cx) ** 2 < 20 for cx in (215, 100))
    frames[7][:, middle] = 0.85
    for k in range(4):
        # Punched by hand: no two lie quite in the same place.
        frames[7 + k][:, np.roll(corner, (k % 2, -k % 3), (0, 1))] = 0.85
    marks = DirtOperator(SIGMA, DirtOptions(), cue_marks=frozenset(SHOT))
    _, kept = rendered([marks], frames)
    _, gone = rendered([repair()], frames)
    assert not any(kept[7 + k][:48, 200:].any() for k in range(4))
    assert float((kept[7] > 0)[middle].mean()) > 0.9
    assert any((gone[7 + k] > 0)[corner].any() for k in range(4))


def test_a_speck_on_one_frame_is_no_cue_mark() -> None:
    frames, _ = damage(scene("still"), NO_DIRT)
    frames = frames.copy()
    y, x = np.mgrid[0 : frames.shape[2], 0 : frames.shape[3]]
    corner = (y - 20) ** 2 + (x - 215) ** 2 < 20
    frames[7][:, corner] = 0.85
    marks = DirtOperator(SIGMA, DirtOptions(), cue_marks=frozenset(SHOT))
    assert float((rendered([marks], frames)[1][7] > 0)[corner].mean()) > 0.9


def dirt_free(frames: F32) -> bool:
    return not rendered([repair()], frames)[1].any()


def test_thresholds_follow_the_options() -> None:
    frames, _ = damage(scene("still"), DIRT)
    assert not dirt_free(frames[:6])
    deaf = repair(DirtOptions(detector="rules", threshold_floor=0.9))
    assert not rendered([deaf], frames[:6])[1].any()


def test_a_neighbour_that_shows_another_place_gives_way_to_one_that_fits() -> None:
    rng = np.random.default_rng(3)
    picture = cv2.GaussianBlur(rng.normal(0.45, 1.0, (160, 200)).astype(np.float32), (0, 0), 3.0)
    own, *near = (picture + rng.normal(0, 0.006, picture.shape) for _ in range(5))
    own = own.astype(np.float32)
    own[60:70, 100:112] += 0.3
    before = np.stack(near).astype(np.float32)
    lost = (slice(40, 100), slice(60, 140))
    before[1][lost] = picture[::-1, ::-1][lost]
    after = before.copy()
    believed(own, after)
    inner = (slice(48, 92), slice(68, 132))
    off = [float(np.abs(n[1][inner] - picture[inner]).mean()) for n in (before, after)]
    assert off[1] < 0.25 * off[0]
    assert np.array_equal(after[[0, 2, 3]], before[[0, 2, 3]])
    assert np.array_equal(after[1][:24], before[1][:24])


def test_a_speck_by_itself_makes_no_neighbour_give_way() -> None:
    rng = np.random.default_rng(4)
    near = (0.45 + rng.normal(0, 0.006, (4, 160, 200))).astype(np.float32)
    own = near[0] + rng.normal(0, 0.006, near[0].shape).astype(np.float32)
    own[60:90, 100:130] -= 0.3
    after = near.copy()
    believed(own, after)
    assert np.array_equal(after, near)


def on_two_frames(frames: F32, seed: int = 5) -> tuple[F32, Mask]:
    """With specks that lie in the same place of the film on two frames, and where."""
    rng = np.random.default_rng(seed)
    out, where = frames.copy(), np.zeros((len(frames), *frames.shape[2:]), np.bool_)
    y, x = np.mgrid[0 : frames.shape[2], 0 : frames.shape[3]]
    for first in range(3, len(frames) - 4, 4):
        for _ in range(4):
            top, left = rng.uniform(12, y.shape[0] - 12), rng.uniform(12, x.shape[1] - 12)
            reach = rng.uniform(2.5, 5.0)
            inside = np.hypot(y - top, x - left) < reach
            where[first : first + 2] |= inside
            out[first : first + 2, :, inside] = rng.choice([0.1, 0.9])
    return out, where


@BOTH
@pytest.mark.parametrize("kind", ["still", "pan", "drift", "foreground"])
def test_dirt_on_two_frames_hides_itself_no_longer(kind: str, options: DirtOptions) -> None:
    clean, _ = damage(scene(kind), NO_DIRT)
    frames, where = on_two_frames(clean)
    fixed, touch = rendered([repair(options)], frames)
    f1, spurious = scores(touch > 0, where)
    assert f1 >= 0.8
    assert spurious <= 0.001
    assert psnr_db(fixed, clean, where) >= psnr_db(frames, clean, where) + 6.0


@BOTH
def test_what_comes_and_stays_is_no_dirt(options: DirtOptions) -> None:
    frames, _ = damage(scene("still"), NO_DIRT)
    frames = frames.copy()
    frames[8:, :, 40:48, 60:70] = 0.85
    frames[12:16, :, 80:88, 30:38] = 0.85
    _, touch = rendered([repair(options)], frames)
    assert not touch[:, 36:52, 56:74].any()
    assert not touch[:, 76:92, 26:42].any()


def test_only_the_neighbour_that_shares_the_dirt_gives_way() -> None:
    rng = np.random.default_rng(4)
    own, *near = (0.45 + rng.normal(0, 0.006, (160, 200)).astype(np.float32) for _ in range(5))
    before = np.stack(near)
    speck = (slice(60, 70), slice(100, 112))
    own[speck] -= 0.3
    before[1][speck] -= 0.3
    still = np.zeros((*own.shape, 2), np.float32)
    after = before.copy()
    told_apart(own, after, [still, still], 0.006)
    assert np.array_equal(after[1][speck], before[3][speck])
    assert np.array_equal(after[[0, 2, 3]], before[[0, 2, 3]])
    assert np.array_equal(after[1][:50], before[1][:50])
    # It lies elsewhere on the film: a thing that moves.
    moved = before.copy()
    told_apart(own, moved, [still, still + np.float32(4.0)], 0.006)
    assert np.array_equal(moved, before)
