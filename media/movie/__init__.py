"""Movies: what is inside, any frame by its position, and writing them."""

from __future__ import annotations

from media.movie.info import MovieInfo, inspect_movie
from media.movie.reader import SUFFIXES, MovieReader
from media.movie.write import MovieWriter

__all__ = ["SUFFIXES", "MovieInfo", "MovieReader", "MovieWriter", "inspect_movie"]
