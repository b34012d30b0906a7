"""One CDL per shot, all shots of all reels solved together.

Model, in film log: a shot's correction is its reel's (stock, ageing, scanner) plus a small
deviation of its own (exposure, printer lights). Links between shots that show the same things
ask that both corrections bring their colors together; priors ask for as little change as
possible. Shots without a link follow their reel and say so through a lower confidence.

After HaCohen et al. 2013 (corrections over a graph of photos) and Park et al. 2016 (log colors
of matches, robust); robust weights: Cauchy, by iteratively reweighted least squares. Needs no
torch and no cv2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from color.cdl import CDL, IDENTITY, LAD_LOG, PRINTER_POINT_LOG, Triple, apply_cdl, triple
from color.curve import BEND, GAIN, PIVOT_LOG, SATURATION, SHIFT, SIZE, bounded, from_cdl, to_cdl
from color.dark import kept_dark
from color.equations import Edge, Priors, WeakEdge
from color.neighbours import neighbour_edges
from color.records import Link, ShotColor, ShotInput
from color.system import Solution, mean_std, solve_system
from color.weak import reel_edges, scene_edges, tied_to
from media.errors import ConfigError

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchOptions:
    """What the solve may do."""

    anchor_reel: str | None = None
    """The reference reel, whose shots stay as they are. None takes the one with most tonal
    range and color for the level the others come to; its shots may still meet among themselves."""
    pinned: Mapping[str, CDL] = field(default_factory=dict)
    """Shots (by id) or whole reels (by reel id) held at a given CDL."""
    min_confidence: float = 0.3
    """Below this a shot is left as it is."""
    slope_limits: tuple[float, float] = (0.5, 2.0)
    """How steep a correction may be at the mid-tone."""
    offset_limit_log: float = 0.25
    """How far the mid-tone may move; about 20 printer points, what a faded layer needs."""
    power_limits: tuple[float, float] = (0.7, 1.4)
    saturation_limits: tuple[float, float] = (0.75, 1.35)
    fit_power: bool = True
    """Fit power where matches clearly bend."""
    fit_saturation: bool = True
    """Fit saturation where that clearly brings matches closer."""
    aims: Mapping[str, Triple] = field(default_factory=dict)
    """The grey of a LAD frame as reels show it, film log (``color.lad``). With a named anchor
    reel, others come to its LAD, else all come to code 445; reels of which a shot is pinned or a
    person decided do not follow theirs."""
    night_lift_points: float = 1.0
    """No tone of a shot that is dark on purpose is lifted by more printer points than its reel."""
    shot_gain_std: float = 0.08
    """How far a shot's slope is expected to lie from its reel's."""
    shot_shift_std_log: float = 0.03
    """The same for its mid-tone, about 2.5 printer points."""

    def __post_init__(self) -> None:
        for what, (low, high) in (
            ("slope", self.slope_limits),
            ("power", self.power_limits),
            ("saturation", self.saturation_limits),
        ):
            if not 0.0 < low <= 1.0 <= high:
                raise ConfigError(
                    f"{what} limits {low} {high} do not hold 1", hint="for instance 0.5 2"
                )
        if self.offset_limit_log < 0.0 or min(self.shot_gain_std, self.shot_shift_std_log) <= 0.0:
            raise ConfigError("color match limits must be positive", hint="check color.match")


_MATCHES_USED = 400
"""Per link: they say the same many times over."""
_FALSE_LINK_LOG = 0.06
_LAD_STD_LOG = 0.004
"""A third of a printer point: what a grey patch is read and was exposed to."""
LEFT_AS_IT_IS, NO_CHANGE = "; left as it is", "; no change needed"
"""How reasons end where a shot keeps its color."""
_NO_CHANGE_SLOPE = 0.003
_NO_CHANGE_POINTS = 0.25


def solve_match(
    shots: Sequence[ShotInput], links: Sequence[Link], options: MatchOptions | None = None
) -> dict[str, ShotColor]:
    """A decision for every shot, keyed and sorted by id.

    The result does not depend on the order of ``shots`` or ``links``. A decision made by a
    person comes back as it is, an anchor comes back as what it is pinned to (identity unless
    given), a protected shot as the identity. A person's decision moves what is tied to that shot,
    directly or through others that may move, and shots of its reel that nothing is tied to; every
    other shot is exactly what it is without that person.
    raises: ConfigError when an anchor or pin names nothing here, or two shots share an id.
    """
    options = options or MatchOptions()
    ordered = sorted(shots, key=lambda s: s.id)
    if len({s.id for s in ordered}) != len(ordered):
        raise ConfigError("two shots share an id", hint="shot ids are unique in a title")
    anchor = _anchor(ordered, options)
    aims = _aims(ordered, options, _held(ordered, options))
    colors, ties = _solved(ordered, links, options, anchor, aims)
    fixed = {s.id for s in ordered if s.fixed is not None}
    if fixed:
        unsaid = [replace(s, fixed=None) for s in ordered]
        before, _ = _solved(unsaid, links, options, anchor, aims)
        moved = tied_to(fixed, ties, _held(unsaid, options).keys())
        loose, spoken_for = {*colors}.difference(*ties), {s.reel for s in ordered if s.id in fixed}
        moved |= {s.id for s in ordered if s.id in loose and s.reel in spoken_for}
        colors |= {n: before[n] for n in colors if n not in moved}
    return colors


def _solved(
    ordered: Sequence[ShotInput],
    links: Sequence[Link],
    options: MatchOptions,
    anchor: str | None,
    aims: Mapping[str, tuple[F64, F64]],
) -> tuple[dict[str, ShotColor], list[tuple[str, str]]]:
    """A decision for every shot, and the pairs of shots that were compared."""
    held = _held(ordered, options)
    protected = {s.id: s.protected for s in ordered if s.protected and s.id not in held}
    active = [s for s in ordered if s.id not in protected]
    reel_of = {s.id: s.reel for s in active}
    usable = sorted(
        (k for k in links if k.a in reel_of and k.b in reel_of), key=lambda k: (k.a, k.b)
    )
    # With one reel the reel itself cannot move: its shots meet around the identity.
    still = {anchor} - aims.keys() if anchor is not None else set()
    free = {s.id: s.reel for s in active if s.id not in held}
    priors = Priors(
        shot_gain=options.shot_gain_std,
        shot_shift=options.shot_shift_std_log,
        power=options.fit_power,
        saturation=options.fit_saturation,
    )
    hints = _reel_hints(active, held)
    while True:
        edges = [_edge(k, held) for k in usable]
        weak = reel_edges(active, usable, frozenset(free.values()) - still, anchor)
        # A shot that is held needs no pull, and what it looks like is not what was measured.
        loose = [s for s in active if s.id in free]
        weak += [
            WeakEdge(r, *grey, std_log=np.full((3, 1), _LAD_STD_LOG)) for r, grey in aims.items()
        ]
        weak += scene_edges(loose, usable, frozenset(free))
        weak += neighbour_edges(ordered, usable, {n: cdl for n, (cdl, _) in held.items()})
        solution = solve_system(free, still, edges, weak, hints, priors)
        # A link whose colors still contradict each other shows two different things. Every
        # round takes at least one link out, so this ends.
        false = {pair for pair, left in solution.residual.items() if left > _FALSE_LINK_LOG}
        if not false:
            break
        usable = [k for k in usable if (k.a, k.b) not in false]
    partners = _partners(usable)
    colors: dict[str, ShotColor] = {}
    for shot in ordered:
        mates = tuple(sorted(partners.get(shot.id, ())))
        if shot.id in held:
            cdl, reason = held[shot.id]
            colors[shot.id] = ShotColor(cdl=cdl, confidence=1.0, reason=reason, links=mates)
        elif shot.id in protected:
            colors[shot.id] = ShotColor(confidence=1.0, reason=f"protected: {protected[shot.id]}")
        else:
            colors[shot.id] = _decide(shot, solution, mates, partners, reel_of, aims, options)
    ties = [(k.a, k.b) for k in usable]
    ties += [(e.a, e.b) for e in weak if e.a in colors and e.b is not None and e.b in colors]
    tied: dict[str, set[str]] = {n: set() for n in colors}
    for a, b in ties:
        tied[a].add(b)
        tied[b].add(a)
    return {n: replace(c, tied=tuple(sorted(tied[n]))) for n, c in colors.items()}, ties


def _anchor(shots: Sequence[ShotInput], options: MatchOptions) -> str | None:
    reels = sorted({s.reel for s in shots})
    known = {*reels, *(s.id for s in shots)}
    for name in (*options.pinned, *([options.anchor_reel] if options.anchor_reel else [])):
        if name not in known:
            raise ConfigError(f"color anchor {name!r} is no reel or shot", hint=f"one of {reels}")
    if options.anchor_reel is not None or not reels:
        return options.anchor_reel
    pinned = [r for r in reels if r in options.pinned]
    if pinned:
        return pinned[0]

    def richness(reel: str) -> float:
        found = [
            # the weakest layer tells how faded a reel is
            float((s.quantiles_log[:, 5] - s.quantiles_log[:, 1]).min()) + 2.0 * s.chroma_spread_log
            for s in shots
            if s.reel == reel and s.quantiles_log is not None and not s.protected
        ]
        return float(np.median(found)) if found else -1.0

    return max(reels, key=lambda r: (richness(r), [-ord(c) for c in r]))


def _held(shots: Sequence[ShotInput], options: MatchOptions) -> dict[str, tuple[CDL, str]]:
    """Shots that the solve may not move, with their CDL and why."""
    several = len({s.reel for s in shots}) > 1
    held: dict[str, tuple[CDL, str]] = {}
    for s in shots:
        pin = options.pinned.get(s.id, options.pinned.get(s.reel))
        if s.fixed is not None:
            held[s.id] = (s.fixed, "set by a person")
        elif pin is not None:
            held[s.id] = (pin, "pinned")
        elif s.reel == options.anchor_reel and several and not s.protected:
            held[s.id] = (IDENTITY, f"reel {s.reel} is the reference")
    return held


def _aims(
    shots: Sequence[ShotInput],
    options: MatchOptions,
    held: Mapping[str, tuple[CDL, str]],
) -> dict[str, tuple[F64, F64]]:
    """Per reel that follows its LAD frame, a tone (3, 1) and where it should go."""
    anchor = options.anchor_reel
    aim = (LAD_LOG,) * 3 if anchor is None else options.aims.get(anchor)
    spoken_for = {s.reel for s in shots if s.id in held} | {anchor}
    if aim is None:
        return {}
    reels = {s.reel for s in shots} - spoken_for
    # Told at the pivot: one grey says what the exposure is and nothing about contrast.
    pivot = np.full((3, 1), PIVOT_LOG)
    return {
        r: (pivot, pivot + np.subtract(aim, options.aims[r])[:, None])
        for r in sorted(reels & {*options.aims})
    }


def _edge(link: Link, held: Mapping[str, tuple[CDL, str]]) -> Edge:
    # What a held shot will look like is known, so its colors are graded once and then pinned.
    x = apply_cdl(link.x, held[link.a][0], clamp=False) if link.a in held else link.x
    y = apply_cdl(link.y, held[link.b][0], clamp=False) if link.b in held else link.y
    few = np.linspace(0, len(x) - 1, min(len(x), _MATCHES_USED)).round().astype(np.intp)
    return Edge(link.a, link.b, x[few], y[few], link.confidence)


def _reel_hints(
    shots: Sequence[ShotInput], held: Mapping[str, tuple[CDL, str]]
) -> list[tuple[str, CDL]]:
    """What people decided for single shots also speaks for their reels."""
    return [(s.reel, s.fixed) for s in shots if s.fixed is not None and s.id in held]


def _partners(links: Sequence[Link]) -> dict[str, set[str]]:
    partners: dict[str, set[str]] = {}
    for link in links:
        partners.setdefault(link.a, set()).add(link.b)
        partners.setdefault(link.b, set()).add(link.a)
    return partners


def _decide(
    shot: ShotInput,
    solution: Solution,
    mates: tuple[str, ...],
    partners: Mapping[str, set[str]],
    reel_of: Mapping[str, str],
    aims: Mapping[str, tuple[F64, F64]],
    options: MatchOptions,
) -> ShotColor:
    node = solution.shots[shot.id]
    theta, limited = _within(node.theta, options)
    night = shot.low_key and shot.quantiles_log is not None
    if night:
        theta, lowered = kept_dark(
            theta, _within(node.of_reel, options)[0], shot, options.night_lift_points
        )
    cdl = to_cdl(theta)
    prior = solution.prior_std
    confidence = float(np.clip(1.0 - mean_std(node.covariance).mean() / prior, 0.0, 1.0))
    # Matches that still disagree after the solve are worth less than their number says.
    left = [v for pair, v in solution.residual.items() if shot.id in pair]
    confidence *= (
        float(np.clip(1.0 - (float(np.mean(left)) - 0.02) / 0.08, 0.2, 1.0)) if left else 1
    )
    if limited:
        confidence *= 0.7
    linked = [s for s, r in reel_of.items() if r == shot.reel and s in partners]
    if mates:
        reason = f"compared with {len(mates)} shot{'s' if len(mates) > 1 else ''}"
    elif shot.id in solution.weak and shot.scene is not None:
        reason = f"its tones were compared with those of scene {shot.scene}"
    elif shot.id in solution.weak:
        reason = "its tones were compared with those of the shots beside it"
    elif shot.reel in aims:
        reason = f"follows the LAD frame of reel {shot.reel}"
    elif linked:
        reason = (
            f"follows reel {shot.reel} ({len(linked)} linked shots); shows nothing seen elsewhere"
        )
    elif shot.reel in solution.weak:
        reason = f"reel {shot.reel} has no link; its overall tones were compared"
    else:
        reason = f"reel {shot.reel} has no link to any other"
    if mates and shot.reel in aims:
        reason += f"; reel {shot.reel} is set by its LAD frame"
    alike = solution.agreed.get(shot.id)
    if alike is not None and alike.one_of_them:
        reason += f"; one of {alike.agreeing} of {alike.shots} shots that agree and set the level"
    elif alike is not None:
        reason += f"; comes to what {alike.agreeing} of {alike.shots} shots agree on"
    if night and lowered:
        most = options.night_lift_points
        reason += f"; dark on purpose: lifted by no more than {most:g} printer points"
    if limited:
        reason += "; held at the allowed limits"
    result = ShotColor(
        cdl=cdl,
        confidence=confidence,
        slope_std=triple(np.sqrt(np.diag(node.covariance)[GAIN])),
        offset_std=triple(_offset_std(node.covariance)),
        power_std=triple(np.sqrt(np.diag(node.covariance)[BEND])),
        saturation_std=float(np.sqrt(node.covariance[SATURATION, SATURATION])),
        limited=limited,
        reason=reason,
        links=mates,
    )
    if confidence < options.min_confidence:
        low = f"confidence {confidence:.2f} is below {options.min_confidence:.2f}"
        return _left(result, f"{reason}{LEFT_AS_IT_IS}: {low}")
    if _is_no_change(cdl):
        return _left(result, reason + NO_CHANGE)
    return result


def within_limits(cdl: CDL, options: MatchOptions) -> tuple[CDL, bool]:
    """A CDL cut back to what the options allow, and whether it was."""
    theta, cut = _within(from_cdl(cdl), options)
    return (to_cdl(theta), True) if cut else (cdl, False)


def _within(theta: NDArray[np.float64], options: MatchOptions) -> tuple[NDArray[np.float64], bool]:
    """Parameters cut back to the limits, each by itself, and whether any was."""
    low, high = np.empty(SIZE), np.empty(SIZE)
    low[GAIN], high[GAIN] = np.array(options.slope_limits) - 1.0
    low[SHIFT], high[SHIFT] = -options.offset_limit_log, options.offset_limit_log
    low[BEND], high[BEND] = np.log(options.power_limits)
    low[SATURATION], high[SATURATION] = np.log(options.saturation_limits)
    theta = bounded(theta)
    cut = np.clip(theta, low, high)
    return cut, bool((np.abs(cut - theta) > 1e-9).any())


def _offset_std(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offset is shift minus gain times the pivot, as long as power is near 1: (3,)."""
    to_offset = np.zeros((3, SIZE))
    for c in range(3):
        to_offset[c, c], to_offset[c, 3 + c] = -PIVOT_LOG, 1.0
    return np.asarray(np.sqrt(np.einsum("ci,ij,cj->c", to_offset, covariance, to_offset)))


def _left(color: ShotColor, reason: str) -> ShotColor:
    return ShotColor(
        confidence=color.confidence,
        slope_std=color.slope_std,
        offset_std=color.offset_std,
        power_std=color.power_std,
        saturation_std=color.saturation_std,
        reason=reason,
        links=color.links,
    )


def _is_no_change(cdl: CDL) -> bool:
    levels = np.array([[0.15], [PIVOT_LOG], [0.65]]) * np.ones(3)
    moved = np.abs(apply_cdl(levels, cdl, clamp=False) - levels).max()
    return bool(
        np.abs(np.array(cdl.slope) - 1.0).max() < _NO_CHANGE_SLOPE
        and moved < _NO_CHANGE_POINTS * PRINTER_POINT_LOG
        and abs(cdl.saturation - 1.0) < _NO_CHANGE_SLOPE
    )
