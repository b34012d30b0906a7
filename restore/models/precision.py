"""Half precision where it is exact enough: features in bf16, pictures never.

A bf16 value has 8 bits of fraction: as a feature inside a network that is plenty, as a picture
it is two 10-bit codes off. So the body runs under autocast in channels_last, and what paints
the picture, what measures motion and what is added at the end stay float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from restore.models.architectures import Architecture, Time


def half_pays(device: torch.device) -> bool:
    """Does this processor multiply bf16 matrices in hardware?

    A CPU that is told to compute as a lesser one (``ATEN_CPU_CAPABILITY``) answers as that one.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return all(bool(getattr(torch.cpu, c, bool)()) for c in checks)


class _Exact(nn.Module):
    """A part that runs in float32 whatever is around it."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, *given: Tensor) -> Tensor:
        """Its answer to the same values, unrounded."""
        with torch.autocast(given[0].device.type, enabled=False):
            made: Tensor = self.part(*(g.float() for g in given))
        return made


class Runner(nn.Module):
    """A network as it is run: float32 in, float32 out, half inside if asked for.

    network: is taken over and changed. half: see ``half_pays`` and ``ModelCard.half_allowed``.
    """

    def __init__(self, network: nn.Module, known: Architecture, *, half: bool) -> None:
        super().__init__()
        self.halved = half
        self._frame = known.time is Time.FRAME
        if half:
            for path in (known.last, *known.exact):
                _replace(network, path)
            if self._frame:
                whole: Any = network
                whole.to(memory_format=torch.channels_last)
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W), or (1, T, 3, H, W) for networks that look at several frames."""
        if not self.halved:
            made: Tensor = self.network(pixels)
            return made
        if self._frame:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            made = self.network(pixels)
        return made.float().contiguous()


def _replace(network: nn.Module, path: str) -> None:
    *way, last = path.split(".")
    holder: Any = network
    for step in way:
        holder = getattr(holder, step)
    if isinstance(holder, nn.ModuleList):
        holder[int(last)] = _Exact(holder[int(last)])
    else:
        setattr(holder, last, _Exact(getattr(holder, last)))
