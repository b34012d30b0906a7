"""The only door to basicsr: architectures, nothing else.

``import basicsr`` scans its folders, imports data sets and training code, and needs a
torchvision module that no longer exists. Here its package shells are put in place without
running them, so one architecture module can be imported on its own, with or without
torchvision; the stand-in for torchvision is gone again afterwards.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path

from torch import nn

from media.errors import ModelRefused

_SHELLS = ("basicsr", "basicsr.archs", "basicsr.utils")


def srvgg(features: int, layers: int, scale: int) -> nn.Module:
    """SRVGGNetCompact: plain 3x3 convolutions with PReLU and a nearest-neighbour skip.

    Source: Wang et al., Real-ESRGAN (2021), as in basicsr 1.4.2.
    """
    module = _arch_module("srvgg_arch")
    network: nn.Module = module.SRVGGNetCompact(
        num_in_ch=3, num_out_ch=3, num_feat=features, num_conv=layers, upscale=scale
    )
    return network.eval()


def _arch_module(name: str) -> types.ModuleType:
    full = f"basicsr.archs.{name}"
    if full in sys.modules:
        return sys.modules[full]
    spec = importlib.util.find_spec("basicsr") if "basicsr" not in sys.modules else None
    root = _root(spec)
    for shell in _SHELLS:
        if shell not in sys.modules:
            package = types.ModuleType(shell)
            package.__path__ = [str(root.joinpath(*shell.split(".")[1:]))]
            sys.modules[shell] = package
    return importlib.import_module(full)


def _root(spec: object) -> Path:
    if "basicsr" in sys.modules:
        return Path(next(iter(sys.modules["basicsr"].__path__)))
    locations = getattr(spec, "submodule_search_locations", None)
    if not locations:
        raise ModelRefused(
            "the package basicsr is not installed",
            hint="run make setup; a learned model needs its architectures",
        )
    return Path(next(iter(locations)))
