"""What a delivered frame says of itself: history, headers, and what other formats cannot hold."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from media.dpx import header_metadata, parse_header
from media.encoding import log_to_light
from media.errors import WetgateError
from media.scan import inspect, read_codes
from media.sidecar import restored_header
from media.timecode import frames_to_timecode
from media.write import write_frame
from tests.reels import TEN_BIT, hashes, project_of, put_reel, run_here, scene

FIRST = 86400
ONE_SHOT = "ingest.detect_shots=false"


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    """A reel whose frames carry timecode and their place in the reel."""
    folder = tmp_path / "R1"
    folder.mkdir()
    for k, codes in enumerate(scene(1, 8)):
        write_frame(
            folder / f"R1.{FIRST + k:07d}.dpx", codes, TEN_BIT, "dpx", rate=Fraction(24),
            frame=FIRST + k, frames_in_reel=8, reel="R1", durable=False,
            timecode=frames_to_timecode(FIRST + k, Fraction(24)),
        )  # fmt: skip
    return folder


def test_treated_frames_say_so_once(coded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_here(project_of([coded], ONE_SHOT, only="weave,dirt"), out)
    for scan in sorted(coded.iterdir()):
        before = header_metadata(parse_header(scan.read_bytes()))
        after = header_metadata(
            parse_header((out / "deliver/restored/R1" / scan.name).read_bytes())
        )
        lines = str(after.pop("history")).splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("O=DPXv2, W=10-bit, R=96x64, M=RGB, T=Wetgate ")
        assert "; weave; dirt" in lines[0]
        assert after.pop("user_id") == "FADGI process history"
        for name in ("file_bytes", "data_offset", "user_bytes"):
            before.pop(name), after.pop(name)
        assert after == before


def test_a_treated_frame_comes_out_the_same_twice(coded: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_here(project_of([coded], ONE_SHOT, only="weave"), tmp_path / name)
    assert hashes(tmp_path / "one/deliver") == hashes(tmp_path / "two/deliver")


def test_held_frames_are_where_they_stand(coded: Path, tmp_path: Path) -> None:
    (coded / f"R1.{FIRST + 3:07d}.dpx").unlink()
    out = tmp_path / "out"
    run_here(project_of([coded], ONE_SHOT, "reels.gaps=hold", only="none"), out)
    held = out / f"deliver/restored/R1/R1.{FIRST + 3:07d}.dpx"
    found = header_metadata(parse_header(held.read_bytes()))
    assert found["timecode"] == "01:00:00:03"
    assert found["frame_position"] == FIRST + 3
    assert found["file_name"] == held.name
    assert f"frame held from {FIRST + 2}" in str(found["history"])


def test_what_a_tiff_cannot_hold_lies_beside_it(coded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    project = project_of([coded], "deliver.format=tiff", "deliver.depth=16", only="none")
    assert run_here(project, out).exit_code == 0
    lines = (out / "deliver/restored/R1.source.jsonl").read_text("utf-8").splitlines()
    for line, scan in zip(lines, sorted(coded.iterdir()), strict=True):
        told = json.loads(line)
        data = scan.read_bytes()
        assert restored_header(told) == data[: parse_header(data).data_offset_bytes]
        assert told["timecode"] == parse_header(data).timecode
        assert told["file"] == scan.name
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert any(f["path"] == "deliver/restored/R1.source.jsonl" for f in manifest["files"])
    assert run_here(project, out).exit_code == 0


def test_jpeg_2000_passes_through(tmp_path: Path) -> None:
    scan = put_reel(tmp_path / "R1", scene(1, 4), FIRST)
    made = tmp_path / "jp2"
    run_here(project_of([scan], "deliver.format=jp2", only="none"), made)
    frames = made / "deliver/restored/R1"
    out = tmp_path / "out"
    assert run_here(project_of([frames], only="none"), out).exit_code == 0
    assert hashes(out / "deliver/restored/R1") == hashes(frames)
    for file, codes in zip(sorted(frames.iterdir()), scene(1, 4), strict=True):
        assert inspect(file)[0] == TEN_BIT
        np.testing.assert_array_equal(read_codes(file), codes)


@pytest.mark.parametrize("encoding", ["acescct", "bt1886", "ocio:ACEScct"])
def test_other_encodings_leave_untouched_pixels_alone(tmp_path: Path, encoding: str) -> None:
    scan = put_reel(tmp_path / "R1", scene(1, 8), FIRST)
    out = tmp_path / "out"
    assert run_here(project_of([scan], ONE_SHOT, only="dirt", encoding=encoding), out).failed == ()
    changed = 0
    for file in sorted(scan.iterdir()):
        differs = (read_codes(out / "deliver/restored/R1" / file.name) != read_codes(file)).any(2)
        plane = read_codes(out / "touch/R1" / f"{file.stem}.png")[:, :, 0]
        assert not (differs & (plane == 0)).any()
        changed += int(differs.sum())
    assert changed > 0


def test_video_levels_are_measured_and_kept(tmp_path: Path) -> None:
    codes = (64 + scene(1, 6).astype(np.float64) * 876 / 1023).round().astype(np.uint16)
    scan = put_reel(tmp_path / "R1", codes, FIRST)
    out = tmp_path / "out"
    sets = ("reels.range=limited", ONE_SHOT)
    assert run_here(project_of([scan], *sets, only="flicker", encoding="rec709"), out).failed == ()
    told = json.loads((out / "reels/R1/ingest.json").read_text("utf-8"))
    assert told["levels"] == "limited"


@pytest.mark.parametrize(("depth", "sample"), [(16, "half"), (32, "float")])
def test_a_scan_goes_out_as_linear_exr_with_its_metadata(
    coded: Path, tmp_path: Path, depth: int, sample: str
) -> None:
    out = tmp_path / "out"
    sets = ("deliver.format=exr", "deliver.encoding=linear", f"deliver.depth={depth}")
    assert run_here(project_of([coded], ONE_SHOT, *sets, only="none"), out).exit_code == 0
    for scan in sorted(coded.iterdir()):
        file = out / f"deliver/restored/R1/{scan.stem}.exr"
        fmt, metadata = inspect(file)
        assert (fmt.bits, fmt.sample.value) == (depth, sample)
        light = log_to_light(torch.from_numpy(read_codes(scan).astype(np.float32) / 1023)).numpy()
        np.testing.assert_allclose(read_codes(file), light, rtol=1e-3, atol=1e-5)
        assert metadata["timecode"] == header_metadata(parse_header(scan.read_bytes()))["timecode"]
    told = (out / "deliver/restored/R1.source.jsonl").read_text("utf-8").splitlines()
    assert len(told) == 8


def test_an_encoding_that_headers_would_deny_is_refused(coded: Path, tmp_path: Path) -> None:
    for sets, words in (
        (("deliver.encoding=linear",), "still name the encoding"),
        (("deliver.format=exr",), "change of encoding"),
        (("deliver.format=exr", "deliver.encoding=lineer"), "'lineer' is not known"),
    ):
        with pytest.raises(WetgateError, match=words) as caught:
            run_here(project_of([coded], *sets, only="none"), tmp_path / "out")
        assert caught.value.exit_code == 2
        assert caught.value.hint


def test_a_repaired_shot_in_another_encoding_reads_back_as_measured(
    coded: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sets = ("deliver.format=tiff", "deliver.depth=16", "deliver.encoding=acescct", ONE_SHOT)
    assert run_here(project_of([coded], *sets, only="weave"), out).failed == ()
    plain = tmp_path / "plain"
    run_here(project_of([coded], ONE_SHOT, only="weave"), plain)
    told = [
        json.loads((folder / "reels/R1/verify/R1_0010.json").read_text("utf-8"))
        for folder in (out, plain)
    ]
    numbers = [verdict["after"]["weave_px"] for verdict in told]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.02)
