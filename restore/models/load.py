"""Weights from a local file into a network, without running anything the file contains."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from media.errors import ModelRefused
from restore.models.card import ModelCard, check_card

_WRAPPERS = ("params_ema", "params", "state_dict")


def load_network(card: ModelCard, *, commercial: bool) -> nn.Module:
    """The network of a checked card, fp32, on the CPU, in evaluation mode.

    raises: ModelRefused for an unknown architecture, a file that is not plain tensors, or keys
    and shapes that do not fit exactly.
    """
    settings = card.complete
    check_card(card, commercial=commercial)
    return fitted(card.network.build(settings, card.scale), read_tensors(card.path), card)


def fitted(network: nn.Module, state: dict[str, Tensor], card: ModelCard) -> nn.Module:
    """The network with these weights. raises: ModelRefused naming the first key that is off."""
    own = network.state_dict()
    wrong = [
        *(f"no {k}" for k in own if k not in state),
        *(f"{k} belongs to no part of it" for k in state if k not in own),
        *(
            f"{k} is {tuple(state[k].shape)}, not {tuple(v.shape)}"
            for k, v in own.items()
            if k in state and state[k].shape != v.shape
        ),
    ]
    if wrong:
        said = ", ".join(f"{k} {v}" for k, v in card.complete.items())
        raise ModelRefused(
            f"{card.path.name} does not fit {card.arch} with {said}, x{card.scale}: "
            f"{wrong[0]}" + (f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""),
            hint="set the settings and the scale to those the weights were trained with",
        )
    if not all(bool(torch.isfinite(v).all()) for v in state.values()):
        raise ModelRefused(
            f"{card.path.name} holds NaN or Inf", hint="fetch it again and compare its SHA-256"
        )
    network.load_state_dict(state, strict=True)
    return network.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A state dict from safetensors, or from a torch file that holds tensors and no code.

    raises: ModelRefused.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(str(path)))
        except SafetensorError as error:
            raise ModelRefused(
                f"{path.name} is damaged or no safetensors file",
                hint="fetch it again and compare its SHA-256",
            ) from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ModelRefused(
            f"{path.name} holds more than tensors or is damaged",
            hint="convert it to safetensors where you trust it, and give that file",
        ) from error
    for key in _WRAPPERS:
        if isinstance(loaded, dict) and key in loaded:
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise ModelRefused(f"{path.name} is not a table of tensors", hint="give a state dict")
    return loaded
