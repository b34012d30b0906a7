"""Curves of weave and flicker, solved by whoever measured the shot while others are measured.

Solving them is most of what the leader would else do alone, with all helpers waiting. What is kept
beside the evidence answers one question: these settings, this evidence, solved on this kind of
worker. To any other question the solver gives its own answer (``wetgate/stages/solve.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from media.errors import StoreError
from media.pictures import Pictures
from media.reel import Shot
from wetgate.config import Project
from wetgate.decisions import FlickerDecision, WeaveDecision
from wetgate.files import Folder, digest, read_json, write_json
from wetgate.solved import file_digest, program_digest, solver_digest
from wetgate.stages.propose import propose_flicker, propose_weave

Decision = TypeVar("Decision", WeaveDecision, FlickerDecision)
_SCHEMA = 1


def solve_early(
    folder: Folder, project: Project, shot: Shot, evidence: Mapping[str, Any], pictures: Pictures
) -> None:
    """Solve what follows from one shot's evidence alone, and keep it.

    project: as the shot sees it, without a person's word. raises: StorageFull.
    """
    solved: dict[str, object] = {"schema": _SCHEMA}
    if {"weave", "overscan"} <= evidence.keys():
        weave = propose_weave(project, shot, evidence, pictures)
        solved["weave"] = _kept(folder, project, shot, "weave", weave)
    if "flicker" in evidence:
        flicker = propose_flicker(project, shot, evidence, pictures)
        solved["flicker"] = _kept(folder, project, shot, "flicker", flicker)
    write_json(folder.early(shot.reel, shot.id), solved)


def solved_weave(folder: Folder, project: Project, shot: Shot) -> WeaveDecision | None:
    """What was kept, if it answers the same question."""
    return _answer(folder, project, shot, "weave", WeaveDecision)


def solved_flicker(folder: Folder, project: Project, shot: Shot) -> FlickerDecision | None:
    """What was kept, if it answers the same question."""
    return _answer(folder, project, shot, "flicker", FlickerDecision)


def _kept(
    folder: Folder,
    project: Project,
    shot: Shot,
    name: str,
    decision: WeaveDecision | FlickerDecision,
) -> dict[str, object]:
    return {
        "question": _question(folder, project, shot, name),
        "answer": decision.model_dump(mode="json"),
    }


def _answer(
    folder: Folder, project: Project, shot: Shot, name: str, kind: type[Decision]
) -> Decision | None:
    """None for a file that is not there, damaged or of another question: it is solved again."""
    try:
        found = read_json(folder.early(shot.reel, shot.id)) or {}
        said = found.get(name)
        if found.get("schema") != _SCHEMA or not isinstance(said, dict):
            return None
        if said.get("question") != _question(folder, project, shot, name):
            return None
        return kind.model_validate(said.get("answer"))
    except (StoreError, ValidationError):
        return None


def _question(folder: Folder, project: Project, shot: Shot, name: str) -> str:
    return digest(
        {
            "program": program_digest(),
            "solver": solver_digest(),
            "settings": getattr(project.restore, name).model_dump(mode="json"),
            "shot": [shot.kind.value, shot.frames.start, shot.frames.stop],
            "evidence": file_digest(folder.evidence(shot.reel, shot.id)),
        }
    )
