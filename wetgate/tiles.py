"""Run an operator over a frame in tiles, to the same bits as over the whole frame."""

from __future__ import annotations

from dataclasses import replace

import torch

from media.passes import Operator, Window


def apply_tiled(operator: Operator, window: Window, tile_px: int) -> Window:
    """``operator(window)``, computed tile by tile where the operator allows it.

    tile_px: edge of a tile at the operator's input; 0 means the whole frame. Each tile is
    given the operator's reach as real neighbouring picture; at the edges of the frame the
    operator sees the edge, as it would on the whole frame.
    """
    reach = operator.needs.reach_px
    height, width = window.pixels.shape[-2:]
    if tile_px <= 0 or reach < 0 or max(height, width) <= tile_px:
        return operator(window)
    step = max(tile_px - tile_px % operator.needs.multiple_of, operator.needs.multiple_of)
    rows = [
        _join(
            [_tile(operator, window, top, left, step, reach) for left in range(0, width, step)],
            dim=-1,
        )
        for top in range(0, height, step)
    ]
    whole = _join(rows, dim=-2)
    scale = operator.scale
    return replace(
        whole,
        origin_px=(window.origin_px[0] * scale, window.origin_px[1] * scale),
        size_px=(window.size_px[0] * scale, window.size_px[1] * scale),
    )


def _tile(operator: Operator, window: Window, top: int, left: int, step: int, reach: int) -> Window:
    height, width = window.pixels.shape[-2:]
    bottom, right = min(top + step, height), min(left + step, width)
    y0, x0 = max(0, top - reach), max(0, left - reach)
    y1, x1 = min(height, bottom + reach), min(width, right + reach)
    part = replace(
        window,
        memos=(),
        pixels=window.pixels[..., y0:y1, x0:x1],
        touch=window.touch[..., y0:y1, x0:x1],
        marks=None if window.marks is None else window.marks[..., y0:y1, x0:x1],
        origin_px=(window.origin_px[0] + y0, window.origin_px[1] + x0),
    )
    done = operator(part)
    s = operator.scale
    rows = slice((top - y0) * s, (bottom - y0) * s)
    cols = slice((left - x0) * s, (right - x0) * s)
    return replace(
        done,
        pixels=done.pixels[..., rows, cols],
        touch=done.touch[..., rows, cols],
        # Marks have the size of the scan: what enlarges leaves them behind.
        marks=None if done.marks is None or s > 1 else done.marks[..., rows, cols],
    )


def _join(parts: list[Window], dim: int) -> Window:
    marks = [p.marks for p in parts if p.marks is not None]
    return replace(
        parts[0],
        marks=torch.cat(marks, dim=dim) if len(marks) == len(parts) else None,
        pixels=torch.cat([p.pixels for p in parts], dim=dim),
        touch=torch.cat([p.touch for p in parts], dim=dim),
    )
