"""Bad input is refused by name, before work, with a remedy; the scan is never touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np
import OpenImageIO
import pytest

from media.errors import (
    ConfigError,
    DeliveryExists,
    EncodingUndeclared,
    FrameDuplicate,
    FrameMissing,
    FrameUnreadable,
    InputError,
    ReelMixed,
    SourceChanged,
    StorageFull,
    UsageError,
    WetgateError,
)
from media.movie.write import MovieWriter
from media.reel import PictureFormat
from media.write import AnyCodes
from tests.reels import (
    TEN_BIT,
    command_line,
    environment,
    events,
    frame_file,
    hashes,
    leftovers,
    project_of,
    put_reel,
    put_shot_list,
    result,
    run_here,
    run_program,
    scene,
)
from wetgate.config import Project
from wetgate.job import Job, open_job
from wetgate.launch import BeforeReport, launch
from wetgate.project import load_project
from wetgate.run import run_title
from wetgate.stages.finish import Outcome
from wetgate.status import status

E = TypeVar("E", bound=WetgateError)


def refuse(kind: type[E], project: Project, out: Path, *sources: Path) -> E:
    """The job is refused with this error, and neither scan nor delivery shows a trace of it."""
    before = hashes(*sources)
    with pytest.raises(kind) as caught:
        run_here(project, out)
    assert hashes(*sources) == before
    assert not (out / "manifest.json").exists()
    assert not [p for top in ("deliver", "touch") for p in (out / top).rglob("*")]
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


@pytest.fixture
def reel(tmp_path: Path) -> Path:
    """A short sound reel, R1, frames 101 to 106."""
    return put_reel(tmp_path / "scans" / "R1", scene(1, 6), 101)


# The material.


def test_a_gap_in_the_numbering(reel: Path, tmp_path: Path) -> None:
    for at in (2, 2):
        frame_file(reel, at).unlink()
    error = refuse(FrameMissing, project_of([reel]), tmp_path / "out", reel)
    assert (error.reel, error.frame) == ("R1", 103)
    assert "103-104" in str(error)


def test_two_files_of_one_number(reel: Path, tmp_path: Path) -> None:
    shutil.copy(frame_file(reel, 5), reel / "R1.106.dpx")
    error = refuse(FrameDuplicate, project_of([reel]), tmp_path / "out", reel)
    assert (error.reel, error.frame) == ("R1", 106)
    assert "R1.106.dpx" in error.what
    assert "R1.0000106.dpx" in error.what


@pytest.mark.parametrize("length", [0, 40, 5000])
def test_an_empty_or_torn_frame(reel: Path, tmp_path: Path, length: int) -> None:
    path = frame_file(reel, 3)
    path.write_bytes(path.read_bytes()[:length])
    error = refuse(FrameUnreadable, project_of([reel]), tmp_path / "out", reel)
    assert (error.reel, error.frame) == ("R1", 104)
    assert path.name in error.what


@pytest.mark.parametrize("kind", ["tiff", "png", "exr"])
def test_a_torn_frame_of_other_kinds(tmp_path: Path, kind: str) -> None:
    fmt = PictureFormat(width=96, height=64, channels=3, bits=16)
    pictures = [(c.astype(np.uint16) << 6) for c in scene(1, 3)]
    if kind == "exr":
        reel = _exr_reel(tmp_path / "R1", [c.astype(np.float32) / 1023 for c in scene(1, 3)])
    else:
        reel = put_reel(tmp_path / "R1", pictures, fmt=fmt, kind=kind)
    path = frame_file(reel, 1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = refuse(FrameUnreadable, project_of([reel], encoding="linear"), tmp_path / "out", reel)
    assert (error.reel, path.name in error.what) == ("R1", True)


@pytest.mark.parametrize(
    "fmt",
    [
        PictureFormat(width=90, height=64, channels=3, bits=10),
        PictureFormat(width=96, height=64, channels=3, bits=12),
        PictureFormat(width=96, height=64, channels=1, bits=10),
    ],
    ids=["size", "depth", "channels"],
)
def test_a_mixed_reel(reel: Path, tmp_path: Path, fmt: PictureFormat) -> None:
    odd = np.full((fmt.height, fmt.width, fmt.channels), 300, np.uint16)
    put_reel(reel, [odd], 104, fmt=fmt)
    error = refuse(ReelMixed, project_of([reel]), tmp_path / "out", reel)
    assert (error.reel, error.frame) == ("R1", 104)
    assert f"most frames are {TEN_BIT}, but frame 104 is {fmt}" in error.what


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_samples_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    pictures = [c.astype(np.float32) / 1023 for c in scene(1, 4)]
    pictures[2][10, 20, 1] = value
    reel = _exr_reel(tmp_path / "R1", pictures)
    error = refuse(FrameUnreadable, project_of([reel], encoding="linear"), tmp_path / "out", reel)
    assert (error.reel, error.frame) == ("R1", 3)
    assert "row 10, column 20, channel 1" in error.what


def _exr_reel(
    folder: Path, pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]
) -> Path:
    """Written past our own writer, which would refuse what is wrong with them."""
    folder.mkdir()
    for number, picture in enumerate(pictures, start=1):
        out = OpenImageIO.ImageOutput.create("x.exr")
        assert out is not None
        spec = OpenImageIO.ImageSpec(picture.shape[1], picture.shape[0], 3, "float")
        assert out.open(str(folder / f"R1.{number:04d}.exr"), spec)
        assert out.write_image(np.ascontiguousarray(picture))
        out.close()
    return folder


def test_a_shot_of_one_frame_is_delivered_and_held(reel: Path, tmp_path: Path) -> None:
    listed = put_shot_list(tmp_path / "cuts.csv", [(101, 101), (102, 106)])
    outcome = run_here(project_of([reel], f"reels.shots={listed}"), tmp_path / "out")
    assert (outcome.exit_code, outcome.held) == (3, ("R1_0010",))
    assert outcome.frames_delivered == outcome.frames_planned == 6
    verdict = json.loads((tmp_path / "out/reels/R1/verify/R1_0010.json").read_text("utf-8"))
    assert any("only 1 frame:" in reason for reason in verdict["held_because"])
    decision = json.loads((tmp_path / "out/reels/R1/decisions/R1_0010.json").read_text("utf-8"))
    assert any("dirt: 1 picture:" in reason for reason in decision["reasons"])
    page = (tmp_path / "out/report/index.html").read_text("utf-8")
    assert "R1_0010" in page


def test_a_reel_of_one_frame(tmp_path: Path) -> None:
    reel = put_reel(tmp_path / "R1", scene(1, 1), 7)
    outcome = run_here(project_of([reel]), tmp_path / "out")
    assert (outcome.exit_code, outcome.frames_delivered) == (3, 1)
    assert (tmp_path / "out/deliver/restored/R1/R1.0000007.dpx").is_file()


def test_an_all_black_reel_is_delivered_and_held(tmp_path: Path) -> None:
    reel = put_reel(tmp_path / "R1", np.full((6, 64, 96, 3), 95, np.uint16))
    before = hashes(reel)
    outcome = run_here(project_of([reel]), tmp_path / "out")
    assert (outcome.exit_code, outcome.held, outcome.failed) == (3, ("R1_0010",), ())
    verdict = json.loads((tmp_path / "out/reels/R1/verify/R1_0010.json").read_text("utf-8"))
    assert any("all black" in reason for reason in verdict["held_because"])
    delivered = hashes(tmp_path / "out/deliver/restored/R1")
    assert delivered == before


def test_nothing_there(tmp_path: Path) -> None:
    missing = refuse(InputError, project_of([tmp_path / "R9"]), tmp_path / "out")
    assert missing.reel == "R9"
    (tmp_path / "R9").mkdir()
    (tmp_path / "R9/notes.txt").write_text("no frames")
    assert (
        "no frames in" in refuse(InputError, project_of([tmp_path / "R9"]), tmp_path / "out").what
    )


def test_a_shot_list_that_does_not_fit(reel: Path, tmp_path: Path) -> None:
    for spans, words in (
        ([(101, 103), (103, 106)], "line 3: overlaps"),
        ([(101, 103), (105, 106)], "104-104 belong to no shot"),
        ([(101, 109)], "outside"),
    ):
        listed = put_shot_list(tmp_path / "cuts.csv", spans)
        project = project_of([reel], f"reels.shots={listed}")
        error = refuse(InputError, project, tmp_path / "out", reel)
        assert words in error.what


def test_reels_whose_shots_would_have_the_same_names(tmp_path: Path) -> None:
    reels = [put_reel(tmp_path / n, scene(1, 3)) for n in ("Rö", "Rü")]
    with pytest.raises(InputError, match="same ids") as caught:
        project_of(reels)
    assert "reels.id" in caught.value.hint
    with pytest.raises(InputError, match="two reels have this name"):
        project_of([reels[0], reels[0]])


# The request.


def test_the_encoding_is_never_guessed(reel: Path, tmp_path: Path) -> None:
    with pytest.raises(EncodingUndeclared) as caught:
        project_of([reel], encoding="")
    assert caught.value.reel == "R1"
    assert "--encoding" in caught.value.hint
    assert "reels.encoding" in caught.value.hint
    error = refuse(EncodingUndeclared, project_of([reel], encoding="logc9"), tmp_path / "out", reel)
    assert "logc9" in error.what
    assert "cineon" in str(error)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("restore.dirt.enabeld=false", "restore.dirt.enabled"),
        ("restore.flickr.enabled=false", "restore.flicker.enabled"),
        ("weave=false", "weave"),
        ("deliver.foramt=png", "deliver.format"),
        ("reels.encodng=cineon", "reels.encoding"),
        ("restore.noise.strength=9", "less than or equal to 4"),
        ("restore.noise.strength=nan", "finite"),
        ("restore.weave.limit_px=inf", "finite"),
        ("restore.noise.strength=much", "number"),
        ("render.workers=2.5", "integer"),
        ("restore.upscale.factor=5", "less than or equal to 4"),
        ("policy.protected_shots=7", "tuple"),
        ("deliver.name=../elsewhere", "pattern"),
        ("deliver.name=..", "pattern"),
        ("deliver.name=color", "color files"),
        ("restore.dirt.enabled", "name=value"),
        ("restore.upscale={enabled=true, method='network'}", "not an option"),
        ("reels.rate=fast", "rate"),
    ],
)
def test_a_wrong_option(reel: Path, assignment: str, words: str) -> None:
    with pytest.raises((ConfigError, InputError)) as caught:
        project_of([reel], assignment)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[restore.dirt]\nenabeld = true", "restore.dirt.enabled"),
        ("[restor.dirt]\nenabled = true", "restore"),
        ("titel = 'x'", "title"),
        ("[render]\nchunk_frames = 0", "greater than or equal to 1"),
        ("[render]\nchunk_frames = 'many'", "integer"),
        ("schema_version = 2", "schema_version"),
        ("restore = 3", "restore"),
        ("deliver = []", "deliver"),
        ("[render", "not valid TOML"),
        ("[[reels]]\npath = '../outside'\nencoding = 'cineon'", "out of the project's folder"),
        ("[[reels]]\npath = 'x/../../outside'\nencoding = 'cineon'", "out of the project's folder"),
        ("[[reels]]\npath = 'R1'\nshots = '../cuts.csv'\nencoding = 'cineon'", "out of the"),
        ("[[reels]]\npath = 'R1'\nid = '../R1'\nencoding = 'cineon'", "not a name"),
        ("[[reels]]\npath = 'R1'", "never guessed"),
    ],
)
def test_a_wrong_project(tmp_path: Path, text: str, words: str) -> None:
    reels = "" if "[[reels]]" in text else "\n[[reels]]\npath = 'R1'\nencoding = 'cineon'\n"
    path = tmp_path / "project.toml"
    path.write_text(text + reels, "utf-8")
    with pytest.raises((ConfigError, InputError)) as caught:
        load_project([str(path)])
    assert caught.value.exit_code == 2
    assert words in str(caught.value)


def test_a_link_out_of_the_project_is_no_way_round(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "title").mkdir()
    (tmp_path / "title/R1").symlink_to(tmp_path / "elsewhere")
    path = tmp_path / "title/project.toml"
    path.write_text("[[reels]]\npath = 'R1'\nencoding = 'cineon'\n", "utf-8")
    with pytest.raises(ConfigError, match="out of the project's folder"):
        load_project([str(path)])


def test_a_wrong_preset_or_repair(reel: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        project_of([reel], preset="silent")
    assert "silent-bw" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        project_of([reel], only="weave,flickr")
    assert "'flicker'" in caught.value.hint


def test_the_program_says_it_in_one_line_and_exits_2(reel: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = run_program("run", reel, "--encoding", "cineon", "--out", out, "--set", "titel=x")
    assert told.returncode == 2
    assert told.stderr.strip() == "wetgate: refused: titel is not an option (did you mean 'title'?)"
    assert not out.exists()
    frame_file(reel, 2).unlink()
    told = run_program("run", reel, "--encoding", "cineon", "--out", out, "--json", "--no-prefect")
    said = json.loads(told.stdout)
    assert (told.returncode, said["exit_code"]) == (2, 2)
    assert (said["error"], said["reel"], said["frame"]) == ("FrameMissing", "R1", 103)
    assert "wetgate: refused: reel R1, frame 103" in told.stderr
    assert not (out / "deliver").exists()


# The output folder.


def test_an_output_that_cannot_be_written(
    reel: Path, tmp_path: Path, small_disk: Callable[..., Path]
) -> None:
    (tmp_path / "taken").write_text("a file")
    for out in (tmp_path / "taken", tmp_path / "taken/out", Path("/proc/nothing/out")):
        with pytest.raises(UsageError) as caught:
            run_here(project_of([reel]), out)
        assert (caught.value.exit_code, bool(caught.value.hint)) == (2, True)
    assert (tmp_path / "taken").read_text() == "a file"
    locked = small_disk("1m", "ro")
    with pytest.raises(UsageError, match="read-only") as caught:
        run_here(project_of([reel]), locked / "out")
    assert caught.value.exit_code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_the_right_to_write(reel: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UsageError, match="not allowed"):
        run_here(project_of([reel]), tmp_path / "locked" / "out")


def test_a_disk_that_is_too_small_is_refused_before_work(
    scans: list[Path], small_disk: Callable[..., Path]
) -> None:
    disk = small_disk("1m")
    error = refuse(StorageFull, project_of(scans), disk / "out", *scans)
    assert "short" in error.what
    assert not (disk / "out/store").exists()


@pytest.mark.parametrize("moment", ["analysed", "chunk_rendered", "verified"])
def test_a_disk_that_fills_up_pauses_the_job(
    scans: list[Path], reference: Path, small_disk: Callable[..., Path], moment: str
) -> None:
    disk = small_disk("16m")
    ballast = disk / "ballast"

    def fill(event: str, fields: object) -> None:
        if event == moment and not ballast.exists():
            _fill(ballast)

    def runner(job: Job, before_report: BeforeReport | None) -> Outcome:
        job.events.listen(fill)
        return run_title(job, before_report)

    with pytest.raises(StorageFull) as caught:
        launch(project_of(scans), disk / "out", runner=runner, quiet=True)
    assert (caught.value.exit_code, caught.value.retryable) == (4, True)
    assert "same command" in caught.value.hint
    assert not (disk / "out/manifest.json").exists()
    kept = len(list((disk / "out/store").glob("??/*/record.json")))
    ballast.unlink()
    assert run_here(project_of(scans), disk / "out").exit_code == 0
    assert result(disk / "out") == result(reference)
    assert not leftovers(disk / "out")
    assert len(events(disk / "out", "chunk_cached")) >= kept


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while stream.write(b"\1" * size) == size:
                    pass
            except OSError:
                continue


def test_a_delivery_in_the_way(scans: list[Path], reference: Path, finished: Path) -> None:
    delivered = result(finished)
    with pytest.raises(DeliveryExists, match="other settings") as caught:
        run_here(project_of(scans, "deliver.name=second"), finished)
    assert (caught.value.exit_code, "--replace" in caught.value.hint) == (2, True)
    assert result(finished) == delivered
    project = project_of(scans, "deliver.name=second")
    assert run_here(project, finished, replace=True).exit_code == 0
    assert sorted(p.name for p in (finished / "deliver").iterdir()) == ["color", "second"]
    assert run_here(project, finished).exit_code == 0


def test_files_that_no_run_made(scans: list[Path], tmp_path: Path, finished: Path) -> None:
    out = tmp_path / "out"
    stranger = out / "deliver/restored/R1/old master.dpx"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"somebody's work")
    with pytest.raises(DeliveryExists, match="old master") as caught:
        run_here(project_of(scans[:1]), out)
    assert caught.value.exit_code == 2
    assert stranger.read_bytes() == b"somebody's work"
    assert run_here(project_of(scans[:1]), out, replace=True).exit_code == 0
    assert not stranger.exists()
    assert run_here(project_of(scans[:1]), out).exit_code == 0
    late = finished / "touch/R1/note.png"
    late.write_bytes(b"x")
    with pytest.raises(DeliveryExists, match=r"note\.png"):
        run_here(project_of(scans), finished)


def test_the_source_inside_the_output(tmp_path: Path) -> None:
    reel = put_reel(tmp_path / "out/scans/R1", scene(1, 3))
    error = refuse(UsageError, project_of([reel]), tmp_path / "out", reel)
    assert (error.reel, "inside the output folder" in error.what) == ("R1", True)


def test_two_runs_in_one_folder(scans: list[Path], tmp_path: Path) -> None:
    seen = []

    def runner(job: Job, before_report: BeforeReport | None) -> Outcome:
        arguments = ("--encoding", "cineon", "--no-prefect", "--out", tmp_path / "out")
        seen.append(run_program("run", scans[0], *arguments))
        return run_title(job, before_report)

    outcome = launch(
        project_of(scans[:1], only="none"), tmp_path / "out", runner=runner, quiet=True
    )
    assert outcome.exit_code == 0
    assert seen[0].returncode == 2
    assert "another run is at work" in seen[0].stderr


# What changes between runs.


def test_a_source_that_changed(tmp_path: Path, reel: Path) -> None:
    out = tmp_path / "out"
    project = project_of([reel], only="none")
    assert run_here(project, out).exit_code == 0
    delivered = result(out)
    path, last = frame_file(reel, 2), frame_file(reel, 5)
    whole, kept = path.read_bytes(), last.read_bytes()

    def changed(frame: int) -> None:
        for asked in (project, project_of([reel], "restore.grain.amount=0.1", only="none")):
            with pytest.raises(SourceChanged) as caught:
                run_here(asked, out, replace=True)
            found = caught.value
            assert (found.exit_code, found.reel, found.frame) == (2, "R1", frame)
            assert found.hint
        assert result(out) == delivered

    other = bytearray(whole)
    other[-9] ^= 4
    path.write_bytes(other)
    changed(103)
    path.unlink()
    changed(103)
    path.write_bytes(whole)
    last.unlink()
    changed(106)
    last.write_bytes(kept)
    added = reel / "R1.0000107.dpx"
    added.write_bytes(kept)
    changed(107)
    added.unlink()
    os.utime(path, (1, 1))
    assert run_here(project, out, replace=True).exit_code == 0
    assert result(out) == delivered


def test_paths_with_spaces_and_every_letter(tmp_path: Path) -> None:
    place = tmp_path / "Größe 1 – 映画" / "it's [here] %20"
    reel = put_reel(place / "Bobine é 1", scene(1, 4), 5, name="vue ñ")
    path = place / "le projet.toml"
    path.write_text(
        "title = 'Été: 1/2'\n[[reels]]\npath = 'Bobine é 1'\nencoding = 'cineon'\nrate = '18'\n",
        "utf-8",
    )
    out = place / "sortie ü"
    told = run_program("run", path, "--out", out, "--no-prefect", "--only", "none")
    assert told.returncode == 0, told.stderr
    names = sorted(p.name for p in (out / "deliver/restored/Bobine é 1").iterdir())
    assert names[0] == "Bobine é 1.0000005.dpx"
    assert len(names) == len(list(reel.iterdir()))
    assert (out / "deliver/color/Été_ 1_2.ccc").is_file()
    assert run_program("verify", out).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_an_interrupted_run_goes_on(
    scans: list[Path], reference: Path, tmp_path: Path, number: int
) -> None:
    out = tmp_path / "out"
    arguments = ["run", *map(str, scans), "--encoding", "cineon", "--rate", "24", "--no-prefect"]
    arguments += ["--out", str(out), "--set", "render.chunk_frames=1"]
    arguments += ["--set", "policy.max_repaired_share=0.4"]
    # Where the tests run in the background, Ctrl-C would be switched off for the program too.
    held = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command_line(*arguments), stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        deadline = time.monotonic() + 60
        while not _has_chunk(out) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        signal.signal(signal.SIGINT, held)
    assert process.returncode == 130, said
    assert "the same command goes on" in said
    assert events(out, "interrupted")
    assert status(open_job(out)).state == "stopped"
    assert not (out / "manifest.json").exists()
    again = run_program(*arguments)
    assert again.returncode == 0, again.stderr
    keys = [e["key"] for e in events(out, "chunk_rendered")]
    assert len(keys) == len(set(keys)) == 32
    pictures = {k: v for k, v in result(reference).items() if k != "manifest.json"}
    assert {k: v for k, v in result(out).items() if k != "manifest.json"} == pictures


def _has_chunk(out: Path) -> bool:
    return any((out / "store").glob("??/*/record.json"))


def test_a_movie_that_changed(tmp_path: Path) -> None:
    path, out = tmp_path / "R1.mkv", tmp_path / "out"

    def write(pictures: AnyCodes) -> None:
        with MovieWriter(path, TEN_BIT, Fraction(24), "ffv1", encoding="cineon") as movie:
            for picture in pictures:
                movie.write(picture.astype(np.uint16))

    pictures = scene(1, 5)
    write(pictures)
    project = project_of([path], only="none")
    run_here(project, out)
    delivered = result(out)
    os.utime(path, (1, 1))
    run_here(project, out)
    assert result(out) == delivered
    other = pictures.copy()
    other[3, 5, 5, 0] ^= 1
    write(other)
    with pytest.raises(SourceChanged) as caught:
        run_here(project, out)
    assert (caught.value.exit_code, caught.value.reel, caught.value.frame) == (2, "R1", 3)
    write(np.concatenate([pictures, pictures[:1]]))
    with pytest.raises(SourceChanged, match="6 frames now"):
        run_here(project, out)
    write(pictures[:4])
    with pytest.raises(SourceChanged) as caught:
        run_here(project, out)
    assert caught.value.frame == 4


def test_a_reel_with_the_name_of_a_folder_of_ours(tmp_path: Path) -> None:
    reel = put_reel(tmp_path / "scans" / "color", scene(1, 4))
    outcome = run_here(project_of([reel], only="none"), tmp_path / "out")
    assert (outcome.exit_code, outcome.frames_delivered) == (0, 4)
    assert hashes(tmp_path / "out/deliver/restored/color") == hashes(reel)


def test_shots_a_person_moved_are_the_shots(scans: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_here(project_of(scans[:1], only="none"), out)
    listed = out / "reels/R1/shots.otio"
    text = listed.read_text("utf-8")
    table = json.loads(text)
    clips = table["tracks"]["children"][0]["children"]
    clips[0]["source_range"]["duration"]["value"] -= 1
    clips[1]["source_range"]["duration"]["value"] += 1
    clips[1]["source_range"]["start_time"]["value"] -= 1
    listed.write_text(json.dumps(table), "utf-8")
    run_here(project_of(scans[:1], only="none"), out)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert [s["frames"] for s in manifest["shots"]] == [[86400, 86406], [86407, 86415]]
    # Another setting has the reel ingested anew; what a person edited stays until it is removed.
    project = project_of(scans[:1], "ingest.detect_shots=false", only="none")
    run_here(project, out, replace=True)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert [s["frames"] for s in manifest["shots"]] == [[86400, 86406], [86407, 86415]]
    listed.unlink()
    (out / "reels/R1/ingest.json").unlink()
    run_here(project, out, replace=True)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert [s["frames"] for s in manifest["shots"]] == [[86400, 86415]]
