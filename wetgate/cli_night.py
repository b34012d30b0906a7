"""``wetgate pause``, ``resume``, ``cancel``: a word to whoever works on a title, wherever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

Existing = Annotated[Path, typer.Argument(help="An output folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def pause(out: Existing, as_json: Json = False) -> None:
    """Let all workers of a title wait after the chunks they are at; nothing is given up."""
    from wetgate.control import Word, say
    from wetgate.job import open_job

    say(open_job(out).folder, Word.PAUSE)
    _told("pause", f"every worker waits after its chunk; 'wetgate resume {out}' goes on", as_json)


def cancel(out: Existing, as_json: Json = False) -> None:
    """Let all workers of a title stop after the chunks they are at; what is finished is kept."""
    from wetgate.control import Word, say
    from wetgate.job import open_job

    say(open_job(out).folder, Word.CANCEL)
    _told(
        "cancel",
        f"every worker stops after its chunk; to begin again, 'wetgate resume {out}' "
        "and then the same run",
        as_json,
    )


def resume(out: Existing, as_json: Json = False) -> None:
    """Take back a pause or a cancel."""
    from wetgate.control import Word, withdraw
    from wetgate.job import open_job

    stood = withdraw(open_job(out).folder)
    if stood is None:
        _told("", "nothing was paused or cancelled", as_json)
    elif stood.word is Word.PAUSE:
        _told("", "the pause is over: workers that wait go on", as_json)
    else:
        _told("", "no longer cancelled: run the same command to go on", as_json)


def _told(word: str, text: str, as_json: bool) -> None:
    typer.echo(json.dumps({"exit_code": 0, "word": word, "said": text}) if as_json else text)
