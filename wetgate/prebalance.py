"""For colorists: decide the color of every shot, hand it over, bake nothing.

Pictures are read once to be hashed and cut into shots, and a few frames of each shot are looked
at; beside the hand-over files there is a contact sheet for every scene.
"""

from __future__ import annotations

from dataclasses import dataclass

from wetgate.decisions import ShotDecisions
from wetgate.files import read_json, write_json
from wetgate.job import Job
from wetgate.manifest import DeliveredFile, read_delivered, software
from wetgate.report.contact import write_contact_sheets
from wetgate.report.given import ReportInput
from wetgate.report.html import write_report
from wetgate.run import Title, analyse, ingest
from wetgate.stages.handover import deliver_color
from wetgate.stages.ingest import frame_reader
from wetgate.stages.solve import solve_title


@dataclass(frozen=True)
class Prebalanced:
    """Decisions and the files that carry them."""

    decisions: dict[str, ShotDecisions]
    files: list[DeliveredFile]
    sheets: list[str]
    """Contact sheets in report/contact."""


def prebalance(job: Job) -> Prebalanced:
    """Ingest, analyse, solve; CDL and EDL files in deliver/color, no picture made."""
    title = Title()
    ingest(job, title, pictures=False)
    for name, future in job.spread(lambda s: analyse(job, title, s), title.shot_ids()):
        title.evidence[name] = future.result()
    decisions = solve_title(job, title.reels, title.evidence)
    kept = read_delivered(read_json(job.folder.root / "prebalance.json"))
    files = deliver_color(job, title.reels, decisions, kept)
    write_json(
        job.folder.root / "prebalance.json",
        {
            "schema": 1,
            "title": job.project.title,
            "software": software(job),
            "baked": False,
            "files": [f.as_dict() for f in files],
        },
    )
    given = ReportInput(
        job=job,
        reels=title.reels,
        decisions=decisions,
        planned={},
        verdicts={},
        failures={},
        complete=True,
        evidence=title.evidence,
        read_source=lambda reel, frame: frame_reader(
            title.configs[reel], title.reels[reel].reel
        ).read(frame),
    )
    write_report(given)
    sheets = write_contact_sheets(given)
    job.events.emit("finished", {"held": [], "failed": [], "exit_code": 0})
    return Prebalanced(decisions, files, sheets)
