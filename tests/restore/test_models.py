"""Weights: declared, checked, and only then loaded; everything else is refused by name."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from media.errors import ModelRefused
from media.passes import Window
from restore.models.basicsr_bridge import srvgg
from restore.models.card import ModelCard, check_card
from restore.models.load import load_network
from restore.upscale.network import NetworkUpscale
from restore.upscale.resample import reduce
from tests.strategies import texture

_READY = (
    Path(__file__).parents[2]
    / "../shared/data/weights/basicsr_ready/realesr-animevideov3_SRVGG16_from_ncnn.pth"
)


def card_of(path: Path, **changes: object) -> ModelCard:
    """A card that fits ``path``: 8 features, 2 layers, x2."""
    card = ModelCard(
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        licence="BSD-3-Clause",
        arch="srvgg",
        scale=2,
        trained_on="unknown",
        settings=(("features", 8), ("layers", 2)),
    )
    return replace(card, **changes)  # type: ignore[arg-type]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    path = tmp_path / "tiny.safetensors"
    save_file(srvgg(8, 2, 2).state_dict(), str(path))
    return path


def test_weights_are_loaded_as_they_are(weights: Path) -> None:
    torch.manual_seed(1)
    expected = srvgg(8, 2, 2).state_dict()
    network = load_network(card_of(weights), commercial=True)
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected[name])


@pytest.mark.parametrize("key", [None, "params", "params_ema", "state_dict"])
def test_torch_files_with_and_without_a_wrapper(tmp_path: Path, key: str | None) -> None:
    state = srvgg(8, 2, 2).state_dict()
    path = tmp_path / "tiny.pth"
    torch.save(state if key is None else {key: state}, path)
    assert load_network(card_of(path), commercial=True).state_dict().keys() == state.keys()


def test_wrong_digest(weights: Path) -> None:
    with pytest.raises(ModelRefused, match="SHA-256 is"):
        load_network(card_of(weights, sha256="0" * 64), commercial=False)
    with pytest.raises(ModelRefused, match="its card says nothing"):
        load_network(card_of(weights, sha256=""), commercial=False)


def test_no_licence(weights: Path) -> None:
    with pytest.raises(ModelRefused, match="no licence"):
        load_network(card_of(weights, licence=" "), commercial=False)


@pytest.mark.parametrize(
    "licence",
    [
        "CC BY-NC 4.0",
        "cc-by-nc-sa-4.0",
        "non-commercial",
        "Non-Commercial use only",
        "non commercial",
        "CC BY-NonCommercial",
        "Academic use only",
        "for research purposes",
        "S-Lab License 1.0",
    ],
)
def test_non_commercial_licence(weights: Path, licence: str) -> None:
    card = card_of(weights, licence=licence)
    with pytest.raises(ModelRefused, match="does not allow commercial use"):
        check_card(card, commercial=True)
    check_card(card, commercial=False)


def test_training_data_must_be_stated(weights: Path) -> None:
    with pytest.raises(ModelRefused, match="training data"):
        check_card(card_of(weights, trained_on=""), commercial=False)


def test_missing_file(tmp_path: Path, weights: Path) -> None:
    card = replace(card_of(weights), path=tmp_path / "gone.pth")
    with pytest.raises(ModelRefused, match="not there"):
        check_card(card, commercial=False)


class _Runs:
    """Pickles to a call."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_file_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "bad.pth", tmp_path / "ran"
    torch.save({"params": _Runs(mark)}, path)
    with pytest.raises(ModelRefused, match="more than tensors"):
        load_network(card_of(path), commercial=False)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint at all",
        b"hello world, this is text",
        b"\x80\x02.",
        b"PK\x03\x04" + bytes(100),
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x01a.",
    ],
)
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(ModelRefused):
        load_network(card_of(path), commercial=False)


def test_a_file_that_ends_too_early(tmp_path: Path) -> None:
    """A download that broke off, cut at any place."""
    path = tmp_path / "cut.pth"
    torch.save(srvgg(32, 4, 2).state_dict(), path)
    whole = path.read_bytes()
    for share in (0.1, 0.4, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ModelRefused, match="damaged"):
            load_network(card_of(path), commercial=False)


@pytest.mark.parametrize("kind", [torch.int8, torch.complex64, torch.float8_e4m3fn, torch.bool])
def test_numbers_of_a_kind_that_no_network_runs_in(tmp_path: Path, kind: torch.dtype) -> None:
    """Rounded to whole numbers a network may still look like one, and paints nothing."""
    path = tmp_path / "odd.pth"
    torch.save({k: v.to(kind) for k, v in srvgg(8, 2, 2).state_dict().items()}, path)
    with pytest.raises(ModelRefused, match="is of kind"):
        load_network(card_of(path), commercial=False)


def test_a_damaged_safetensors_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00notjson!")
    with pytest.raises(ModelRefused, match="damaged"):
        load_network(card_of(path), commercial=False)


def test_not_a_table_of_tensors(tmp_path: Path) -> None:
    path = tmp_path / "list.pth"
    torch.save([1, 2, 3], path)
    with pytest.raises(ModelRefused, match="not a table of tensors"):
        load_network(card_of(path), commercial=False)


def test_wrong_shapes(weights: Path) -> None:
    card = card_of(weights)
    wide, deep = (("features", 16), ("layers", 2)), (("features", 8), ("layers", 3))
    for wrong in (replace(card, settings=wide), replace(card, settings=deep)):
        with pytest.raises(ModelRefused, match="does not fit srvgg"):
            load_network(wrong, commercial=False)
    with pytest.raises(ModelRefused, match=r"does not fit srvgg .* x4"):
        load_network(replace(card, scale=4), commercial=False)
    with pytest.raises(ModelRefused, match="does not enlarge 3 times"):
        load_network(replace(card, scale=3), commercial=False)


def test_missing_and_extra_keys_are_named(tmp_path: Path) -> None:
    state = srvgg(8, 2, 2).state_dict()
    gone, more = dict(state), {**state, "spare.weight": torch.zeros(3)}
    del gone["body.2.bias"]
    for name, wrong, said in (
        ("gone", gone, "no body.2.bias"),
        ("more", more, "spare.weight belongs to no part"),
    ):
        path = tmp_path / f"{name}.safetensors"
        save_file(wrong, str(path))
        with pytest.raises(ModelRefused, match=said):
            load_network(card_of(path), commercial=False)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    state = srvgg(8, 2, 2).state_dict()
    state["body.0.bias"][3] = float("nan")
    path = tmp_path / "nan.safetensors"
    save_file(state, str(path))
    with pytest.raises(ModelRefused, match="NaN"):
        load_network(card_of(path), commercial=False)


@pytest.mark.parametrize("settings", [(("tone", 3),), (("layers", (1, 2)),), (("features", -1),)])
def test_settings_an_architecture_does_not_have(
    weights: Path, settings: tuple[tuple[str, object], ...]
) -> None:
    with pytest.raises(ModelRefused, match=r"no setting|does not fit"):
        load_network(card_of(weights, settings=settings), commercial=False)


def test_unknown_architecture(weights: Path) -> None:
    with pytest.raises(ModelRefused, match="not known"):
        load_network(card_of(weights, arch="magic"), commercial=False)


def test_a_network_enlarges_through_its_card(weights: Path) -> None:
    card = card_of(weights)
    repair = NetworkUpscale(load_network(card, commercial=True), card)
    frame = torch.from_numpy(texture(3, 40, 60)[None])
    done = repair(Window.whole(frame, (1,)))
    assert done.pixels.shape == (1, 3, 80, 120)
    assert repair.key((1,)) == {
        "weights_sha256": card.sha256,
        "arch": "srvgg",
        "scale": 2,
        "features": 8,
        "layers": 2,
        "half": False,
    }


@pytest.mark.reference
@pytest.mark.skipif(not _READY.is_file(), reason="reference weights are not beside the checkout")
def test_real_weights_enlarge_a_picture() -> None:
    card = ModelCard(
        path=_READY,
        sha256=hashlib.sha256(_READY.read_bytes()).hexdigest(),
        licence="BSD-3-Clause",
        arch="srvgg",
        scale=4,
        trained_on="unknown",
    )
    repair = NetworkUpscale(load_network(card, commercial=True), card)
    original = torch.from_numpy(texture(5, 128, 160)[None])
    small = reduce(original, 4)
    done = repair(Window.whole(small, (1,))).pixels
    assert done.shape == original.shape
    assert float((reduce(done, 4) - small).abs().mean()) < 0.01
    error = torch.nn.functional.interpolate(small, scale_factor=4, mode="nearest") - original
    assert float((done - original).square().mean()) < float(error.square().mean())
