"""A convolution and what follows it in one pass over memory, where the CPU library can.

On features in bf16 the pass that only clips costs a quarter of the convolution before it. After
``relu`` the same bits either way; after ``leaky_relu`` one rounding to bf16 less (a test holds
them together).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_relu(layer: nn.Module, x: Tensor) -> Tensor:
    """``relu(layer(x))``; in one pass for bf16 on a CPU when nothing is to be learned."""
    made = _in_one_pass(layer, x, "relu", [])
    return F.relu(layer(x), inplace=True) if made is None else made


def conv_leaky(layer: nn.Module, x: Tensor, slope: float) -> Tensor:
    """``leaky_relu(layer(x), slope)``; in one pass where ``conv_relu`` is."""
    made = _in_one_pass(layer, x, "leaky_relu", [slope])
    return F.leaky_relu(layer(x), slope, inplace=True) if made is None else made


def _in_one_pass(layer: nn.Module, x: Tensor, after: str, told: list[float]) -> Tensor | None:
    """None where it takes two."""
    assert isinstance(layer, nn.Conv2d)
    if x.device.type != "cpu" or x.dtype != torch.bfloat16 or torch.is_grad_enabled():
        return None
    fused = _fused()
    if fused is None:
        return None
    stride, padding, dilation = layer.stride, layer.padding, layer.dilation
    return fused(
        x, layer.weight, layer.bias, padding, stride, dilation, layer.groups, after, told, ""
    )


@cache
def _fused() -> Callable[..., Tensor] | None:
    """oneDNN's fused convolution, which torch's own compiler uses; None where torch lacks it."""
    found: Callable[..., Tensor] | None
    found = getattr(getattr(torch.ops, "mkldnn", None), "_convolution_pointwise", None)
    return found
