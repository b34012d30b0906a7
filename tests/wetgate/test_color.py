"""Color in the job: a person's word, CDLs brought in, faded reels, contact sheets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from color.amf import read_amf_cdl
from color.cdl import CDL, apply_cdl
from color.cdl_files import Correction, cc_document, ccc_document, read_cdls
from color.edl import EdlEvent, edl_document
from color.fade import ABSORPTION, fading
from media.encoding import STOP
from media.encoding import encoding as encoding_of
from media.errors import ConfigError
from media.frames import FrameRange
from media.reel import PictureFormat, SampleType
from media.scan import read_codes
from media.write import AnyCodes
from tests.color.test_protect import lad
from tests.reels import RATE, project_of, put_reel, run_here, scene
from wetgate.chain import as_cdl
from wetgate.decisions import ShotDecisions
from wetgate.launch import launch_prebalance
from wetgate.report.contact import contact_groups
from wetgate.stages.solve_color import with_steady_exposure

ONE_SHOT = "ingest.detect_shots=false"
LEFT = (0.6, 1.0, 0.9)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, bool], NDArray[np.uint16]]:
    """large(seed, gray): (4, 192, 256, 3) 10-bit codes of color fields, as a camera pans."""

    def make(seed: int, gray: bool = False) -> NDArray[np.uint16]:
        rng = np.random.default_rng(seed)
        wide = np.repeat(np.repeat(rng.uniform(200, 620, (24, 40, 3)), 12, 0), 12, 1)
        wide = 0.7 * wide + 0.3 * wide.mean(axis=2, keepdims=True)
        if gray:
            wide = np.repeat(wide.mean(axis=2, keepdims=True), 3, axis=2)
        wide = wide + rng.normal(0.0, 4.0, (*wide.shape[:2], 1))
        frames = [wide[20:212, 10 + 3 * k : 266 + 3 * k] for k in range(4)]
        codes: NDArray[np.uint16] = np.rint(np.stack(frames)).astype(np.uint16)
        return codes

    return make


def put(folder: Path, codes: NDArray[np.uint16], first: int = 100) -> Path:

    h, w = codes.shape[1:3]
    fmt = PictureFormat(width=w, height=h, channels=3, bits=10)
    return put_reel(folder, codes, first, fmt=fmt)


def decide(
    reels: list[Path], out: Path, overrides: str = "", *sets: str
) -> dict[str, ShotDecisions]:
    """Decisions of ``wetgate prebalance`` with these overrides."""
    out.mkdir(exist_ok=True)
    (out / "overrides.toml").write_text(overrides, "utf-8")
    project = project_of(reels, ONE_SHOT, "color.balance.enabled=false", *sets, preset="prebalance")
    return launch_prebalance(project, out, quiet=True, replace=True).decisions


def test_a_tint_is_found_said_and_overruled(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path
) -> None:
    gray = large(1, True).astype(np.int64) + np.array([70, 0, -60])
    reels = [put(tmp_path / "R1", large(1)), put(tmp_path / "R2", gray.astype(np.uint16))]
    found = decide(reels, tmp_path / "out")["R2_0010"]
    assert found.flags == ("tinted",)
    assert "never neutralised" in found.flag_reasons["tinted"]
    assert "confidence" in found.flag_reasons["tinted"]
    assert as_cdl(found.balance) == CDL()
    assert any("tinted" in r for r in found.reasons)
    told = (tmp_path / "out/report/index.html").read_text("utf-8")
    assert "never neutralised" in told
    free = decide(reels, tmp_path / "out", "[R2_0010.flags]\ntinted = false\n")["R2_0010"]
    assert free.flags == ()
    assert "protected" not in free.balance.reason
    kept = decide(reels, tmp_path / "out", "[R1_0010.flags]\nkeep_intent = true\n")["R1_0010"]
    assert kept.flags == ("keep_intent",)
    assert "said by a person" in kept.balance.reason
    with pytest.raises(ConfigError, match=r"R1_0010\.flags\.tintd is no flag"):
        decide(reels, tmp_path / "out", "[R1_0010.flags]\ntintd = true\n")


def test_black_and_white_among_color_is_an_insert(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path
) -> None:
    codes = np.concatenate([large(1), large(2, True), large(3)])
    reel = put(tmp_path / "R1", codes, 1)
    shots = tmp_path / "shots.csv"
    shots.write_text("first,last\n1,4\n5,8\n9,12\n", "utf-8")
    found = decide([reel], tmp_path / "out", "", f"reels.shots={shots}")
    assert [d.flags for d in found.values()] == [(), ("bw_insert",), ()]


@pytest.mark.parametrize("kind", ["ccc", "edl"])
def test_decisions_brought_in_stand_as_a_persons(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path, kind: str
) -> None:
    reels = [put(tmp_path / "R1", large(1)), put(tmp_path / "R2", large(1))]
    mine = CDL((1.05, 1.0, 0.95), (0.02, 0.0, -0.02), (1.0, 1.0, 1.1), 0.9)
    text = (
        ccc_document([Correction(id="R2_0010", cdl=mine)])
        if kind == "ccc"
        else edl_document(
            "T", "R2", RATE, 100, [EdlEvent(id="R2_0010", frames=FrameRange(100, 104), cdl=mine)]
        )
    )
    file = tmp_path / f"given.{kind}"
    file.write_text(text, "utf-8")
    out = tmp_path / "out"
    found = decide(reels, out, "", f'color.decisions=["{file}"]')["R2_0010"]
    assert as_cdl(found.balance) == mine
    assert (found.balance.origin, found.balance.confidence) == ("human", 1.0)
    assert read_cdls(out / "deliver/color/R1.ccc")["R2_0010"] == mine
    # overrides.toml is nearer
    over = "[R2_0010]\nbalance.slope = [1.0, 1.0, 1.0]\n"
    again = decide(reels, out, over, f'color.decisions=["{file}"]')["R2_0010"]
    assert as_cdl(again.balance) == CDL()
    over = "[R2_0010]\nbalance.enabled = false\n"
    off = decide(reels, out, over, f'color.decisions=["{file}"]')["R2_0010"]
    assert as_cdl(off.balance) == CDL()
    assert off.balance.reason == "switched off by a person"
    # Two files may agree, and no more.
    second = tmp_path / "second.cc"
    for cdl, agrees in ((mine, True), (CDL(), False)):
        second.write_text(cc_document(Correction(id="R2_0010", cdl=cdl)), "utf-8")
        both = f'color.decisions=["{file}", "{second}"]'
        if agrees:
            assert as_cdl(decide(reels, out, "", both)["R2_0010"].balance) == mine
        else:
            with pytest.raises(ConfigError, match=r"second\.cc decide 'R2_0010' differently"):
                decide(reels, out, "", both)
    file.write_text(text.replace("R2_0010", "R2_0011"), "utf-8")
    with pytest.raises(ConfigError, match="'R2_0011'") as caught:
        decide(reels, out, "", f'color.decisions=["{file}"]')
    assert "R2_0010" in str(caught.value.hint)


def test_a_lad_frame_sets_the_level_of_its_reel(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path
) -> None:
    off = np.array([18.0, -6.0, 12.0])
    chart = np.stack([np.rint(lad() * 1023.0 + off)] * 12).astype(np.uint16)
    picture = np.stack([cv2.resize(f, (320, 240)) for f in large(1)])
    reel = put(tmp_path / "R1", np.concatenate([chart, *[picture] * 3]))
    cuts = "ingest.detect_shots=true"
    found = decide([reel], tmp_path / "on", "", cuts)
    aim, *rest = found.values()
    assert "lad" in aim.flags
    assert "sets the level of reel R1" in aim.balance.reason
    assert as_cdl(aim.balance) == CDL()
    assert rest
    for shot in rest:
        assert "LAD" in shot.balance.reason
        np.testing.assert_allclose(shot.balance.offset, -off / 1023.0, atol=2e-3)
    # Switched off, and on a scan that holds no densities, the reel stays.
    for name, sets in (("off", ["color.match.lad=false"]), ("video", ["reels.encoding=rec709"])):
        left = decide([reel], tmp_path / name, "", cuts, *sets)
        assert all(as_cdl(d.balance) == CDL() for d in left.values()), name


def test_a_hero_that_is_no_shot_is_refused(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path
) -> None:
    reels = [put(tmp_path / "R1", large(1))]
    with pytest.raises(ConfigError, match="heroes names 'R1_0011'"):
        decide(reels, tmp_path / "out", "", 'color.match.heroes=["R1_0011"]')


def test_a_faded_reel_is_unfaded_baked_and_handed_over(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path
) -> None:
    truth = large(5)
    matrix, offset = fading(np.array(LEFT), ABSORPTION, np.array([0.0, 0.0, -0.02]))
    codes = np.rint((truth / 1023.0 @ matrix.T + offset) * 1023.0).astype(np.uint16)
    reel = put(tmp_path / "R1", codes)
    greys = np.linspace(0.2, 0.6, 5)[:, None] * np.ones(3) @ matrix.T + offset
    neutrals = json.dumps(np.rint(greys * 1023.0).tolist())
    project = project_of(
        [reel], ONE_SHOT, "color.fade.model=dyes", f"reels.neutrals={neutrals}", only="fade"
    )
    out = tmp_path / "out"
    assert run_here(project, out).failed == ()
    decided = json.loads((out / "reels/R1/decisions/R1_0010.json").read_text("utf-8"))
    assert decided["fade"]["applied"]
    np.testing.assert_allclose(decided["fade"]["dyes_left"], LEFT, atol=0.03)
    error = []
    for k, file in enumerate(sorted((out / "deliver/restored/R1").iterdir())):
        error.append(np.abs(read_codes(file).astype(np.float64) - truth[k]).mean())
    assert np.mean(error) < 0.15 * np.abs(codes.astype(np.float64) - truth).mean()
    told = json.loads((out / "deliver/color/handover.json").read_text("utf-8"))
    left = told["not_a_cdl"]["R1_0010"]
    assert 0.0 < left["mean_delta_e"] < left["max_delta_e"]
    assert told["files"]["luts/R1_0010.clf"]["largest_difference_log"] <= 2e-6
    assert max(read_cdls(out / "deliver/color/R1.ccc")["R1_0010"].slope) > 1.3
    over = "[R1_0010]\nfade.enabled = false\n"
    (out / "overrides.toml").write_text(over, "utf-8")
    assert run_here(project, out).failed == ()
    for file in sorted(reel.iterdir()):
        np.testing.assert_array_equal(
            read_codes(out / "deliver/restored/R1" / file.name), read_codes(file)
        )


@pytest.mark.parametrize("kind", ["dpx", "exr"])
def test_neutrals_are_codes_of_the_scan(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path, kind: str
) -> None:
    """Of a float scan the samples themselves; codes that a scan cannot hold are refused."""
    matrix, offset = fading(np.array(LEFT), ABSORPTION, np.array([0.0, 0.0, -0.02]))
    log = large(5) / 1023.0 @ matrix.T + offset
    greys = np.linspace(0.2, 0.6, 5)[:, None] * np.ones(3) @ matrix.T + offset
    whole = kind == "dpx"
    space = encoding_of("cineon" if whole else "linear")
    # Both curves act on each value by itself, whatever the order of axes.
    codes, neutrals = (space.from_log(torch.from_numpy(v)).numpy() for v in (log, greys))
    if whole:
        codes, neutrals = np.rint(codes * 1023.0), np.rint(neutrals * 1023.0)
    fmt = PictureFormat(
        width=256,
        height=192,
        channels=3,
        bits=10 if whole else 32,
        sample=SampleType.UINT if whole else SampleType.FLOAT,
    )
    pictures: AnyCodes = codes.astype(np.uint16) if whole else codes.astype(np.float32)
    reel = put_reel(tmp_path / "R1", pictures, 100, fmt=fmt, kind=kind)

    def unfaded(given: NDArray[np.float64]) -> ShotDecisions:
        text = json.dumps(given.tolist())
        project = project_of(
            [reel],
            ONE_SHOT,
            "color.fade.model=dyes",
            "color.fade.enabled=true",
            f"reels.neutrals={text}",
            preset="prebalance",
            encoding=space.name,
        )
        out = tmp_path / "out"
        return launch_prebalance(project, out, quiet=True, replace=True).decisions["R1_0010"]

    np.testing.assert_allclose(unfaded(neutrals).fade.dyes_left, LEFT, atol=0.03)
    if whole:
        with pytest.raises(ConfigError, match="codes of this scan end at 1023"):
            unfaded(neutrals + 600.0)


def test_colors_are_compared_at_the_exposure_of_the_shot() -> None:
    level = np.full((6, 3), 0.4, np.float32)
    features = {
        "view": np.array([100, 100, 101, 101, 101, 103], np.int32),
        "colors_log": level,
        "grid_view": np.array([100, 103], np.int32),
        "grid_log": np.full((2, 4, 5, 3), 0.4, np.float32),
    }
    evidence = {"color": {"features": features}}
    decided = ShotDecisions(shot="R1_0010", reel="R1", frames=(100, 103))
    assert with_steady_exposure(evidence, decided)["color"]["features"] is features
    flicker = decided.flicker.model_copy(
        update={
            "applied": True,
            "exposure_stops": ((0.1, 0.1, 0.1), (0.0,) * 3, (0.0,) * 3, (-0.2, 0.0, 0.0)),
        }
    )
    steady = with_steady_exposure(evidence, decided.model_copy(update={"flicker": flicker}))
    found = steady["color"]["features"]
    np.testing.assert_allclose(found["colors_log"][:2], 0.4 + 0.1 * STOP, atol=1e-6)
    np.testing.assert_array_equal(found["colors_log"][2:5], level[2:5])
    np.testing.assert_allclose(found["colors_log"][5], [0.4 - 0.2 * STOP, 0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(found["grid_log"][0], 0.4 + 0.1 * STOP, atol=1e-6)
    np.testing.assert_array_equal(features["colors_log"], level)


def test_contact_groups_follow_scenes_then_likeness_then_reels(tmp_path: Path) -> None:
    def shot(name: str, *links: str) -> ShotDecisions:
        empty = ShotDecisions(shot=name, reel=name[:2], frames=(0, 9))
        return empty.model_copy(
            update={"balance": empty.balance.model_copy(update={"links": links})}
        )

    shots = [shot("R1_a", "R2_b"), shot("R1_c"), shot("R2_b", "R1_a"), shot("R2_d"), shot("R2_e")]
    groups = contact_groups({s.shot: s for s in shots}, {"dock": ("R2_d",), "empty": ()})
    assert groups == [
        ("dock", ["R2_d"]),
        ("like R1_a", ["R1_a", "R2_b"]),
        ("alone on R1", ["R1_c"]),
        ("alone on R2", ["R2_e"]),
    ]


def test_small_pictures_still_get_sheets(tmp_path: Path) -> None:
    reel = put_reel(tmp_path / "R1", scene(1, 4), 1)
    project = project_of([reel], ONE_SHOT, preset="prebalance")
    found = launch_prebalance(project, tmp_path / "out", quiet=True)
    (sheet,) = found.sheets
    assert (tmp_path / "out/report/contact" / sheet).stat().st_size > 1000


def test_sheets_may_be_seen_through_a_view(tmp_path: Path) -> None:
    """And what is delivered stays the same."""
    reel = put_reel(tmp_path / "R1", scene(1, 4), 1)
    pictures, handed = [], []
    view = "Rec.1886 Rec.709 - Display/ACES 2.0 - SDR 100 nits (Rec.709)"
    for k, name in enumerate(("", view)):
        out = tmp_path / str(k)
        project = project_of([reel], ONE_SHOT, f"color.view={name}", preset="prebalance")
        (sheet,) = launch_prebalance(project, out, quiet=True).sheets
        seen = cv2.imread(str(out / "report/contact" / sheet))
        assert seen is not None
        pictures.append(seen.astype(float))
        files = [p for p in (out / "deliver/color").iterdir() if p.is_file()]
        handed.append({p.name: p.read_bytes() for p in files})
        if name:
            assert view in (out / "report/index.html").read_text("utf-8")
    assert np.abs(pictures[0] - pictures[1]).mean() > 2.0
    assert handed[0] == handed[1]


def test_a_view_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    reel = put_reel(tmp_path / "R1", scene(1, 4), 1)
    with pytest.raises(ConfigError, match="no view of") as refused:
        project_of([reel], ONE_SHOT, "color.view=sRGB - Displai/Raw", preset="prebalance")
    assert "sRGB - Display/Raw" in str(refused.value.hint)


def test_a_correction_beyond_the_limits_is_cut_back_and_held(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path
) -> None:
    codes = large(7)
    darker = np.rint(codes * 0.9 - 60).astype(np.uint16)
    reels = [put(tmp_path / "R1", codes), put(tmp_path / "R2", darker)]
    project = project_of(
        reels, ONE_SHOT, "color.match.reference_reel=R1", "color.match.max_offset=0.02",
        only="match",
    )  # fmt: skip
    out = tmp_path / "out"
    outcome = run_here(project, out)
    assert outcome.held == ("R2_0010",)
    verdict = json.loads((out / "reels/R2/verify/R2_0010.json").read_text("utf-8"))
    assert "cut back" in verdict["held_because"][0]
    (out / "overrides.toml").write_text("[R2_0010]\nbalance.slope = [1.1, 1.1, 1.1]\n", "utf-8")
    assert run_here(project, out).held == ()


@pytest.mark.parametrize("encoding", ["rec709", "linear"])
def test_tables_on_code_values_do_what_the_render_does(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path, encoding: str
) -> None:
    """For hosts that do not know film log: read back like every other file that goes out."""
    reel, out = put(tmp_path / "R1", large(1)), tmp_path / "out"
    out.mkdir()
    over = "[R1_0010]\nbalance.slope = [1.05, 1.0, 0.96]\nbalance.offset = [0.01, 0.0, -0.01]\n"
    (out / "overrides.toml").write_text(over, "utf-8")
    project = project_of([reel], ONE_SHOT, preset="prebalance", encoding=encoding)
    launch_prebalance(project, out, quiet=True)
    told = json.loads((out / "deliver/color/handover.json").read_text("utf-8"))["files"]
    on_log, on_codes = told["luts/R1_0010.cube"], told["luts/R1_0010.codes.cube"]
    assert on_codes["shots"] == on_log["shots"] == 1
    # A table is as good as its interpolation: some thousandths of film log, and said so.
    assert 0.0 < on_codes["largest_difference_log"] < 0.01


def test_the_wildest_decision_that_is_read_is_handed_over(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path
) -> None:
    """Its colors are hundreds of film log, where single precision is no longer 2e-6."""
    wild = (
        "slope = [10.0, 10.0, 10.0]",
        "offset = [-10.0, -10.0, 10.0]",
        "power = [0.1, 10.0, 10.0]",
        "saturation = 10.0",
    )
    over = "[R1_0010.balance]\n" + "\n".join(wild) + "\n"
    reel = put(tmp_path / "R1", large(1))
    found = decide([reel], tmp_path / "out", over, "reels.encoding=adx10")
    assert as_cdl(found["R1_0010"].balance).saturation == 10.0
    handed = tmp_path / "out/deliver/color"
    assert read_cdls(handed / "R1.ccc") == {"R1_0010": as_cdl(found["R1_0010"].balance)}
    told = json.loads((handed / "handover.json").read_text("utf-8"))["files"]
    assert {n.rpartition(".")[2] for n in told} >= {
        "ccc",
        "cdl",
        "edl",
        "ale",
        "otio",
        "clf",
        "amf",
    }


def test_an_aces_metadata_file_goes_out_where_aces_knows_the_scan(
    large: Callable[..., NDArray[np.uint16]], tmp_path: Path
) -> None:
    reel = put(tmp_path / "R1", large(1))
    over = "[R1_0010]\nbalance.slope = [1.05, 1.0, 0.96]\nbalance.offset = [0.01, 0.0, -0.01]\n"
    for encoding in ("adx10", "cineon"):
        out = tmp_path / encoding
        out.mkdir()
        (out / "overrides.toml").write_text(over, "utf-8")
        project = project_of([reel], ONE_SHOT, preset="prebalance", encoding=encoding)
        launch_prebalance(project, out, quiet=True)
        told = json.loads((out / "deliver/color/handover.json").read_text("utf-8"))
        file = out / "deliver/color/amf/R1_0010.amf"
        if encoding == "adx10":
            name, cdl = read_amf_cdl(file.read_bytes(), file.name)
            assert (name, cdl.slope) == ("R1_0010", (1.05, 1.0, 0.96))
            assert told["files"]["amf/R1_0010.amf"]["largest_difference_log"] <= 2e-6
            assert told["without_amf"] == {}
            frames = sorted(p.name for p in reel.iterdir())
            first = int(re.findall(r"\d+", frames[0])[-1])
            assert f'min="{first}" max="{first + len(frames) - 1}"' in file.read_text("utf-8")
        else:
            assert not file.exists()
            assert told["without_amf"] == {"R1": "ACES has no transform for cineon"}


def test_balance_leaves_shots_of_a_scene_together_on_every_reel(
    tmp_path: Path, large: Callable[[int, bool], NDArray[np.uint16]]
) -> None:
    """Also on the first reel: balanced one by one, shots of a scene would drift apart."""
    scene_codes = large(3, False).astype(np.float64)
    casts = np.array([[0.0, 0.0, 0.0], [30.0, -10.0, -20.0], [-15.0, 10.0, 25.0]])
    reels = [
        put(tmp_path / f"R{k + 1}", np.rint(scene_codes + cast).astype(np.uint16))
        for k, cast in enumerate(casts)
    ]
    found = decide(reels, tmp_path / "out", "", "color.balance.enabled=true")
    now = []
    for decided, cast in zip(found.values(), casts, strict=True):
        assert "balance" in decided.balance.reason
        now.append(
            apply_cdl(
                (scene_codes[0, ::9, ::9] + cast) / 1023, as_cdl(decided.balance), clamp=False
            )
        )
    assert np.ptp(now, axis=0).mean() < 4 / 1023
    assert len({decided.balance.reason for decided in found.values()}) < 3


def test_a_scan_of_one_channel_takes_no_unlike_channels(
    tmp_path: Path, large: Callable[[int, bool], NDArray[np.uint16]]
) -> None:
    codes = large(3, True)[..., :1]
    fmt = PictureFormat(width=256, height=192, channels=1, bits=10)
    reel = put_reel(tmp_path / "R1", codes, 1, fmt=fmt)
    over = "[R1_0010]\nbalance.{} = [{}, 1.0, 1.0]\n"
    for what in ("slope", "offset", "power"):
        with pytest.raises(ConfigError, match=f"the {what} .* of 'R1_0010' differs"):
            decide([reel], tmp_path / "out", over.format(what, 1.1))
    found = decide([reel], tmp_path / "out", over.format("slope", 1.0))
    assert found["R1_0010"].balance.origin == "human"


def test_a_reel_of_black_is_left_alone_and_cannot_lead(
    tmp_path: Path, large: Callable[[int, bool], NDArray[np.uint16]]
) -> None:
    black = put(tmp_path / "R1", np.full((4, 192, 256, 3), 40, np.uint16))
    reels = [black, put(tmp_path / "R2", large(3, False))]
    found = decide(reels, tmp_path / "out", "", "color.balance.enabled=true")
    first, second = found.values()
    assert first.balance.reason == "black: left alone"
    assert "no link" in second.balance.reason
    name = next(iter(found))
    for setting, why in (
        (f'color.match.heroes=["{name}"]', "which is black"),
        ('color.match.reference_reel="R1"', "holds no picture"),
    ):
        with pytest.raises(ConfigError, match=why):
            decide(reels, tmp_path / "out", "", setting)
