"""Jobs under way in this process. Tasks are handed folder names; here they find the job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wetgate.job import Job
from wetgate.run import Title


@dataclass
class Desk:
    """A job and what its stages have found so far."""

    job: Job
    title: Title = field(default_factory=Title)


_DESKS: dict[str, Desk] = {}


@contextmanager
def at_desk(job: Job) -> Iterator[Desk]:
    """Make the job findable for tasks of this process while the block lasts."""
    name = str(job.folder.root)
    desk = _DESKS[name] = Desk(job)
    try:
        yield desk
    finally:
        del _DESKS[name]


def desk_of(out: str) -> Desk:
    """The desk of an output folder. raises: KeyError outside ``at_desk``."""
    return _DESKS[out]
