"""What must be known about a model before it may touch a picture."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from media.errors import ModelRefused

_NON_COMMERCIAL = ("nc", "non-commercial", "noncommercial", "research", "academic")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Declared by whoever brings the weights; checked before anything is loaded."""

    path: Path
    sha256: str
    licence: str
    arch: str
    """Name of a known architecture, for instance ``srvgg``."""
    scale: int
    trained_on: str
    """Plain words; ``unknown`` is allowed, empty is not."""
    features: int = 64
    layers: int = 16

    @property
    def reach_px(self) -> int:
        """Receptive field each side of a stack of 3x3 convolutions, in source px."""
        return self.layers + 2


def check_card(card: ModelCard, *, commercial: bool) -> None:
    """Refuse weights without licence, with another digest, or not licensed for this use.

    raises: ModelRefused naming what is missing.
    """
    if not card.licence.strip():
        raise ModelRefused(
            f"{card.path.name}: no licence is declared",
            hint="set restore.upscale.model.licence to the licence of the weights",
        )
    words = set(re.split(r"[^a-z]+", card.licence.lower())) | {card.licence.lower()}
    if commercial and words & set(_NON_COMMERCIAL):
        raise ModelRefused(
            f"{card.path.name}: licence {card.licence!r} does not allow commercial use",
            hint="use other weights, or set policy.use = 'non-commercial' if that is true",
        )
    if not card.trained_on.strip():
        raise ModelRefused(
            f"{card.path.name}: training data is not stated",
            hint="set restore.upscale.model.trained_on, 'unknown' if it is",
        )
    if not card.path.is_file():
        raise ModelRefused(
            f"weights {card.path} are not there", hint="give the path of a local file"
        )
    found = hashlib.sha256(card.path.read_bytes()).hexdigest()
    if found != card.sha256.lower():
        raise ModelRefused(
            f"{card.path.name}: SHA-256 is {found}, the project says {card.sha256 or 'nothing'}",
            hint="check where the file came from, then set restore.upscale.model.sha256",
        )
