"""How different two pictures look: mean CIEDE2000 of film-log colors.

Film log -> scene light -> Rec.709 primaries -> CIE XYZ (D65) -> CIELAB -> CIEDE2000, the last
three by colour-science. Sources: ITU-R BT.709-6; CIE 15:2018; CIE 142:2001.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from color.science import colour_science
from media.encoding import log_to_light


def lab_from_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Film log (..., 3) to CIELAB (..., 3), D65, white = film log 685/1023. float64."""
    science = colour_science()
    light = log_to_light(torch.from_numpy(np.array(values, dtype=np.float64))).numpy()
    space = science.RGB_COLOURSPACES["ITU-R BT.709"]
    xyz = light @ np.asarray(space.matrix_RGB_to_XYZ).T
    # Relative to the white of the matrix itself, so that equal codes are exactly neutral.
    white = np.asarray(space.matrix_RGB_to_XYZ).sum(axis=1)
    lab: NDArray[np.float64] = science.XYZ_to_Lab(xyz, science.XYZ_to_xy(white))
    return lab


def delta_e_2000_each(
    a_log: NDArray[np.float64], b_log: NDArray[np.float64]
) -> NDArray[np.float64]:
    """CIEDE2000 per color: (..., 3) film log twice, (...) out."""
    found = colour_science().delta_E(lab_from_log(a_log), lab_from_log(b_log), method="CIE 2000")
    return np.asarray(found, dtype=np.float64)


def delta_e_2000(a_log: NDArray[np.float64], b_log: NDArray[np.float64]) -> float:
    """Mean CIEDE2000 between two pictures of the same shape (..., 3) in film log."""
    return float(delta_e_2000_each(a_log, b_log).mean())


def subsample(pixels: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """At most ``count`` evenly spaced colors of (..., 3), always the same ones: (N, 3).

    Use it on both pictures alike.
    """
    flat = pixels.reshape(-1, 3)
    if len(flat) <= count:
        return flat
    return flat[np.linspace(0, len(flat) - 1, count).round().astype(np.intp)]
