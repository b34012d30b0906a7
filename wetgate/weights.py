"""Bring weights in: look at the file, run nothing in it, state its terms."""

from __future__ import annotations

from pathlib import Path

from media.errors import UsageError
from media.fixity import file_sha256
from restore.models.card import ModelCard
from restore.models.load import load_network


def project_lines(
    file: Path, licence: str, trained_on: str, features: int, layers: int, scale: int
) -> str:
    """TOML for a project, after the weights have been loaded strictly once.

    raises: ModelRefused when the file does not fit or holds more than tensors.
    """
    if not file.is_file():
        raise UsageError(f"{file} is not there", hint="check the path")
    card = ModelCard(
        path=file.resolve(),
        sha256=file_sha256(file),
        licence=licence,
        arch="srvgg",
        scale=scale,
        trained_on=trained_on,
        features=features,
        layers=layers,
    )
    load_network(card, commercial=False)
    lines = [
        "[policy]",
        "allow_invented = true",
        "",
        "[restore.upscale]",
        "enabled = true",
        f"factor = {scale}",
        'method = "network"',
        "",
        "[restore.upscale.model]",
        f'path = "{card.path}"',
        f'sha256 = "{card.sha256}"',
        f'licence = "{licence}"',
        f'trained_on = "{trained_on}"',
        f"features = {features}",
        f"layers = {layers}",
    ]
    return "\n".join(lines)
