"""Where models stand: those that come with Wetgate, and those somebody brought in.

A model is two files, ``NAME.safetensors`` and its card ``NAME.toml``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from media.errors import ModelRefused
from restore.models.card import ModelCard
from restore.models.card_file import read_card

SHIPPED = Path(__file__).parent / "weights"
FOLDER_VARIABLE = "WETGATE_MODELS"
_NAME = re.compile(r"[a-z0-9][a-z0-9+._-]{0,63}")


def folder() -> Path:
    """Where models are brought to: $WETGATE_MODELS, else the user's data folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "wetgate" / "models"


def cards() -> list[Path]:
    """The card of every model there is, shipped ones first."""
    return [f for p in _places() for f in sorted(p.glob("*.toml"))]


def models() -> list[ModelCard]:
    """Every model there is. raises: ModelRefused for a damaged card."""
    return [read_card(f) for f in cards()]


def cardless() -> list[Path]:
    """Weights that lie there without a card: they are no models."""
    return [
        f
        for p in _places()
        for f in sorted(p.glob("*.safetensors"))
        if not f.with_suffix(".toml").is_file()
    ]


def _places() -> list[Path]:
    return [p for p in (SHIPPED, folder()) if p.is_dir()]


def model(name: str) -> ModelCard:
    """A model by name. raises: ModelRefused naming those there are."""
    check_name(name)
    for place in (SHIPPED, folder()):
        card = place / f"{name}.toml"
        if card.is_file():
            return read_card(card)
    if name in (f.stem for f in cardless()):
        raise ModelRefused(
            f"the model {name!r} has no card, and without one nothing is known of it",
            hint="'wetgate models import' brings it in with one",
        )
    there = ", ".join(f.stem for f in cards()) or "none"
    raise ModelRefused(
        f"there is no model {name!r}",
        hint=f"there are: {there}; 'wetgate models import' brings one in",
    )


def check_name(name: str) -> None:
    """raises: ModelRefused for a name that could lead out of the folder."""
    if not _NAME.fullmatch(name):
        raise ModelRefused(
            f"{name!r} is no name for a model",
            hint="small letters, digits, '+', '.', '_' and '-', up to 64",
        )
