"""A defect map end to end: read beside the scan, used for dirt, refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest

from media.errors import ConfigError, FrameMissing, FrameUnreadable, InputError, SourceChanged
from media.reel import PictureFormat
from media.scan import read_codes
from media.still.beside import channel_of
from media.synthetic import Damage, damage_shot
from media.synthetic_map import F32, infrared
from media.write import AnyCodes, to_codes
from tests.reels import TEN_BIT, frame_file, project_of, put_reel, run_here, run_program
from tests.strategies import pan
from tests.wetgate.test_doubled import ONE_SHOT, decided, delivered, touched
from wetgate.config import Project

FIRST, HEIGHT_PX, WIDTH_PX, FRAMES, MARGIN_PX = 1001, 128, 176, 10, 8
FORMAT = replace(TEN_BIT, width=WIDTH_PX, height=HEIGHT_PX)
PLANE = PictureFormat(width=WIDTH_PX, height=HEIGHT_PX, channels=1, bits=16)
DIRT = Damage(
    flicker_stops=0.0,
    flicker_channel_stops=0.0,
    flicker_local_stops=0.0,
    weave_px=(0.0, 0.0),
    grain_sigma=0.008,
    dirt_per_frame=4.0,
    dirt_size_px=(3.0, 9.0),
)


def shot(seed: int = 3) -> tuple[AnyCodes, Any, F32]:
    """(T, H, W, 3) codes, where the dirt is, and what infra-red shows of it."""
    wide = pan(seed, FRAMES, HEIGHT_PX + 2 * MARGIN_PX, WIDTH_PX + 2 * MARGIN_PX, 1.3)
    frames, truth = damage_shot(wide, DIRT, seed, MARGIN_PX)
    values = np.ascontiguousarray(frames.transpose(0, 2, 3, 1))
    codes = np.stack([to_codes(v, FORMAT).astype(np.uint16) for v in values])
    return codes, truth.dirt, infrared(frames, truth.dirt, 7)


def put_map(folder: Path, planes: F32, fmt: PictureFormat = PLANE) -> Path:
    codes = np.rint(planes * 65535).astype(np.uint16)[..., None]
    return put_reel(folder, codes, FIRST, fmt=fmt, kind="tiff")


def project(scan: Path, source: Path | str, *sets: str, only: str = "dirt") -> Project:
    said = (f"reels.defect_map={source}", ONE_SHOT, *sets)
    return project_of([scan], *said, only=only)


@pytest.fixture
def reel(tmp_path: Path) -> tuple[Path, Path, Any]:
    codes, dirt, planes = shot()
    scan = put_reel(tmp_path / "R1", codes, FIRST, fmt=FORMAT)
    return scan, put_map(tmp_path / "R1_ir", planes), dirt


def recall(out: Path, dirt: Any) -> float:
    found = np.stack([touched(out)[FIRST + k] > 0 for k in range(FRAMES)])
    return float((found & dirt).sum() / dirt.sum())


def test_a_map_finds_more_and_only_marked_pixels_change(
    tmp_path: Path, reel: tuple[Path, Path, Any]
) -> None:
    scan, source, dirt = reel
    codes, _, _ = shot()
    with_map, without = tmp_path / "with", tmp_path / "without"
    assert run_here(project(scan, source), with_map).failed == ()
    run_here(project_of([scan], ONE_SHOT, only="dirt"), without)
    said = decided(with_map)["defect_map"]
    assert said["applied"]
    assert (said["dx_px"], said["dy_px"]) == pytest.approx((-1.3, 2.6), abs=0.4)
    assert recall(with_map, dirt) > max(0.97, recall(without, dirt))
    for k in range(FRAMES):
        same = touched(with_map)[FIRST + k] == 0
        np.testing.assert_array_equal(delivered(with_map)[FIRST + k][same], codes[k][same])
    manifest = json.loads((with_map / "manifest.json").read_text("utf-8"))
    assert len(manifest["sources"][0]["defect_map"]["files"]) == FRAMES


def test_the_map_moves_with_the_weave(tmp_path: Path, reel: tuple[Path, Path, Any]) -> None:
    scan, source, dirt = reel
    out = tmp_path / "out"
    (out).mkdir()
    shifts = ", ".join(f"{FIRST + k} = [3.0, -2.0]" for k in range(FRAMES))
    (out / "overrides.toml").write_text(f'["R1_0010".weave]\nshift_px = {{ {shifts} }}\n', "utf-8")
    run_here(project(scan, source, "restore.weave.enabled=true"), out)
    moved = np.roll(dirt, (-2, 3), axis=(1, 2))[:, 4:-4, 4:-4]
    found = np.stack([touched(out)[FIRST + k] == 2 for k in range(FRAMES)])[:, 4:-4, 4:-4]
    assert float((found & moved).sum() / moved.sum()) > 0.95


def test_a_map_of_silver_is_refused_and_the_shot_held(tmp_path: Path) -> None:
    codes, dirt, _ = shot()
    scan = put_reel(tmp_path / "R1", codes, FIRST, fmt=FORMAT)
    frames: F32 = codes.astype(np.float32).transpose(0, 3, 1, 2) / np.float32(1023)
    source = put_map(tmp_path / "R1_ir", infrared(frames, dirt, 7, crosstalk=0.9))
    out = tmp_path / "out"
    outcome = run_here(project(scan, source), out)
    assert len(outcome.held) == 1
    assert "shows the picture" in decided(out)["defect_map"]["reason"]


@pytest.mark.parametrize("frames", [1, 2])
def test_a_shot_too_short_for_dirt_says_that_its_map_is_not_used(
    tmp_path: Path, frames: int
) -> None:
    codes, _, planes = shot()
    scan = put_reel(tmp_path / "R1", codes[:frames], FIRST, fmt=FORMAT)
    source = put_map(tmp_path / "R1_ir", planes[:frames])
    out = tmp_path / "out"
    outcome = run_here(project(scan, source), out)
    found = decided(out)
    assert not found["dirt"]["applied"]
    assert not found["defect_map"]["applied"]
    assert "nothing repairs what it shows" in found["defect_map"]["reason"]
    assert any("defect map" in reason for reason in found["reasons"])
    assert len(outcome.held) == 1
    assert all((delivered(out)[FIRST + k] == codes[k]).all() for k in range(frames))


def test_a_map_without_the_repair_it_serves_is_not_called_applied(
    tmp_path: Path, reel: tuple[Path, Path, Any]
) -> None:
    scan, source, _ = reel
    out = tmp_path / "out"
    outcome = run_here(project(scan, source, only="scratch"), out)
    assert not decided(out)["defect_map"]["applied"]
    assert outcome.held == ()


def test_a_person_cannot_switch_on_a_map_that_was_refused_or_is_not_there(tmp_path: Path) -> None:
    codes, dirt, _ = shot()
    scan = put_reel(tmp_path / "R1", codes, FIRST, fmt=FORMAT)
    frames: F32 = codes.astype(np.float32).transpose(0, 3, 1, 2) / np.float32(1023)
    source = put_map(tmp_path / "R1_ir", infrared(frames, dirt, 7, crosstalk=0.9))
    for out in (tmp_path / "refused", tmp_path / "none"):
        out.mkdir()
        (out / "overrides.toml").write_text('["R1_0010".defect_map]\nenabled = true\n', "utf-8")
    outcome = run_here(project(scan, source), tmp_path / "refused")
    assert len(outcome.held) == 1
    assert "what was refused is not used" in decided(tmp_path / "refused")["defect_map"]["reason"]
    with pytest.raises(ConfigError, match="no defect map"):
        run_here(project_of([scan], ONE_SHOT, only="dirt"), tmp_path / "none")


def put_exr(scan: Path, codes: AnyCodes, planes: F32, name: str = "A", lacking: int = -1) -> Path:
    """A scan with the map in its files; at one place it may be lacking."""
    scan.mkdir()
    for k in range(len(codes)):
        names = ("R", "G", "B") if k == lacking else ("R", "G", "B", name)
        spec = OpenImageIO.ImageSpec(WIDTH_PX, HEIGHT_PX, len(names), "half")
        spec.channelnames = names
        pixels = np.concatenate([codes[k].astype(np.float32) / 1023, planes[k][..., None]], axis=2)
        writer = OpenImageIO.ImageOutput.create(str(scan / "R1.exr"))
        assert writer is not None
        assert writer.open(str(scan / f"R1.{FIRST + k:07d}.exr"), spec)
        written = np.ascontiguousarray(pixels[..., : len(names)], np.float32)
        assert writer.write_image(written), writer.geterror()
        writer.close()
    return scan


def test_a_channel_of_the_scan_itself(tmp_path: Path) -> None:
    codes, dirt, planes = shot()
    scan = put_exr(tmp_path / "R1", codes, planes)
    out = tmp_path / "out"
    assert run_here(project(scan, "alpha"), out).failed == ()
    assert decided(out)["defect_map"]["applied"]
    assert recall(out, dirt) > 0.97


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_a_fourth_channel_is_kept_and_never_multiplied_in(tmp_path: Path, suffix: str) -> None:
    codes, dirt, planes = shot()
    scan = tmp_path / "R1"
    scan.mkdir()
    wide = (codes.astype(np.uint32) * 65535 // 1023).astype(np.uint16)
    fourth = np.rint(planes * 65535).astype(np.uint16)[..., None]
    for k in range(FRAMES):
        spec = OpenImageIO.ImageSpec(WIDTH_PX, HEIGHT_PX, 4, "uint16")
        spec.channelnames = ("R", "G", "B", "A")
        spec.alpha_channel = 3
        spec.attribute("oiio:UnassociatedAlpha", 1)
        name = str(scan / f"R1.{FIRST + k:07d}.{suffix}")
        writer = OpenImageIO.ImageOutput.create(name)
        assert writer is not None
        assert writer.open(name, spec)
        assert writer.write_image(np.concatenate([wide[k], fourth[k]], axis=2))
        writer.close()
    with pytest.raises(InputError, match="only RGB or one luma channel"):
        run_here(project_of([scan], ONE_SHOT, only="dirt"), tmp_path / "none")
    out = tmp_path / "out"
    assert run_here(project(scan, "alpha"), out).failed == ()
    assert decided(out)["defect_map"]["applied"]
    assert recall(out, dirt) > 0.97
    for k, path in enumerate(sorted((out / "deliver/restored/R1").iterdir())):
        same = touched(out)[FIRST + k] == 0
        np.testing.assert_array_equal(read_codes(path, spare=True)[same], wide[k][same])
        plane = channel_of(path, "A")
        np.testing.assert_array_equal(np.rint(plane * 65535).astype(np.uint16), fourth[k, :, :, 0])


def _one_lost(scan: Path, source: Path) -> str:
    frame_file(source, 4).unlink()
    return str(source)


def _wrong_size(scan: Path, source: Path) -> str:
    small = replace(PLANE, width=WIDTH_PX // 2)
    return str(
        put_map(
            source.with_name("small"),
            np.ones((FRAMES, HEIGHT_PX, WIDTH_PX // 2), np.float32),
            small,
        )
    )


def _a_picture(scan: Path, source: Path) -> str:
    return str(scan)


def _a_channel_of_dpx(scan: Path, source: Path) -> str:
    return "alpha"


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (_one_lost, FrameMissing, "lacks 1 frame of"),
        (_wrong_size, InputError, "is 88x128, the scan 176x128"),
        (_a_picture, InputError, "color picture"),
        (_a_channel_of_dpx, InputError, "cannot be a channel of DPX"),
    ],
)
def test_maps_that_do_not_fit_are_refused(
    tmp_path: Path, reel: tuple[Path, Path, Any], make: Any, error: type[Exception], word: str
) -> None:
    scan, source, _ = reel
    with pytest.raises(error, match=word):
        run_here(project(scan, make(scan, source)), tmp_path / "out")


def test_a_map_that_changed_is_not_used(tmp_path: Path, reel: tuple[Path, Path, Any]) -> None:
    scan, source, _ = reel
    out = tmp_path / "out"
    run_here(project(scan, source), out)
    path = frame_file(source, 2)
    path.write_bytes(frame_file(source, 3).read_bytes())
    with pytest.raises(SourceChanged, match="defect map"):
        run_here(project(scan, source), out)


def test_a_channel_that_one_frame_lacks_is_named(tmp_path: Path) -> None:
    codes, _, planes = shot()
    scan = put_exr(tmp_path / "R1", codes, planes, "IR", lacking=6)
    out = tmp_path / "out"
    said = ("--set", "reels.defect_map=channel:IR", "--encoding", "cineon", "--rate", "24")
    done = run_program("run", scan, "--out", out, "--only", "dirt", *said)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    # Nothing of a library's own after it.
    assert last.startswith(f"wetgate: refused: reel R1, frame {FIRST + 6}: ")
    assert "no channel IR" in last


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_holds_no_numbers_is_refused_at_ingest(tmp_path: Path, value: float) -> None:
    codes, _, planes = shot()
    more = 3  # more frames than a map is placed on: the spoilt one is not looked at there
    codes, planes = np.concatenate([codes] * more), np.concatenate([planes] * more)
    planes[7, 40, 50] = value
    scan = put_exr(tmp_path / "R1", codes, planes)
    with pytest.raises(FrameUnreadable, match="NaN or Inf") as caught:
        run_here(project(scan, "alpha"), tmp_path / "out")
    assert (caught.value.reel, caught.value.frame) == ("R1", FIRST + 7)
    assert not (tmp_path / "out/reels/R1/ingest.json").exists()


@pytest.mark.parametrize("kind", ["alpha", "sequence"])
def test_a_map_that_is_one_value_everywhere_is_refused(tmp_path: Path, kind: str) -> None:
    codes, _, planes = shot()
    flat = np.ones_like(planes)
    if kind == "alpha":
        scan, source = put_exr(tmp_path / "R1", codes, flat), "alpha"
    else:
        scan = put_reel(tmp_path / "R1", codes, FIRST, fmt=FORMAT)
        source = str(put_map(tmp_path / "R1_ir", flat))
    with pytest.raises(InputError, match="shows nothing"):
        run_here(project(scan, source), tmp_path / "out")
