"""Unfading of whole reels, before their color is matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from color.cdl import Triple
from color.fade import FadeOptions, Unfading, unfade
from color.records import Link, protection
from media.encoding import reel_encoding
from media.errors import ConfigError
from media.reel import Reel, SampleType, SegmentKind, Shot
from wetgate.config import Project
from wetgate.stages.ingest import reel_name

F64 = NDArray[np.float64]

_REFERENCE_MATCHES = 200


def unfades(project: Project) -> bool:
    """True when faded dyes are asked for."""
    return project.color.fade.enabled and project.color.fade.model == "dyes"


def unfade_reels(
    project: Project,
    reels: Mapping[str, Reel],
    shots: Mapping[str, Shot],
    color: Mapping[str, Mapping[str, Any]],
    links: Sequence[Link],
    anchor: str,
) -> dict[str, Unfading]:
    """Every reel but the reference: by its neutrals, by what it shares with the reference, or
    by its tones. anchor: the reference reel, empty for none.

    raises: ConfigError for neutrals that the scan cannot hold.
    """
    if not unfades(project):
        return {}
    found: dict[str, Unfading] = {}
    options = FadeOptions(gain_limit=project.color.fade.max_gain)
    for config in project.reels:
        name = reel_name(config)
        mine = [n for n, s in shots.items() if s.reel == name and s.kind is SegmentKind.SHOT]
        usable = [
            n for n in mine if protection(color[n], "fade") is None and "samples_log" in color[n]
        ]
        if name == anchor or not usable or reels[name].format.channels == 1:
            continue
        neutrals = None
        if config.neutrals:
            neutrals = _neutrals_log(config.neutrals, reels[name])
        pairs = [(k.x, k.y) for k in links if k.a in usable and shots[k.b].reel == anchor]
        pairs += [(k.y, k.x) for k in links if k.b in usable and shots[k.a].reel == anchor]
        enough = sum(len(x) for x, _ in pairs) >= _REFERENCE_MATCHES
        reference = (
            (np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs]))
            if enough and neutrals is None
            else None
        )
        found[name] = unfade(
            [np.asarray(color[n]["samples_log"], np.float64) for n in usable],
            _grain(color, usable),
            neutrals,
            reference,
            options,
        )
    return found


def _neutrals_log(given: Sequence[Triple], reel: Reel) -> F64:
    """Code values of a scan as (N, 3) film log; samples of float files stand for themselves.

    raises: ConfigError for codes that the scan cannot hold.
    """
    whole = reel.format.sample is SampleType.UINT
    full = reel.format.full_scale if whole else 1
    for codes in given if whole else ():
        if max(codes) > full:
            raise ConfigError(
                f"reels.neutrals holds {codes}, and the codes of this scan end at {full}",
                reel=reel.id,
                hint="give code values as they stand in the scan",
            )
    planes = (torch.tensor(given, dtype=torch.float64) / full).T[:, :, None]
    return np.asarray(reel_encoding(reel).to_log(planes)[:, :, 0].T.numpy())


def _grain(color: Mapping[str, Mapping[str, Any]], shots: list[str]) -> np.ndarray[Any, Any]:
    """(3,) grain of block means, film log, at most: what the evenest blocks hold inside."""
    evens = [
        float(np.quantile(even[even < 1.0], 0.05))
        for n in shots
        if isinstance(color[n].get("features"), Mapping)
        and ((even := np.asarray(color[n]["features"]["grid_even"])) < 1.0).any()
    ]
    # A block mean over 64 px has an eighth of it; channels are taken to be alike.
    return np.full(3, (float(np.median(evens)) if evens else 0.002) / 8.0 * np.sqrt(3.0))
