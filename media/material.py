"""From what a project names (folder, pattern, movie) to a Reel, each frame read once."""

from __future__ import annotations

from media.encoding import encoding
from media.errors import InputError
from media.open_movie import open_movie
from media.open_sequence import open_sequence
from media.reel import Reel
from media.scan import KINDS
from media.source import GapPolicy, Progress, Sight, SourceSpec, is_movie, reel_id_from

__all__ = [
    "GapPolicy",
    "Progress",
    "Sight",
    "SourceSpec",
    "is_movie",
    "open_reel",
    "reel_id_from",
]


def open_reel(
    spec: SourceSpec, *, progress: Progress | None = None, sight: Sight | None = None
) -> Reel:
    """Read every frame once: check it, hash it while it is read, show it, describe the reel.

    Headers are looked at first, so that a gap or a mix of formats is refused before hours of
    reading. progress: called with (frames done, frames in all); sight: with the pictures; both
    from this thread, in order. Frames that a gap policy makes are shown too.
    raises: InputError and its children (see ``media.scan``, ``media.movie``), ReelMixed,
    EncodingUndeclared, SourceChanged when files change while they are read.
    """
    encoding(spec.encoding, reel=spec.reel)
    if spec.range not in (None, "full", "limited"):
        raise InputError(
            f"range {spec.range!r} is not known", hint="use full or limited", reel=spec.reel
        )
    if is_movie(spec.path):
        return open_movie(spec, progress, sight)
    if spec.path.is_file() and spec.path.suffix.lower() in KINDS:
        raise InputError(
            f"{spec.path.name} is a single frame",
            hint="give its folder, or a pattern such as R1.####.dpx",
            reel=spec.reel,
        )
    return open_sequence(spec, progress, sight)
