"""Color spaces and views of an OpenColorIO config: encodings that are not built in, displays."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from media.curves import log_to_light
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

    config = _config(config_name, reel)
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


def _config(config_name: str, reel: str | None = None) -> PyOpenColorIO.Config:
    import PyOpenColorIO as OCIO  # noqa: N814

    try:
        return OCIO.Config.CreateFromFile(config_name)
    except (OCIO.Exception, OCIO.ExceptionMissingFile) as error:
        raise ConfigError(
            f"OpenColorIO config {config_name!r} cannot be read: {error}",
            reel=reel,
            hint="give a .ocio file or an ocio:// address after @, or set $OCIO",
        ) from error


def ocio_view(name: str, encoding: str = "") -> Curve:
    """Film log to display code values, as a view of an OpenColorIO config shows it.

    name: ``<display>/<view>``, or a display alone for its default view, in the config that $OCIO
    names, else in the built-in ACES studio config; or with ``@<config>`` behind it.
    encoding: of the reel. ADX goes in as ADX, ACEScct and spaces of a config as the light they
    encode, all else as Rec.709 light: what densities of other film mean in color nobody declared.
    Tensors are (..., 3, H, W) float32, result unclipped; on the CPU, without fast approximations.
    raises: ConfigError for a display, view or config that does not exist, naming the nearest.
    """
    wanted, _, config = name.partition("@")
    parts = tuple(p.strip() for p in wanted.split("/", 1))
    config = config or os.environ.get("OCIO", "") or BUILT_IN
    density = encoding in ("adx10", "adx16")
    if density:
        source = "ADX10"
    elif encoding == "acescct":
        source = "ACEScg"
    else:
        source = "scene_linear" if encoding.startswith("ocio:") else "lin_rec709_scene"
    processor = _view_processor(parts, config, source)
    return lambda v: _applied(processor, v if density else log_to_light(v))


@lru_cache(maxsize=8)
def _view_processor(
    wanted: tuple[str, ...], config_name: str, source: str
) -> PyOpenColorIO.CPUProcessor:
    import PyOpenColorIO as OCIO  # noqa: N814

    config = _config(config_name)
    known = {d: list(config.getViews(d)) for d in config.getDisplays()}
    display = wanted[0]
    view = wanted[1] if len(wanted) > 1 else (config.getDefaultView(display) or "")
    if display not in known or view not in known[display]:
        names = [f"{d}/{v}" for d, views in known.items() for v in views]
        raise ConfigError(
            f"color.view: {'/'.join(wanted)!r} is no view of {config.getName() or config_name}",
            hint=f"for instance: {', '.join(_near('/'.join(wanted), names))}",
        )
    if config.getColorSpace(source) is None:
        raise ConfigError(
            f"color.view: {config_name} has no color space {source!r} to start from",
            hint="use the built-in config, or add that space or alias to yours",
        )
    processor = config.getProcessor(source, display, view, OCIO.TRANSFORM_DIR_FORWARD)
    return processor.getOptimizedCPUProcessor(OCIO.OPTIMIZATION_LOSSLESS)


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
