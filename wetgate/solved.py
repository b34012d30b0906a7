"""Decisions are made once: another kind of worker that leads on takes them as they lie.

Solvers end in libraries of linear algebra, whose last digits depend on the processor; where a
solve chooses (what is an outlier, how strongly to smooth), the last digit can tip it. On its own
kind of worker a solve comes out the same each time. ``solved.json`` says which kind solved what;
any other kind that is asked the same question reads the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch
from threadpoolctl import threadpool_info

from media.errors import StoreError
from media.fixity import file_sha256
from wetgate import __version__
from wetgate.decisions import ShotDecisions, ShotOverride
from wetgate.files import Folder, digest, read_json, write_json
from wetgate.job import Job
from wetgate.numerics import kind_beside, profile
from wetgate.project import project_digest_table
from wetgate.records import IngestedReel

_SCHEMA = 1


def question(
    job: Job, reels: Mapping[str, IngestedReel], people: Mapping[str, ShotOverride]
) -> str:
    """Digest of everything that decisions follow from; evidence by the files it lies in."""
    folder = job.folder
    return digest(
        {
            "version": __version__,
            "project": project_digest_table(job.project),
            "people": {n: p.model_dump(mode="json") for n, p in people.items()},
            "ingest": {n: _file(folder.ingest(n)) for n in reels},
            "frames": {
                shot: [d.model_dump(mode="json") for d in damage]
                for r in reels.values()
                for shot, damage in r.frames.items()
            },
            "evidence": {
                s.id: _file(folder.evidence(s.reel, s.id)) for r in reels.values() for s in r.shots
            },
        }
    )


def standing(
    job: Job, reels: Mapping[str, IngestedReel], asked: str
) -> dict[str, ShotDecisions] | None:
    """What another kind of worker decided on the same question.

    None where this kind decided, so that it comes out the same anyhow; where the question has
    changed; and where a decision file is not the one that was written then.
    """
    found = read_json(job.folder.solved) or {}
    solver, digests = found.get("solved_by"), found.get("decisions")
    if found.get("schema") != _SCHEMA or not isinstance(solver, dict):
        return None
    if solver == _solver() or not isinstance(digests, dict):
        return None
    if found.get("question") != asked:
        job.events.emit("decided_anew", {"instead_of": kind_beside(solver, _solver())})
        return None
    decisions = {}
    for shot in (s for r in reels.values() for s in r.shots):
        value = _decision(job.folder, shot.reel, shot.id)
        if value is None or digest(value) != digests.get(shot.id):
            return None
        decisions[shot.id] = ShotDecisions.model_validate(value)
    return decisions


def note_solved(job: Job, asked: str, digests: Mapping[str, str]) -> None:
    """Called when all decision files are written. digests: of their contents, by shot."""
    value = {
        "schema": _SCHEMA,
        "question": asked,
        "solved_by": _solver(),
        "decisions": dict(digests),
    }
    if read_json(job.folder.solved) != value:
        write_json(job.folder.solved, value)


@cache
def _solver() -> dict[str, str]:
    """What the last digits of a solve depend on; more than those of a picture do."""
    blas = sorted(
        {
            f"{i['internal_api']} {i.get('version')} {i.get('architecture', '')}".strip()
            for i in threadpool_info()
            if i["user_api"] == "blas"
        }
    )
    return {
        **profile(torch.device("cpu")),
        "blas": ", ".join(blas),
        **{name: version(name) for name in ("numpy", "scipy")},
    }


def _decision(folder: Folder, reel: str, shot: str) -> dict[str, object] | None:
    try:
        return read_json(folder.decision(reel, shot))
    except StoreError:
        return None


def _file(path: Path) -> str:
    return file_sha256(path) if path.is_file() else ""
