"""Does a scan use the range it is declared to use? Full range and video levels, checked.

Video levels are 64 to 940 in 10 bits (SMPTE ST 274, EBU R 103) and the same share in others. A
film scan uses the full range; one that passed through video hardware may have been squeezed or
cut to video levels, which no header tells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.reel import PictureFormat, SampleType
from media.write import AnyCodes

_STEP = 4
_PILED = 0.002
"""Share of samples on one end of video levels that no picture has by itself."""
_OUTSIDE = 0.01
"""Share outside video levels that EBU R 103 still tolerates."""


class LevelsProbe:
    """Counts codes of every fourth pixel and line, over all frames of a reel."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] | None = None
        self._format: PictureFormat | None = None

    def observe(self, codes: AnyCodes, fmt: PictureFormat) -> None:
        """codes: (H, W, C) as stored. Floating-point pictures have no levels to check."""
        if fmt.sample is not SampleType.UINT:
            return
        from media import compiled  # compiled on first use, not at import

        # 10 bits tell the levels apart in any depth.
        shift = max(0, fmt.bits - 10)
        if self._counts is None:
            self._counts = np.zeros(1 << (fmt.bits - shift), np.int64)
        compiled.counted(codes, _STEP, shift, self._counts)
        self._format = fmt

    def facts(self) -> dict[str, object]:
        """Lowest and highest code (10-bit steps above 10 bits) and the share outside levels."""
        if self._counts is None or self._format is None:
            return {}
        used = np.flatnonzero(self._counts)
        low, high = self._ends()
        total = int(self._counts.sum())
        outside = int(self._counts[:low].sum() + self._counts[high + 1 :].sum())
        return {
            "lowest": int(used[0]),
            "highest": int(used[-1]),
            "of": len(self._counts) - 1,
            "outside_video_levels": round(outside / total, 6),
            "at_black_level": round(int(self._counts[low]) / total, 6),
            "at_white_level": round(int(self._counts[high]) / total, 6),
        }

    def notes(self, declared: str) -> tuple[str, ...]:
        """What does not fit the declared range (``full`` or ``limited``), in plain words."""
        if self._counts is None:
            return ()
        low, high = self._ends()
        total = int(self._counts.sum())
        below, above = int(self._counts[:low].sum()), int(self._counts[high + 1 :].sum())
        if declared == "limited":
            share = (below + above) / total
            if share > _OUTSIDE:
                return (
                    f"declared at video levels, but {100 * share:.1f} % of the codes lie outside "
                    f"{low}-{high}",
                )
            return ()
        piled = [
            f"{100 * int(self._counts[at]) / total:.1f} % of the codes are exactly {at}"
            for at, beyond in ((low, below), (high, above))
            if beyond == 0 and self._counts[at] > _PILED * total
        ]
        if piled:
            return (
                f"declared full range, but {' and '.join(piled)} and none lies beyond: video "
                "levels? then set reels.range = 'limited'",
            )
        return ()

    def _ends(self) -> tuple[int, int]:
        unit = (len(self._counts) if self._counts is not None else 256) // 256
        return 16 * unit, 235 * unit
