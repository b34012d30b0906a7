"""The end of a job: deliver, report, sign off. Green only when everything planned is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from media.errors import StoreError, WetgateError
from media.fixity import file_sha256
from media.write import atomic_write_bytes
from wetgate.config import ReelConfig
from wetgate.decisions import ShotDecisions
from wetgate.files import read_json, write_json
from wetgate.guard import finished, giving_up
from wetgate.job import Job
from wetgate.layout import lay_out
from wetgate.manifest import (
    SCHEMA,
    DeliveredFile,
    checksum_lines,
    kinds_of,
    made_by,
    map_sources,
    models_used,
    read_delivered,
    self_digest,
    software,
)
from wetgate.plan import PlannedShot
from wetgate.records import IngestedReel, shot_to_json
from wetgate.report.given import ReportInput
from wetgate.report.html import report_key, write_report
from wetgate.size import size_of
from wetgate.stages.deliver import deliver_grain, deliver_reel
from wetgate.stages.handover import deliver_color
from wetgate.stages.ingest import frame_reader
from wetgate.stages.kept import still_right
from wetgate.stages.sidecar import SUFFIX
from wetgate.stages.verify import Verdict

DELIVERED, HELD, FAILED = 0, 3, 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job."""

    shots: int
    held: tuple[str, ...]
    failed: tuple[str, ...]
    frames_planned: int
    frames_delivered: int
    report: str
    failures: tuple[str, ...] = ()
    """One line for each shot that failed: where, what, what to do."""
    notes: tuple[str, ...] = ()
    """What was asked for beside the pictures and is not there, and why."""

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "exit_code": self.exit_code}

    @property
    def exit_code(self) -> int:
        """0 all delivered, 3 some held for review, 4 some failed."""
        if self.failed:
            return FAILED
        return HELD if self.held else DELIVERED


def finish_title(
    job: Job,
    configs: Mapping[str, ReelConfig],
    reels: Mapping[str, IngestedReel],
    decisions: Mapping[str, ShotDecisions],
    planned: Mapping[str, list[PlannedShot]],
    verdicts: Mapping[str, Verdict],
    failures: Mapping[str, WetgateError],
) -> Outcome:
    """Write deliverables, manifest and report.

    raises: StoreError when fewer files came out than were planned; StorageFull.
    """
    kept = read_delivered(read_json(job.folder.manifest))
    missing = frozenset(failures)
    files: list[DeliveredFile] = []
    for ingested in reels.values():
        reader = frame_reader(configs[ingested.reel.id], ingested.reel)
        files += deliver_reel(job, ingested, planned, missing, kept, reader)
    files += deliver_color(job, reels, decisions, kept)
    tables, notes = deliver_grain(job, reels, decisions, planned, verdicts, kept)
    files += tables
    expected = _expected(job, reels, missing)
    masters = [
        f
        for f in files
        if f.path.startswith("deliver/")
        and not f.path.startswith(("deliver/color/", "deliver/grain/"))
        and not f.path.endswith(SUFFIX)
    ]
    if len(masters) != expected:
        raise StoreError(f"{len(masters)} files came out, {expected} were planned")
    held = tuple(n for n, v in verdicts.items() if v["verdict"] == "held")
    frames = sum(len(r.reel.frames) for r in reels.values())
    lost = sum(len(p[0].shot.frames) for n, p in planned.items() if n in failures)
    given = ReportInput(
        job=job,
        reels=reels,
        decisions=decisions,
        planned={n: p[0] for n, p in planned.items() if n not in failures},
        verdicts=verdicts,
        failures={n: e.as_dict() for n, e in failures.items()},
        complete=not failures,
        truth=read_json(job.folder.root / "demo" / "truth.json"),
        read_source=lambda reel, frame: frame_reader(configs[reel], reels[reel].reel).read(frame),
    )
    key = report_key(given)
    pages = (job.folder.report / name for name in ("index.html", "report.json"))
    if any(still_right(job, page, key, kept) is None for page in pages):
        write_report(given)
    everything = [*files, *_report_files(job, key)]
    rendered = {
        name: next((p for p in variants if p.chunks), variants[0])
        for name, variants in planned.items()
        if name not in failures
    }
    _write_manifest(job, reels, decisions, rendered, verdicts, failures, everything)
    _forget_old(job, kept, files)
    finished(job.folder, job.project)
    outcome = Outcome(
        shots=len(decisions),
        held=held,
        failed=tuple(failures),
        frames_planned=frames,
        frames_delivered=frames - lost,
        report=str(job.folder.report / "index.html"),
        failures=tuple(str(e) for e in failures.values()),
        notes=tuple(notes),
    )
    job.events.emit(
        "finished",
        {
            "held": list(held),
            "failed": list(failures),
            "exit_code": outcome.exit_code,
            **({"notes": notes} if notes else {}),
        },
    )
    return outcome


def _expected(job: Job, reels: Mapping[str, IngestedReel], missing: frozenset[str]) -> int:
    """How many restored files there must be."""
    count = 0
    for ingested in reels.values():
        lost = [s for s in ingested.shots if s.id in missing]
        size = size_of(job.project, ingested.reel.format, ingested.reel.id)
        for deliverable in job.project.deliver:
            layout = lay_out(ingested.reel, deliverable, size.out_px)
            if layout.movie:
                count += 0 if lost else 1
            else:
                count += len(ingested.reel.frames) - sum(len(s.frames) for s in lost)
    return count


def _write_manifest(
    job: Job,
    reels: Mapping[str, IngestedReel],
    decisions: Mapping[str, ShotDecisions],
    rendered: Mapping[str, PlannedShot],
    verdicts: Mapping[str, Verdict],
    failures: Mapping[str, WetgateError],
    files: list[DeliveredFile],
) -> None:
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "title": job.project.title,
        "complete": not failures,
        "software": software(job),
        "made_by": kinds_of(rendered),
        "models": models_used(job, rendered),
        "policy": job.project.policy.model_dump(mode="json"),
        "sources": [
            {
                "reel": name,
                "format": str(r.reel.format),
                "encoding": r.reel.encoding,
                "frames": len(r.reel.frames),
                "first": r.reel.range.start,
                "files": [[f.number, f.path.name, f.sha256] for f in r.reel.frames],
                **({"defect_map": map_sources(r.reel.defect_map)} if r.reel.defect_map else {}),
            }
            for name, r in reels.items()
        ],
        "shots": [
            {
                **shot_to_json(shot),
                "verdict": verdicts[shot.id]["verdict"] if shot.id in verdicts else "failed",
                "touch_share": verdicts.get(shot.id, {}).get("touch_share"),
                "confidence": decisions[shot.id].confidence,
                "made_by": made_by(rendered.get(shot.id)),
            }
            for r in reels.values()
            for shot in r.shots
        ],
        "failures": [e.as_dict() for e in failures.values()],
        "files": [f.as_dict() for f in sorted(files, key=lambda f: f.path)],
    }
    manifest["manifest_sha256"] = self_digest(manifest)
    atomic_write_bytes(job.folder.checksums, checksum_lines(files).encode())
    write_json(job.folder.manifest, manifest)


def _report_files(job: Job, key: str) -> list[DeliveredFile]:
    return [
        DeliveredFile(
            path=p.relative_to(job.folder.root).as_posix(),
            sha256=file_sha256(p),
            bytes=p.stat().st_size,
            made_from=key,
        )
        for p in sorted(job.folder.report.rglob("*"))
        if p.is_file()
    ]


def _forget_old(job: Job, kept: Mapping[str, DeliveredFile], files: list[DeliveredFile]) -> None:
    """Remove what an earlier delivery made and this one does not contain."""
    current = {f.path for f in files}
    tops = (job.folder.deliver, job.folder.touch)
    for path in {*kept, *giving_up(job.folder)} - current:
        old = (job.folder.root / path).resolve()
        # Lists of files may have been edited: never reach out of what a delivery is.
        if not any(old.is_relative_to(top) for top in tops):
            continue
        old.unlink(missing_ok=True)
        for folder in old.parents:
            if folder in tops or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
