"""What a movie says about its samples and its color: pixel formats, tags, timecode."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import av
from av.video.stream import VideoStream

from media.errors import InputError
from media.movie.color import matrix_of_tag

RGB_BITS = {
    "rgb24": 8, "bgr24": 8, "bgr0": 8, "rgb0": 8, "0rgb": 8, "0bgr": 8, "gbrp": 8,
    "gbrp10le": 10, "gbrp12le": 12, "gbrp16le": 16, "rgb48le": 16,
}  # fmt: skip
GRAY_BITS = {"gray": 8, "gray10le": 10, "gray12le": 12, "gray16le": 16}
YUV = re.compile(r"yuv(j?)(411|420|422|440|444)p(\d*)(le)?")
CHROMA_STEP = {"411": (4, 1), "420": (2, 2), "422": (2, 1), "440": (1, 2), "444": (1, 1)}
"""Picture columns and lines for each chroma sample."""
SAME_SAMPLES = {
    "nv12": "yuv420p", "yuyv422": "yuv422p", "uyvy422": "yuv422p",
    "rgb48be": "rgb48le", "bgr48be": "rgb48le", "bgr48le": "rgb48le",
    "gray16be": "gray16le", "gbrp10be": "gbrp10le", "gbrp12be": "gbrp12le",
    "gbrp16be": "gbrp16le",
}  # fmt: skip
"""Same samples in another order: rearranged without arithmetic before anything else."""
_ALPHA = re.compile(r"yuva|rgba|bgra|argb|abgr|gbrap|^ya")
_LIMITED, _FULL = 1, 2
_UNSTATED = (0, 2)

PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log100", 10: "log316", 13: "srgb", 14: "bt2020-10", 15: "bt2020-12", 16: "pq",
    17: "smpte428", 18: "hlg",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorTags:
    """What pictures and container say together."""

    matrix: str | None
    range: str | None
    primaries_code: int
    transfer_code: int
    conflict: str = ""
    """Where pictures and container contradict each other, in words; then nothing is taken."""


def layout(name: str, path: Path, reel: str | None) -> tuple[int, int]:
    """Channels and bits of the codes given for a pixel format. raises: InputError."""
    name = SAME_SAMPLES.get(name, name)
    if name in RGB_BITS:
        return 3, RGB_BITS[name]
    if name in GRAY_BITS:
        return 1, GRAY_BITS[name]
    if YUV.fullmatch(name):
        return 3, 16
    hint = "strip the alpha" if _ALPHA.search(name) else "convert it to RGB, gray or YUV"
    raise InputError(f"{path.name}: pixel format {name} is not supported", hint=hint, reel=reel)


def color_tags_of(stream: VideoStream, frame: av.VideoFrame) -> ColorTags:
    """Tags of the first decoded picture, completed by those of its container.

    stream: of a container nothing was decoded from yet, so that its tags are the container's.
    """
    context = stream.codec_context
    primaries, _ = _agreed(frame.color_primaries, context.color_primaries)
    transfer, _ = _agreed(frame.color_trc, context.color_trc)
    name = SAME_SAMPLES.get(frame.format.name, frame.format.name)
    if name in RGB_BITS or name in GRAY_BITS:
        kind = "rgb" if name in RGB_BITS else "gray"
        return ColorTags(
            matrix=kind, range="full", primaries_code=primaries, transfer_code=transfer
        )
    matrix, two_matrices = _agreed(frame.colorspace, context.colorspace)
    levels, two_ranges = _agreed(frame.color_range, context.color_range, unstated=(0,))
    said = [
        f"{what} {one} in its pictures and {two} in its container"
        for what, differs, one, two in (
            ("matrix", two_matrices, int(frame.colorspace), int(context.colorspace)),
            ("range", two_ranges, int(frame.color_range), int(context.color_range)),
        )
        if differs
    ]
    ranges = {_LIMITED: "limited", _FULL: "full"}
    return ColorTags(
        matrix=None if two_matrices else matrix_of_tag(matrix),
        range="full" if name.startswith("yuvj") else None if two_ranges else ranges.get(levels),
        primaries_code=primaries,
        transfer_code=transfer,
        conflict=" and ".join(said),
    )


def _agreed(picture: int, container: int, unstated: tuple[int, ...] = (0, 2)) -> tuple[int, bool]:
    """The number that both say, or the only one that says anything; whether they disagree."""
    picture, container = int(picture), int(container)
    if picture in unstated:
        return container, False
    # 5 and 6 are the same matrix, written for two television systems.
    same = picture == container or {picture, container} == {5, 6}
    return picture, not same and container not in unstated


def timecode_of(holders: Iterable[Mapping[str, str]]) -> str | None:
    """The first timecode among some metadata; Matroska writes the key in capitals."""
    for metadata in holders:
        found = {key.lower(): value for key, value in metadata.items()}
        if found.get("timecode"):
            return str(found["timecode"])
    return None
