"""VERIFY: the same probes look at the result, and a shot that got worse is held."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from color.stats import ColorProbe
from media.errors import StoreError
from media.frames import FrameRange, counted, frames_text
from media.log_planes import CodedFrame, LogFrame
from media.passes import NOTED
from media.reel import SegmentKind
from media.write import AnyCodes
from restore.flicker.solve import FlickerOptions, solve_flicker
from restore.grain.apply import GrainOperator
from restore.weave.solve import WeaveOptions, solve_weave
from wetgate.decisions import ShotDecisions
from wetgate.files import digest, read_json, write_json
from wetgate.frames import not_rebuilt, to_review
from wetgate.job import Job
from wetgate.layout import variant_encoding
from wetgate.numerics import pin_numerics
from wetgate.packing import Codes, Packed, PackedFrame
from wetgate.pieces import megapixels, verify_piece
from wetgate.plan import PlannedChunk, PlannedShot
from wetgate.records import IngestedReel
from wetgate.size import Size
from wetgate.stages.analyse import PROBES, TRIALS, measure
from wetgate.stages.grain_ledger import grain_ledger
from wetgate.stages.grain_told import in_ledger, told_by
from wetgate.touch import counts as effect_counts

Verdict = dict[str, Any]
_CLASSES = {2: "borrowed", 3: "invented"}
_MEASURES = ("flicker_stops", "weave_px", "grain_sigma", "unsteady", "clipped_share")

CHECKS = 10
"""Rises when a verdict would come out differently."""


def kept_verdict(
    job: Job,
    ingested: IngestedReel,
    planned: PlannedShot,
    decisions: ShotDecisions,
    before: Mapping[str, Any],
) -> Verdict | None:
    """The verdict in verify/<shot>.json, where it is about just these chunks and limits."""
    kept = read_json(job.folder.verdict(planned.shot.reel, planned.shot.id))
    key = _verdict_key(job, ingested, planned, decisions, before)
    return kept if kept is not None and kept.get("key") == key else None


def verify_shot(
    job: Job,
    ingested: IngestedReel,
    planned: PlannedShot,
    decisions: ShotDecisions,
    before: Mapping[str, Any],
) -> Verdict:
    """Measure a rendered shot and pass or hold it; kept as verify/<shot>.json.

    before: evidence of the scan. raises: StoreError when a chunk is damaged.
    """
    pin_numerics()
    kept = kept_verdict(job, ingested, planned, decisions, before)
    if kept is not None:
        return kept
    probes = checks_with(frozenset(before), planned.size)
    key = _verdict_key(job, ingested, planned, decisions, before)
    if planned.untouched:
        scanned = _as_scanned(before, planned, decisions)
        scanned["grain"] |= in_ledger(job.project, ingested.reel, planned, decisions)
        return _write(job, ingested, planned, key, scanned, decisions)
    job.gate()
    started = time.monotonic()
    frames = _Frames(job, ingested, planned)
    space = variant_encoding(ingested.reel, planned.variant)
    after = measure(
        frames.read,
        planned.measured,
        job.project.analyse.width_px,
        ColorProbe(space, clipping_only=True),
        probes,
        planned.size,
    )
    frames.count_rest()
    numbers: dict[str, Any] = {
        "before": _numbers(before, planned),
        "after": _numbers(after, planned, planned.size.ratio),
        "grain": grain_ledger(before, after, decisions, baked=planned.variant.baked),
        "touch_share": frames.touch_shares(),
        "max_repaired_share": frames.worst_repaired,
        "max_repaired_frame": frames.worst_frame,
        "max_by_class": {
            _CLASSES[k]: {"share": share, "frame": frame}
            for k, (share, frame) in frames.worst_by_class.items()
        },
        "caveats": frames.caveats,
    }
    numbers["grain"] |= in_ledger(job.project, ingested.reel, planned, decisions)
    costs = {
        "frames": len(planned.shot.frames),
        "does": verify_piece(probes, planned.size),
        "megapixels": round(megapixels(ingested.reel), 4),
        "seconds": round(time.monotonic() - started, 3),
    }
    return _write(job, ingested, planned, key, numbers, decisions, costs)


def _verdict_key(
    job: Job,
    ingested: IngestedReel,
    planned: PlannedShot,
    decisions: ShotDecisions,
    before: Mapping[str, Any],
) -> str:
    return digest(
        {
            "checks": CHECKS,
            "probes": [PROBES, *sorted(checks_with(frozenset(before), planned.size))],
            "chunks": [c.key for c in planned.chunks],
            "scan": [ingested.reel.frame(n).sha256 for n in planned.shot.frames]
            if planned.untouched
            else [],
            "policy": job.project.policy.model_dump(mode="json"),
            "grain": [job.project.restore.grain.tolerance, decisions.grain.kept],
            **told_by(job.project, decisions),
            "limited": decisions.balance.limited,
            "defect_map": decisions.defect_map.reason,
            "kept_jumps": list(decisions.weave.kept_jumps),
            "frames": [[d.frame, d.done, d.reason] for d in decisions.frame_damage],
            "not_rebuilt": not_rebuilt(job.project, ingested, planned.pictures),
        }
    )


def checks_with(before: frozenset[str], size: Size) -> frozenset[str]:
    """Probes that look at the result of a shot whose scan was looked at with these."""
    # Marks in the overscan lead the repair; what it reached shows in the picture.
    # What enlarging does was tried on the scan; what it did shows in its steadiness.
    # What dirt repair would find and take was tried on copies; what it did is in the marks.
    led = {"overscan", "upscale", "defects", *TRIALS}
    # Grain is compared at the size of the scan, which a smaller picture does not hold.
    if size.smaller:
        led.add("grain")
    return (before - led) or frozenset({"color"})


def _as_scanned(
    before: Mapping[str, Any], planned: PlannedShot, decisions: ShotDecisions
) -> dict[str, Any]:
    """What is said of a shot that is handed on as it is; its bytes are checked at delivery."""
    numbers = _numbers(before, planned)
    return {
        "before": numbers,
        "after": numbers,
        "grain": grain_ledger(before, before, decisions),
        "touch_share": {"untouched": 1.0, "adjusted": 0.0, "borrowed": 0.0, "invented": 0.0},
        "max_repaired_share": 0.0,
        "max_repaired_frame": planned.shot.frames.start,
        "max_by_class": {},
        "caveats": {},
    }


def _write(
    job: Job,
    ingested: IngestedReel,
    planned: PlannedShot,
    key: str,
    numbers: dict[str, Any],
    decisions: ShotDecisions,
    costs: Mapping[str, object] | None = None,
) -> Verdict:
    path = job.folder.verdict(planned.shot.reel, planned.shot.id)
    held = _held(job, planned, decisions, numbers)
    held += not_rebuilt(job.project, ingested, planned.pictures)
    job.at_hand()
    verdict: Verdict = {
        "schema": 1,
        "key": key,
        "shot": planned.shot.id,
        "frames": [planned.shot.frames.start, planned.shot.frames.stop - 1],
        "verdict": "held" if held else "passed",
        "held_because": held,
        **numbers,
    }
    write_json(path, verdict)
    job.events.emit(
        "verified",
        {"shot": planned.shot.id, "verdict": verdict["verdict"], **(costs or {})},
    )
    return verdict


class _Frames:
    """Rendered frames out of the store, one chunk in memory at a time."""

    def __init__(self, job: Job, ingested: IngestedReel, planned: PlannedShot) -> None:
        self._job = job
        self._planned = planned
        self._space = variant_encoding(ingested.reel, planned.variant)
        self._key = ""
        self._codes: Codes | None = None
        self._counts = np.zeros(4, np.int64)
        # Where a model or other frames enlarge, pixels are invented or borrowed everywhere, as
        # was asked for; that is no repair.
        # So is grain that is made.
        asked = {
            int(op.effect) for op in planned.chain if op.scale > 1 or isinstance(op, GrainOperator)
        }
        self._repaired = [k for k in (2, 3) if k not in asked]
        self.caveats: dict[str, list[str]] = {}
        """Frame number to what operators left undone on it."""
        self.worst_repaired = 0.0
        """Largest share of one frame that was borrowed or invented."""
        self.worst_frame = planned.shot.frames.start
        self.worst_by_class = dict.fromkeys(self._repaired, (0.0, planned.shot.frames.start))
        """The same by class, with the frame."""
        self._seen: set[FrameRange] = set()
        made = (ingested.reel.frame(n).made_by is not None for n in planned.shot.frames)
        self._scanned = np.array([not m for m in made])

    def count_rest(self) -> None:
        """Take in the chunks that hold no picture of their own."""
        for chunk in self._planned.chunks:
            if chunk.frames not in self._seen:
                self._load(chunk)

    def _load(self, chunk: PlannedChunk) -> Codes:
        found = self._job.store.get(chunk.key)
        self._seen.add(chunk.frames)
        made_by = found.facts.get("made_by", self._planned.numerics)
        if made_by != self._planned.numerics:
            raise StoreError(
                f"chunk {chunk.key[:12]} was not made by the kind of worker that its key says",
                shot=self._planned.shot.id,
                hint=f"remove {self._job.store.place(chunk.key)}: it is made again",
            )
        caveats = found.facts.get("caveats")
        if isinstance(caveats, dict):
            self.caveats |= caveats
        counts = effect_counts(found.touch)
        self._counts += counts.sum(axis=0)
        # A frame the scan lacks is made because the project says so; that is no repair.
        first = chunk.frames.start - self._planned.shot.frames.start
        scanned = self._scanned[first : first + len(chunk.frames)]
        share = counts[:, self._repaired].sum(axis=1) / counts.sum(axis=1) * scanned
        for k, (worst, _) in self.worst_by_class.items():
            # A limit of a class is asked for by itself: it counts frames that are made, too.
            of_class = counts[:, k] / counts.sum(axis=1)
            if float(of_class.max()) > worst:
                at = chunk.frames.start + int(of_class.argmax())
                self.worst_by_class[k] = (round(float(of_class.max()), 6), at)
        if float(share.max()) > self.worst_repaired:
            self.worst_repaired = round(float(share.max()), 6)
            self.worst_frame = chunk.frames.start + int(share.argmax())
        return found.codes

    def read(self, number: int) -> LogFrame:
        """A rendered frame."""
        self._job.check_stop()
        chunk, at = self._planned.locate(number)
        if chunk.key != self._key or self._codes is None:
            # The last one goes before the next one comes.
            self._codes = None
            self._key, self._codes = chunk.key, self._load(chunk)
        fmt = self._planned.variant.format
        if isinstance(self._codes, Packed):
            return PackedFrame(self._codes, at, fmt, self._space)
        return CodedFrame(cast("AnyCodes", self._codes[at]), fmt, self._space)

    def touch_shares(self) -> dict[str, float]:
        """Share of all pixels by what was done to them."""
        names = ("untouched", "adjusted", "borrowed", "invented")
        total = max(1, int(self._counts.sum()))
        return {n: round(int(c) / total, 6) for n, c in zip(names, self._counts, strict=True)}


def _numbers(
    evidence: Mapping[str, Any], planned: PlannedShot, ratio: float = 1.0
) -> dict[str, float | None]:
    """Residuals in the units people know; None where a thing cannot be or was not measured.

    ratio: of what was measured over the scan, whose pixels are counted.
    """
    if not evidence:
        return dict.fromkeys(_MEASURES)
    frames = planned.measured.strip
    found: dict[str, float | None] = dict.fromkeys(_MEASURES)
    if "flicker" in evidence:
        flicker = solve_flicker(evidence["flicker"], frames, FlickerOptions(floor_stops=0.0))
        if flicker.applied:
            found["flicker_stops"] = round(flicker.rms_stops(), 5)
    if "weave" in evidence and len(frames) >= 6:
        still = WeaveOptions(floor_px=0.0, floor_deg=0.0, floor_errors=0.0, limit_px=1e9)
        weave = solve_weave(evidence["weave"], frames, still, moments=planned.measured.moments)
        square = np.square(weave.dx_px).mean() + np.square(weave.dy_px).mean()
        found["weave_px"] = round(float(np.sqrt(square)) / ratio, 4)
    grain = evidence.get("grain")
    if grain and grain["frames_used"]:
        found["grain_sigma"] = round(float(grain["sigma_luma"]), 6)
    steadiness = evidence.get("steadiness")
    if steadiness and steadiness["pairs"]:
        found["unsteady"] = steadiness["unsteady"]
    clipped = float(np.max(evidence["color"]["clipped_share"]))
    return found | {"clipped_share": round(clipped, 5)}


def _grain_off(job: Job, decisions: ShotDecisions, ledger: Mapping[str, Any]) -> list[str]:
    """Grain that did not come out as it was meant to."""
    error, limit = ledger["error"], job.project.restore.grain.tolerance
    if not decisions.noise.applied or error is None or abs(error) <= limit:
        return []
    more = "more" if error > 0 else "less"
    return [
        f"grain came out {more} than was meant, by {100 * abs(error):.0f} % of what the scan had; "
        f"the limit is {100 * limit:.0f} %"
    ]


def _held(
    job: Job, planned: PlannedShot, decisions: ShotDecisions, numbers: Mapping[str, Any]
) -> list[str]:
    """Why a person should look at the shot before it goes out; empty when nothing speaks up."""
    before, after = numbers["before"], numbers["after"]
    held = []
    for name, unit, slack in (("flicker_stops", "stops", 0.01), ("weave_px", "px", 0.1)):
        was, now = before[name], after[name]
        applied = decisions.flicker.applied if name == "flicker_stops" else decisions.weave.applied
        if applied and was is not None and now is not None and now > was * 1.1 + slack:
            held.append(f"{name.split('_')[0]} rose from {was} to {now} {unit}")
    held += [
        f"frame {n}: the picture jumps farther than restore.weave.limit_px and is left there"
        for n in decisions.weave.kept_jumps
        if decisions.weave.origin == "solved"
    ]
    held += _grain_off(job, decisions, numbers["grain"])
    av1 = numbers["grain"].get("av1", {})
    if av1.get("lost"):
        held.append(f"its grain is left out of the AV1 film grain table: {av1['left_out']}")
    was, now = before["unsteady"], after["unsteady"]
    by_more = decisions.upscale.share or decisions.upscale.method == "network"
    if by_more and was is not None and now is not None and now > 1.1 * was + 0.003:
        held.append(f"the enlarged picture changes more along its motion: {was} to {now} film log")
    if before["clipped_share"] is not None and after["clipped_share"] is not None:
        rise = after["clipped_share"] - before["clipped_share"]
        if rise > 0.02:
            held.append(f"clipped picture rose by {100 * rise:.1f} %")
    if decisions.balance.limited and planned.variant.baked and not decisions.protected:
        held.append("color wants more than color.match allows and is cut back to it")
    limit = job.project.policy.max_repaired_share
    if numbers["max_repaired_share"] > limit:
        worst = 100 * numbers["max_repaired_share"]
        held.append(
            f"frame {numbers['max_repaired_frame']}: {worst:.1f} % of the picture was repaired, "
            f"the limit is {100 * limit:.1f} %"
        )
    refused = decisions.defect_map
    if refused.reason and not refused.applied and refused.origin == "solved":
        held.append(f"the defect map is not used: {refused.reason}")
    policy = job.project.policy
    limits = {"borrowed": policy.max_borrowed_share, "invented": policy.max_invented_share}
    for name, worst_of in numbers["max_by_class"].items():
        if worst_of["share"] > limits[name]:
            held.append(
                f"frame {worst_of['frame']}: {100 * worst_of['share']:.1f} % of the picture is "
                f"{name}, policy.max_{name}_share allows {100 * limits[name]:.3g} %"
            )
    held += to_review(planned.shot.frames, decisions.frame_damage)
    left = {n: [w for w in c if not w.startswith(NOTED)] for n, c in numbers["caveats"].items()}
    left = {n: words for n, words in left.items() if words}
    for number in sorted(left, key=int)[:3]:
        held.append(f"frame {number}: {'; '.join(left[number])}")
    if len(left) > 3:
        held.append(f"and {frames_text(len(left) - 3)} more like these")
    if planned.shot.kind is SegmentKind.BLACK:
        held.append("the shot is all black: check that the scan is what it should be")
    pictures, frames = len(planned.measured.own), len(planned.shot.frames)
    grain = ", but for grain" if decisions.noise.applied else ""
    if frames < 3:
        many = f"{frames} frame{'' if frames == 1 else 's'}"
        held.append(f"only {many}: temporal repairs left it alone{grain}")
    elif pictures < 3:
        many = counted(pictures)
        held.append(f"{frames} frames show only {many}: temporal repairs left them{grain}")
    return held
