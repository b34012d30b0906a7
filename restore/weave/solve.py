"""Weave of a shot: the path of the picture, without what the camera did.

The picture's motion between near frames is what most of its cells agree on (``agree``): a
background behind whatever the actors do. All pairs together give its path. Where no two parts of
the picture move alike (a street from a moving car), every cell first loses its own calm motion:
what weave does to them, all of them do at once. The path is split into the camera, jumps of
splices and weave (``camera``), each axis and the turn by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from media.frames import FrameRange, counted
from restore.smoothing import Curve
from restore.weave.camera import Camera, camera_path
from restore.weave.film import FilmPath, film_path
from restore.weave.picture import AS_ONE, FEWEST, PicturePath, picture_path

Reference = Literal["picture", "perforation", "edge"]

_EXPLAINED = 0.5
"""Share of what is white in the picture's path that may be left without the film's."""
_SELDOM = 0.1
"""Share of the frames that may be thrown beyond the limit; they stay where they are."""
_SURE_MARKS = 4
"""Two of them for each perforation."""
_STEADY = "of the shot can be followed from frame to frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeaveOptions:
    """When weave is corrected."""

    limit_px: float = 32.0
    """Frames further off are not moved; a shot with many of them is left alone. Larger jumps are
    kept."""
    floor_px: float = 0.08
    """Weave below this rms is not seen, and near the accuracy of the measurement: left alone."""
    floor_deg: float = 0.004
    """The same for turns: below it the picture is shifted but not turned."""
    reference: Reference | Literal["auto"] = "auto"
    """What is held still. ``auto``: perforations, or edges of the picture, where these explain
    most of what is white in the picture's own path; else the picture."""
    turns: bool = True
    """False leaves turns alone."""
    floor_errors: float = 2.0
    """Weave below this many errors of a pair of frames is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeaveSolution:
    """How to move each frame of the shot."""

    dx_px: NDArray[np.float64]
    """(n,) positive moves the picture to the right."""
    dy_px: NDArray[np.float64]
    """(n,) positive moves the picture down."""
    turn_deg: NDArray[np.float64]
    """(n,) positive turns the picture clockwise about the middle of the frame."""
    confidence: float
    reason: str
    """Empty when applied; otherwise why the shot was left alone."""
    jumps: tuple[int, ...] = ()
    """Frames from which on the picture stands elsewhere in the scan than before."""
    kept_jumps: tuple[int, ...] = ()
    """Those of them that are larger than the limit: the picture goes on standing elsewhere."""
    unseen: tuple[int, ...] = ()
    """Frames that could not be followed or lie beyond the limit; they are not moved."""
    reference: Reference = "picture"
    """What was held still: the picture, perforations, or the edges of the picture."""

    @property
    def applied(self) -> bool:
        """False when the shot was left alone."""
        return not self.reason


def solve_weave(
    evidence: dict[str, object],
    frames: FrameRange,
    options: WeaveOptions,
    overscan: dict[str, object] | None = None,
    *,
    moments: Sequence[int] | None = None,
) -> WeaveSolution:
    """Weave of a shot from the evidence of ``WeaveProbe``, and of ``OverscanProbe`` if given.

    moments: when each frame was taken, in frames, ascending; None where none is missing between
    them. Where some are, a pan goes on meanwhile, and is no jump.
    """
    n = len(frames)
    if n < FEWEST:
        return _alone(n, f"only {counted(n)}: a path cannot be told from weave", 0.0)
    own = picture_path(evidence, frames)
    film, kind = _film(own, frames, options, overscan, np.asarray(evidence["size_px"], np.float64))
    if film is not None:
        # All that the film moves in the scan is weave; whatever the camera does stays.
        moved = np.where(film.seen[:, None], film.path - film.path[film.seen].mean(axis=0), 0.0)
        errors = np.array([film.error_px, film.error_px, 0.0])
        return replace(_judged(moved, set(), ~film.seen, frames, errors, options), reference=kind)
    if options.reference not in ("auto", "picture"):
        return _alone(n, f"no {options.reference} can be followed", 0.0)
    if own.share < AS_ONE:
        why = f"the picture does not move as one: {100 * own.share:.0f} % of it agrees"
        return _alone(n, why, 0.0)
    unseen = np.ones(n, np.bool_)
    moved, jumps, kept = np.zeros((n, 3)), set[int](), set[int]()
    for part in own.parts:
        unseen[part] = False
        found, at, large = _split(own.path, part, options, moments)
        moved[part] = found[part]
        jumps |= {k for k in at if not unseen[k]}
        kept |= {k for k in large if not unseen[k]}
    judged = _judged(moved, jumps, unseen, frames, own.errors, options)
    return replace(judged, kept_jumps=tuple(frames.start + k for k in sorted(kept)))


def _film(
    own: PicturePath,
    frames: FrameRange,
    options: WeaveOptions,
    overscan: dict[str, object] | None,
    size_px: Curve,
) -> tuple[FilmPath | None, Reference]:
    """The path of the film, where it is to be held still."""
    if options.reference != "picture" and overscan:
        kinds: tuple[Reference, ...] = ("perforation", "edge")
        for kind in kinds if options.reference == "auto" else (options.reference,):
            film = film_path(overscan, frames, kind, size_px)
            if film is not None and (options.reference != "auto" or _trusted(film, kind, own)):
                return film, kind
    return None, "picture"


def _trusted(film: FilmPath, kind: Reference, own: PicturePath) -> bool:
    """Whether marks that nobody named are taken for the film's.

    With them, what is white in the picture's path has to be gone, and what the camera did has to
    stay: a thing in the picture that looks like a perforation goes where the camera goes.
    """
    if kind == "perforation" and film.marks < _SURE_MARKS:
        return False
    parts = [part[film.seen[part]] for part in own.parts]
    parts = [part for part in parts if len(part) >= 2 * FEWEST]
    if not parts:
        # Nothing to compare with: perforations are believed, a mere edge is not.
        return kind == "perforation"
    part = max(parts, key=len)
    path = own.path[part, :2]
    rest = path - film.path[part, :2]
    if _rms(np.diff(rest, 2, axis=0)) > _EXPLAINED * _rms(np.diff(path, 2, axis=0)):
        return False
    trust = np.ones(len(path))
    camera = np.stack([camera_path(path[:, k], trust).meant for k in range(2)], axis=1)
    meant = _rms(camera - camera.mean(axis=0))
    weave = _rms(path - camera)
    return meant < 0.5 * weave or _rms(rest - rest.mean(axis=0)) > 0.5 * meant


def _rms(values: Curve) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _judged(
    moved: Curve,
    jumps: set[int],
    unseen: NDArray[np.bool_],
    frames: FrameRange,
    errors: Curve,
    options: WeaveOptions,
) -> WeaveSolution:
    """Corrected, or left alone because. moved: (n, 3) px, px, rad. errors: of a pair, the same."""
    n = len(frames)
    if unseen.mean() > 0.5:
        return _alone(n, f"only {100 * (1 - unseen.mean()):.0f} % {_STEADY}", 0.0)
    weave_px, turn_deg, error_px = moved[:, :2], np.degrees(moved[:, 2]), _rms(errors[:2])
    rms_px = float(np.sqrt((weave_px**2).sum(axis=1).mean()))
    over = np.abs(weave_px).max(axis=1) > options.limit_px
    peak_px = float(np.abs(weave_px).max())
    confidence = float(np.clip(rms_px / (rms_px + 2.0 * error_px + 1e-6), 0.0, 1.0))
    if over.mean() > _SELDOM:
        return _alone(n, f"excursion of {peak_px:.1f} px is over the limit", confidence)
    turned_deg = float(np.sqrt(np.square(turn_deg).mean()))
    turns = options.turns and turned_deg >= max(
        options.floor_deg, options.floor_errors * float(np.degrees(errors[2]))
    )
    if rms_px < max(options.floor_px, options.floor_errors * error_px) and not turns:
        return _alone(n, f"weave of {rms_px:.3f} px rms is below what can be measured", confidence)
    unseen = unseen | over
    stays = np.where(unseen, 0.0, -1.0)
    return WeaveSolution(
        dx_px=stays * weave_px[:, 0] + 0.0,
        dy_px=stays * weave_px[:, 1] + 0.0,
        turn_deg=stays * turn_deg + 0.0 if turns else np.zeros(n),
        confidence=confidence,
        reason="",
        jumps=tuple(frames.start + k for k in sorted(jumps)),
        unseen=tuple(frames.start + int(k) for k in np.flatnonzero(unseen)),
    )


def _alone(n: int, reason: str, confidence: float) -> WeaveSolution:
    still = np.zeros(n)
    return WeaveSolution(
        dx_px=still, dy_px=still, turn_deg=still, confidence=confidence, reason=reason
    )


def _split(
    path: Curve,
    part: NDArray[np.int64],
    options: WeaveOptions,
    moments: Sequence[int] | None = None,
) -> tuple[Curve, set[int], set[int]]:
    """(n, 3) what is not the camera's, where it jumps, and where too far to be led back."""
    first, last = int(part[0]), int(part[-1]) + 1
    when = np.arange(last - first)
    if moments is not None:
        when = np.asarray(moments[first:last], np.int64) - moments[first]
    trust = np.zeros(when[-1] + 1)
    trust[when[part - first]] = 1.0
    moved, jumps, kept = np.zeros_like(path), set[int](), set[int]()
    for k in range(3):
        # A turn jumps where the picture does.
        unit, at = (1e-3, sorted(jumps)) if k == 2 else (1.0, None)
        own = path[first:last, k]
        whole = own if len(trust) == len(own) else np.interp(np.arange(len(trust)), when, own)
        camera = camera_path(whole, trust, unit=unit, jumps_at=at)
        jumps |= set(camera.jumps)
        large = k < 2 and _large(camera, options)
        kept |= set(camera.jumps) if large else set()
        moved[first:last, k] = own - camera.meant[when] - (camera.steps[when] if large else 0.0)
    # What jumps while frames are missing has done so in the first that is there.
    places = [{first + int(np.searchsorted(when, t)) for t in some} for some in (jumps, kept)]
    return moved, places[0], places[1]


def _large(camera: Camera, options: WeaveOptions) -> bool:
    """True for jumps that are not taken out."""
    return float(np.ptp(camera.steps)) > options.limit_px
