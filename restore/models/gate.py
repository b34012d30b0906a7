"""Measured before it is let in: does a model do what its card says, and in half precision too?"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from media.errors import ModelRefused
from restore.models.architectures import Time
from restore.models.card import ModelCard
from restore.models.ladder import Ladder

_CODES = 1023.0
_TAIL = 0.999
"""Half precision is judged by all but the last thousandth of the pixels."""
_GRAIN = 8 / 255
_WORST_GAIN_DB, _LEAST_LIKE_DB = -3.5, 30.0
"""A model that paints may score below bicubic, and yet must look like the scan from afar; one
whose numbers are in the wrong place does neither."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the pictures said."""

    gain_db: float
    """Over bicubic, or over the grainy picture for models that do not enlarge."""
    like_db: float
    """How well the result, made small again, gives back what the model was shown."""
    half_loss_db: float
    """What half precision costs, against the truth."""
    half_codes: float
    """How far it moves a 10-bit code, for all pixels but a thousandth."""


def measured(network: nn.Module, card: ModelCard, truth: Tensor) -> Measured:
    """Run a model on pictures whose truth is known.

    truth: (T, 3, H, W) display-referred RGB, 0..1, consecutive frames of one shot; height and
    width divide by four.
    raises: ModelRefused when the result is no picture at all.
    """
    given, plain = _given(truth, card.scale)
    if card.network.time is Time.WINDOW:
        middle = len(truth) // 2
        reach = int(card.complete["frames"]) // 2  # type: ignore[arg-type]
        given = given[middle - reach : middle + reach + 1]
        truth, plain = truth[middle : middle + 1], plain[middle : middle + 1]
    full, half = (
        Ladder(copy.deepcopy(network), card.network, card.scale, card.reach_px, h, h)(given)[0]
        for h in (False, True)
    )
    gain, like = _psnr(full, truth) - _psnr(plain, truth), _like(full, given)
    if not math.isfinite(gain) or gain < _WORST_GAIN_DB or like < _LEAST_LIKE_DB:
        raise ModelRefused(
            f"{card.path.name}: on a known picture {gain:+.1f} dB over bicubic, and made small "
            f"again {like:.0f} dB to what it was shown (at least {_LEAST_LIKE_DB:.0f} is wanted)",
            hint="the architecture, its settings or the weights are not what the card says",
        )
    moved = (full - half).abs().flatten() * _CODES
    tail = float(moved.kthvalue(max(1, int(_TAIL * moved.numel()))).values)
    loss = _psnr(full, truth) - _psnr(half, truth)
    return Measured(round(gain, 2), round(like, 1), round(loss, 4), round(tail, 3))


def _like(made: Tensor, given: Tensor) -> float:
    """In dB. A window's answer is compared with its middle frame."""
    own = given if len(given) == len(made) else given[len(given) // 2][None]
    if made.shape == own.shape:
        return _psnr(F.avg_pool2d(made, 8), F.avg_pool2d(own, 8), rim=1)
    size = (own.shape[-2], own.shape[-1])
    small = F.interpolate(made, size=size, mode="bicubic", antialias=True)
    return _psnr(small, own)


def _given(truth: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """What the model is shown, and what the plain way makes of that."""
    if scale == 1:
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
        grainy = truth + _GRAIN * noise.to(truth.device)
        return grainy, grainy
    height, width = truth.shape[-2:]
    size = (height // scale, width // scale)
    small = F.interpolate(truth, size=size, mode="bicubic", antialias=True).clamp(0, 1)
    return small, F.interpolate(small, size=(height, width), mode="bicubic").clamp(0, 1)


def _psnr(made: Tensor, truth: Tensor, rim: int = 8) -> float:
    error = (made.clamp(0, 1) - truth)[..., rim:-rim, rim:-rim].square().mean()
    return -10 * math.log10(max(float(error), 1e-12))
