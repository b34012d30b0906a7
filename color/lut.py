"""A shot's color as .cube and CLF, for hosts that take no CDL or need more than one.

.cube: Iridas form over film log 0..1; where pictures are scene-linear, the Resolve form with a
1D shaper in front. CLF (SMPTE ST 2136-1): the very operations, no table, exact everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from color.cdl import CDL
from color.transform import ShotTransform
from media.errors import ConfigError

F64 = NDArray[np.float64]

LUT_SIZES = (17, 33, 65)
CLF_NAMESPACE = "http://www.smpte-ra.org/ns/2136-1/2024"
_SHAPER_POINTS = 4096
_SPACE = "film log (Cineon printing density, 1.0 = code 1023)"
_DECIMALS = 7


def cube_document(
    transform: ShotTransform,
    *,
    size: int = 33,
    title: str = "",
    decode: Callable[[F64], F64] | None = None,
    encode: Callable[[F64], F64] | None = None,
    linear_range: tuple[float, float] | None = None,
) -> str:
    """A .cube as text; values may leave 0..1, nothing is clamped but the domain.

    size: points a side, 17, 33 or 65. decode, encode: from and to film log, for tables that sit
    on other code values; None: on film log itself. linear_range: darkest and lightest input of
    scene-linear pictures, which get a logarithmic shaper.
    raises: ConfigError for another size.
    """
    if size not in LUT_SIZES:
        raise ConfigError(f"a .cube of {size} points", hint="17, 33 or 65")
    axis = np.linspace(0.0, 1.0, size)
    # red fastest
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    grid = np.stack([red, green, blue], axis=-1).reshape(-1, 3)
    head = [f'TITLE "{_plain(title)}"'] if title else []
    shaper: list[str] = []
    if linear_range is not None:
        head, shaper, grid = _shaped(head, size, grid, linear_range)
    else:
        head += [f"LUT_3D_SIZE {size}", "DOMAIN_MIN 0 0 0", "DOMAIN_MAX 1 1 1"]
    log = grid if decode is None else decode(grid)
    out = transform.apply(log)
    out = out if encode is None else encode(out)
    return "\n".join([*head, *shaper, *_rows(out), ""])


def _shaped(
    head: list[str], size: int, grid: F64, linear_range: tuple[float, float]
) -> tuple[list[str], list[str], F64]:
    """Header and shaper of the Resolve form, and the linear values its grid points stand for."""
    low, high = linear_range
    if not 0.0 < low < high:
        raise ConfigError(f"linear range {low} to {high}", hint="both above 0, the second larger")

    def squeezed(linear: F64) -> F64:
        # A straight start below the darkest value, so that black and a little below stay apart.
        return np.asarray(np.log2(np.maximum(linear, 0.0) / low + 1.0) / np.log2(high / low + 1.0))

    steps = np.linspace(0.0, high, _SHAPER_POINTS)
    head = [
        # OpenColorIO refuses a title in this form.
        *(f"# {line}" for line in head),
        f"LUT_1D_SIZE {_SHAPER_POINTS}",
        f"LUT_1D_INPUT_RANGE 0.0 {high:.7f}",
        f"LUT_3D_SIZE {size}",
        "LUT_3D_INPUT_RANGE 0.0 1.0",
    ]
    linear = low * (np.exp2(grid * np.log2(high / low + 1.0)) - 1.0)
    return head, _rows(np.repeat(squeezed(steps)[:, None], 3, axis=1)), linear


def clf_document(transform: ShotTransform, *, id: str, description: str = "") -> str:  # noqa: A002
    """A Common LUT Format process list: a matrix where the reel was unfaded, then the CDL."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<ProcessList compCLFversion="3" xmlns="{CLF_NAMESPACE}" id={quoteattr(id)}>',
        f"    <Description>{escape(description)}</Description>" if description else "",
        f"    <InputDescriptor>{_SPACE}</InputDescriptor>",
        "    <OutputDescriptor>film log</OutputDescriptor>",
    ]
    if transform.unfading is not None:
        matrix, offset = transform.unfading.matrix, transform.unfading.offset
        lines += [
            '    <Matrix inBitDepth="32f" outBitDepth="32f">',
            '        <Array dim="3 4">',
            *(
                "            " + _numbers([*row, shift])
                for row, shift in zip(matrix, offset, strict=True)
            ),
            "        </Array>",
            "    </Matrix>",
        ]
    lines += [*_clf_cdl(transform.cdl, id), "</ProcessList>", ""]
    return "\n".join(line for line in lines if line or line is lines[-1])


def _clf_cdl(cdl: CDL, name: str) -> list[str]:
    return [
        f'    <ASC_CDL id={quoteattr(name)} inBitDepth="32f" outBitDepth="32f" style="FwdNoClamp">',
        "        <SOPNode>",
        f"            <Slope>{_numbers(cdl.slope)}</Slope>",
        f"            <Offset>{_numbers(cdl.offset)}</Offset>",
        f"            <Power>{_numbers(cdl.power)}</Power>",
        "        </SOPNode>",
        "        <SatNode>",
        f"            <Saturation>{_numbers([cdl.saturation])}</Saturation>",
        "        </SatNode>",
        "    </ASC_CDL>",
    ]


def _numbers(values: tuple[float, ...] | list[float]) -> str:
    return " ".join(f"{round(v, _DECIMALS) + 0.0:.{_DECIMALS}f}" for v in values)


def _rows(values: F64) -> list[str]:
    rounded = np.round(values, _DECIMALS) + 0.0
    return [f"{r:.{_DECIMALS}f} {g:.{_DECIMALS}f} {b:.{_DECIMALS}f}" for r, g, b in rounded]


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() and c != '"' else "_" for c in text)
