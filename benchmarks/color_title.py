"""A title of twenty shots, three scenes and two reels, with scrambled grades and known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.color_clips import CLIPS, CLOSER, closer, evidence, frame, grade, scan
from color.cdl import CDL, IDENTITY, apply_cdl
from color.difference import delta_e_2000_each, lab_from_log
from color.links import find_links
from color.match import MatchOptions, solve_match
from color.records import ShotColor, shot_input
from color.scene_balance import balance_scenes

F64 = NDArray[np.float64]

SCENES = (("dog", 7), ("blocks", 7), ("coffee", 6))
_PATCHES = 24
_HALF_PX = 5
HEROES = (0, 7, 14)
WRONG = (2, 5)
"""Places in a scene of the shots that are off where the others are right."""


@dataclass(frozen=True)
class TitleShot:
    """A shot of the title: two frames and the grade that lies on them."""

    id: str
    reel: str
    scene: str
    close: bool
    truth: tuple[F64, ...]
    cdl: CDL

    @property
    def scanned(self) -> list[F64]:
        """What lies in the reel."""
        return [scan(t, self.cdl) for t in self.truth]


def shots(few_wrong: int | None = None) -> list[TitleShot]:
    """Every shot has a grade of its own; one hero of each scene has none. Reels take turns.

    few_wrong: a seed; then two shots of each scene have a grade, and the others none.
    """
    found: list[TitleShot] = []
    for scene, count in SCENES:
        clip = CLIPS[scene]
        places = np.linspace(0, clip.last - clip.first - clip.step // 2, count).round().astype(int)
        for k, at in enumerate(places):
            n = len(found)
            # One framing in three is a closer one, never the hero.
            close = k % 3 == 2
            given = n not in HEROES if few_wrong is None else k in WRONG
            seed = 500 + n if few_wrong is None else 10000 + 100 * few_wrong + n
            pictures = [frame(scene, int(at + d)) for d in (0, clip.step // 3)]
            found.append(
                TitleShot(
                    id=f"R{1 + n % 2}_{n:03}",
                    reel=f"R{1 + n % 2}",
                    scene=scene,
                    close=close,
                    truth=tuple(closer(p) if close else p for p in pictures),
                    cdl=grade(seed) if given else IDENTITY,
                )
            )
    return found


def solved(
    title: list[TitleShot], *, heroes: bool = False, balance: bool = False
) -> dict[str, ShotColor]:
    """The joint solve; heroes: the ungraded shots are pinned. balance: of scenes, after it."""
    found = {s.id: evidence(*s.scanned) for s in title}
    pinned = {title[n].id: IDENTITY for n in HEROES} if heroes else {}
    options = MatchOptions(pinned=pinned, slope_limits=(0.7, 1.45), offset_limit_log=0.12)
    inputs = [shot_input(s.id, s.reel, found[s.id]) for s in title]
    colors = solve_match(inputs, find_links(found), options)
    return balance_scenes(colors, found, set(pinned), options) if balance else colors


def mean_of_grades(title: list[TitleShot]) -> float:
    """How far the difference between scenes is off the truth, at worst, where shots agree exactly
    and on the mean of their grades: the least error that shots without a hero can come to."""
    means: dict[str, tuple[F64, F64]] = {}
    for scene, _ in SCENES:
        mine = [s for s in title if s.scene == scene]
        truth = np.stack([_places(s, s.truth[0]) for s in mine])
        truth = truth[:, np.argsort(truth.std(axis=0).sum(axis=1))[:_PATCHES]].reshape(-1, 3)
        graded = np.mean([apply_cdl(truth, s.cdl, clamp=False) for s in mine], axis=0)
        means[scene] = (truth.mean(axis=0), graded.mean(axis=0))
    kept = []
    names = [n for n, _ in SCENES]
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            was, now = (lab_from_log(means[a][k]) - lab_from_log(means[b][k]) for k in (0, 1))
            kept.append(float(np.linalg.norm(now) / np.linalg.norm(was)))
    return max(abs(k - 1.0) for k in kept)


def spread_and_contrast(title: list[TitleShot], cdls: dict[str, CDL]) -> dict[str, float]:
    """Within scenes: what grades leave between shots; between scenes: how far the
    difference is off that of the truth, and off that of the scans.

    Places are those of the scene that change least over the untouched shots. Hands pass and light
    moves there too, so each shot is compared with its own truth: the Delta E between what its
    grade has become and what grades of its scene have become on the mean, on the scene's colors.
    """
    spreads: list[float] = []
    means: dict[str, tuple[F64, ...]] = {}
    for scene, _ in SCENES:
        mine = [s for s in title if s.scene == scene]
        truth = np.stack([_places(s, s.truth[0]) for s in mine])
        steady = np.argsort(truth.std(axis=0).sum(axis=1))[:_PATCHES]
        truth = truth[:, steady]
        now = np.stack(
            [apply_cdl(_places(s, s.scanned[0])[steady], cdls[s.id], clamp=False) for s in mine]
        )
        typical, left = np.median(truth, axis=0), now - truth
        middle = typical + left.mean(axis=0)
        spreads.append(
            float(np.mean([delta_e_2000_each(typical + d, middle).mean() for d in left]))
        )
        scanned = np.stack([_places(s, s.scanned[0])[steady] for s in mine])
        means[scene] = tuple(v.mean(axis=(0, 1)) for v in (truth, now, scanned))
    kept, as_scanned = [], []
    names = [n for n, _ in SCENES]
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            was = lab_from_log(means[a][0]) - lab_from_log(means[b][0])
            now_lab = lab_from_log(means[a][1]) - lab_from_log(means[b][1])
            kept.append(float(np.linalg.norm(now_lab) / np.linalg.norm(was)))
            lay = lab_from_log(means[a][2]) - lab_from_log(means[b][2])
            as_scanned.append(float(np.linalg.norm(now_lab) / np.linalg.norm(lay)))
    return {
        "within": float(np.mean(spreads)),
        "within_worst_scene": max(spreads),
        "between_worst": max(abs(k - 1.0) for k in kept),
        "between_scanned_worst": max(abs(k - 1.0) for k in as_scanned),
    }


def _places(shot: TitleShot, picture: F64) -> F64:
    """Mean colors of a grid of places of the scene, wherever the framing put them: (N, 3)."""
    h, w = picture.shape[:2]
    # All inside what the closer framing shows.
    grid = np.linspace(0.5 - 0.8 * CLOSER / 2, 0.5 + 0.8 * CLOSER / 2, 14)
    half = round(_HALF_PX / CLOSER) if shot.close else _HALF_PX
    out = []
    for v in grid:
        for u in grid:
            y, x = (0.5 + (p - 0.5) / CLOSER if shot.close else p for p in (v, u))
            row, column = round(y * h), round(x * w)
            out.append(
                picture[row - half : row + half, column - half : column + half].mean(axis=(0, 1))
            )
    return np.array(out)
