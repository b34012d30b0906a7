"""What must be known about a model before it may touch a picture."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from media.errors import ModelRefused
from restore.models.architectures import Architecture, Setting, Settings, architecture, complete

_NON_COMMERCIAL = re.compile(
    r"\bnc\b|non[\W_]*commercial|\b(research|academic|educational|evaluation|personal)\b|\bs-lab\b"
)
"""In small letters. S-Lab's licence is non-commercial without saying so in its name."""
MOST_BYTES = 2 << 30
"""Of a file of weights. The largest of these networks has a tenth of that, with all that training
leaves beside it."""
_WORST_LOSS_DB = 0.05
"""What half precision may cost, against the truth of a known picture."""


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
    name: str = ""
    settings: tuple[tuple[str, Setting], ...] = ()
    """Those of the architecture that are not its defaults, by name."""
    task: str = "upscale"
    made_by: str = ""
    not_for: str = ""
    """Where it is known to fail, or must not be used."""
    half_loss_db: float | None = None
    """What half precision costs against the truth; None: never measured, never used."""
    half_codes: float | None = None
    """How far it moves a 10-bit code, for all pixels but a thousandth."""
    gain_db: float | None = None
    """Over bicubic on the pictures it was let in with."""
    like_db: float | None = None
    """How well its result, made small again, gives back what it was shown."""
    block_frames: int = 16
    """Recurrent models: frames made together ..."""
    warm_up_frames: int = 5
    """... and those before and after them that are only run through."""

    @property
    def network(self) -> Architecture:
        """raises: ModelRefused for an unknown architecture."""
        return architecture(self.arch)

    @property
    def complete(self) -> Settings:
        """All settings. raises: ModelRefused for one the architecture does not have."""
        return complete(self.network, dict(self.settings))

    @property
    def reach_px(self) -> int:
        """Context each side that makes tiles exact, in source px; -1 where none does."""
        return self.network.reach_px(self.complete)

    @property
    def half_allowed(self) -> bool:
        """May it run in half precision where the processor is made for that?"""
        return self.half_loss_db is not None and self.half_loss_db <= _WORST_LOSS_DB

    @property
    def commercial(self) -> bool:
        """Does its licence allow commercial use, as far as its words say?"""
        return _NON_COMMERCIAL.search(self.licence.lower()) is None

    @property
    def identity(self) -> dict[str, object]:
        """What decides its pixels, for keys; the path it came from does not."""
        return {
            "weights_sha256": self.sha256,
            "arch": self.arch,
            "scale": self.scale,
        }


def check_card(card: ModelCard, *, commercial: bool) -> None:
    """Refuse weights without licence, with another digest, or not licensed for this use.

    raises: ModelRefused naming what is missing.
    """
    _check_declared(card)
    if commercial and not card.commercial:
        raise ModelRefused(
            f"{card.path.name}: licence {card.licence!r} does not allow commercial use",
            hint="use other weights, or set policy.use = 'non-commercial' if that is true",
        )
    if not card.path.is_file():
        raise ModelRefused(
            f"weights {card.path} are not there", hint="give the path of a local file"
        )
    check_size(card.path)
    with card.path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != card.sha256.lower():
        raise ModelRefused(
            f"{card.path.name}: SHA-256 is {found}, its card says {card.sha256 or 'nothing'}",
            hint="check where the file came from, then put the right digest in its card",
        )


def check_size(weights: Path) -> None:
    """raises: ModelRefused for a file that is no weights of these networks, before it is read."""
    size = weights.stat().st_size
    if size > MOST_BYTES:
        raise ModelRefused(
            f"{weights.name} has {size / 1e9:.1f} GB: no network known here is so large",
            hint="give the file of weights alone, or convert it to safetensors",
        )


def _check_declared(card: ModelCard) -> None:
    if not card.licence.strip():
        raise ModelRefused(
            f"{card.path.name}: no licence is declared",
            hint="state the licence of the weights in the model's card",
        )
    if not card.trained_on.strip():
        raise ModelRefused(
            f"{card.path.name}: training data is not stated",
            hint="set trained_on in the model's card, 'unknown' if it is",
        )
    if card.scale not in card.network.scales:
        raise ModelRefused(
            f"{card.path.name}: {card.arch} does not enlarge {card.scale} times",
            hint="it can: " + ", ".join(f"x{s}" for s in card.network.scales),
        )
