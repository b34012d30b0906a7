"""Weights from a local file into a network, without running anything the file contains."""

from __future__ import annotations

import pickle
import struct
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from media.errors import ModelRefused
from restore.models.card import ModelCard, check_card

_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.PickleError,
    struct.error,
)
"""What torch makes of bytes that are no checkpoint: its reader stumbles wherever it stands."""
_NUMBERS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_WRAPPERS = ("params_ema", "params", "state_dict")


def load_network(card: ModelCard, *, commercial: bool) -> nn.Module:
    """The network of a checked card, fp32, on the CPU, in evaluation mode.

    raises: ModelRefused for an unknown architecture, a file that is not plain tensors, or keys
    and shapes that do not fit exactly.
    """
    check_card(card, commercial=commercial)
    return fitted(card, read_tensors(card.path))


def fitted(card: ModelCard, state: dict[str, Tensor]) -> nn.Module:
    """The network of a card with these weights. raises: ModelRefused naming the first key that is
    off, or a setting of which the weights show nothing."""
    _check_settings(card, state)
    network = built(card)
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
        raise ModelRefused(
            f"{card.path.name} does not fit {card.arch} with {_said(card)}, x{card.scale}: "
            f"{wrong[0]}" + (f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""),
            hint="set the settings and the scale to those the weights were trained with",
        )
    for key, value in own.items():
        given = state[key].dtype
        if given not in _NUMBERS if value.is_floating_point() else given.is_floating_point:
            kind = str(given).removeprefix("torch.")
            raise ModelRefused(
                f"{card.path.name}: {key} is of kind {kind}, which these networks do not run in",
                hint="convert it to float32, float16 or bfloat16",
            )
    if not all(bool(torch.isfinite(v).all()) for v in state.values()):
        raise ModelRefused(
            f"{card.path.name} holds NaN or Inf", hint="fetch it again and compare its SHA-256"
        )
    network.load_state_dict(state, strict=True)
    return network.eval()


def built(card: ModelCard) -> nn.Module:
    """The network of a card, as yet without its weights.

    raises: ModelRefused for settings that do not go together.
    """
    try:
        return card.network.build(card.complete, card.scale)
    except (ArithmeticError, AssertionError, IndexError, RuntimeError, TypeError, ValueError) as e:
        raise ModelRefused(
            f"{card.path.name}: {card.arch} cannot be made with {_said(card)}: {e}",
            hint="set the settings to those the weights were trained with",
        ) from e


def _check_settings(card: ModelCard, state: dict[str, Tensor]) -> None:
    """A width or a number of layers that these weights cannot have is not even tried: building it
    could take all memory."""
    most = max([len(state), *(size for v in state.values() for size in v.shape)], default=0)
    for name, value in card.complete.items():
        for number in value if isinstance(value, tuple) else (value,):
            if number > most:
                raise ModelRefused(
                    f"{card.path.name} does not fit {card.arch} with {name} {number}: nothing in "
                    "it is so many",
                    hint="set the architecture and its settings to those of the weights",
                )


def _said(card: ModelCard) -> str:
    return ", ".join(f"{k} {v}" for k, v in card.complete.items())


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A state dict from safetensors, or from a torch file that holds tensors and no code.

    raises: ModelRefused.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(str(path)))
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelRefused(
                f"{path.name} is damaged or no safetensors file",
                hint="fetch it again and compare its SHA-256",
            ) from error
    try:
        with warnings.catch_warnings():
            # Of old and odd files: what is wrong with them is said here.
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
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
