"""A size that no whole enlargement makes: asked for, planned, delivered, resumed, refused."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from color.stats import ColorProbe
from media.errors import ConfigError, ModelRefused
from media.frames import FrameRange
from media.log_planes import LogFrame, PlaneFrame
from media.movie import inspect_movie
from media.movie.write import MovieWriter
from media.passes import Effect, Window
from media.pictures import all_own
from media.reel import PictureFormat, Shot
from media.scan import load, read_codes
from media.write import to_values
from restore.grain.apply import GrainOperator
from restore.upscale.fit import FitOperator
from restore.upscale.resample import ResampleUpscale
from tests.reels import (
    HERE,
    RATE,
    command_line,
    environment,
    events,
    leftovers,
    project_of,
    put_reel,
    result,
    run_here,
    run_program,
    scene,
    stored,
)
from tests.strategies import pan
from wetgate.audit import audit
from wetgate.chain import build_chain
from wetgate.config import Project
from wetgate.decisions import GrainDecision, NoiseDecision, ShotDecisions, WeaveDecision
from wetgate.dryrun import dry_run
from wetgate.job import open_job
from wetgate.size import Size, size_of
from wetgate.stages.analyse import measure
from wetgate.tables import plan_dict

SHOT = Shot(id="R1_0010", reel="R1", frames=FrameRange(0, 12))
ON = "restore.upscale.enabled=true"
WIDE = "restore.upscale.width=150"
"""From 96 x 64: 1.5625 times, 150 x 100."""


def scan(width: int, height: int) -> PictureFormat:
    return PictureFormat(width=width, height=height, channels=3, bits=10)


def project(**options: object) -> Project:
    table = {"restore": {"upscale": {"enabled": True, **options}}}
    return Project.model_validate({"policy": {"allow_invented": True}, **table})


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_reel(tmp_path_factory.mktemp("scans") / "R1", scene(1, 8), 86400)


@pytest.mark.parametrize(
    ("own", "options", "factor", "out"),
    [
        ((1440, 1080), {"width": 3840}, 2, (3840, 2880)),
        ((2048, 1556), {"width": 3840}, 2, (3840, 2918)),
        ((2048, 1556), {"height": 3112}, 2, (4096, 3112)),
        ((1920, 1080), {"width": 3840}, 2, (3840, 2160)),
        ((1920, 1080), {"width": 3840, "height": 2160}, 2, (3840, 2160)),
        ((2048, 1556), {"width": 3840, "height": 2917}, 2, (3840, 2917)),
        ((2048, 1107), {"factor": 1.875}, 2, (3840, 2076)),
        ((1998, 1080), {"factor": 1.5}, 2, (2998, 1620)),
        ((333, 101), {"factor": 3}, 2, (999, 303)),
        ((333, 101), {"height": 404}, 4, (1332, 404)),
        ((333, 101), {}, 2, (666, 202)),
        ((333, 101), {"factor": 4}, 4, (1332, 404)),
        ((333, 101), {"width": 666}, 2, (666, 202)),
        ((333, 101), {"factor": 1}, 1, (333, 101)),
        ((333, 101), {"width": 333}, 1, (333, 101)),
        ((2048, 1107), {"width": 1998, "height": 1080, "smaller": "reduce"}, 1, (1998, 1080)),
        ((4096, 2160), {"width": 3840, "smaller": "reduce"}, 1, (3840, 2026)),
    ],
)
def test_which_size_comes_out_and_by_which_enlargement(
    own: tuple[int, int], options: dict[str, object], factor: int, out: tuple[int, int]
) -> None:
    found = size_of(project(**options), scan(*own))
    assert (found.factor, found.out_px[::-1]) == (factor, out)
    assert found.fitted == (out != (own[0] * factor, own[1] * factor))


@pytest.mark.parametrize(
    ("own", "options", "said"),
    [
        ((2048, 1107), {"width": 3840, "height": 2160}, "would be stretched.*3840x2076.*3996x2160"),
        ((1440, 1080), {"width": 1920, "height": 1080}, "would be stretched"),
        ((4096, 2160), {"width": 3840}, "would hold less than the scan.*reduce"),
        ((4096, 2160), {"factor": 0.5}, "would hold less than the scan"),
        ((720, 576), {"width": 3840}, "4 times is the most.*2880x2304"),
        ((720, 576), {"width": 720, "method": "network"}, "would run no model"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused(
    own: tuple[int, int], options: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        size_of(project(**options), scan(*own), "R1")


@pytest.mark.parametrize("side", ["width", "height"])
def test_two_ways_to_say_it_are_one_too_many(reel: Path, side: str) -> None:
    with pytest.raises(ConfigError, match=f"factor = 1.5 and {side} = 150 both say how large"):
        project_of(
            [reel], ON, "restore.upscale.factor=1.5", f"restore.upscale.{side}=150", only="upscale"
        )


@pytest.mark.parametrize(
    "wrong", ["factor=4.5", "factor=-1", "factor=inf", "width=-3", "width=1.5", "width=9999999"]
)
def test_numbers_that_are_no_sizes_are_refused_by_name(reel: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match=f"restore.upscale.{wrong.partition('=')[0]}"):
        project_of([reel], ON, f"restore.upscale.{wrong}", only="upscale")


def test_a_model_has_to_reach_the_size() -> None:
    named = {"method": "network", "model": {"name": "compact-x2"}}
    assert size_of(project(**named, width=150), scan(96, 64)).factor == 2
    larger = {"method": "network", "model": {"name": "compact-x4"}}
    assert size_of(project(**larger, width=150), scan(96, 64)) == Size((64, 96), 4, (100, 150))
    with pytest.raises(ModelRefused, match="compact-x2 enlarges 2 times only"):
        size_of(project(**named, width=250), scan(96, 64))
    with pytest.raises(ModelRefused, match="enlarges 4 times, the project asks for 2"):
        size_of(project(**larger), scan(96, 64))


def test_the_chain_ends_at_the_size_and_grain_is_made_there() -> None:
    told = project(width=150)
    decided = ShotDecisions(
        shot=SHOT.id,
        reel="R1",
        frames=(0, 11),
        weave=WeaveDecision(applied=True, dx_px=(0.5,) * 12, dy_px=(0.1,) * 12),
        noise=NoiseDecision(applied=True, sigma=(0.01,) * 3),
        grain=GrainDecision(kept=0.4, source="made", seed=3),
    )

    def chain(told: Project, own: PictureFormat) -> list[str]:
        size = size_of(told, own)
        operators = build_chain(
            told, SHOT, decided, None, None, baked=True, numerics=HERE, size=size
        )
        grain = next(op for op in operators if isinstance(op, GrainOperator))
        assert grain.size == (1.0 if size.smaller else size.ratio)
        return [op.name for op in operators]

    assert chain(told, scan(96, 64)) == ["noise", "weave and upscale", "fit", "grain"]
    assert chain(told, scan(75, 50)) == ["noise", "weave and upscale", "grain"]
    # A smaller picture loses of its grain what it loses of everything.
    less = project(width=90, smaller="reduce")
    assert chain(less, scan(96, 64)) == ["weave", "noise", "grain", "fit"]


def test_twice_the_size_by_its_width_is_the_factor_of_two(reel: Path, tmp_path: Path) -> None:
    """The same chunks, the same files."""
    for name, said in (("factor", "factor=2"), ("width", "width=192")):
        asked = project_of([reel], ON, f"restore.upscale.{said}", only="upscale")
        assert run_here(asked, tmp_path / name).failed == ()
    keys = [{p.name for p in stored(tmp_path / name)} for name in ("factor", "width")]
    assert keys[0] == keys[1]
    a, b = (result(tmp_path / name) for name in ("factor", "width"))
    assert {k: v for k, v in a.items() if k != "manifest.json"} == {
        k: v for k, v in b.items() if k != "manifest.json"
    }


@pytest.mark.parametrize("kind", ["dpx", "tiff", "ffv1", "prores_422hq"])
def test_files_touch_and_headers_have_the_size(reel: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    asked = project_of([reel], ON, WIDE, f'deliver.format="{kind}"', only="weave,upscale")
    assert run_here(asked, out).failed == ()
    delivered = out / "deliver/restored"
    if kind in ("dpx", "tiff"):
        files = sorted((delivered / "R1").iterdir())
        assert len(files) == 8
        found = load(files[3])
        assert (found.format.width, found.format.height) == (150, 100)
        assert found.codes.shape == (100, 150, 3)
    else:
        info = inspect_movie(next(delivered.glob("R1.*")))
        assert (info.width, info.height, info.frame_count) == (150, 100, 8)
    touch = sorted((out / "touch/R1").iterdir())
    assert len(touch) == 8
    assert read_codes(touch[3]).shape[:2] == (100, 150)
    assert int(read_codes(touch[3]).min()) >= 1
    assert audit(open_job(out)).findings == ()
    assert run_program("verify", out).returncode == 0
    page = (out / "report/index.html").read_text("utf-8")
    assert "Delivered at 150 x 100, enlarged 2 times and brought to that size." in page


@pytest.mark.parametrize(("name", "scale"), [("compact-x2", 2), ("compact-x4", 4)])
def test_a_network_s_picture_is_delivered_at_the_size(
    tmp_path: Path, name: str, scale: int
) -> None:
    """Made by a model, so invented everywhere; averaged, the scan's color all the same."""
    scans = put_reel(tmp_path / "R1", scene(1, 3), 86400)
    model = (f"restore.upscale.model.name={name}", "restore.upscale.method=network")
    permitted = "policy.allow_invented=true"
    out = tmp_path / "out"
    asked = project_of([scans], ON, "restore.upscale.factor=1.5", *model, permitted, only="upscale")
    assert run_here(asked, out).failed == ()
    own = to_values(read_codes(sorted(scans.iterdir())[1]), scan(96, 64))
    found = to_values(read_codes(sorted((out / "deliver/restored/R1").iterdir())[1]), scan(144, 96))
    squares = [
        v.reshape(4, 16 * k // 2, 6, 16 * k // 2, 3).mean(axis=(1, 3))
        for v, k in ((own, 2), (found, 3))
    ]
    assert float(np.abs(squares[0] - squares[1]).max()) < 5e-3
    assert int(read_codes(sorted((out / "touch/R1").iterdir())[1]).min()) == int(Effect.INVENTED)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["models"][-1]["name"] == name
    (chain,) = {tuple(s["operators"]) for s in plan_dict(asked, dry_run(asked, out))["shots"]}
    assert [op.split()[0] for op in chain] == ["upscale", "fit"]
    assert size_of(asked, scan(96, 64)).factor == scale


def test_linear_exr_of_a_stated_size(reel: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sets = ('deliver.format="exr"', 'deliver.encoding="linear"')
    assert run_here(project_of([reel], ON, WIDE, *sets, only="upscale"), out).failed == ()
    found = load(sorted((out / "deliver/restored/R1").iterdir())[0])
    assert (found.format.width, found.format.height) == (150, 100)


def test_the_picture_is_the_scan_s_and_not_moved(reel: Path, tmp_path: Path) -> None:
    """Averaged over squares that lie on whole pixels of both, it is the scan."""
    out = tmp_path / "out"
    asked = project_of([reel], ON, "restore.upscale.factor=1.5", only="upscale")
    assert run_here(asked, out).failed == ()
    own, found = (
        to_values(read_codes(sorted(folder.iterdir())[4]), scan(96, 64))
        for folder in (reel, out / "deliver/restored/R1")
    )
    assert found.shape == (96, 144, 3)
    squares = [
        v.reshape(64 // 8, side, 96 // 8, side, 3).mean(axis=(1, 3))
        for v, side in ((own, 8), (found, 12))
    ]
    assert float(np.abs(squares[0] - squares[1]).max()) < 3e-3


@pytest.mark.parametrize("ratio", [2.0, 1.875, 1.25, 2.75])
def test_grain_is_compared_at_the_size_of_the_scan(ratio: float) -> None:
    """What the ledger finds in a result of any size is the grain that is in it."""
    clean = pan(3, 8, 120, 180, 0.7)
    rng = np.random.default_rng(2)
    grain = np.stack([cv2.GaussianBlur(g, (0, 0), 0.8) for g in rng.normal(0, 1, (8, 120, 180, 3))])
    noisy = clean + (0.008 * grain / grain.std()).transpose(0, 3, 1, 2)
    size = Size((120, 180), 2, (round(120 * ratio), round(180 * ratio)))
    before: dict[int, LogFrame] = {}
    after: dict[int, LogFrame] = {}
    for k, frame in enumerate(torch.from_numpy(noisy.astype(np.float32))):
        window = ResampleUpscale(2)(Window.whole(frame[None], (k,)))
        made = FitOperator(size.out_px)(window) if size.fitted else window
        before[k], after[k] = PlaneFrame(frame), PlaneFrame(made.pixels[0])

    def sigma(frames: dict[int, LogFrame], size: Size | None) -> float:
        pictures = all_own(FrameRange(0, len(frames)))
        color = ColorProbe(None, frozenset(), len(frames))
        wanted = frozenset({"grain"})
        found = measure(lambda n: frames[n], pictures, 960, color, wanted, size)
        return float(found["grain"]["sigma_luma"])

    assert sigma(after, size) == pytest.approx(sigma(before, None), rel=0.05)


def test_scans_of_unlike_sizes_come_out_alike(reel: Path, tmp_path: Path) -> None:
    codes = [np.ascontiguousarray(c[2:62, 3:93]) for c in scene(3, 6)]
    other = put_reel(tmp_path / "R2", codes, 1, fmt=scan(90, 60))
    out = tmp_path / "out"
    assert run_here(project_of([reel, other], ON, WIDE, only="upscale"), out).failed == ()
    for name in ("R1", "R2"):
        file = next((out / "deliver/restored" / name).iterdir())
        assert read_codes(file).shape == (100, 150, 3)


def test_a_smaller_picture_only_where_it_is_meant(reel: Path, tmp_path: Path) -> None:
    sets = (ON, "restore.upscale.width=84")
    with pytest.raises(ConfigError, match="84x56, the scan is 96x64"):
        run_here(project_of([reel], *sets), tmp_path / "refused")
    assert not (tmp_path / "refused/deliver").exists()
    out = tmp_path / "out"
    asked = project_of([reel], *sets, "restore.upscale.smaller=reduce")
    outcome = run_here(asked, out)
    assert outcome.failed == ()
    file = next((out / "deliver/restored/R1").iterdir())
    assert read_codes(file).shape == (56, 84, 3)
    verdict = json.loads(next(out.glob("**/verify/*.json")).read_text("utf-8"))
    assert not any("grain" in why for why in verdict["held_because"])


@pytest.mark.parametrize("kind", ["prores_422hq", "dnxhr_hqx"])
def test_a_movie_that_cannot_have_the_size_is_refused_before_work(
    reel: Path, tmp_path: Path, kind: str
) -> None:
    sets = (ON, "restore.upscale.width=151", f'deliver.format="{kind}"')
    with pytest.raises(ConfigError, match="even width, not 151"):
        run_here(project_of([reel], *sets, only="upscale"), tmp_path / "out")
    assert not stored(tmp_path / "out")


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    """Nobody is asked to guess: 4:3 in, 4:3 out, and no stretching to square ones."""
    source, fmt = tmp_path / "R1.mov", scan(96, 64)
    with MovieWriter(source, fmt, RATE, "prores_4444", pixel_aspect=Fraction(4, 3)) as movie:
        for codes in scene(1, 6):
            movie.write(codes)
    sets = (ON, 'deliver.format="prores_4444"')
    out = tmp_path / "out"
    asked = project_of([source], *sets, WIDE, only="upscale", encoding="rec709")
    assert run_here(asked, out).failed == ()
    info = inspect_movie(out / "deliver/restored/R1.mov")
    assert (info.width, info.height, info.pixel_aspect) == (150, 100, Fraction(4, 3))
    square = ("restore.upscale.height=100", "restore.upscale.width=200")
    asked = project_of([source], *sets, *square, only="upscale", encoding="rec709")
    with pytest.raises(ConfigError, match="pixels keep the shape they have in the scan"):
        run_here(asked, tmp_path / "square")


def test_killed_at_any_instant_the_same_bytes_come_out(reel: Path, tmp_path: Path) -> None:
    sets = (ON, WIDE, "render.chunk_frames=2")
    assert (
        run_here(project_of([reel], *sets, only="weave,upscale"), tmp_path / "whole").failed == ()
    )
    arguments = ["run", str(reel), "--encoding", "cineon", "--rate", "24", "--no-prefect"]
    arguments += ["--only", "weave,upscale", "--out", str(tmp_path / "out")]
    for name in (*sets, "render.workers=2", "policy.max_repaired_share=0.4"):
        arguments += ["--set", name]
    for chunks in (1, 3):
        process = subprocess.Popen(
            command_line(*arguments), env=environment(), stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while len(stored(tmp_path / "out")) < chunks and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert run_program(*arguments).returncode in (0, 3)
    assert result(tmp_path / "out") == result(tmp_path / "whole")
    keys = [e["key"] for e in events(tmp_path / "out", "chunk_rendered")]
    assert len(keys) == len(set(keys))
    assert len(stored(tmp_path / "out")) == 4
    assert not leftovers(tmp_path / "out")


def test_the_plan_counts_the_true_size(
    reel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found = {}
    for said in ("factor=1", "factor=1.5", "factor=2"):
        asked = project_of([reel], ON, f"restore.upscale.{said}", only="weave,upscale")
        planned = dry_run(asked, tmp_path / "out")
        found[said] = planned.estimate
        if said == "factor=1.5":
            chain = next(iter(planned.title.planned.values()))[0].chain
            assert [op.name for op in chain][-1] == "fit"
    assert found["factor=1.5"].timing.seconds is not None
    assert "deliver dpx touch x1.5" in found["factor=1.5"].timing.unknown
    disk = {k: v.disk_bytes for k, v in found.items()}
    assert disk["factor=1.5"] == pytest.approx(2.25 / 4.0 * disk["factor=2"], rel=0.01)
    # The enlargement itself is held in memory, whatever it is brought to.
    memory = {k: v.memory_bytes for k, v in found.items()}
    assert memory["factor=1"] < memory["factor=1.5"]
