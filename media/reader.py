"""Reads a reel's frames by scan number, and knows whether they are still what was ingested."""

from __future__ import annotations

import threading
from collections.abc import Set

from media.errors import InputError, SourceChanged
from media.fixity import file_sha256, picture_sha256
from media.movie import MovieInfo, MovieReader, inspect_movie
from media.reel import Reel
from media.scan import read_codes
from media.write import AnyCodes


class FrameReader:
    """Reads a reel's frames by scan number. Thread-safe: movies get one reader per thread.

    A held frame reads as the frame it repeats; a frame to be rebuilt as the one before it.
    """

    def __init__(
        self,
        reel: Reel,
        *,
        matrix: str | None = None,
        range: str | None = None,  # noqa: A002
        accept: Set[str] = frozenset(),
    ) -> None:
        """matrix, range, accept: as in ``SourceSpec``, for movies."""
        self.reel = reel
        self._matrix, self._range, self._accept = matrix, range, accept
        self._local = threading.local()
        self._lock = threading.Lock()
        self._info: MovieInfo | None = None

    def read(self, number: int) -> AnyCodes:
        """Codes (H, W, C) of frame ``number``: uint8 or uint16, float32 for half and float.

        raises: FrameUnreadable, InputError, each naming reel and frame.
        """
        source = self.reel.frame(number)
        if source.shown is not None:
            return self.read(source.shown)
        if self.reel.kind == "movie":
            codes: AnyCodes = self._movie().read(source.index)
        else:
            spare = self.reel.defect_map is not None and not self.reel.defect_map.frames
            codes = read_codes(source.path, reel=self.reel.id, frame=number, spare=spare)
        fmt = self.reel.format
        if codes.shape != (fmt.height, fmt.width, fmt.channels):
            raise SourceChanged(
                f"{source.path.name} is {codes.shape} now, the reel is {fmt}",
                hint="ingest the reel again",
                reel=self.reel.id,
                frame=number,
            )
        return codes

    def verify(self, number: int) -> None:
        """Check that a frame is still the one that was ingested.

        Size and time are compared; only when they differ, the digest decides.
        raises: SourceChanged.
        """
        source = self.reel.frame(number)
        if source.shown is not None:
            self.verify(source.shown)
            return
        hint = "restore the scan, or ingest the reel again"
        try:
            stat = source.path.stat()
            if (stat.st_size, stat.st_mtime_ns) == (source.size_bytes, source.mtime_ns):
                return
            if self.reel.kind == "movie":
                self._forget_movie()
                digest = picture_sha256(self._movie().read(source.index))
            else:
                digest = file_sha256(source.path)
        except (OSError, InputError) as error:
            raise SourceChanged(
                f"{source.path.name} cannot be read any more: {error}",
                hint=hint,
                reel=self.reel.id,
                frame=number,
            ) from error
        if digest != source.sha256:
            raise SourceChanged(
                f"{source.path.name} is not the frame that was ingested",
                hint=hint,
                reel=self.reel.id,
                frame=number,
            )

    def _movie(self) -> MovieReader:
        reader: MovieReader | None = getattr(self._local, "reader", None)
        if reader is None:
            path = self.reel.frames[0].path
            with self._lock:
                if self._info is None:
                    self._info = inspect_movie(path, reel=self.reel.id, accept=self._accept)
            matrix, full = declared_levels(
                self._info, self.reel.encoding, self._matrix, self._range
            )
            digests = [f.sha256 for f in self.reel.frames]
            reader = MovieReader(
                path, matrix, full, info=self._info, reel=self.reel.id, digests=digests
            )
            self._local.reader = reader
        return reader

    def _forget_movie(self) -> None:
        with self._lock:
            self._info = None
        reader: MovieReader | None = getattr(self._local, "reader", None)
        if reader is not None:
            reader.close()
            self._local.reader = None


def declared_levels(
    info: MovieInfo, declared: str, matrix: str | None, levels: str | None
) -> tuple[str | None, bool | None]:
    """Matrix and full range to read a movie with; None leaves it to the movie's tags.

    Whoever declares ``rec709`` has declared ITU-R BT.709, which fixes matrix and levels too;
    what the project says and what the movie is tagged with go before that.
    """
    if declared == "rec709":
        matrix = matrix or info.matrix or "bt709"
        levels = levels or info.range or "limited"
    return matrix, None if levels is None else levels == "full"
