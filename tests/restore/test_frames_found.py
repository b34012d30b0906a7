"""Destroyed, torn and spliced frames: found, told from flashes and from moving things."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from media.frames import FrameRange
from restore.rebuild.between import between
from restore.rebuild.measure import FLASH, OTHER, SPLICE, TORN, Finding, FramesProbe
from restore.rebuild.solve import FramesOptions, solve_frames
from tests.restore.conftest import F32, damage, scene
from tests.restore.test_dirt import DIRT
from tests.strategies import psnr_db

Spoil = Callable[[F32], F32]
AT = 10


def shot(kind: str, seed: int = 1) -> F32:
    """(T, 3, h, w) as ingest looks at it, dirt and grain on it."""
    frames, _ = damage(scene(kind, seed), DIRT)
    return np.stack([np.stack([cv2.resize(p, (180, 120)) for p in f]) for f in frames])


def findings(frames: F32) -> list[Finding]:
    probe = FramesProbe()
    for number, frame in enumerate(frames):
        probe.observe(number, torch.from_numpy(np.ascontiguousarray(frame)))
    return probe.findings()


def spoilt(frames: F32, spoil: Spoil, run: int = 1) -> list[Finding]:
    out = frames.copy()
    for k in range(AT, AT + run):
        out[k] = spoil(out[k])
    return findings(out)


def fogged(frame: F32) -> F32:
    return (0.04 * frame + 0.5).astype(np.float32)


def overexposed(frame: F32) -> F32:
    out: F32 = np.clip(frame + 0.75, None, 1.0)
    return out


def blank(frame: F32) -> F32:
    return np.full_like(frame, 0.1)


def burnt(frame: F32) -> F32:
    rng = np.random.default_rng(2)
    h, w = frame.shape[1:]
    field = cv2.GaussianBlur(rng.standard_normal((h, w)).astype(np.float32), (0, 0), h / 8)
    hole = np.clip((field / field.std() + 0.6) * 4, 0, 1)
    charred = np.array([0.95, 0.6, 0.25], np.float32)[:, None, None]
    core = np.clip((field / field.std() - 0.5) * 6, 0, 1)
    spoilt = (frame * (1 - hole) + hole * charred) * (1 - core) + core * np.float32(0.98)
    out: F32 = spoilt
    return out


def torn(frame: F32) -> F32:
    y, x = np.mgrid[0 : frame.shape[1], 0 : frame.shape[2]]
    return np.where(x > 110 + 0.4 * y, np.float32(1.0), frame)


def cemented(frame: F32) -> F32:
    out = frame.copy()
    out[:, -12:] = 0.9
    return out


def lit(frame: F32) -> F32:
    out: F32 = np.clip(frame + 0.2, None, 1.0)
    return out


@pytest.mark.parametrize("kind", ["still", "pan", "foreground", "ball"])
def test_nothing_is_found_where_nothing_is(kind: str) -> None:
    assert findings(shot(kind)) == []


@pytest.mark.parametrize("run", [1, 2, 3])
@pytest.mark.parametrize("spoil", [fogged, overexposed, blank])
@pytest.mark.parametrize("kind", ["pan", "foreground"])
def test_destroyed_frames_are_found(kind: str, spoil: Spoil, run: int) -> None:
    found = spoilt(shot(kind), spoil, run)
    assert [(f.first, f.last) for f in found] == [(AT, AT + run - 1)]
    assert found[0].kind not in (FLASH, OTHER)
    assert found[0].confidence > 0.6
    assert found[0].part is None


def test_a_burnt_frame_is_found() -> None:
    (found,) = spoilt(shot("pan"), burnt)
    assert (found.first, found.last, found.kind) == (AT, AT, "burnt")


@pytest.mark.parametrize("run", [1, 2])
def test_light_that_flashes_in_the_scene_is_told_apart(run: int) -> None:
    found = spoilt(shot("pan"), lit, run)
    assert {f.kind for f in found} == {FLASH}


def test_another_picture_is_left_to_a_person() -> None:
    frames = shot("pan")
    frames[AT] = shot("still", 7)[0]
    (found,) = findings(frames)
    assert found.kind == OTHER
    (verdict,) = solve_frames(
        [found], FrameRange(0, 24), (120, 180), FramesOptions(allow_invented=True)
    )
    assert verdict.done == "left"


@pytest.mark.parametrize(("spoil", "kind"), [(torn, TORN), (cemented, SPLICE)])
def test_parts_are_found_where_they_are(spoil: Spoil, kind: str) -> None:
    frames = shot("pan")
    bad: NDArray[np.bool_] = (spoil(frames[AT]) != frames[AT]).any(axis=0)
    both = [f for f in spoilt(frames, spoil) if f.sides == "both"]
    assert [f.kind for f in both] == [kind]
    part = both[0].part
    assert part is not None
    h, w = bad.shape
    inside = np.zeros_like(bad)
    inside[int(part[0] * h) : int(part[2] * h) + 1, int(part[1] * w) : int(part[3] * w) + 1] = True
    assert float((bad & inside).sum() / bad.sum()) > 0.97


def test_a_splice_at_a_cut_is_seen_from_one_side_and_left() -> None:
    frames = np.concatenate([shot("pan", 1)[:12], shot("still", 6)[:12]])
    frames[11], frames[12] = cemented(frames[11]), cemented(frames[12])
    found = findings(frames)
    for span, number in ((FrameRange(0, 12), 11), (FrameRange(12, 24), 12)):
        verdicts = solve_frames(found, span, (120, 180), FramesOptions(allow_invented=True))
        assert [(v.frame, v.kind, v.done) for v in verdicts] == [(number, SPLICE, "left")]


@pytest.mark.parametrize(
    ("more", "done"),
    [
        ({"allow_invented": True}, "rebuilt"),
        ({}, "left"),
        ({"allow_invented": True, "longest_run": 2}, "lost"),
        ({"longest_run": 2, "beyond": "hold"}, "held"),
        ({"allow_invented": True, "min_confidence": 0.99}, "left"),
    ],
)
def test_what_is_done_follows_the_options(more: dict[str, object], done: str) -> None:
    run = Finding(10, 12, "fogged", 0.9, "seen")
    options = FramesOptions(**more)  # type: ignore[arg-type]
    verdicts = solve_frames([run], FrameRange(0, 24), (120, 180), options)
    assert [(v.frame, v.done) for v in verdicts] == [(n, done) for n in (10, 11, 12)]
    # Nothing is made, held or lost where one side is another shot.
    assert solve_frames([run], FrameRange(10, 24), (120, 180), options) == ()


@pytest.mark.parametrize("kind", ["pan", "foreground"])
def test_a_picture_between_two_is_better_than_either_or_both(kind: str) -> None:
    frames = torch.from_numpy(scene(kind))
    before, truth, after = frames[8], frames[10].numpy(), frames[12]
    made = psnr_db(between(before, after, 0.5).numpy(), truth)
    assert made > psnr_db((0.5 * (before + after)).numpy(), truth) + 1.0
    assert made > psnr_db(before.numpy(), truth) + 3.0


@pytest.mark.parametrize("at", [0, -1])
@pytest.mark.parametrize("spoil", [fogged, overexposed])
def test_a_frame_lost_to_light_at_the_end_of_a_shot_is_said_and_left(at: int, spoil: Spoil) -> None:
    frames = shot("pan")
    frames[at] = spoil(frames[at])
    whole, number = FrameRange(0, len(frames)), at % len(frames)
    options = FramesOptions(allow_invented=True)
    (verdict,) = solve_frames(findings(frames), whole, (120, 180), options)
    assert (verdict.frame, verdict.kind, verdict.done) == (number, "overexposed", "left")
    assert "one side of a cut" in verdict.reason
    # Seen from one side it says nothing of the middle of a shot.
    longer = FrameRange(-5, len(frames) + 5)
    assert solve_frames(findings(frames), longer, (120, 180), options) == ()


@pytest.mark.parametrize("towards", [0.95, 0.09])
@pytest.mark.parametrize("frames_long", [4, 12])
def test_a_shot_that_fades_out_has_lost_no_frame(towards: float, frames_long: int) -> None:
    frames = shot("pan")
    share = np.clip(np.arange(-len(frames) + frames_long + 1, frames_long + 1) / frames_long, 0, 1)
    share = share[:, None, None, None].astype(np.float32)
    faded = (frames + (np.float32(towards) - frames) * share).astype(np.float32)
    assert solve_frames(findings(faded), FrameRange(0, len(frames)), (9, 9), FramesOptions()) == ()


def even(frame: F32) -> F32:
    return np.full_like(frame, frame.mean())


@pytest.mark.parametrize("run", [1, 2, 3])
@pytest.mark.parametrize("spoil", [fogged, overexposed, even, burnt])
def test_frames_ruined_at_the_ends_of_a_shot_are_found_from_one_side(
    spoil: Spoil, run: int
) -> None:
    frames = np.concatenate([shot("pan", 1)[:14], shot("foreground", 6)[:14]])
    spans = (FrameRange(0, 14), FrameRange(14, 28))
    ends = [*range(run), *range(14 - run, 14 + run), *range(28 - run, 28)]
    for at in ends:
        frames[at] = spoil(frames[at])
    found = findings(frames)
    said = [v for s in spans for v in solve_frames(found, s, (120, 180), FramesOptions())]
    assert [v.frame for v in said if v.kind not in (FLASH, OTHER)] == ends
    assert {v.done for v in said} == {"left"}


def test_a_torn_first_frame_is_found() -> None:
    frames = shot("pan")
    frames[0] = torn(frames[0])
    (verdict,) = solve_frames(findings(frames), FrameRange(0, 24), (120, 180), FramesOptions())
    assert (verdict.frame, verdict.kind, verdict.done) == (0, TORN, "left")
    assert verdict.part_px


def faded(frames: F32, length: int, light: float) -> F32:
    """With the last frames on their way to that much light, in a straight line."""
    out = frames.copy()
    for k in range(length):
        share = (k + 1) / length
        at = len(out) - length + k
        scene = 10.0 ** ((out[at] * 1023 - 685) / 300)
        out[at] = (np.log10((1 - share) * scene + share * light) * 300 + 685) / 1023
    return out


def dimmed(frames: F32, length: int, share: float) -> F32:
    """With the light in the scene put out for the last frames."""
    out = frames.copy()
    out[-length:] += np.log10(share) * 300 / 1023
    return out


def covered(frames: F32, length: int, level: float) -> F32:
    """A bright thing comes in from the right, over half of the picture in the end."""
    out, w = frames.copy(), frames.shape[3]
    for k in range(length):
        reach = w * (k + 1) // (2 * length)
        out[len(out) - length + k][:, 30:, w - reach :] = level
    return out


@pytest.mark.parametrize("length", [1, 2, 3, 6])
@pytest.mark.parametrize(
    "end",
    [
        lambda f, n: faded(f, n, 0.01),
        lambda f, n: faded(f, max(n, 2), 1.0),
        lambda f, n: dimmed(f, n, 0.1),
        lambda f, n: covered(f, n, 0.62),
        lambda f, n: np.concatenate([f[:-n], np.clip(f[-n:] + 0.2, 0, 1)]),
    ],
    ids=["fade to black", "fade to white", "light out", "white van", "flash"],
)
def test_how_shots_end_is_no_damage(end: Callable[[F32, int], F32], length: int) -> None:
    takes = [end(shot(kind, seed)[:12], length) for kind, seed in (("pan", 1), ("foreground", 6))]
    found = findings(np.concatenate([takes[0], takes[1], takes[0][::-1]]))
    spans = (FrameRange(0, 12), FrameRange(12, 24), FrameRange(24, 36))
    said = [v for s in spans for v in solve_frames(found, s, (120, 180), FramesOptions())]
    assert [v for v in said if v.kind not in (FLASH, OTHER)] == []


def test_an_even_frame_and_a_fogged_one_at_a_cut_are_no_fade() -> None:
    frames = np.concatenate([shot("pan", 1)[:12], shot("foreground", 6)[:12]])
    frames[11], frames[12] = fogged(frames[11]), even(frames[12])
    found = findings(frames)
    for span, number in ((FrameRange(0, 12), 11), (FrameRange(12, 24), 12)):
        assert [v.frame for v in solve_frames(found, span, (120, 180), FramesOptions())] == [number]
