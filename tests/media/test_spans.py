"""Typed spans: each kind drawn with known truth, under flicker and dirt."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from media.encoding import light_to_log, rec709_decode
from media.frames import FrameRange
from media.reel import SegmentKind
from media.shots.cuts import CutFinder
from media.shots.spans import Span, SpanKind

Frames = np.ndarray
H, W = 81, 144


def scene(seed: int, count: int) -> Frames:
    """(count, 81, 144) display values: blobs that drift."""
    random = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(random.random((160, 300)).astype(np.float32), (0, 0), 7)
    wide = (wide - wide.mean()) / wide.std() * 0.18 + 0.45
    out = []
    for n in range(count):
        move = np.array([[1, 0, -10 - 0.3 * n], [0, 1, -10 - 0.1 * n]], np.float32)
        out.append(cv2.warpAffine(wide, move, (W, H), borderMode=cv2.BORDER_REFLECT))
    return np.asarray(np.clip(np.stack(out), 0, 1), dtype=np.float32)


def worn(frames: Frames, seed: int = 3) -> Frames:
    """±25 % exposure a frame, noise of 6/255, and six specks a frame."""
    random = np.random.default_rng(seed)
    gains = random.uniform(0.75, 1.25, (len(frames), 1, 1))
    out = np.clip(frames * gains + random.normal(0, 6 / 255, frames.shape), 0, 1)
    for picture in out:
        for _ in range(6):
            y, x = random.integers(0, H - 5), random.integers(0, W - 5)
            picture[y : y + random.integers(1, 5), x : x + random.integers(1, 5)] = random.choice(
                [0.0, 1.0]
            )
    return out.astype(np.float32)


def finder(frames: Frames, first: int = 0, gaps: tuple[FrameRange, ...] = ()) -> CutFinder:
    log = light_to_log(rec709_decode(torch.from_numpy(frames.astype(np.float32)))).numpy()
    found = CutFinder(gaps)
    number = first
    for picture in log:
        number = next((g.stop for g in gaps if g.start == number), number)
        found.observe(number, picture)
        number += 1
    return found


def of(kind: SpanKind, spans: list[Span]) -> list[tuple[int, int]]:
    return [(s.frames.start, s.frames.stop) for s in spans if s.kind is kind]


def card(lines: list[str], ink: float = 0.85, ground: float = 0.05) -> Frames:
    """(81, 144) text in the middle of a large picture, reduced."""
    big = np.full((4 * H, 4 * W), round(255 * ground), np.uint8)
    for k, line in enumerate(lines):
        place = (40, 80 + 70 * k)
        cv2.putText(big, line, place, cv2.FONT_HERSHEY_COMPLEX, 1.6, round(255 * ink), 4)
    return reduced(big)


def reduced(big: np.ndarray) -> Frames:
    small = cv2.resize(big.astype(np.float32) / 255, (W, H), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


TEXT = ["THE NEXT MORNING", "JOHN RETURNED TO", "THE OLD HOUSE"]


@pytest.mark.parametrize("harm", [False, True])
@pytest.mark.parametrize(("ink", "ground"), [(0.85, 0.05), (0.1, 0.8)])
def test_a_title_is_found_and_stays_a_shot(harm: bool, ink: float, ground: float) -> None:
    title = np.repeat(card(TEXT, ink, ground)[None], 40, axis=0)
    frames = np.concatenate([scene(1, 30), title, scene(2, 30)])
    found = finder(worn(frames) if harm else frames, 1000)
    assert of(SpanKind.TITLE, found.spans("R1")) == [(1030, 1070)]
    # Titles are repaired like any shot.
    assert [s.kind for s in found.shots("R1")] == [SegmentKind.SHOT] * 3


def test_scenes_are_no_titles_and_no_leader() -> None:
    frames = np.concatenate([scene(k, 40) for k in range(4)])
    spans = finder(worn(frames)).spans("R1")
    assert of(SpanKind.TITLE, spans) == of(SpanKind.LEADER, spans) == []


def sweep(frames_per_count: int, counts: int) -> Frames:
    """A countdown whose hand goes round once a count."""
    out = []
    for n in range(frames_per_count * counts):
        big = np.full((4 * H, 4 * W), 128, np.uint8)
        angle = 360 * (n % frames_per_count) / frames_per_count
        cv2.ellipse(big, (2 * W, 2 * H), (400, 400), -90, 0, angle, 64, -1)
        cv2.circle(big, (2 * W, 2 * H), 130, 230, 6)
        number = str(counts + 1 - n // frames_per_count)
        cv2.putText(big, number, (2 * W - 50, 2 * H + 50), cv2.FONT_HERSHEY_SIMPLEX, 5, 13, 16)
        out.append(reduced(big))
    return np.stack(out)


def numbers(frames_per_count: int, counts: int) -> Frames:
    """A countdown whose number changes and nothing else."""
    out = []
    for n in range(frames_per_count * counts):
        big = np.full((4 * H, 4 * W), 38, np.uint8)
        cv2.line(big, (0, 40), (4 * W, 40), 180, 8)
        cv2.line(big, (60, 0), (60, 4 * H), 180, 8)
        number = "3456789"[(n // frames_per_count * 3) % 7]
        cv2.putText(big, number, (2 * W - 90, 2 * H + 80), cv2.FONT_HERSHEY_SIMPLEX, 8, 230, 40)
        out.append(reduced(big))
    return np.stack(out)


@pytest.mark.parametrize("harm", [False, True])
@pytest.mark.parametrize(("made", "period"), [(sweep, 24), (numbers, 16)])
def test_a_countdown_is_leader(harm: bool, made: type, period: int) -> None:
    leader = made(period, 7)
    frames = np.concatenate([leader, np.zeros((20, H, W), np.float32), scene(4, 60)])
    found = finder(worn(frames) if harm else frames)
    ((start, stop),) = of(SpanKind.LEADER, found.spans("R1"))
    assert start <= 2 * period
    assert abs(stop - len(leader)) <= period
    shots = found.shots("R1")
    assert shots[-1].kind is SegmentKind.SHOT
    assert shots[-2].kind is SegmentKind.BLACK


def test_bars_are_leader_at_the_head_only() -> None:
    bars = np.repeat(np.linspace(0.9, 0.1, 8, dtype=np.float32), W // 8)[None, None]
    bars = np.broadcast_to(bars, (30, H, W))
    found = finder(np.concatenate([bars, scene(5, 40)]))
    assert of(SpanKind.LEADER, found.spans("R1")) == [(0, 30)]
    assert [s.kind for s in found.shots("R1")] == [SegmentKind.LEADER, SegmentKind.SHOT]
    # Far from both ends the same picture is a scene like any other.
    long = [scene(5, 40), scene(6, 330), bars, scene(7, 330), scene(8, 40)]
    assert of(SpanKind.LEADER, finder(np.concatenate(long)).spans("R1")) == []


@pytest.mark.parametrize("harm", [False, True])
@pytest.mark.parametrize("white", [False, True])
def test_fades_to_black_and_to_white(harm: bool, white: bool) -> None:
    one, two = scene(9, 50), scene(10, 50)
    end = 1.0 if white else 0.0
    down = (np.linspace(1, 0, 18)[1:-1])[:, None, None]
    # Light adds, display values do not.
    out = (one[-1:] ** 2.2 * down + end * (1 - down)) ** (1 / 2.2)
    into = (two[:1] ** 2.2 * down[::-1] + end * (1 - down[::-1])) ** (1 / 2.2)
    one, two = np.concatenate([one, out]), np.concatenate([into, two])
    frames = np.concatenate([one, np.full((8, H, W), end, np.float32), two]).astype(np.float32)
    found = finder(worn(frames) if harm and not white else frames)
    tail = "_white" if white else ""
    spans = found.spans("R1")
    ((a, b),) = of(SpanKind(f"fade_out{tail}"), spans)
    ((c, d),) = of(SpanKind(f"fade_in{tail}"), spans)
    assert max(abs(a - 50), abs(b - 66), abs(c - 74), abs(d - 90)) <= 6
    assert of(SpanKind.DISSOLVE, spans) == []
    kinds = [b.kind for b in found.finish()]
    assert kinds == (["fade"] if white else ["cut", "cut"])


def test_flashes_and_ruined_frames_are_spans_and_no_cuts() -> None:
    frames = scene(11, 90)
    frames[20:22] = np.clip(frames[20:22] * 1.9, 0, 1)
    frames[50] = scene(12, 1)[0] * 0.8
    found = finder(frames, 500)
    assert found.finish() == []
    spans = found.spans("R1")
    assert of(SpanKind.FLASH, spans) == [(520, 522)]
    assert of(SpanKind.RUINED, spans) == [(550, 551)]
    assert all(0 <= s.confidence <= 1 and s.reason for s in spans)


def test_a_fogged_frame_is_listed_once() -> None:
    """It is bright, and unlike both of its sides: two ways to see one thing."""
    frames = scene(31, 8)
    frames[4] = 0.97
    spans = finder(frames).spans("R1")
    assert [(s.frames.start, s.frames.stop) for s in spans] == [(4, 5)]


def test_all_black_is_one_shot_and_one_frame_is_one() -> None:
    found = finder(worn(np.full((60, H, W), 0.02, np.float32)))
    (only,) = found.shots("R1")
    assert (only.kind, len(only.frames)) == (SegmentKind.BLACK, 60)
    assert of(SpanKind.BLACK, found.spans("R1")) == [(0, 60)]
    single = finder(scene(1, 1), 7)
    (only,) = single.shots("R1")
    assert (only.kind, only.frames, single.spans("R1")) == (SegmentKind.SHOT, FrameRange(7, 8), [])


def test_repeated_frames_make_and_hide_no_cuts() -> None:
    one, two = scene(13, 40), scene(14, 40)
    order = [k - (k % 2) for k in range(40)]
    frames = np.concatenate([one[order], two[order]])
    assert [b.frame for b in finder(worn(frames)).finish()] == [40]


def test_a_shot_never_runs_over_missing_numbers() -> None:
    gap = FrameRange(120, 130)
    found = finder(worn(scene(15, 60)), 100, (gap,))
    assert [(b.frame, b.kind) for b in found.finish()] == [(130, "gap")]
    one, two = found.shots("R1")
    assert (one.frames, two.frames) == (FrameRange(100, 120), FrameRange(130, 170))
