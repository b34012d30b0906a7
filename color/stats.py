"""What the solve needs to know about a shot's colors, gathered while its frames pass by.

Memory is bounded whatever the shot length: at most eight frames are held, evenly spread;
when a ninth is due every second one is dropped and the step doubles.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from color.candidates import candidates
from color.flags import (
    BLACK_LUMA_LOG,
    Flag,
    chroma_curve,
    color_flags,
    lad_flag,
    low_key_flag,
    single_channel_flag,
    tone_flags,
)
from color.grid import measure_grid
from color.lad import grey_patch
from color.records import QUANTILES
from media.encoding import ColorEncoding

F32 = NDArray[np.float32]

_KEPT_FRAMES = 8
_VIEWS = 3
_MAX_KEYPOINTS = 1600
_LEAST_CONTRAST = 0.01
_BORDER = 0.02
_BLOCK_PX = 8
_SAMPLES = 1024
_FILM_CLIP_LOG = (0.03, 0.97)
_PATCH_PX = (5, 9, 17)
_FLASH_LOG = 0.06


def clip_levels_log(encoding: ColorEncoding | None) -> tuple[float, float]:
    """Film log values beyond which a color counts as clipped.

    Film densities clip at the ends of the code range; display encodings clip where their own
    codes end, which lies well inside film log.
    """
    if encoding is None or encoding.film or encoding.name == "linear":
        return _FILM_CLIP_LOG
    ends = torch.tensor([0.005, 0.985], dtype=torch.float64).view(1, 2, 1)
    low, high = encoding.to_log(ends).flatten().tolist()
    return float(low), float(high)


class ColorProbe:
    """A ``media.passes.Probe``. Holds at most eight frames of analysis size."""

    name = "color"

    def __init__(
        self,
        encoding: ColorEncoding | None = None,
        left_out: frozenset[int] = frozenset(),
        frames: int | None = None,
        *,
        clipping_only: bool = False,
    ) -> None:
        """encoding: of the reel; None takes film densities.

        left_out: numbers of frames that show more than the shot (dissolves, fades). frames: how
        many others there will be, where that is known: then ``due`` says which are looked at.
        clipping_only: sum up no more than what share is clipped and black.
        """
        self._clip = clip_levels_log(encoding)
        self._clipping_only = clipping_only
        self._left_out = left_out
        self._kept: list[tuple[int, F32]] = []
        self._step = 1
        while frames is not None and frames > _KEPT_FRAMES * self._step:
            self._step *= 2
        self._seen = 0
        self._channels = 3

    def due(self, frame: int) -> bool:
        """Whether the next frame, of this number, would be looked at."""
        return frame not in self._left_out and self._seen % self._step == 0

    def skip(self, frame: int) -> None:
        """Count a frame that is not due without showing it."""
        self._seen += frame not in self._left_out

    def observe(self, frame: int, pixels: Tensor) -> None:
        """pixels: (C, H, W) float32 film log, C 1 or 3, about 320 to 640 wide."""
        if frame in self._left_out:
            return
        due = self._seen % self._step == 0
        self._seen += 1
        if not due:
            return
        if len(self._kept) == _KEPT_FRAMES:
            self._kept = self._kept[::2]
            self._step *= 2
            if (self._seen - 1) % self._step:
                return
        self._channels = pixels.shape[0]
        # a copy: the caller may reuse its buffer
        image = np.array(pixels.detach().cpu().permute(1, 2, 0).numpy(), dtype=np.float32)
        self._kept.append((frame, image))

    def finish(self) -> Mapping[str, object]:
        """JSON values, and numpy arrays as the leaves ``samples_log`` and under ``features``.

        Keys: ``frames`` seen, ``sampled`` frame numbers, ``clip_log`` [low, high],
        ``clipped_share``, ``black_share``, ``flags``; and, unless the shot is empty, black or
        wholly clipped: ``quantiles_log`` [3][7] at ``records.QUANTILES``, ``mean_log`` [3],
        ``chroma_spread_log``, ``cast_log`` [2], ``candidates`` (share and mean of what
        may be skin, sky and neutral), ``grey_patch`` (``color.lad.grey_patch``),
        ``samples_log`` (N, 3) float32 block means,
        ``features`` with ``view`` (K,) int32 frame numbers, ``points_px`` (K, 2) float32 x y,
        ``descriptors`` (K, 128) uint8, ``colors_log`` (K, 3) float32, strongest first in a view;
        and of the same frames ``grid_view`` (V,) int32, ``grid_log`` (V, rows, columns, 3) and
        ``grid_even`` (V, rows, columns) float32, see ``color.grid``.
        """
        evidence: dict[str, object] = {
            "frames": self._seen,
            "sampled": [f for f, _ in self._kept],
            "clip_log": list(self._clip),
        }
        if not self._kept:
            reason = "no frame was seen"
            flag = Flag(name="black", confidence=0.0, reason=reason)
            return {**evidence, "clipped_share": 0.0, "black_share": 0.0, "flags": [flag.as_dict()]}
        flashes = self._flashes()
        inner = [(f, _inside(_three(image))) for f, image in self._kept if f not in flashes]
        pixels = np.concatenate([image[::2, ::2].reshape(-1, 3) for _, image in inner])
        clipped = ((pixels < self._clip[0]) | (pixels > self._clip[1])).any(axis=1)
        black = pixels.max(axis=1) < BLACK_LUMA_LOG
        evidence["clipped_share"] = float((clipped & ~black).mean())
        evidence["black_share"] = float(black.mean())
        if self._clipping_only:
            return evidence
        luma = [image.mean(axis=2) for _, image in inner]
        change = [float(np.abs(a - b).mean()) for a, b in itertools.pairwise(luma)]
        moved = max(change) if change else None
        middle = luma[len(luma) // 2].astype(np.float64)
        flags = tone_flags(pixels.mean(axis=1).astype(np.float64), moved, middle)
        if flashes:
            reason = f"lighter or darker than the rest: {len(flashes)} of {len(self._kept)} samples"
            flags.append(Flag(name="flash", confidence=0.8, reason=reason))
        usable = pixels[~(clipped | black)]
        blocks = np.concatenate([self._blocks(image) for _, image in inner])
        if len(usable) >= 64 and len(blocks) >= 8:
            curve = chroma_curve(blocks.astype(np.float64))
            flags += [single_channel_flag()] if self._channels == 1 else color_flags(curve)
            levels = np.quantile(usable, QUANTILES, axis=0).T.astype(np.float64)
            grid = measure_grid(_three(self._kept[len(self._kept) // 2][1]), self._clip, -1.0)
            for found in (
                low_key_flag(levels, curve.cast_log),
                lad_flag(grid.log.astype(np.float64), grid.even.astype(np.float64), moved),
            ):
                flags += [found] if found is not None else []
            patch = grey_patch(grid.log.astype(np.float64), grid.even.astype(np.float64))
            evidence["grey_patch"] = patch
            evidence["quantiles_log"] = np.quantile(usable, QUANTILES, axis=0).T.tolist()
            evidence["mean_log"] = usable.mean(axis=0, dtype=np.float64).tolist()
            evidence["chroma_spread_log"] = curve.spread_log
            evidence["cast_log"] = list(curve.cast_log)
            seen = blocks.astype(np.float64)
            evidence["candidates"] = candidates(seen, curve.cast_log).as_dict(seen)
            pick = np.linspace(0, len(blocks) - 1, min(_SAMPLES, len(blocks))).round()
            evidence["samples_log"] = blocks[pick.astype(np.intp)]
            # Whatever the flags say: a person may say otherwise.
            evidence["features"] = self._features()
        if self._channels == 1 and all(f.name != "monochrome" for f in flags):
            flags.append(single_channel_flag())
        evidence["flags"] = [f.as_dict() for f in flags]
        return evidence

    def _flashes(self) -> set[int]:
        """Frames far lighter or darker than the rest, at most a quarter of those kept."""
        levels = np.array([float(np.median(image)) for _, image in self._kept])
        away = np.abs(levels - np.median(levels))
        out = away > max(_FLASH_LOG, 6.0 * float(np.median(away)))
        if len(levels) < 5 or not 0 < out.sum() <= len(levels) // 4:
            return set()
        return {f for (f, _), is_out in zip(self._kept, out, strict=True) if is_out}

    def _blocks(self, image: F32) -> F32:
        """Means of 8 px blocks without clipped or black pixels: (N, 3); grain averages out."""
        h, w = (n // _BLOCK_PX * _BLOCK_PX for n in image.shape[:2])
        if h == 0 or w == 0:
            return image.reshape(-1, 3)
        cut = image[:h, :w].reshape(h // _BLOCK_PX, _BLOCK_PX, w // _BLOCK_PX, _BLOCK_PX, 3)
        low, high = cut.min(axis=(1, 3)), cut.max(axis=(1, 3))
        mean = cut.mean(axis=(1, 3))
        good = (low > self._clip[0]).all(axis=2) & (high < self._clip[1]).all(axis=2)
        return np.asarray(mean[good & (mean.max(axis=2) > BLACK_LUMA_LOG)], dtype=np.float32)

    def _features(self) -> dict[str, NDArray[np.generic]]:
        """SIFT keypoints of up to three frames; see ``finish``. Lowe 2004."""
        count = len(self._kept)
        # The middles of three equal parts: away from fades and flash frames at the ends.
        places = sorted({int((2 * k + 1) * count / (2 * _VIEWS)) for k in range(_VIEWS)})
        found = [self._view(*self._kept[k]) for k in places]
        grids = [measure_grid(_three(self._kept[k][1]), self._clip, BLACK_LUMA_LOG) for k in places]
        return {
            "grid_view": np.array([self._kept[k][0] for k in places], dtype=np.int32),
            "grid_log": np.stack([g.log for g in grids]),
            "grid_even": np.stack([g.even for g in grids]),
            "view": np.concatenate([f[0] for f in found]),
            "points_px": np.concatenate([f[1] for f in found]),
            "descriptors": np.concatenate([f[2] for f in found]),
            "colors_log": np.concatenate([f[3] for f in found]),
        }

    def _view(
        self, frame: int, image: F32
    ) -> tuple[NDArray[np.int32], F32, NDArray[np.uint8], F32]:
        image = _three(image)
        h, w = image.shape[:2]
        luma = image.mean(axis=2)
        low, high = np.quantile(luma, (0.01, 0.99))
        scaled = np.clip((luma - low) / max(float(high - low), 1e-3), 0.0, 1.0) * 255.0
        # Scaled to its own range, so that two reels with different contrast give the same
        # keypoints; faint ones are wanted, since a closer view is a softer one.
        finder = cv2.SIFT.create(nfeatures=_MAX_KEYPOINTS, contrastThreshold=_LEAST_CONTRAST)
        points, descriptors = finder.detectAndCompute(scaled.round().astype(np.uint8), None)
        if descriptors is None or len(points) == 0:
            return _no_features()
        xy = np.array([p.pt for p in points], dtype=np.float32)
        size = np.array([p.size for p in points], dtype=np.float32)
        strength = np.array([p.response for p in points], dtype=np.float32)
        column = np.clip(xy[:, 0].round().astype(np.intp), 0, w - 1)
        row = np.clip(xy[:, 1].round().astype(np.intp), 0, h - 1)
        bad = (image < self._clip[0]) | (image > self._clip[1])
        bad |= image.max(axis=2, keepdims=True) < BLACK_LUMA_LOG
        bad_any = bad.any(axis=2).astype(np.float32)
        colors = np.zeros((len(xy), 3), dtype=np.float32)
        good = np.zeros(len(xy), dtype=np.bool_)
        # A mean commutes with slope, offset and cross-talk, a median does not; the patch grows
        # with the keypoint so that it covers the same thing in a closer view.
        which = np.digitize(size, (4.0, 9.0))
        for k, width in enumerate(_PATCH_PX):
            mine = which == k
            mean = cv2.blur(image, (width, width))
            spoiled = cv2.blur(bad_any, (width, width))
            colors[mine] = mean[row[mine], column[mine]]
            good[mine] = spoiled[row[mine], column[mine]] < 1e-6
        edge_x, edge_y = _BORDER * w, _BORDER * h
        good &= (xy[:, 0] > edge_x) & (xy[:, 0] < w - edge_x)
        good &= (xy[:, 1] > edge_y) & (xy[:, 1] < h - edge_y)
        # Strongest first: quick comparisons look at the head of the list only.
        order = np.argsort(-strength, kind="stable")
        order = order[good[order]]
        view = np.full(len(order), frame, dtype=np.int32)
        codes = np.clip(descriptors[order], 0, 255).astype(np.uint8)
        return view, xy[order], codes, colors[order]


def _no_features() -> tuple[NDArray[np.int32], F32, NDArray[np.uint8], F32]:
    return (
        np.zeros(0, np.int32),
        np.zeros((0, 2), np.float32),
        np.zeros((0, 128), np.uint8),
        np.zeros((0, 3), np.float32),
    )


def _three(image: F32) -> F32:
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def _inside(image: F32) -> F32:
    """Without 2 % at each border, where frame lines and vignettes live."""
    h, w = image.shape[:2]
    y, x = int(h * _BORDER), int(w * _BORDER)
    return image[y : h - y, x : w - x]
