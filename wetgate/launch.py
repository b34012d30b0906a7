"""From a project and a folder to a finished job: owner, progress, runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from media.errors import CalledOff, StorageFull, StorageGone, WetgateError
from media.write import storage_error
from wetgate.config import Project
from wetgate.costs import kind_of_worker, learning
from wetgate.events import Events
from wetgate.files import Folder
from wetgate.guard import prepare, sole_owner
from wetgate.job import Job
from wetgate.numerics import pin_numerics
from wetgate.prebalance import Prebalanced, prebalance
from wetgate.run import Title, run_title
from wetgate.stages.finish import Outcome

BeforeReport = Callable[[Job, Title], None]
Runner = Callable[[Job, BeforeReport | None], Outcome]


def launch(
    project: Project,
    out: Path,
    *,
    replace: bool = False,
    runner: Runner | None = None,
    quiet: bool = False,
    before_report: BeforeReport | None = None,
    mark: str = "",
) -> Outcome:
    """Start or resume. runner: a scheduler, or None to run the stages directly. mark: part of
    this worker's name in the leases."""
    with opened(project, out, replace=replace, quiet=quiet, mark=mark) as job:
        return (runner or run_title)(job, before_report)


def launch_prebalance(
    project: Project, out: Path, *, replace: bool = False, quiet: bool = False
) -> Prebalanced:
    """Analyse and solve only."""
    with opened(project, out, replace=replace, quiet=quiet) as job:
        return prebalance(job)


@contextmanager
def opened(
    project: Project, out: Path, *, replace: bool, quiet: bool, mark: str = ""
) -> Iterator[Job]:
    """The job of a folder, held alone, with progress on the terminal."""
    pin_numerics()
    folder = Folder(out.resolve())
    with _disk_errors_named(folder.root), sole_owner(folder, mark) as leases:
        prepare(folder, project, replace=replace)
        job = Job(project, folder, Events(folder.events))
        # Refuses a missing device before any work.
        job.join_crew(leases)
        job.events.wait_for(job.at_hand)
        job.events.emit("run_started", {"title": project.title, "worker": kind_of_worker(job)})
        with learning(job), _end_noted(job), _progress(quiet) as progress:
            bars = _Bars(progress)
            job.events.listen(bars)
            job.notice = bars.say
            with _refused_at_first():
                job.gate(window=False)
            yield job


@contextmanager
def _refused_at_first() -> Iterator[None]:
    """A title that was cancelled before work began is refused, not interrupted."""
    try:
        yield
    except CalledOff as error:
        error.exit_code = 2
        raise


@contextmanager
def _disk_errors_named(root: Path) -> Iterator[None]:
    """A full disk is a pause, wherever it is met; other errors of the system pass."""
    try:
        yield
    except OSError as error:
        named = storage_error(error, root)
        if isinstance(named, StorageFull):
            raise named from error
        raise


@contextmanager
def _end_noted(job: Job) -> Iterator[None]:
    """A run that ends early says so in its events, where the disk still allows it."""
    try:
        yield
    except KeyboardInterrupt:
        job.stopping.set()
        with suppress(StorageFull, StorageGone):
            job.events.emit("interrupted")
        raise
    except WetgateError as error:
        job.stopping.set()
        with suppress(StorageFull, StorageGone):
            name = "cancelled" if isinstance(error, CalledOff) else "stopped"
            job.events.emit(name, error.as_dict())
        raise


def _progress(quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )


class _Bars:
    """Events to bars: frames that are really done, never a guess."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: str, fields: Mapping[str, object]) -> None:
        if event == "ingest_progress":
            reel = f"ingest {fields['reel']}"
            total = int(str(fields["total"]))
            self._update(reel, total, completed=int(str(fields["done"])))
        elif event == "analysed":
            self._update("analysed", None, advance=int(str(fields["frames"])))
        elif event == "planned":
            self._update("render", int(str(fields["frames_missing"])))
        elif event == "frame_rendered":
            self._update("render", None, advance=1)
        elif event == "verified":
            self._update("verified", None, advance=1)
        elif event == "waiting":
            until = f", until {fields['until']}" if fields["until"] else ""
            self.say(f"waiting: {fields['why']}{until}")
        elif event == "left_to_another_kind":
            self.say(f"{fields['shot']} is rendered by another kind of worker: {fields['kind']}")
        elif event == "decided_anew":
            self.say(f"decided anew, on another kind of worker than before: {fields['shots']}")
        elif event == "begun_anew":
            self.say(f"{fields['shot']} is begun anew, not by {fields['instead_of']}")
        elif event == "goes_on":
            self.say("going on")

    def say(self, text: str) -> None:
        """A line beside the bars."""
        if not self._progress.disable:
            self._progress.console.print(f"wetgate: {text}", markup=False, highlight=False)

    def _update(
        self, name: str, total: int | None, advance: int = 0, completed: int | None = None
    ) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        task = self._tasks[name]
        if total is not None:
            self._progress.update(task, total=total)
        if completed is not None:
            self._progress.update(task, completed=completed)
        if advance:
            self._progress.advance(task, advance)
