"""The report says what is there, what is not, and nothing else; it opens anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from media.errors import FrameUnreadable, NotFinite
from media.passes import Effect
from media.reel import PictureFormat
from media.synthetic import Damage, damage_shot
from media.write import AnyCodes, to_codes, write_frame
from wetgate.decisions import FlickerDecision, WeaveDecision
from wetgate.events import Events
from wetgate.files import Folder
from wetgate.job import Job
from wetgate.plan import plan_shot
from wetgate.project import dump_project, validate
from wetgate.report.curves import flicker_curve, weave_curve
from wetgate.report.given import ReportInput
from wetgate.report.html import write_report
from wetgate.report.limits import not_attempted
from wetgate.report.pictures import picture_width, shot_pictures
from wetgate.report.words import figure, measures, number, percent, signed
from wetgate.stages.analyse import analyse_shot
from wetgate.stages.ingest import frame_reader, ingest_reel
from wetgate.stages.render import render_shot
from wetgate.stages.solve import solve_title
from wetgate.stages.verify import verify_shot

_HOSTILE = "<script>alert('x')</script> & \"Nosferatu\""
_FMT = PictureFormat(width=96, height=64, channels=3, bits=8)


def _scan(folder: Path) -> None:
    """Six frames of one shot, then two of another: a short shot is always held."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[0:80, 0:112].astype(np.float32)
    first = 0.5 + 0.15 * np.sin(x / 7.0) * np.cos(y / 5.0)
    second = 0.25 + 0.4 * ((x // 16 + y // 16) % 2)
    number = 10
    for picture, count, seed in ((first, 6, 1), (second, 2, 2)):
        clean = np.stack([np.stack([picture, picture * 0.95, picture * 0.85])] * count)
        damage = Damage(flicker_stops=0.2, dirt_per_frame=3.0, weave_px=(0.0, 0.0))
        frames, _ = damage_shot(clean.astype(np.float32), damage, seed=seed)
        for frame in frames:
            codes = to_codes(np.ascontiguousarray(frame.transpose(1, 2, 0)), _FMT)
            path = folder / f"R1.{number:07d}.png"
            write_frame(path, codes, _FMT, "png", frame=number, durable=False)
            number += 1


@dataclass(frozen=True)
class _Made:
    given: ReportInput
    held: str
    """The shot of two frames."""
    passed: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> _Made:
    """A title that has been through every stage but delivery."""
    root = tmp_path_factory.mktemp("title")
    _scan(root / "scan")
    reel = {"path": str(root / "scan"), "id": "R1", "encoding": "cineon", "rate": "24"}
    project = validate(
        {"title": _HOSTILE, "reels": [reel], "render": {"device": "cpu", "chunk_frames": 4}}
    )
    job = Job(project, Folder(root / "out"), Events(None))
    job.folder.root.mkdir()
    job.folder.project.write_text(dump_project(project), "utf-8")
    config = project.reels[0]
    ingested = ingest_reel(job, config)
    evidence = {s.id: analyse_shot(job, config, ingested, s) for s in ingested.shots}
    decisions = solve_title(job, {"R1": ingested}, evidence)
    planned, verdicts = {}, {}
    for shot in ingested.shots:
        planned[shot.id] = plan_shot(job, ingested, shot, decisions)[0]
        render_shot(job, config, ingested, planned[shot.id])
        verdicts[shot.id] = verify_shot(
            job, ingested, planned[shot.id], decisions[shot.id], evidence[shot.id]
        )
    reader = frame_reader(config, ingested.reel)

    def read(_: str, frame: int) -> AnyCodes:
        return reader.read(frame)

    first, second = ingested.shots
    assert len(second.frames) == 2
    verdicts[first.id] = {**verdicts[first.id], "verdict": "passed", "held_because": []}
    given = ReportInput(
        job=job,
        reels={"R1": ingested},
        decisions=decisions,
        planned=planned,
        verdicts=verdicts,
        failures={},
        complete=True,
        read_source=read,
    )
    return _Made(given, held=second.id, passed=first.id)


def write(given: ReportInput) -> tuple[str, dict[str, Any]]:
    """The page and the JSON of a report."""
    write_report(given)
    folder = given.job.folder.report
    page = (folder / "index.html").read_text("utf-8")
    return page, json.loads((folder / "report.json").read_text("utf-8"))


class _Page(HTMLParser):
    """Every tag with its attributes, the visible text in order, the scripts apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        if tag in ("script", "style", "title"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] == "script":
            self.scripts.append(data)
        elif not self._inside and data.strip():
            self.texts.append(" ".join(data.split()))

    def attributes(self, name: str) -> Iterator[str]:
        return (a[name] for _, a in self.tags if name in a)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def _failed(shot: str) -> Mapping[str, object]:
    error = NotFinite("operator noise made NaN", hint="park it", reel="R1", shot=shot, frame=12)
    return error.as_dict()


def test_page_needs_nothing_but_itself(made: _Made) -> None:
    page, _ = write(made.given)
    parsed = _Page(page)
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert all(v.startswith("data:image/") for v in parsed.attributes("src"))
    targets = list(parsed.attributes("href"))
    assert targets
    assert all(v.startswith("#") for v in targets)
    ids = set(parsed.attributes("id"))
    assert {t[1:] for t in targets} <= ids
    assert not {"link", "iframe", "object", "form"} & {t for t, _ in parsed.tags}


def test_hostile_title_is_inert(made: _Made) -> None:
    page, summary = write(made.given)
    parsed = _Page(page)
    assert summary["title"] == _HOSTILE
    assert _HOSTILE in parsed.text
    assert len(parsed.scripts) == 1
    assert "alert" not in parsed.scripts[0]
    digest = base64.b64encode(hashlib.sha256(parsed.scripts[0].encode()).digest()).decode()
    policy = next(parsed.attributes("content"))
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_hostile_notes_and_reasons_are_inert(made: _Made) -> None:
    nasty = '"><img src=x onerror=alert(1)>'
    old = made.given.decisions[made.passed]
    decisions = {
        **made.given.decisions,
        made.passed: old.model_copy(update={"note": nasty, "reasons": (nasty,), "flags": (nasty,)}),
    }
    parsed = _Page(write(replace(made.given, decisions=decisions))[0])
    assert parsed.text.count(nasty) == 3
    assert not list(parsed.attributes("onerror"))


def test_every_shot_with_its_reasons_and_pictures(made: _Made) -> None:
    page, summary = write(made.given)
    parsed = _Page(page)
    for shot, decided in made.given.decisions.items():
        assert f"shot-{shot}" in set(parsed.attributes("id"))
        for reason in decided.reasons:
            assert reason in parsed.text
        for alt in ("after the restoration", "as scanned"):
            assert any(shot in a and alt in a for a in parsed.attributes("alt"))
    assert summary["reels"][0]["shots"][1]["reasons"]
    assert all("alt" in a for t, a in parsed.tags if t == "img")


def test_held_shots_come_first(made: _Made) -> None:
    page, summary = write(made.given)
    assert summary["look_first"][0]["shot"] == made.held
    assert summary["look_first"][0]["status"] == "held"
    section = page[page.index('id="first"') :]
    link = re.search(r'href="#shot-([^"]+)"', section)
    assert link is not None
    assert link[1] == made.held
    for why in made.given.verdicts[made.held]["held_because"]:
        assert why in section


def test_numbers_agree_with_the_inputs(made: _Made) -> None:
    _, summary = write(made.given)
    assert summary["schema"] == 1
    assert summary["complete"] is True
    assert summary["exit"]["code"] == 3
    counts = summary["counts"]
    assert (counts["reels"], counts["shots"], counts["frames"]) == (1, 2, 8)
    assert (counts["passed"], counts["held"], counts["failed"]) == (1, 1, 0)
    shares = [made.given.verdicts[s]["touch_share"] for s in (made.passed, made.held)]
    for name in ("untouched", "adjusted", "borrowed", "invented"):
        wanted = (6 * shares[0][name] + 2 * shares[1][name]) / 8
        assert summary["touch_share"][name] == pytest.approx(wanted, abs=2e-6)
    assert [m["used_for"] for m in summary["models"]] == [
        "finding dirt; it paints nothing",
        "guiding the grain filter; it paints nothing",
    ]
    assert summary["software"]["packages"]["numpy"] == np.__version__
    first = summary["reels"][0]["shots"][0]
    assert first["before"] == made.given.verdicts[made.passed]["before"]
    names = [op.name for op in made.given.planned[made.passed].chain]
    assert [op["name"] for op in first["operators"]] == names
    exposure = np.abs(made.given.decisions[made.passed].flicker.exposure_stops)
    assert first["decisions"]["flicker"]["peak_stops"] == pytest.approx(exposure.max())


def test_what_was_looked_for_and_not_found_was_looked_for(made: _Made) -> None:
    (said,) = [w for w in write(made.given)[1]["not_attempted"] if "scratches" in w]
    assert "were looked for and not repaired in any shot: none was found" in said


@pytest.mark.parametrize("off", ["restore.frames.enabled", "ingest.find_damaged"])
def test_frames_that_were_not_looked_at_are_said_and_others_not(off: str) -> None:
    reel = {"path": "R1", "encoding": "cineon"}
    said = not_attempted(validate({"reels": [reel]}), {})
    assert not any("torn" in words or "splices" in words for words in said)
    section, _, option = off.rpartition(".")
    table: dict[str, Any] = {"reels": [reel]}
    place = table
    for name in section.split("."):
        place = place.setdefault(name, {})
    place[option] = False
    said = not_attempted(validate(table), {})
    assert any("torn, and splices, were not looked for" in words for words in said)


def test_same_inputs_same_bytes(made: _Made) -> None:
    first = write(made.given)
    shuffled = replace(
        made.given,
        verdicts=dict(reversed(list(made.given.verdicts.items()))),
        planned=dict(reversed(list(made.given.planned.items()))),
    )
    assert write(shuffled) == first


def test_incomplete_is_the_first_thing_said(made: _Made) -> None:
    without = {made.held: made.given.planned[made.held]}
    given = replace(
        made.given,
        complete=False,
        planned=without,
        failures={made.passed: _failed(made.passed)},
        verdicts={},
    )
    page, summary = write(given)
    parsed = _Page(page)
    assert parsed.texts[0] == "INCOMPLETE:"
    assert "operator noise made NaN" in parsed.texts[1]
    assert "1 shot not verified" in parsed.texts[1]
    assert summary["complete"] is False
    assert summary["exit"]["code"] == 4
    assert summary["counts"]["failed"] == 1
    assert summary["counts"]["not_verified"] == 1
    assert "no result was rendered" in parsed.text
    complete, _ = write(made.given)
    assert "INCOMPLETE" not in complete


def test_a_failed_reel_is_told(made: _Made) -> None:
    error = FrameUnreadable("zero bytes", reel="R2", frame=3).as_dict()
    page, summary = write(replace(made.given, complete=False, failures={"R2": error}))
    assert "R2: zero bytes" in _Page(page).texts[1]
    assert summary["failures"][0]["of"] == "R2"
    assert summary["exit"]["code"] == 4


def test_nothing_rendered_is_not_a_pass(made: _Made) -> None:
    given = replace(made.given, planned={}, verdicts={}, complete=False)
    page, summary = write(given)
    assert summary["counts"]["passed"] == 0
    assert summary["exit"]["code"] is None
    assert "2 of 2 shots not rendered" in _Page(page).texts[1]
    assert summary["touch_share"]["untouched"] is None


def test_decisions_without_pictures_preview_the_color(made: _Made) -> None:
    old = made.given.decisions[made.passed]
    balance = old.balance.model_copy(update={"offset": (0.05, 0.0, -0.05)})
    decisions = {
        **made.given.decisions,
        made.passed: old.model_copy(update={"balance": balance}),
    }
    given = replace(made.given, decisions=decisions, planned={}, verdicts={})
    page, summary = write(given)
    parsed = _Page(page)
    assert summary["exit"] == {
        "code": 0,
        "meaning": "decisions are made; pictures were not asked for",
    }
    assert "Decisions are made for 2 shots." in parsed.text
    assert any("with the CDL" in a for a in parsed.attributes("alt"))
    shown = shot_pictures(given, given.reels["R1"].shots[0], 640)
    assert shown.after != shown.before
    assert shown.touch is None


def test_flags_say_why(made: _Made) -> None:
    old = made.given.decisions[made.passed]
    flag = {"name": "tinted", "confidence": 0.9, "reason": "one color at all tones"}
    given = replace(
        made.given,
        decisions={
            **made.given.decisions,
            made.passed: old.model_copy(update={"flags": ("tinted",)}),
        },
        evidence={made.passed: {"color": {"flags": [flag]}}},
    )
    assert "tinted: one color at all tones" in _Page(write(given)[0]).text.replace(" :", ":")


def test_nothing_decided_is_said(made: _Made) -> None:
    given = replace(made.given, decisions={}, planned={}, verdicts={}, complete=False)
    parsed = _Page(write(given)[0])
    assert parsed.texts.count("nothing decided") == 2


def test_missing_scan_and_missing_result_are_named(made: _Made) -> None:
    def gone(reel: str, frame: int) -> AnyCodes:
        raise FrameUnreadable("the file has gone", reel=reel, frame=frame)

    shot = made.given.reels["R1"].shots[0]
    shown = shot_pictures(replace(made.given, read_source=gone), shot, 640)
    assert shown.before is None
    assert shown.difference is None
    assert shown.missing == ("scan: the file has gone",)
    elsewhere = replace(made.given.job, folder=Folder(made.given.job.folder.root / "other"))
    shown = shot_pictures(replace(made.given, job=elsewhere), shot, 640)
    assert shown.after is None
    assert shown.before is not None
    assert shown.missing == ("not all of the result is in the store",)


def test_pictures_show_the_most_repaired_frame(made: _Made) -> None:
    shot = made.given.reels["R1"].shots[0]
    planned = made.given.planned[shot.id]
    counts = {}
    for chunk in planned.chunks:
        touch = made.given.job.store.get(chunk.key).touch
        for at, n in enumerate(chunk.frames):
            counts[n] = int((touch[at] >= Effect.BORROWED).sum())
    shown = shot_pictures(made.given, shot, 48)
    chunk, _ = planned.locate(shown.frame)
    assert shown.frame in counts
    if shown.chosen == "where most was repaired":
        assert counts[shown.frame] == max(counts[n] for n in chunk.frames) > 0
    assert shown.after is not None
    after = _decoded(shown.after)
    assert after.shape == (32, 48, 3)
    assert shown.touch is not None
    overlay = _decoded(shown.touch)
    assert overlay.shape == (32, 48, 4)
    assert len(shown.swatches) == 12
    assert all(re.fullmatch(r"#[0-9a-f]{6}", c) for pair in shown.swatches for c in pair if c)


def _decoded(uri: str) -> Any:
    raw = base64.b64decode(uri.split(",", 1)[1])
    return cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)


def test_truth_table(made: _Made) -> None:
    row = {"measure": "Flicker left", "unit": "stops", "before": 0.2, "after": 0.01, "goal": 0.05}
    page, summary = write(replace(made.given, truth={"rows": [row]}))
    section = _Page(page[page.index('<section id="truth"') :]).text
    assert "Flicker left 0.2 0.01 0.05 stops" in section
    assert summary["truth"]["rows"] == [row]
    assert "Against the truth" not in write(made.given)[0]


def test_curves_have_readable_axes() -> None:
    decision = FlickerDecision(
        applied=True, exposure_stops=((0.1, 0.0, 0.0), (-0.12, 0.0, 0.0)), kept_flashes=(8,)
    )
    curve = flicker_curve(decision, 7, 7)
    assert curve is not None
    assert curve.limit == 0.2
    assert curve.peak == pytest.approx(0.12)
    assert [what for _, what in curve.marks] == ["7: frame shown", "8: a flash that was kept"]
    assert curve.lines[0].points == "0.0,32.0 600.0,93.6"
    assert flicker_curve(FlickerDecision(), 7, 7) is None


def test_long_curves_keep_their_extremes() -> None:
    dx = [0.0] * 9000
    dx[4321] = 3.0
    curve = weave_curve(WeaveDecision(applied=True, dx_px=tuple(dx), dy_px=tuple(dx)), 0, 0)
    assert curve is not None
    points = curve.lines[0].points.split()
    assert len(points) <= 600
    assert min(float(p.split(",")[1]) for p in points) == pytest.approx(
        60 - 3.0 / 5.0 * 56, abs=0.1
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (0.00001, "< 0.01 %"),
        (0.0123, "1.23 %"),
        (0.5, "50.0 %"),
        (0.99999, "> 99.9 %"),
        (1.0, "100.0 %"),
        (None, "not measured"),
    ],
)
def test_percent_never_rounds_to_nothing_or_all(share: object, text: str) -> None:
    assert percent(share) == text


def test_numbers_in_words() -> None:
    assert number(None) == "not measured"
    assert number(-0.001) == "0.00"
    assert [figure(v) for v in (0.01234, 93.13, 1234.5, "≥ 90")] == [
        "0.0123",
        "93.1",
        "1234",
        "≥ 90",
    ]
    assert signed(1.5) == "+1.50"
    assert signed(-1.5) == "−1.50"
    assert signed(0.0) == "0.00"
    rows = measures({"before": {"weave_px": 2.0}, "after": {"weave_px": 0.5}})
    assert rows[1] == {"name": "Weave", "unit": "px", "was": "2.00", "now": "0.50", "way": "fell"}
    assert rows[0]["was"] == "not measured"


def test_long_titles_get_smaller_pictures() -> None:
    widths = [picture_width(n) for n in (1, 41, 121, 401)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 640
