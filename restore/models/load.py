"""Weights from a local file into a network, without running anything the file contains."""

from __future__ import annotations

import pickle

import torch
from torch import Tensor, nn

from media.errors import ModelRefused
from restore.models.basicsr_bridge import srvgg
from restore.models.card import ModelCard, check_card

ARCHITECTURES = ("srvgg",)


def load_network(card: ModelCard, *, commercial: bool) -> nn.Module:
    """The network of a checked card, fp32, on the CPU, in evaluation mode.

    raises: ModelRefused for an unknown architecture, a file that is not plain tensors, or keys
    and shapes that do not fit exactly.
    """
    if card.arch not in ARCHITECTURES:
        raise ModelRefused(
            f"architecture {card.arch!r} is not known", hint="known: " + ", ".join(ARCHITECTURES)
        )
    check_card(card, commercial=commercial)
    network = srvgg(card.features, card.layers, card.scale)
    state = _read_tensors(card)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ModelRefused(
            f"{card.path.name} does not fit {card.arch} with {card.features} features, "
            f"{card.layers} layers, x{card.scale}: {str(error).splitlines()[1].strip()}",
            hint="set features, layers and scale to those the weights were trained with",
        ) from error
    return network.eval()


def _read_tensors(card: ModelCard) -> dict[str, Tensor]:
    if card.path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(str(card.path)))
        except SafetensorError as error:
            raise ModelRefused(
                f"{card.path.name} is damaged or no safetensors file",
                hint="fetch it again and compare its SHA-256",
            ) from error
    try:
        loaded = torch.load(card.path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ModelRefused(
            f"{card.path.name} holds more than tensors or is damaged",
            hint="convert it to safetensors where you trust it, and give that file",
        ) from error
    for key in ("params_ema", "params", "state_dict"):
        if isinstance(loaded, dict) and key in loaded:
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise ModelRefused(f"{card.path.name} is not a table of tensors", hint="give a state dict")
    return loaded
