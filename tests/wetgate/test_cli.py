"""The program as people and scripts use it: commands, exit codes, output folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from media.errors import UsageError
from media.fixity import file_sha256
from media.movie import MovieReader
from media.scan import inspect, read_codes
from media.shots.timeline import read_shot_list
from tests.reels import events, hashes, project_of, run_here, run_program
from wetgate.audit import audit
from wetgate.chain import as_cdl
from wetgate.cli import app
from wetgate.dryrun import dry_run
from wetgate.job import open_job
from wetgate.launch import launch_prebalance
from wetgate.stages.ingest import read_reel
from wetgate.status import status
from wetgate.tables import plan_dict

LIMIT = ("--set", "policy.max_repaired_share=0.4", "--set", "render.workers=2")


def call(*arguments: str | Path) -> Result:
    """A command in this process; named errors are raised, as ``main`` would catch them."""
    found = CliRunner().invoke(app, [str(a) for a in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def asked(scans: list[Path], out: Path) -> list[str]:
    """Arguments of ``run``, ``plan`` and ``prebalance``."""
    sources = [str(s) for s in scans]
    return [*sources, "--encoding", "cineon", "--rate", "24", "--out", str(out), *LIMIT]


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "command",
    [
        (),
        *((c,) for c in ("run", "demo", "plan", "prebalance", "status", "verify", "report")),
        *((c,) for c in ("review", "doctor", "models")),
        *(("models", c) for c in ("list", "get", "import", "verify")),
    ],
    ids=" ".join,
)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    found = call(*command, "--help")
    assert found.exit_code == 0
    assert "Usage:" in found.stdout
    if not command:
        for name in ("demo", "run", "plan", "prebalance", "status", "verify", "models", "doctor"):
            assert name in found.stdout


@pytest.mark.parametrize("command", [("fly",), ("run",), ("status",), ("run", "x", "--fly")])
def test_wrong_usage_exits_2(command: tuple[str, ...]) -> None:
    assert call(*command).exit_code == 2


def test_the_program_from_start_to_audit(scans: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = asked(scans, out)
    before = hashes(*scans)
    ran = run_program("run", *arguments, "--json", "--no-prefect")
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert ran.stdout.count("\n") == 1
    assert (said["exit_code"], said["shots"], said["held"], said["failed"]) == (0, 4, [], [])
    assert (said["frames_planned"], said["frames_delivered"]) == (32, 32)
    assert Path(said["report"]).is_file()
    again = run_program("run", *arguments, "--no-prefect")
    assert again.returncode == 0
    assert "delivered 32 of 32 frames, 4 shots; held 0, failed 0" in again.stdout
    assert len(events(out, "chunk_rendered")) == len(events(out, "chunk_cached")) == 4
    checked = run_program("verify", out)
    assert (checked.returncode, "all whole" in checked.stdout) == (0, True)
    assert hashes(*scans) == before


def test_the_output_folder_is_laid_out_as_promised(finished: Path) -> None:
    for reel, first in (("R1", 86400), ("R2", 172800)):
        numbers = range(first, first + 16)
        names = sorted(p.name for p in (finished / "deliver/restored" / reel).iterdir())
        assert names == [f"{reel}.{n:07d}.dpx" for n in numbers]
        touch = sorted(p.name for p in (finished / "touch" / reel).iterdir())
        assert touch == [f"{reel}.{n:07d}.png" for n in numbers]
        folder = finished / "reels" / reel
        assert sorted(p.name for p in folder.iterdir()) == [
            *(
                "curves",
                "decisions",
                "evidence",
                "ingest.json",
                "ingest.txt",
                "pins",
                "shots.otio",
                "verify",
            )
        ]
        assert (finished / f"deliver/color/{reel}.edl").is_file()
    plane = read_codes(finished / "touch/R1/R1.0086400.png")
    assert plane.dtype == np.uint8
    assert plane.shape == (64, 96, 1)
    assert int(plane.max()) <= 3
    for name in ("project.toml", "ledger.jsonl", "events.jsonl", "manifest.json"):
        assert (finished / name).is_file()
    for name in ("color/R1.ccc", "color/R1.cdl"):
        assert (finished / "deliver" / name).is_file()
    assert not (finished / "overrides.toml").exists()
    manifest = read(finished / "manifest.json")
    assert manifest["complete"] is True
    assert [s["verdict"] for s in manifest["shots"]] == ["passed"] * 4
    lines = (finished / "manifest-sha256.txt").read_text("utf-8").splitlines()
    listed = dict(line.split("  ")[::-1] for line in lines)
    assert listed == {f["path"]: f["sha256"] for f in manifest["files"]}
    for name, wanted in listed.items():
        assert file_sha256(finished / name) == wanted


def test_decisions_are_files_a_script_can_read(finished: Path) -> None:
    decision = read(finished / "reels/R1/decisions/R1_0020.json")
    assert (decision["schema_version"], decision["shot"]) == (1, "R1_0020")
    assert decision["frames"] == [86408, 86415]
    assert np.shape(decision["flicker"]["exposure_stops"]) == (8, 3)
    assert len(decision["weave"]["dx_px"]) == len(decision["weave"]["dy_px"]) == 8
    balance = decision["balance"]
    for name in ("slope", "offset", "power"):
        assert len(balance[name]) == 3
    assert isinstance(balance["saturation"], float)
    assert "film log" in balance["space"]
    for name in ("noise", "grain", "flags", "confidence", "reasons"):
        assert name in decision


def snapshot(root: Path) -> dict[str, str]:
    return hashes(root) | {str(p): "" for p in root.rglob("*") if p.is_dir()}


def test_plan_changes_nothing_and_says_what_run_then_does(
    scans: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = asked(scans, out)
    told = call("plan", *arguments, "--json")
    plan = json.loads(told.stdout)
    assert told.exit_code == 0
    assert not out.exists()
    assert plan["schema"] == 1
    assert [s["shot"] for s in plan["shots"]] == ["R1_0010", "R1_0020", "R2_0010", "R2_0020"]
    assert plan["shots"][0]["frames"] == [86400, 86407]
    assert plan["shots"][0]["operators"]
    assert plan["chunks"] == {"total": 4, "cached": 0}
    assert (plan["chunks_missing"], plan["frames_missing"]) == (4, 32)
    low, high = plan["seconds"]
    assert 0 < low < high
    assert min(plan["disk_bytes"], plan["memory_bytes"]) > 0
    assert plan["settings"]["policy"]["max_repaired_share"] == 0.4
    assert run_here(project_of(scans), out).exit_code == 0
    assert len(events(out, "chunk_rendered")) == plan["chunks_missing"]
    assert sum(e["frames"] for e in events(out, "chunk_rendered")) == plan["frames_missing"]
    before = snapshot(out)
    plain = call("plan", *arguments)
    assert "chunks: 4 cached, 0 missing (0 frames)" in plain.stdout
    assert "policy.max_repaired_share = 0.4" in plain.stdout
    (out / "overrides.toml").write_text("[R2_0010]\ndirt.enabled = false\n", "utf-8")
    assert "chunks: 3 cached, 1 missing (8 frames)" in call("plan", *arguments).stdout
    (out / "overrides.toml").unlink()
    assert snapshot(out) == before
    assert run_here(project_of(scans), out).exit_code == 0
    assert len(events(out, "chunk_rendered")) == 4


def test_plan_refuses_what_run_refuses(scans: list[Path], tmp_path: Path) -> None:
    told = run_program(
        "plan", scans[0].parent / "R9", "--encoding", "cineon", "--out", tmp_path / "o"
    )
    assert (told.returncode, "refused: reel R9" in told.stderr) == (2, True)
    told = run_program("plan", scans[0], "--encoding", "cineon", "--out", scans[0].parent)
    assert (told.returncode, "inside the output folder" in told.stderr) == (2, True)


def test_status_before_during_and_after(scans: list[Path], finished: Path, tmp_path: Path) -> None:
    assert status(open_job(finished)).state == "finished"
    told = json.loads(call("status", finished, "--json").stdout)
    assert (told["state"], told["frames_done"], told["frames_planned"]) == ("finished", 32, 32)
    assert "finished: done" in call("status", finished).stdout
    lines = (finished / "events.jsonl").read_text("utf-8").splitlines(keepends=True)
    at = next(k for k, line in enumerate(lines) if '"chunk_rendered"' in line)
    (finished / "events.jsonl").write_text("".join(lines[: at + 1]), "utf-8")
    half = status(open_job(finished))
    assert (half.stage, half.frames_done, half.frames_planned) == ("render", 8, 32)
    assert half.seconds_left is not None
    assert half.seconds_left[0] < half.seconds_left[1]
    (finished / "events.jsonl").unlink()
    assert status(open_job(finished)).state == "not started"
    refused = run_program("status", tmp_path / "nowhere", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["exit_code"]) == (2, 2)


def test_verify_finds_what_was_changed(finished: Path) -> None:
    good = shutil.copytree(finished, finished.parent / "good")

    def findings() -> str:
        told = call("verify", finished, "--json")
        found = json.loads(told.stdout)["findings"]
        assert told.exit_code == (4 if found else 0)
        return "\n".join(found)

    def mended(name: str) -> Path:
        path = finished / name
        shutil.copy2(good / name, path)
        return path

    assert findings() == ""
    name = "deliver/restored/R1/R1.0086403.dpx"
    data = bytearray((finished / name).read_bytes())
    data[-3] ^= 1
    (finished / name).write_bytes(data)
    assert findings() == f"{name} does not match its SHA-256"
    (finished / name).unlink()
    assert findings() == f"{name} is missing"
    mended(name)
    extra = finished / "touch/R1/extra.png"
    extra.write_bytes(b"")
    assert findings() == "touch/R1/extra.png is not in the manifest"
    extra.unlink()
    ledger = finished / "ledger.jsonl"
    text = ledger.read_text("utf-8")
    ledger.write_text(text.replace('"applied": true', '"applied": false', 1), "utf-8")
    assert "ledger line 1 does not follow" in findings()
    ledger.write_text("".join(text.splitlines(keepends=True)[1:]), "utf-8")
    assert "ledger line 1" in findings()
    ledger.write_text(text + '{"torn', "utf-8")
    assert findings() == ""
    assert ledger.read_text("utf-8").endswith('{"torn')
    mended("ledger.jsonl")
    decided = finished / "reels/R1/decisions/R1_0020.json"
    written = decided.read_text("utf-8")
    decided.write_text(written.replace('"applied": true', '"applied": false', 1), "utf-8")
    assert findings() == "decisions/R1_0020.json was edited after it was written"
    decided.write_text(written, "utf-8")
    manifest = finished / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace('"title": "R1"', '"title": "R0"'))
    assert findings() == "manifest.json was edited after it was written"
    mended("manifest.json")
    chunk = next((finished / "store").glob("??/*/pixels.npy"))
    data = bytearray(chunk.read_bytes())
    data[-1] ^= 1
    chunk.write_bytes(data)
    assert "pixels.npy of chunk" in findings()


def test_verify_of_a_folder_with_nothing_in_it(tmp_path: Path, finished: Path) -> None:
    (finished / "manifest.json").unlink()
    told = run_program("verify", finished)
    assert (told.returncode, "nothing has been delivered" in told.stderr) == (2, True)


def test_an_edited_manifest_reaches_nothing_outside(scans: list[Path], finished: Path) -> None:
    outside = finished.parent / "outside.dpx"
    outside.write_bytes(b"mine")
    manifest = read(finished / "manifest.json")
    manifest["files"].append(
        {"path": "../outside.dpx", "sha256": "0", "bytes": 4, "made_from": "x"}
    )
    (finished / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert any("leads out" in f for f in audit(open_job(finished)).findings)
    assert run_here(project_of(scans), finished).exit_code == 0
    assert outside.read_bytes() == b"mine"
    assert audit(open_job(finished)).findings == ()


def test_report_and_review(finished: Path) -> None:
    assert Path(call("report", finished).stdout.strip()) == finished / "report/index.html"
    assert json.loads(call("report", finished, "--json").stdout)
    doubts = json.loads(call("review", finished, "--json").stdout)
    assert [d["confidence"] for d in doubts] == sorted(d["confidence"] for d in doubts)
    assert {d["shot"] for d in doubts} == {"R1_0010", "R1_0020", "R2_0010", "R2_0020"}
    text = call("review", finished).stdout
    assert str(finished / "overrides.toml") in text
    (finished / "overrides.toml").write_text(text[text.rindex("[") :], "utf-8")
    (finished / "report/index.html").unlink()
    assert run_program("report", finished).returncode == 2


def test_doctor_and_models() -> None:
    found = call("doctor", "--json")
    assert (found.exit_code, all(f["ok"] for f in json.loads(found.stdout))) == (0, True)
    assert "wetgate 0." in call("doctor").stdout
    told = call("models", "list").stdout
    assert "basicvsr-reds4" in told
    assert "srvgg" in told


def test_prebalance_hands_color_over_and_makes_no_picture(
    scans: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = launch_prebalance(project_of(scans, preset="prebalance"), out, quiet=True)
    names = sorted(
        p.relative_to(out).as_posix() for p in (out / "deliver").rglob("*") if p.is_file()
    )
    changed = [n for n, d in sorted(found.decisions.items()) if not as_cdl(d.balance).is_identity()]
    assert changed
    tables = [f"luts/{shot}.{kind}" for shot in changed for kind in ("clf", "cube")]
    expected = [f"R1.{kind}" for kind in ("ale", "ccc", "cdl", "edl", "otio")]
    expected += ["R2.ale", "R2.edl", *(f"cc/{shot}.cc" for shot in found.decisions)]
    expected += ["handover.json", *tables]
    assert names == [f"deliver/color/{n}" for n in expected]
    assert found.sheets
    sheets = [p.name for p in (out / "report/contact").iterdir()]
    assert sorted(sheets) == sorted(found.sheets)
    told_back = json.loads((out / "deliver/color/handover.json").read_text("utf-8"))
    assert len(told_back["files"]) == len(expected) - 1
    for file, said_of in told_back["files"].items():
        limit = 4e-4 if file.endswith(".edl") else 2e-6
        if not file.endswith(".cube"):
            assert said_of["largest_difference_log"] <= limit
    assert sorted(f.path for f in found.files) == names
    assert not (out / "store").exists()
    assert not (out / "touch").exists()
    assert list(found.decisions) == ["R1_0010", "R1_0020", "R2_0010", "R2_0020"]
    text = (out / "deliver/color/R1.edl").read_text("utf-8")
    assert text.count("ASC_SOP") == 2
    before = hashes(out / "deliver")
    arguments = [*asked(scans, out), "--json"]
    told = call("prebalance", *arguments)
    said = json.loads(told.stdout)
    assert (told.exit_code, said["exit_code"], sorted(said["files"])) == (0, 0, names)
    assert hashes(out / "deliver") == before


@pytest.mark.parametrize(
    ("kind", "bits", "suffix"),
    [("tiff", 16, ".tif"), ("png", 16, ".png"), ("dpx", 12, ".dpx"), ("dpx", 10, ".dpx")],
)
def test_other_kinds_of_deliverable(
    scans: list[Path], tmp_path: Path, kind: str, bits: int, suffix: str
) -> None:
    project = project_of(
        scans[:1], f"deliver.format={kind}", f"deliver.depth={bits}", "deliver.names=source",
        only="none",
    )  # fmt: skip
    assert run_here(project, tmp_path / "out").exit_code == 0
    files = sorted((tmp_path / "out/deliver/restored/R1").iterdir())
    assert [f.suffix for f in files] == [suffix] * 16
    for scan, file in zip(sorted(scans[0].iterdir()), files, strict=True):
        fmt, _ = inspect(file)
        assert (fmt.width, fmt.height, fmt.bits) == (96, 64, bits)
        scaled = read_codes(scan).astype(np.float64) / 1023 * fmt.full_scale
        assert np.abs(read_codes(file) - scaled).max() <= 0.5


@pytest.mark.parametrize(("codec", "suffix"), [("ffv1", ".mkv"), ("prores_422hq", ".mov")])
def test_movie_deliverables(scans: list[Path], tmp_path: Path, codec: str, suffix: str) -> None:
    project = project_of(scans[:1], f"deliver.format={codec}", only="none")
    assert run_here(project, tmp_path / "out").exit_code == 0
    movie = tmp_path / f"out/deliver/restored/R1{suffix}"
    worst = 0.0
    with MovieReader(movie) as reader:
        for k, scan in enumerate(sorted(scans[0].iterdir())):
            codes = reader.read(k)
            scale = 1023.0 if int(codes.max()) < 1024 else 65535.0
            wanted = read_codes(scan).astype(np.float64) / 1023
            worst = max(worst, float(np.abs(codes / scale - wanted).mean()))
    assert worst == 0.0 if codec == "ffv1" else worst < 0.02


def test_two_variants_of_one_job(scans: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "project.toml"
    reels = "".join(f"[[reels]]\npath = '{s}'\nencoding = 'cineon'\nrate = '24'\n" for s in scans)
    baked = "[[deliver]]\nname = 'baked'\n"
    recorded = "[[deliver]]\nname = 'recorded'\ncolor = 'recorded'\ntouch = false\n"
    path.write_text(f"title = 'Two'\n{reels}{baked}{recorded}", "utf-8")
    out = tmp_path / "out"
    given = "[R1_0010]\nbalance.slope = [1.2, 1.0, 1.0]\nbalance.offset = [0.02, 0.0, 0.0]\n"
    out.mkdir()
    (out / "overrides.toml").write_text(given, "utf-8")
    told = call("run", path, "--out", out, "--no-prefect", "--only", "none", "--json")
    assert told.exit_code == 0
    plain = {Path(n).name: v for n, v in hashes(*scans).items()}
    for name, changed in (("baked", 8), ("recorded", 0)):
        found = {Path(n).name: v for n, v in hashes(out / "deliver" / name).items()}
        assert found.keys() == plain.keys()
        assert sum(found[k] != plain[k] for k in found) == changed
    assert "1.2" in (out / "deliver/color/Two.cdl").read_text("utf-8")
    assert len(events(out, "chunk_rendered")) == 1


def test_twice_the_size(scans: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_here(project_of(scans[:1], only="upscale"), out).exit_code == 0
    for file in sorted((out / "deliver/restored/R1").iterdir())[::5]:
        fmt, _ = inspect(file)
        assert (fmt.width, fmt.height, fmt.bits) == (192, 128, 10)
        small = read_codes(scans[0] / file.name).astype(np.float64)
        large = read_codes(file).astype(np.float64)
        halved = large.reshape(64, 2, 96, 2, 3).mean(axis=(1, 3))
        assert np.abs(halved - small).mean() < 12
    assert read_codes(out / "touch/R1/R1.0086400.png").shape == (128, 192, 1)


def test_plan_of_a_dry_run_is_an_object(scans: list[Path], tmp_path: Path) -> None:
    project = project_of(scans[:1], only="none")
    plan = plan_dict(project, dry_run(project, tmp_path / "none"))
    assert json.loads(json.dumps(plan)).keys() == plan.keys()
    assert [s["operators"] for s in plan["shots"]] == [[], []]
    assert not list(tmp_path.iterdir())


def test_shots_are_listed_and_exported(finished: Path, tmp_path: Path) -> None:
    told = call("shots", finished, "--json")
    listed = json.loads(told.stdout)
    assert [s["frames"] for s in listed["R1"]["shots"]] == [[86400, 86407], [86408, 86415]]
    assert "R2_0020" in call("shots", finished).stdout
    for name in ("cuts.edl", "cuts.csv", "cuts.otio"):
        target = tmp_path / name
        assert call("shots", finished, "--reel", "R1", "--write", target).exit_code == 0
        reel = read_reel(open_job(finished), open_job(finished).project.reels[0])
        again = read_shot_list(target, reel.reel)
        assert [s.frames for s in again] == [s.frames for s in reel.shots]
    for arguments, word in (
        (("--write", tmp_path / "all.edl"), "one reel"),
        (("--reel", "R1", "--write", tmp_path / "a.txt"), "no shot list"),
        (("--reel", "R9"), "no reel 'R9'"),
    ):
        with pytest.raises(UsageError, match=word):
            call("shots", finished, *arguments)
