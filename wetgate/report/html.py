"""Write the report: index.html for people, report.json for machines."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from media.write import atomic_write_bytes
from wetgate import __version__
from wetgate.config import Night
from wetgate.files import digest
from wetgate.project import dump_project
from wetgate.report.curves import (
    HEIGHT,
    WIDTH,
    Curve,
    contrast_curve,
    flicker_curve,
    local_curve,
    turn_curve,
    weave_curve,
)
from wetgate.report.given import ReportInput
from wetgate.report.pictures import DIFFERENCE_GAIN, Pictures, picture_width, shot_pictures
from wetgate.report.summary import summarise
from wetgate.report.words import (
    TOUCH,
    TOUCH_WORDS,
    counted,
    figure,
    measures,
    number,
    percent,
    sentence,
    signed,
)

_TEMPLATES = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Card:
    """One shot as the page shows it."""

    numbers: dict[str, Any]
    """The shot's part of report.json."""
    pictures: Pictures
    curves: tuple[Curve, ...]
    measures: list[dict[str, str]]
    left_alone: list[str]


def report_key(given: ReportInput) -> str:
    """Digest of everything the report is made from: the same key means the same page."""
    return digest(
        {
            "summary": summarise(given),
            "settings": _settings(given),
            "version": __version__,
            "files": [hashlib.sha256(p.read_bytes()).hexdigest() for p in _sources()],
            "scans": {n: [f.sha256 for f in r.reel.frames] for n, r in given.reels.items()},
            "chunks": {n: [c.key for c in p.chunks] for n, p in given.planned.items()},
            "decisions": {n: d.model_dump(mode="json") for n, d in given.decisions.items()},
        }
    )


def _sources() -> list[Path]:
    """The page's own template, style and script, and the code that fills them."""
    return sorted(p for p in _TEMPLATES.iterdir() if p.suffix in (".html", ".css", ".js", ".py"))


def write_report(given: ReportInput) -> None:
    """Write report/report.json and report/index.html, each atomically.

    The same inputs always give the same bytes: no time, no machine, no order of threads.
    raises: StorageFull, UsageError, WorkerError.
    """
    summary = summarise(given)
    text = json.dumps(summary, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    page = render_page(given, summary)
    folder = given.job.folder.report
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(folder / "report.json", (text + "\n").encode())
    atomic_write_bytes(folder / "index.html", page.encode())


def render_page(given: ReportInput, summary: dict[str, Any]) -> str:
    """The page as text: one file, nothing loaded from anywhere."""
    width = picture_width(summary["counts"]["shots"])
    cards = {
        numbers["shot"]: _card(given, numbers, width)
        for reel in summary["reels"]
        for numbers in reel["shots"]
    }
    style = (_TEMPLATES / "report.css").read_text("utf-8")
    script = (_TEMPLATES / "report.js").read_text("utf-8")
    return (
        _environment()
        .get_template("report.html")
        .render(
            s=summary,
            cards=cards,
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            script_digest=_digest(script),
            settings=_settings(given),
            picture_width=width,
            curve_size=(WIDTH, HEIGHT),
            gain=DIFFERENCE_GAIN,
            touch=TOUCH,
            view=given.job.project.color.view,
            touch_planes=given.job.project.deliver[0].touch,
            touch_words=TOUCH_WORDS,
        )
    )


def _card(given: ReportInput, numbers: dict[str, Any], width: int) -> Card:
    shot = given.reels[numbers["reel"]].shot(numbers["shot"])
    pictures = shot_pictures(given, shot, width)
    decisions = given.decisions.get(shot.id)
    curves: list[Curve | None] = []
    if decisions is not None:
        first = decisions.frames[0]
        curves = [
            flicker_curve(decisions.flicker, first, pictures.frame),
            contrast_curve(decisions.flicker, first, pictures.frame),
            local_curve(decisions.flicker, first, pictures.frame),
            weave_curve(decisions.weave, first, pictures.frame),
            turn_curve(decisions.weave, first, pictures.frame),
        ]
    changed = decisions is not None and numbers["decisions"]["balance"]["changes_color"]
    return Card(
        numbers=numbers,
        pictures=pictures,
        curves=tuple(c for c in curves if c is not None),
        measures=measures(numbers),
        left_alone=[r for r in numbers["reasons"] if not (changed and r.startswith("color: "))],
    )


def _settings(given: ReportInput) -> str:
    """The project as it was resolved. How many worked on it, and when, is no part of it."""
    project = given.job.project
    alone = project.render.model_copy(update={"workers": 0})
    return dump_project(project.model_copy(update={"render": alone, "night": Night()}))


def _digest(script: str) -> str:
    """For the page's own policy: only this script may run, whatever else the page says."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        number=number,
        figure=figure,
        signed=signed,
        counted=counted,
        sentence=sentence,
    )
    return environment
