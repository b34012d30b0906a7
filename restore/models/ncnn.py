"""Weights from ncnn files: a list of layers as text, and numbers in that order.

Layout of ncnn's model files (Tencent/ncnn, documented by its tools): a convolution holds a
four-byte tag, its weights in half or single precision padded to four bytes, and a single
precision bias; a PReLU its slopes in single precision. Nothing may be left over at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from media.errors import ModelRefused

_HALF, _SINGLE = 0x01306B47, 0
_SILENT = ("BinaryOp", "Concat", "Eltwise", "Input", "Interp", "PixelShuffle", "ReLU", "Split")


def read_ncnn(param: Path, numbers: Path, network: nn.Module) -> dict[str, Tensor]:
    """A state dict for ``network`` from ncnn files whose layers come in the same order.

    raises: ModelRefused for a layer nobody knows, a shape that differs, or bytes left over.
    """
    state = network.state_dict()
    wanted = iter(_parts(network))
    data, at = numbers.read_bytes(), 0
    for kind, settings in _layers(param):
        if kind in _SILENT:
            continue
        name, module = next(wanted, ("", nn.Identity()))
        if kind == "Convolution" and isinstance(module, nn.Conv2d):
            weight, at = _weights(data, at, settings.get(6, 0), numbers)
            state[f"{name}.weight"] = _shaped(weight, module.weight, numbers)
            bias, at = _floats(data, at, settings.get(0, 0), numbers)
            state[f"{name}.bias"] = torch.from_numpy(bias)
        elif kind == "PReLU" and isinstance(module, nn.PReLU):
            slopes, at = _floats(data, at, settings.get(0, 0), numbers)
            state[f"{name}.weight"] = _shaped(slopes, module.weight, numbers)
        else:
            raise ModelRefused(
                f"{param.name}: a layer {kind} where the architecture has "
                f"{type(module).__name__ if name else 'none'}",
                hint="name the architecture and the settings these weights are for",
            )
    if at != len(data) or next(wanted, None) is not None:
        raise ModelRefused(
            f"{numbers.name}: {len(data) - at} bytes are left over, or layers without numbers",
            hint="name the settings these weights are for",
        )
    return state


def _parts(network: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    return [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.PReLU)]


def _layers(param: Path) -> Iterable[tuple[str, dict[int, int]]]:
    lines = param.read_text("ascii").split("\n")
    if not lines or lines[0].strip() != "7767517":
        raise ModelRefused(f"{param.name} is no ncnn file", hint="its first line is 7767517")
    for line in lines[2:]:
        words = line.split()
        if not words:
            continue
        settings: dict[int, int] = {}
        for word in words[4 + int(words[2]) + int(words[3]) :]:
            key, _, value = word.partition("=")
            if value.lstrip("-").isdigit():
                settings[int(key)] = int(value)
        yield words[0], settings


def _weights(data: bytes, at: int, count: int, file: Path) -> tuple[NDArray[np.float32], int]:
    if at + 4 > len(data):
        raise ModelRefused(f"{file.name} ends too early", hint="fetch it again")
    tag = int.from_bytes(data[at : at + 4], "little")
    if tag == _SINGLE:
        return _floats(data, at + 4, count, file)
    if tag != _HALF:
        raise ModelRefused(f"{file.name}: weights of an unknown kind ({tag:#x})")
    end = at + 4 + 2 * count
    if end > len(data):
        raise ModelRefused(f"{file.name} ends too early", hint="fetch it again")
    return np.frombuffer(data[at + 4 : end], "<f2").astype(np.float32), end + -end % 4


def _floats(data: bytes, at: int, count: int, file: Path) -> tuple[NDArray[np.float32], int]:
    end = at + 4 * count
    if end > len(data):
        raise ModelRefused(f"{file.name} ends too early", hint="fetch it again")
    return np.frombuffer(data[at:end], "<f4").astype(np.float32), end


def _shaped(numbers: NDArray[np.float32], like: Tensor, file: Path) -> Tensor:
    if numbers.size != like.numel():
        raise ModelRefused(
            f"{file.name}: {numbers.size} numbers where {tuple(like.shape)} are wanted",
            hint="name the settings these weights are for",
        )
    return torch.from_numpy(numbers.reshape(tuple(like.shape)))
