"""Settings: every option is documented, reachable, checked, and lands where it should."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from color.cdl import IDENTITY
from color.cdl_files import Correction, cc_document
from media.errors import ConfigError
from tests.reels import project_of
from wetgate import run
from wetgate.config import COLOR_WORK, REPAIRS, Project
from wetgate.decisions import ShotDecisions
from wetgate.events import Events
from wetgate.files import Folder
from wetgate.job import Job, open_job
from wetgate.project import PRESETS, dump_project, known_options, load_project, validate
from wetgate.run import Title

CONFIGS = PRESETS.parent
SPECIAL = {
    "restore.noise.guide": "blocks",
    "restore.noise.effort": "fine",
    "restore.dirt.detector": "rules",
    "restore.frames.beyond": "hold",
    "restore.upscale.smaller": "reduce",
    "restore.weave.border": "matte",
    "restore.weave.reference": "edge",
    "reels.rate": "18",
    "reels.encoding": "adx10",
    "title": "another",
    "color.fade.model": "dyes",
    "color.view": "sRGB - Display/Raw",
    "reels.neutrals": "[[190, 150, 170]]",
    "reels.gaps": "hold",
    "reels.defect_map": "alpha",
    "reels.defect_map_means": "dirt is bright",
    "policy.protected_regions": "{ R1 = [[0, 0, 4, 4]] }",
    "night.window": "20:00-07:00",
    "night.deadline": "07:00",
    "reels.accept": '["frame_count"]',
}
ONE_VALUE = {"schema_version": "1", "restore.upscale.model.arch": "srvgg"}
CANDIDATES = (
    *("true", "false", "0.5", "2.5", "1.5", "2", "3", "0.03", "0.3", "100", "512", "8"),
    *(
        "non-commercial",
        "bt709",
        "full",
        "lanczos",
        "area",
        "own",
        "network",
        "transnetv2",
        "cpu",
        "cuda",
        "png",
        "recorded",
    ),
    *("source", '["R1_0010"]', "some text"),
)


def value_of(project: Project, name: str) -> Any:
    """The value of an option; of the first reel or deliverable where there are several."""
    found: Any = project
    for part in name.split("."):
        found = found[0] if isinstance(found, tuple) else found
        found = getattr(found, part)
    return found


def commented(text: str, table: str) -> set[str]:
    """Options of a table that only stands in comments."""
    block = re.search(rf"# \[\[{table}\]\]\n((?:# \w+ = .*\n)+)", text)
    assert block, f"no commented [[{table}]]"
    return {f"{table}.{n}" for n in re.findall(r"# (\w+) = ", block[1])}


def leaves(table: dict[str, Any], prefix: str = "") -> set[str]:
    names = set()
    for key, value in table.items():
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and (inner or key == "restore"):
            names |= leaves(inner, f"{prefix}{key}.")
        else:
            names.add(f"{prefix}{key}")
    return names


def test_the_project_file_lists_every_option_with_its_default() -> None:
    text = (CONFIGS / "project.toml").read_text("utf-8")
    table = tomllib.loads(text)
    documented = (leaves(table) | commented(text, "reels")) - {"reels", "scenes"}
    assert documented == set(known_options())
    assert validate(table) == Project()
    for line in text.splitlines():
        name = line.partition(" = ")[0].strip("# ")
        if " = " in line and name not in (
            *("enabled", "schema_version", "reels", "scenes", "name", "shots", "strength"),
            "threshold_sigma",
        ):
            assert "#" in line.lstrip("# ") or name in _plain_words(text), line


def _plain_words(text: str) -> set[str]:
    """Options whose name says all: those of a model, which the line above them introduces."""
    block = text[text.index("[restore.upscale.model]") : text.index("[color.balance]")]
    return set(re.findall(r"(?m)^(\w+) = ", block))


def test_every_preset_loads_and_names_only_what_there_is(scans: list[Path]) -> None:
    presets = sorted(p.stem for p in PRESETS.glob("*.toml"))
    assert presets == ["faded-color", "prebalance", "preserve", "silent-bw"]
    for name in presets:
        path = PRESETS / f"{name}.toml"
        assert path.read_text("utf-8").startswith("# ")
        assert leaves(tomllib.loads(path.read_text("utf-8"))) <= set(known_options())
        project = project_of(scans, preset=name)
        assert project != project_of(scans)
        assert [r.id for r in project.reels] == ["R1", "R2"]


@pytest.mark.parametrize("name", known_options())
def test_set_reaches_every_option(scans: list[Path], name: str) -> None:
    plain = load_project(
        [str(s) for s in scans], encoding="cineon", sets=["policy.allow_invented=true"]
    )
    if name in ONE_VALUE:
        asked = f"{name}={ONE_VALUE[name]}"
        assert load_project([str(scans[0])], encoding="cineon", sets=[asked]).reels
        with pytest.raises(ConfigError, match=name):
            load_project([str(scans[0])], encoding="cineon", sets=[f"{name}=7"])
        return
    given = scans[0].parent / "given.cc"
    given.write_text(cc_document(Correction(id="R1_0010", cdl=IDENTITY)), "utf-8")
    special = SPECIAL | {"color.decisions": f'["{given}"]'}
    for text in (special[name],) if name in special else CANDIDATES:
        try:
            changed = load_project(
                [str(s) for s in scans[:1]],
                encoding="cineon",
                sets=["policy.allow_invented=true", "title=R1", f"{name}={text}"],
            )
        except ConfigError:
            continue
        if value_of(changed, name) != value_of(plain, name):
            break
    else:
        pytest.fail(f"no value could be set for {name}")
    now, was = changed.model_dump(mode="json"), plain.model_dump(mode="json")
    assert _differing(now, was) == {name}


def _differing(now: Any, was: Any, prefix: str = "") -> set[str]:
    if isinstance(now, dict) and isinstance(was, dict) and set(now) == set(was):
        return {n for k in now for n in _differing(now[k], was[k], f"{prefix}.{k}".strip("."))}
    if isinstance(now, list) and isinstance(was, list) and now and isinstance(now[0], dict):
        return _differing(now[0], was[0], prefix)
    return {prefix} if now != was else set()


def test_only_switches_every_other_repair_off(scans: list[Path]) -> None:
    def on(project: Project) -> set[str]:
        return {
            *(r for r in REPAIRS if getattr(project.restore, r).enabled),
            *(c for c in COLOR_WORK if getattr(project.color, c).enabled),
        }

    assert on(project_of(scans, only="none")) == set()
    assert on(project_of(scans, only="weave, flicker")) == {"weave", "flicker"}
    assert on(project_of(scans, only="balance")) == {"balance"}
    assert on(project_of(scans, only=",".join((*REPAIRS, *COLOR_WORK)))) == {*REPAIRS, *COLOR_WORK}
    with pytest.raises(ConfigError, match="no such repair"):
        project_of(scans, only="weave,none")


def test_what_is_said_later_wins(tmp_path: Path) -> None:
    path = tmp_path / "project.toml"
    reel = "[[reels]]\npath = 'R1'\nencoding = 'cineon'\n"
    path.write_text(reel, "utf-8")

    def strength(**more: Any) -> float:
        return load_project([str(path)], **more).restore.flicker.limit_stops

    assert strength() == 1.0
    assert strength(preset="silent-bw") == 1.5
    path.write_text(reel + "[restore.flicker]\nlimit_stops = 1.7\nenabled = true\n", "utf-8")
    assert strength(preset="silent-bw") == 1.7
    sets = ["restore.flicker.limit_stops=1.9"]
    assert strength(preset="silent-bw", sets=sets) == 1.9
    off = load_project([str(path)], preset="silent-bw", only="dirt")
    assert not off.restore.flicker.enabled
    back = load_project([str(path)], only="dirt", sets=["restore.flicker.enabled=true"])
    assert back.restore.flicker.enabled
    assert back.restore.dirt.enabled
    assert not back.restore.weave.enabled


def test_text_may_look_like_a_number(scans: list[Path]) -> None:
    sets = ["title=1922", "reels.rate=24", "deliver.name=2024", "restore.upscale.model.sha256=12"]
    project = project_of(scans, *sets)
    assert (project.title, project.deliver[0].name) == ("1922", "2024")
    assert {r.rate for r in project.reels} == {"24"}
    assert project.restore.upscale.model.sha256 == "12"
    assert project_of(scans, 'title="quoted = [x]"').title == "quoted = [x]"


def test_a_resolved_project_reads_back_as_itself(scans: list[Path], tmp_path: Path) -> None:
    project = project_of(
        scans, "title='Ü \"quoted\" \\ #'", 'policy.protected_shots=["R1_0010"]', preset="preserve"
    )
    text = dump_project(project)
    assert validate(tomllib.loads(text)) == project
    assert leaves(tomllib.loads(text)) - {"scenes"} == set(known_options())
    path = tmp_path / "project.toml"
    path.write_text(text, "utf-8")
    assert load_project([str(path)]) == project
    assert dump_project(load_project([str(path)])) == text


def test_paths_are_relative_to_the_project(tmp_path: Path) -> None:
    (tmp_path / "title").mkdir()
    path = tmp_path / "title" / "p.toml"
    path.write_text("[[reels]]\npath = 'scans/R1'\nencoding = 'cineon'\nshots = 'c.csv'\n", "utf-8")
    reel = load_project([str(path)]).reels[0]
    assert reel.path == str(tmp_path / "title/scans/R1")
    assert reel.shots == str(tmp_path / "title/c.csv")


def test_paths_on_the_command_line_are_relative_to_where_that_is(
    scans: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    sets = ("reels.defect_map=R1_ir", "reels.shots=cuts/R1.csv")
    reel = project_of(scans[:1], *sets).reels[0]
    assert (reel.defect_map, reel.shots) == (str(tmp_path / "R1_ir"), str(tmp_path / "cuts/R1.csv"))
    assert project_of(scans[:1], "reels.defect_map=alpha").reels[0].defect_map == "alpha"


@pytest.mark.parametrize(
    "name", ["policy.max_repaired_share", "restore.dirt.budget", "render.chunk_frames"]
)
def test_a_switch_is_no_number(scans: list[Path], name: str) -> None:
    """It would pass for 1: every pixel may be repaired."""
    with pytest.raises(ConfigError, match=rf"{name}: input should be a number \(got True"):
        project_of(scans[:1], f"{name}=true")


# People's decisions.


def decided(
    out: Path, text: str, project: Project | None = None
) -> tuple[dict[str, ShotDecisions], dict[str, list[str]]]:
    """Decisions and chunk keys of the finished job with these overrides."""
    (out / "overrides.toml").write_text(text, "utf-8")
    folder = Folder(out)
    job = Job(project or open_job(out).project, folder, Events(None))
    title = Title()
    run.ingest(job, title)
    title.evidence = {s: run.analyse(job, title, s) for s in title.shot_ids()}
    run.decide(job, title)
    keys = {n: [c.key for p in v for c in p.chunks] for n, v in title.planned.items()}
    return title.decisions, keys


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("weave.enabled = false", "weave.applied", False),
        ("weave.strength = 0.0", "weave.dx_px", (0.0,) * 8),
        ("flicker.enabled = false", "flicker.applied", False),
        ("dirt.enabled = false", "dirt.applied", False),
        ("noise.enabled = false", "noise.applied", False),
        ("dirt.sigma = 0.02", "dirt.sigma", 0.02),
        ("noise.strength = 0.5", "noise.strength", 0.5),
        ("grain.kept = 0.9", "grain.kept", 0.9),
        ("balance.slope = [1.1, 1.0, 0.9]", "balance.slope", (1.1, 1.0, 0.9)),
        ("balance.offset = [0.01, 0, -0.01]", "balance.offset", (0.01, 0.0, -0.01)),
        ("balance.power = [1.0, 1.1, 1.0]", "balance.power", (1.0, 1.1, 1.0)),
        ("balance.saturation = 0.8", "balance.saturation", 0.8),
        ("balance.enabled = false", "balance.origin", "human"),
        ("protect = true", "protected", True),
    ],
)
def test_every_word_of_a_person_counts(finished: Path, text: str, path: str, value: Any) -> None:
    plain, keys = decided(finished, "")
    found, changed = decided(finished, f"[R1_0020]\n{text}\n")
    assert value_of_path(plain["R1_0020"], path) != value
    assert value_of_path(found["R1_0020"], path) == value
    section = path.partition(".")[0]
    if section != "protected":
        assert value_of_path(found["R1_0020"], f"{section}.origin") == "human"
    if not text.startswith("balance.enabled"):
        assert changed["R1_0020"] != keys["R1_0020"]
    if not text.startswith(("balance", "protect")):
        assert {n: k for n, k in changed.items() if n != "R1_0020"} == {
            n: k for n, k in keys.items() if n != "R1_0020"
        }


def test_a_person_edits_the_flicker_curve(finished: Path) -> None:
    plain, keys = decided(finished, "")
    solved = plain["R1_0020"].flicker
    assert solved.applied
    text = "[R1_0020.flicker]\nstrength = 0.5\n"
    text += "exposure_stops = { 86409 = [0.25], 86410 = [0, 0, 1] }\n"
    found, changed = decided(finished, text)
    edited = found["R1_0020"].flicker
    assert edited.origin == "human"
    half = tuple(round(v * 0.5, 6) for v in solved.exposure_stops[0])
    assert edited.exposure_stops[:3] == (half, (0.25, 0.25, 0.25), (0.0, 0.0, 1.0))
    assert changed["R1_0020"] != keys["R1_0020"]
    assert changed["R1_0010"] == keys["R1_0010"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("{ 999 = [0.1] }", "'999' is no frame of this shot"),
        ("{ 86409 = [0.1, 0.2] }", "frame 86409 has 2 values"),
    ],
)
def test_a_curve_that_does_not_fit_is_refused(finished: Path, given: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"flicker\.exposure_stops") as caught:
        decided(finished, f"[R1_0020.flicker]\nexposure_stops = {given}\n")
    assert problem in str(caught.value)
    assert caught.value.shot == "R1_0020"


def test_a_frame_of_a_shot_that_was_left_alone_is_corrected(finished: Path) -> None:
    left = "[R1_0020.restore.flicker]\nfloor_stops = 9.0\n"
    plain, keys = decided(finished, left)
    assert not plain["R1_0020"].flicker.applied
    words = "[R1_0020.flicker]\nexposure_stops = { 86410 = [0.25] }\n"
    found, changed = decided(finished, left + words)
    edited = found["R1_0020"].flicker
    assert (edited.applied, edited.reason, edited.origin) == (True, "", "human")
    assert edited.confidence == 1.0
    assert edited.exposure_stops == ((0.0,) * 3,) * 2 + ((0.25,) * 3,) + ((0.0,) * 3,) * 5
    assert changed["R1_0020"] != keys["R1_0020"]
    with pytest.raises(ConfigError, match="'7' is no frame of this shot"):
        decided(finished, left + "[R1_0020.flicker]\nexposure_stops = { 7 = [0.25] }\n")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("flicker]\nexposure_stops = { 86410 = [80.0] }", "exposure_stops"),
        ("flicker]\nexposure_stops = { 86410 = [nan] }", "exposure_stops"),
        ("weave]\nturn_deg = { 86410 = 45.0 }", "turn_deg"),
        ("dirt]\nlevel = true", "level: input should be a number"),
        ("weave]\nshift_px = { 86410 = [0.0, -64.0] }", "nothing would be left of frame 86410"),
    ],
)
def test_numbers_that_are_a_slip_are_refused(finished: Path, words: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        decided(finished, f"[R1_0020.{words}\n")


def value_of_path(decisions: ShotDecisions, path: str) -> Any:
    found: Any = decisions
    for part in path.split("."):
        found = getattr(found, part)
    return found


def test_a_person_moves_frames_by_hand(finished: Path) -> None:
    solved = decided(finished, "")[0]["R1_0020"].weave
    text = "[R1_0020.weave]\nstrength = 0.5\nshift_px = { 86409 = [0.5, -0.25] }\n"
    edited = decided(finished, text + "turn_deg = { 86410 = 0.05 }\n")[0]["R1_0020"].weave
    assert edited.applied
    assert edited.origin == "human"
    assert edited.dx_px[0] == round(solved.dx_px[0] * 0.5, 5)
    assert (edited.dx_px[1], edited.dy_px[1], edited.turn_deg[2]) == (0.5, -0.25, 0.05)
    with pytest.raises(ConfigError, match=r"weave\.shift_px: '7' is no frame"):
        decided(finished, "[R1_0020.weave]\nshift_px = { 7 = [0, 0] }\n")


def test_a_person_gives_a_color_and_the_printer_points_follow(finished: Path) -> None:
    text = "[R1_0010]\nbalance.offset = [0.05, 0.0, -0.05]\nbalance.slope = [1, 1, 1]\n"
    balance = decided(finished, text)[0]["R1_0010"].balance
    assert balance.printer_points[0] > 1.0 > -1.0 > balance.printer_points[2]
    assert (balance.confidence, balance.reason) == (1.0, "")


def test_a_repair_can_be_switched_on_for_one_shot(scans: list[Path], finished: Path) -> None:
    project = project_of(scans, only="none")
    text = "[R1_0010]\nweave.enabled = true\nflicker.enabled = true\ndirt.enabled = true\n"
    found, _ = decided(finished, text, project)
    shot, other = found["R1_0010"], found["R1_0020"]
    assert shot.weave.applied
    assert shot.flicker.applied
    assert shot.dirt.applied
    assert (shot.weave.origin, shot.noise.applied) == ("human", False)
    assert not any(d.applied for d in (other.weave, other.flicker, other.dirt))
    with pytest.raises(ConfigError, match="color is switched off") as caught:
        decided(finished, "[R1_0010]\nbalance.enabled = true\n", project)
    assert caught.value.shot == "R1_0010"


def test_protection_holds_against_a_person_who_only_leaves_a_note(
    scans: list[Path], finished: Path
) -> None:
    project = project_of(scans, 'policy.protected_shots=["R1_0010"]')
    found, _ = decided(finished, '[R1_0010]\nnote = "as it is"\n', project)
    assert found["R1_0010"].protected
    assert not found["R1_0010"].weave.applied
    assert (found["R1_0010"].note, found["R1_0010"].balance.slope) == ("as it is", (1.0, 1.0, 1.0))
    with pytest.raises(ConfigError, match="R1_0011"):
        decided(finished, "", project_of(scans, 'policy.protected_shots=["R1_0011"]'))


def test_a_note_moves_no_key(finished: Path) -> None:
    _, keys = decided(finished, "")
    found, noted = decided(finished, '[R1_0010]\nnote = "ask the archive"\n')
    assert found["R1_0010"].note == "ask the archive"
    assert noted == keys


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[R1_0011]\nnote = 'x'", "'R1_0010'"),
        ("[R1_0010]\nnoise.strenght = 1", "'noise.strength'"),
        ("[R1_0010]\nnoize.strength = 1", "noise"),
        ("[R1_0010]\nnoise.strength = 9", "less than or equal to 4"),
        ("[R1_0010]\nbalance.slope = [1, 1]", "balance.slope"),
        ("[R1_0010]\nprotect = 'perhaps'", "protect"),
        ("R1_0010 = 3", "R1_0010"),
        ("[R1_0010", "not valid TOML"),
    ],
)
def test_a_wrong_word_is_refused(finished: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decided(finished, text)
    assert caught.value.exit_code == 2
    assert words in str(caught.value)
    assert caught.value.hint
