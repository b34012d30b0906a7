"""Settings of a reel, a scene and a shot: the narrower one wins, and none may say nonsense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from media.errors import ConfigError
from tests.reels import project_of, run_here
from wetgate.decisions import ShotDecisions
from wetgate.dryrun import dry_run
from wetgate.files import Folder
from wetgate.layers import effective
from wetgate.project import load_project
from wetgate.tables import plan_dict

LAYERS = """
title = "Two"
[restore.noise]
enabled = false
[restore.dirt]
threshold_sigma = 6.0
[[reels]]
path = "R1"
encoding = "cineon"
rate = "24"
[reels.restore.dirt]
threshold_sigma = 7.0
max_blob_px = 900
[[reels]]
path = "R2"
encoding = "cineon"
rate = "24"
[[scenes]]
name = "harbor"
shots = ["R1_0020", "R2_0010"]
[scenes.restore.dirt]
threshold_sigma = 8.0
"""


@pytest.fixture
def layered(scans: list[Path], tmp_path: Path) -> Path:
    text = LAYERS
    for scan in scans:
        text = text.replace(f'path = "{scan.name}"', f'path = "{scan}"')
    path = tmp_path / "title.toml"
    path.write_text(text, "utf-8")
    return path


def decided(out: Path, reel: str, shot: str) -> ShotDecisions:
    return ShotDecisions.model_validate_json(Folder(out).decision(reel, shot).read_text("utf-8"))


def test_the_narrower_layer_wins(layered: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "overrides.toml").write_text(
        "[R2_0010.restore.dirt]\nthreshold_sigma = 9.0\n[R2_0020.restore.weave]\nenabled = false\n",
        "utf-8",
    )
    project = load_project([str(layered)])
    run_here(project, out)
    found = {
        (reel, shot): decided(out, reel, shot)
        for reel in ("R1", "R2")
        for shot in (f"{reel}_0010", f"{reel}_0020")
    }
    thresholds = [d.dirt.threshold_sigma for d in found.values()]
    assert thresholds == [7.0, 8.0, 9.0, 6.0]
    assert [d.dirt.max_blob_px for d in found.values()] == [900, 900, 0, 0]
    assert [d.settings_from for d in found.values()] == [
        ("reel R1",),
        ("reel R1", "scene harbor"),
        ("scene harbor", "shot R2_0010"),
        ("shot R2_0020",),
    ]
    assert found["R2", "R2_0020"].weave.reason == "switched off in the project"
    shown = {
        s["shot"]: s["settings_from"] for s in plan_dict(project, dry_run(project, out))["shots"]
    }
    assert shown["R1_0020"] == ["reel R1", "scene harbor"]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("[reels.restore.upscale]\nfactor = 2\n", "restore.upscale cannot be set here"),
        ("[reels.restore.dirt]\nthresholdsigma = 2\n", "thresholdsigma is not an option"),
        ("[reels.restore.dirt]\nthreshold_sigma = 900\n", "threshold_sigma"),
        ("[reels.restore]\ndirt = 3\n", "must be a table"),
        ('[[scenes]]\nname = "a"\n[[scenes]]\nname = "a"\n', "two scenes"),
        ('[[scenes]]\nname = "a"\n[scenes.restore.fog]\nx = 1\n', "restore.fog cannot be set"),
        ("[reels.restore.grain]\nsource = 'made'\n", "reel R1: .* makes grain that no frame"),
        ("[reels.restore.weave]\nborder = 'mirror'\n", "reel R1: .* makes borders that no frame"),
        ("[reels.restore.dirt]\nfill = true\n", "reel R1: .* makes pixels that no frame"),
    ],
)
def test_nonsense_in_a_layer_is_refused(
    scans: list[Path], tmp_path: Path, layer: str, words: str
) -> None:
    path = tmp_path / "title.toml"
    path.write_text(f"[[reels]]\npath = '{scans[0]}'\nencoding = 'cineon'\n{layer}", "utf-8")
    with pytest.raises(ConfigError, match=words) as caught:
        load_project([str(path)])
    assert caught.value.hint


def test_a_scene_of_unknown_shots_is_refused(scans: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "title.toml"
    path.write_text(
        f"[[reels]]\npath = '{scans[0]}'\nencoding = 'cineon'\nrate = '24'\n"
        "[[scenes]]\nname = 'a'\nshots = ['R1_9990']\n",
        "utf-8",
    )
    with pytest.raises(ConfigError, match="no shot of this title"):
        run_here(load_project([str(path)]), tmp_path / "out")


def test_without_layers_the_project_stands(scans: list[Path]) -> None:
    project = project_of(scans)
    assert effective(project, "R1", "R1_0010") == (project, ())


@pytest.mark.parametrize(
    ("asked", "words"),
    [("grain]\nsource = 'made'", "makes grain"), ("dirt]\nfill = true", "makes pixels")],
)
@pytest.mark.parametrize("where", ["reels.restore.", "[scenes]]\nname = 'a'\n[scenes.restore."])
def test_no_layer_invents_what_the_title_does_not_permit(
    scans: list[Path], tmp_path: Path, where: str, asked: str, words: str
) -> None:
    path = tmp_path / "title.toml"
    path.write_text(
        f"[[reels]]\npath = '{scans[0]}'\nencoding = 'cineon'\nrate = '24'\n[{where}{asked}\n",
        "utf-8",
    )
    with pytest.raises(ConfigError, match=words):
        load_project([str(path)])
    load_project([str(path)], sets=["policy.allow_invented=true"])


def test_nor_does_a_shot_and_it_is_said_before_anything_is_measured(
    scans: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    said = "[R1_0010.restore.grain]\nsource = 'made'\n"
    (out / "overrides.toml").write_text(said, "utf-8")
    with pytest.raises(ConfigError, match=r"shot R1_0010: .* makes grain"):
        run_here(project_of(scans[:1]), out)
    assert not list(out.rglob("evidence/*.json"))


def test_a_model_that_one_shot_alone_uses_is_named(scans: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "overrides.toml").write_text("[R1_0010.dirt]\nenabled = true\n", "utf-8")
    run_here(project_of(scans[:1], only="weave"), out)
    assert decided(out, "R1", "R1_0010").dirt.applied
    for name in ("manifest.json", "report/report.json"):
        models = json.loads((out / name).read_text("utf-8"))["models"]
        assert [m["used_for"] for m in models] == ["finding dirt; it paints nothing"]
