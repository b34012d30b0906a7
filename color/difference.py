"""How different two pictures look: mean CIEDE2000 of film-log colors.

Film log -> scene light -> Rec.709 primaries -> CIE XYZ (D65) -> CIELAB -> CIEDE2000.
Sources: ITU-R BT.709-6 primaries; CIE 15:2018; Sharma, Wu, Dalal 2005 (CIEDE2000, its notes on
hue included). Written out here because importing colour-science costs a second and loads image
libraries it does not need; the tests hold the two together to 1e-9.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from media.encoding import log_to_light

_XYZ_FROM_RGB = np.array(
    [
        [0.4123907993, 0.3575843394, 0.1804807884],
        [0.2126390059, 0.7151686788, 0.0721923154],
        [0.0193308187, 0.1191947798, 0.9505321522],
    ]
)
_LAB_LIMIT = (6.0 / 29.0) ** 3


def lab_from_log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Film log (..., 3) to CIELAB (..., 3), D65, white = film log 685/1023. float64."""
    light = log_to_light(torch.from_numpy(np.array(values, dtype=np.float64))).numpy()
    # Relative to the white of the matrix itself, so that equal codes are exactly neutral.
    xyz = light @ _XYZ_FROM_RGB.T / _XYZ_FROM_RGB.sum(axis=1)
    root = np.cbrt(np.maximum(xyz, _LAB_LIMIT))
    f = np.where(xyz > _LAB_LIMIT, root, xyz * (841.0 / 108.0) + 4.0 / 29.0)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def ciede2000(lab_a: NDArray[np.float64], lab_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIEDE2000 of CIELAB colors, kL = kC = kH = 1: (..., 3) twice, (...) out."""
    l1, a1, b1 = np.moveaxis(lab_a, -1, 0)
    l2, a2, b2 = np.moveaxis(lab_b, -1, 0)
    c_mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2.0) ** 7
    g = 1.5 - 0.5 * np.sqrt(c_mean7 / (c_mean7 + 25.0**7))
    a1, a2 = a1 * g, a2 * g
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360.0, np.degrees(np.arctan2(b2, a2)) % 360.0
    colored = c1 * c2 != 0.0
    turn = np.where(colored, (h2 - h1 + 180.0) % 360.0 - 180.0, 0.0)
    big_h = 2.0 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2.0))
    # the mean hue lies on the shorter arc; without chroma the other hue stands alone
    far = np.abs(h1 - h2) > 180.0
    h = np.where(far, (h1 + h2 + 360.0) / 2.0 % 360.0, (h1 + h2) / 2.0)
    h = np.where(colored, h, h1 + h2)
    light, chroma = (l1 + l2) / 2.0, (c1 + c2) / 2.0
    t = (
        1.0
        - 0.17 * np.cos(np.radians(h - 30.0))
        + 0.24 * np.cos(np.radians(2.0 * h))
        + 0.32 * np.cos(np.radians(3.0 * h + 6.0))
        - 0.20 * np.cos(np.radians(4.0 * h - 63.0))
    )
    s_l = 1.0 + 0.015 * (light - 50.0) ** 2 / np.sqrt(20.0 + (light - 50.0) ** 2)
    s_c, s_h = 1.0 + 0.045 * chroma, 1.0 + 0.015 * chroma * t
    rotation = -2.0 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    rotation = rotation * np.sin(np.radians(60.0 * np.exp(-(((h - 275.0) / 25.0) ** 2))))
    d_l, d_c, d_h = (l2 - l1) / s_l, (c2 - c1) / s_c, big_h / s_h
    squared = d_l**2 + d_c**2 + d_h**2 + rotation * d_c * d_h
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def delta_e_2000_each(
    a_log: NDArray[np.float64], b_log: NDArray[np.float64]
) -> NDArray[np.float64]:
    """CIEDE2000 per color: (..., 3) film log twice, (...) out."""
    return ciede2000(lab_from_log(a_log), lab_from_log(b_log))


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
