"""Any color space of an OpenColorIO config, for encodings that are not built in."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from media.errors import ConfigError, EncodingUndeclared

if TYPE_CHECKING:
    import PyOpenColorIO

Curve = Callable[[Tensor], Tensor]
BUILT_IN = "ocio://studio-config-latest"
_NAMED = 8


def ocio_curves(name: str, *, reel: str | None = None) -> tuple[Curve, Curve, str]:
    """Code values to scene-linear light and back, and what identifies both transforms.

    name: ``ocio:<color space>``, in the config that $OCIO names, else in OpenColorIO's built-in
    studio config; or ``ocio:<color space>@<config>`` with a path or an ``ocio://`` address.
    Tensors are (..., 3, H, W) or (..., 1, H, W) float32; transforms run on the CPU, without
    the library's fast approximations.
    raises: EncodingUndeclared (space not in the config), ConfigError (no such config).
    """
    space, _, config = name.removeprefix("ocio:").partition("@")
    config = config or os.environ.get("OCIO", "") or BUILT_IN
    forward, backward, key = _processors(space, config, reel)
    return (lambda v: _applied(forward, v), lambda v: _applied(backward, v), key)


@lru_cache(maxsize=8)
def _processors(
    space: str, config_name: str, reel: str | None
) -> tuple[PyOpenColorIO.CPUProcessor, PyOpenColorIO.CPUProcessor, str]:
    # Loaded when a project asks for it: the repairs must import without it.
    import PyOpenColorIO as OCIO  # noqa: N814

    try:
        config = OCIO.Config.CreateFromFile(config_name)
    except (OCIO.Exception, OCIO.ExceptionMissingFile) as error:
        raise ConfigError(
            f"OpenColorIO config {config_name!r} cannot be read: {error}",
            reel=reel,
            hint="give a .ocio file or an ocio:// address after @, or set $OCIO",
        ) from error
    known = [s.getName() for s in config.getColorSpaces()]
    found = config.getColorSpace(space)
    if found is None or not space:
        named = ", ".join(_near(space, known))
        raise EncodingUndeclared(
            f"color space {space!r} is not in {config.getName() or config_name}",
            reel=reel,
            hint=f"for instance: {named}",
        )
    light = config.getRoleColorSpace("scene_linear")
    if not light:
        raise ConfigError(
            f"{config_name} names no scene_linear role", reel=reel, hint="use another config"
        )
    exact = OCIO.OPTIMIZATION_LOSSLESS
    both = [config.getProcessor(*pair) for pair in ((space, light), (light, space))]
    forward, backward = (p.getOptimizedCPUProcessor(exact) for p in both)
    return forward, backward, "+".join(str(p.getCacheID()) for p in both)


def _near(space: str, known: list[str]) -> list[str]:
    close = difflib.get_close_matches(space, known, n=_NAMED, cutoff=0.3)
    return close or known[:_NAMED]


def _applied(processor: PyOpenColorIO.CPUProcessor, values: Tensor) -> Tensor:
    """Through the processor pixel by pixel; a luma channel goes in as a gray RGB."""
    channels = values.shape[-3]
    rgb = values.expand(*values.shape[:-3], 3, *values.shape[-2:])
    # A copy in any case: the processor works in place.
    packed = np.array(rgb.detach().movedim(-3, -1).cpu().numpy(), dtype=np.float32, order="C")
    processor.applyRGB(packed.reshape(-1))
    back = torch.from_numpy(packed).movedim(-1, -3)[..., :channels, :, :]
    return back.contiguous().to(values.device)
