"""A movie that was written is read back before it counts as delivered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from media.errors import StoreError, WetgateError
from media.fixity import picture_sha256
from media.movie import MovieReader, inspect_movie
from media.movie.codecs import timecode_at
from media.movie.copied import COPIED
from media.reel import Reel


def check_movie(path: Path, reel: Reel, codec: str, frames: int, digests: Sequence[str]) -> None:
    """Count, rate, timecode and streams; for FFV1 every picture, code for code.

    digests: of the pictures that were written, in order (``media.reader.picture_sha256``).
    raises: StoreError naming what does not read back as written.
    """
    try:
        info = inspect_movie(path, reel=reel.id)
        if (info.frame_count, info.rate) != (frames, reel.rate):
            raise StoreError(
                f"{path.name} reads back as {info.frame_count} frames at {info.rate}, "
                f"{frames} at {reel.rate} were written",
                reel=reel.id,
            )
        timecode = timecode_at(reel.timecode, reel.rate)
        if timecode is not None and info.timecode != timecode:
            raise StoreError(
                f"{path.name} reads back with timecode {info.timecode}, {timecode} was written",
                reel=reel.id,
            )
        _check_streams(path, reel, {s.sha256 for s in info.others})
        if codec != "ffv1":
            return
        with MovieReader(path, info=info, reel=reel.id) as reader:
            for index, wanted in enumerate(digests):
                if picture_sha256(reader.read(index)) != wanted:
                    raise StoreError(
                        f"{path.name}: picture {index} does not read back as written",
                        reel=reel.id,
                        frame=reel.frames[index].number,
                    )
    except StoreError:
        path.unlink(missing_ok=True)
        raise
    except WetgateError as error:
        path.unlink(missing_ok=True)
        raise StoreError(f"{path.name} does not read back: {error.what}", reel=reel.id) from error


def _check_streams(path: Path, reel: Reel, found: set[str]) -> None:
    streams = reel.facts.get("streams")
    if not reel.facts.get("sound") or not isinstance(streams, list):
        return
    for stream in streams:
        if stream["kind"] in COPIED and stream["packets"] and stream["sha256"] not in found:
            raise StoreError(
                f"{path.name}: {stream['kind']} stream {stream['index']} is not that of the source",
                reel=reel.id,
            )
