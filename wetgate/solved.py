"""Decisions are made once: whoever leads on takes them as they lie.

``solved.json`` says what was asked, and who solved which shot. The same question for the whole
title is answered by reading: comparing the colors of hundreds of shots takes minutes. Where only
some of it is the same, it matters who solved: solvers end in libraries of linear algebra, whose
last digits depend on the processor, and where a solve chooses (what is an outlier, how strongly to
smooth), the last digit can tip it. On its own kind of worker a solve comes out the same each time;
what another kind solved, for a shot whose own question is the same, is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch
from threadpoolctl import threadpool_info

import color
import media
import restore
import wetgate
from media.errors import StoreError
from media.fixity import file_sha256
from wetgate import ledger
from wetgate.decisions import ShotDecisions, ShotOverride
from wetgate.files import Folder, digest, read_json, write_json
from wetgate.job import Job
from wetgate.numerics import kind_beside, profile
from wetgate.project import project_digest_table
from wetgate.records import IngestedReel

_SCHEMA = 1
PARTS = ("weave", "flicker", "scratch", "dirt", "noise", "grain", "upscale")
"""What is decided for a shot by itself. Color is solved for all shots together."""


def shot_questions(
    job: Job, reels: Mapping[str, IngestedReel], people: Mapping[str, ShotOverride]
) -> dict[str, str]:
    """By shot, a digest of everything that is decided on by itself: settings, the material, a
    person's word, and evidence by the files it lies in."""
    settings = digest([program_digest(), project_digest_table(job.project)])
    found = {}
    for name, ingested in reels.items():
        material = file_digest(job.folder.ingest(name))
        for shot in ingested.shots:
            person = people.get(shot.id)
            found[shot.id] = digest(
                {
                    "settings": settings,
                    "material": material,
                    "frames": [d.model_dump(mode="json") for d in ingested.frames.get(shot.id, ())],
                    "person": person.model_dump(mode="json") if person is not None else None,
                    "evidence": file_digest(job.folder.evidence(shot.reel, shot.id)),
                }
            )
    return found


@dataclass(frozen=True)
class Earlier:
    """What was decided before: by anybody where the title's question is the same, else by other
    kinds of workers on shots whose own question is the same."""

    decisions: Mapping[str, ShotDecisions]
    by: Mapping[str, str]
    """Digest of who decided, by shot."""
    all_stands: bool
    """Is the question of the whole title the same, so that nothing is to be solved?"""

    def parts(self, shot: str) -> dict[str, object]:
        """What stands of the shot by itself; empty where it is solved anew."""
        found = self.decisions.get(shot)
        return {name: getattr(found, name) for name in PARTS} if found is not None else {}


def earlier(job: Job, reels: Mapping[str, IngestedReel], questions: Mapping[str, str]) -> Earlier:
    """Read what was decided on the same questions.

    Where the title's differs, what this kind decided is not asked for: it comes out the same
    anyhow. A shot whose decision file is not the one that was written then is solved anew.
    """
    found = read_json(job.folder.solved) or {}
    solvers, shots = found.get("solvers"), found.get("shots")
    if found.get("schema") != _SCHEMA or not isinstance(solvers, dict):
        return Earlier({}, {}, all_stands=False)
    assert isinstance(shots, dict)
    own = solver_digest()
    others = {name: said for name, said in shots.items() if said["by"] != own}
    same = found.get("question") == digest(dict(questions))
    decisions, by = {}, {}
    for shot in (s for r in reels.values() for s in r.shots):
        said = shots.get(shot.id) if same else others.get(shot.id)
        if said is None or said["question"] != questions[shot.id]:
            continue
        value = _decision(job.folder, shot.reel, shot.id)
        if value is not None and digest(value) == said["decision"]:
            decisions[shot.id] = ShotDecisions.model_validate(value)
            by[shot.id] = str(said["by"])
    anew = sorted({said["by"] for name, said in others.items() if name not in decisions})
    if anew:
        kinds = [kind_beside(solvers[k], _solver()) for k in anew]
        shots_anew = [name for name in others if name not in decisions]
        job.events.emit("decided_anew", {"shots": shots_anew, "instead_of": kinds})
    return Earlier(decisions, by, all_stands=same and len(decisions) == len(questions))


def known_digests(folder: Folder) -> dict[str, list[str]]:
    """Digests of the decisions that were written for each shot, the last one last."""
    known = ledger.known(folder.ledger)
    shots = (read_json(folder.solved) or {}).get("shots")
    for name, said in (shots if isinstance(shots, dict) else {}).items():
        if name in known:
            known[name].insert(0, str(said["decision"]))
    return known


def note_solved(
    job: Job, questions: Mapping[str, str], digests: Mapping[str, str], kept: Earlier
) -> None:
    """Called when all decision files are written. digests: of their contents, by shot."""
    before = (read_json(job.folder.solved) or {}).get("solvers", {})
    assert isinstance(before, dict)
    own = solver_digest()
    by = {name: kept.by.get(name, own) for name in questions}
    solvers = {**before, own: _solver()}
    value = {
        "schema": _SCHEMA,
        "question": digest(dict(questions)),
        "solvers": {k: solvers[k] for k in sorted(set(by.values()))},
        "shots": {
            name: {"question": asked, "by": by[name], "decision": digests[name]}
            for name, asked in questions.items()
        },
    }
    if read_json(job.folder.solved) != value:
        write_json(job.folder.solved, value)


def solver_digest() -> str:
    """Of what the last digits of a solve depend on, for this worker."""
    return digest(_solver())


@cache
def program_digest() -> str:
    """Of the programs that measure and solve: another program may decide otherwise."""
    packages = (Path(str(p.__file__)).parent for p in (color, media, restore, wetgate))
    files = sorted((p.name, f) for p in packages for f in p.rglob("*.py"))
    return digest([[name, f.name, file_sha256(f)] for name, f in files])


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


def file_digest(path: Path) -> str:
    """SHA-256 of a file; empty where there is none."""
    return file_sha256(path) if path.is_file() else ""
