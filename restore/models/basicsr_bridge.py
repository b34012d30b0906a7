"""The only door to basicsr: architectures, nothing else.

``import basicsr`` scans its folders, imports data sets and training code, and needs a
torchvision module that no longer exists. Here its package shells are put in place without
running them, so one architecture module can be imported on its own, with or without
torchvision; the stand-in for torchvision is gone again afterwards.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from media.errors import ModelRefused
from restore.models.deform import deform_conv2d, flow_warp

_SHELLS = ("basicsr", "basicsr.archs", "basicsr.utils", "basicsr.ops", "basicsr.ops.dcn")


def srvgg(features: int, layers: int, scale: int) -> nn.Module:
    """SRVGGNetCompact: plain 3x3 convolutions with PReLU and a nearest-neighbour skip.

    Source: Wang et al., Real-ESRGAN (2021), as in basicsr 1.4.2.
    """
    return _made(
        "srvgg_arch",
        "SRVGGNetCompact",
        {
            "num_in_ch": 3,
            "num_out_ch": 3,
            "num_feat": features,
            "num_conv": layers,
            "upscale": scale,
        },
    )


def rrdb(features: int, blocks: int, growth: int, scale: int) -> nn.Module:
    """RRDBNet, residual-in-residual dense blocks. Source: Wang et al., ESRGAN (2018)."""
    return _made(
        "rrdbnet_arch",
        "RRDBNet",
        {
            "num_in_ch": 3,
            "num_out_ch": 3,
            "num_feat": features,
            "num_block": blocks,
            "num_grow_ch": growth,
            "scale": scale,
        },
    )


def swinir(
    features: int, depths: tuple[int, ...], heads: tuple[int, ...], window: int, scale: int
) -> nn.Module:
    """SwinIR with sub-pixel enlargement. Source: Liang et al., SwinIR (2021)."""
    return _made(
        "swinir_arch",
        "SwinIR",
        {
            "upscale": scale,
            "img_size": 64,
            "window_size": window,
            "img_range": 1.0,
            "depths": depths,
            "embed_dim": features,
            "num_heads": heads,
            "mlp_ratio": 2,
            "upsampler": "pixelshuffle" if scale > 1 else "",
            "resi_connection": "1conv",
        },
    )


def edvr(features: int, frames: int, groups: int, blocks: int, attention: bool) -> nn.Module:
    """EDVR x4: a window of frames to its middle one. Source: Wang et al., EDVR (2019)."""
    return _made(
        "edvr_arch",
        "EDVR",
        {
            "num_feat": features,
            "num_frame": frames,
            "deformable_groups": groups,
            "num_extract_block": 5,
            "num_reconstruct_block": blocks,
            "with_tsa": attention,
        },
    )


def basicvsr(features: int, blocks: int) -> nn.Module:
    """BasicVSR x4, recurrent in both directions of time. Source: Chan et al. (2021)."""
    return _made("basicvsr_arch", "BasicVSR", {"num_feat": features, "num_block": blocks})


def basicvsr_plus_plus(features: int, blocks: int, scale: int) -> nn.Module:
    """BasicVSR++, x4 or (scale 1) at the size it is given. Source: Chan et al. (2022).

    basicsr leaves its alignment out where there is no CUDA, and remembers from one clip to the
    next that a clip ran forth and back: both are put right here.
    """
    network: Any = _made(
        "basicvsrpp_arch",
        "BasicVSRPlusPlus",
        {
            "mid_channels": features,
            "num_blocks": blocks,
            "is_low_res_input": scale == 4,
        },
    )
    alignment = _arch_module("basicvsrpp_arch").SecondOrderDeformableAlignment
    for branch in ("backward_1", "forward_1", "backward_2", "forward_2"):
        network.deform_align[branch] = alignment(
            2 * features, features, 3, padding=1, deformable_groups=16, max_residue_magnitude=10
        )
    network.is_with_alignment = True
    network.check_if_mirror_extended = _never_mirrored
    made: nn.Module = network.eval()
    return made


def _never_mirrored(clip: object) -> None:
    del clip


def _made(module: str, name: str, settings: Mapping[str, object]) -> nn.Module:
    arch = getattr(_arch_module(module), name)
    with warnings.catch_warnings():
        # Theirs: meshgrid without its indexing, and alignment left out without CUDA.
        warnings.simplefilter("ignore")
        network: nn.Module = arch(**settings)
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
    _stand_ins()
    with _torchvision(), warnings.catch_warnings():
        # Theirs: distutils is on its way out.
        warnings.simplefilter("ignore", DeprecationWarning)
        shared: Any = importlib.import_module("basicsr.archs.arch_util")
        # Before any other module takes a copy: places in float32 whatever the precision.
        shared.flow_warp = flow_warp
        shared.DCNv2Pack.forward = _steered
        return importlib.import_module(full)


def _stand_ins() -> None:
    """What architecture modules take from packages whose own start-up is not wanted."""
    utils: Any = sys.modules["basicsr.utils"]
    if not hasattr(utils, "get_root_logger"):
        import logging

        utils.get_root_logger = lambda: logging.getLogger("basicsr")
    ops: Any = sys.modules["basicsr.ops.dcn"]
    if not hasattr(ops, "ModulatedDeformConvPack"):
        ops.ModulatedDeformConvPack = ModulatedDeformConvPack
        ops.modulated_deform_conv = None


def _steered(pack: Any, x: Tensor, features: Tensor) -> Tensor:  # noqa: ANN401 - their class
    """DCNv2Pack of basicsr, without its question for the version of torchvision."""
    rows, columns, mask = torch.chunk(pack.conv_offset(features), 3, dim=1)
    return deform_conv2d(
        x,
        torch.cat((rows, columns), dim=1),
        pack.weight,
        pack.bias,
        pack.stride,
        pack.padding,
        pack.dilation,
        torch.sigmoid(mask),
    )


class ModulatedDeformConvPack(nn.Module):
    """The parameters of basicsr's deformable convolution, under the same names.

    Theirs has no CPU form. Its subclasses call torchvision's function where that is there.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        deformable_groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = (kernel_size, kernel_size)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups, self.deformable_groups = groups, deformable_groups
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, kernel_size, kernel_size)
        )
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.conv_offset = nn.Conv2d(
            in_channels,
            deformable_groups * 3 * kernel_size * kernel_size,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
        )
        nn.init.zeros_(self.conv_offset.weight)
        nn.init.zeros_(self.conv_offset.bias)  # type: ignore[arg-type]


@contextmanager
def _torchvision() -> Iterator[None]:
    """A stand-in for the three names architecture modules ask torchvision for.

    The real one, if there is one, stays what other packages see; its deformable convolution
    has no bf16 form on the CPU, so ours is given everywhere.
    """
    names = ("torchvision", "torchvision.ops", "torchvision.utils")
    before = {n: sys.modules.get(n) for n in names}
    vision, ops, utils = (types.ModuleType(n) for n in names)
    vision.__version__ = "0.26"  # type: ignore[attr-defined]
    vision.ops, vision.utils = ops, utils  # type: ignore[attr-defined]
    ops.deform_conv2d = deform_conv2d  # type: ignore[attr-defined]
    utils.make_grid = None  # type: ignore[attr-defined]
    sys.modules.update(zip(names, (vision, ops, utils), strict=True))
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _root(spec: importlib.machinery.ModuleSpec | None) -> Path:
    if "basicsr" in sys.modules:
        return Path(next(iter(sys.modules["basicsr"].__path__)))
    locations = spec.submodule_search_locations if spec is not None else None
    if not locations:
        raise ModelRefused(
            "the package basicsr is not installed",
            hint="run make setup; a learned model needs its architectures",
        )
    return Path(next(iter(locations)))
