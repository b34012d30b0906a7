"""Networks that come with the program and paint nothing: loaded by digest, described by a card."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load
from torch import nn

from media.errors import ModelRefused

Net = TypeVar("Net", bound=nn.Module)


def with_weights(
    network: Net, weights: Path, sha256: str, device: str, *, half: bool, without: str
) -> Net:
    """The network with its weights on a device, not to be trained; channels_last.

    half: weights and features in bf16. without: the setting that does without it, for the hint.
    raises: ModelRefused where the weights are missing or are not those the program was made with.
    """
    hint = f"install the package again, or set {without}"
    try:
        data = weights.read_bytes()
    except OSError as error:
        raise ModelRefused(
            f"the weights of {weights.stem} cannot be read: {error}", hint=hint
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelRefused(
            f"the weights of {weights.stem} have SHA-256 {found}, not {sha256}", hint=hint
        )
    network.load_state_dict(load(data))
    network.eval().requires_grad_(False).to(device, torch.bfloat16 if half else torch.float32)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def card_of(weights: Path, sha256: str) -> Mapping[str, str]:
    """What a network is for, its licence and what it was trained on, as reports say it."""
    table = tomllib.loads(weights.with_suffix(".toml").read_text("utf-8"))
    words = {k: str(v) for k, v in table.items() if k != "schema"}
    return {**words, "weights_sha256": sha256}
