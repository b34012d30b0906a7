"""The model a project enlarges by: named, or spelt out."""

from __future__ import annotations

from pathlib import Path

from media.errors import ModelRefused
from restore.models.card import ModelCard, check_card
from restore.models.shelf import model
from wetgate.config import Project


def model_card(project: Project, factor: int = 2) -> ModelCard:
    """The card of the model the project names, or spells out.

    factor: what weights that are spelt out enlarge by, where the project does not say it.
    raises: ModelRefused for a name nobody knows, another digest or another factor.
    """
    said, exactly = project.restore.upscale.model, project.restore.upscale.whole
    if not said.name and not said.path:
        raise ModelRefused(
            "restore.upscale.method = 'network', but no model is named",
            hint="set restore.upscale.model.name to one of 'wetgate models list'",
        )
    if not said.name:
        return ModelCard(
            path=Path(said.path),
            sha256=said.sha256,
            licence=said.licence,
            arch=said.arch,
            scale=exactly or factor,
            trained_on=said.trained_on,
            settings=(("features", said.features), ("layers", said.layers)),
        )
    card = model(said.name)
    if said.sha256 and said.sha256.lower() != card.sha256:
        raise ModelRefused(
            f"model {said.name} here has SHA-256 {card.sha256}, the project says {said.sha256}",
            hint="bring in the weights this title was planned with, or change the project",
        )
    if exactly and card.scale != exactly:
        raise ModelRefused(
            f"model {said.name} enlarges {card.scale} times, the project asks for {exactly}",
            hint=f"set restore.upscale.factor = {card.scale}, name another model, or give the "
            "size itself: restore.upscale.width",
        )
    return card


def check_model(project: Project) -> None:
    """Is the model there, whole, and licensed for this title? Asked before anything is measured.

    raises: ModelRefused.
    """
    upscale = project.restore.upscale
    if upscale.enabled and upscale.method == "network":
        check_card(model_card(project), commercial=project.policy.use == "commercial")
