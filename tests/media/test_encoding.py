"""Encodings against published values, and exact ways back."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from media.curves import STOP, light_to_log, log_to_light
from media.encoding import ENCODING_NAMES, encoding, with_levels
from media.errors import ConfigError, EncodingUndeclared

_GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"


def golden_file(name: str) -> Path:
    if not (_GOLDEN / name).is_file():
        pytest.skip(f"needs the reference vectors {name} beside the checkout")
    return _GOLDEN / name


def curve(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_film_log_is_cineon() -> None:
    golden = json.loads(golden_file("cineon.json").read_text())
    codes = curve(golden["codes"]) / 1023
    wanted = curve(golden["linear_black_offset"])
    assert torch.allclose(log_to_light(codes), wanted, rtol=0, atol=1e-9)
    inside = wanted > -0.005
    assert torch.allclose(light_to_log(wanted)[inside], codes[inside], rtol=0, atol=1e-9)


def test_a_stop_is_a_stop() -> None:
    light = curve([0.05, 0.18, 0.5])
    # Well above black, doubling the light is one stop up to the black offset.
    assert torch.allclose(
        light_to_log(2 * light) - light_to_log(light), curve([STOP] * 3), rtol=0, atol=0.02
    )


@pytest.mark.parametrize("name", ["adx10", "adx16"])
def test_aces_densities_through_ocio(name: str) -> None:
    golden = json.loads(golden_file("adx_ocio.json").read_text())[name]
    space = encoding(f"ocio:{name.upper()}")
    to_ap0 = encoding("ocio:ACES2065-1")
    full = 1023 if name == "adx10" else 65535
    values = torch.tensor(golden["codes"], dtype=torch.float32).T.reshape(3, -1, 1) / full
    wanted = torch.tensor(golden["aces"], dtype=torch.float32).T.reshape(3, -1, 1)
    sane = (wanted < 100).all(dim=0)[:, 0]
    found = to_ap0.from_log(space.to_log(values))
    assert torch.allclose(found[:, sane], wanted[:, sane], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("rec709", "ITU-R BT.709"),
        ("srgb", "sRGB"),
        ("acescct", "ACEScct"),
        ("cineon", "Cineon"),
    ],
)
def test_curves_are_those_of_colour_science(name: str, theirs: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import colour

        codes = np.linspace(0.1, 1.0, 91)
        if theirs in colour.LOG_DECODINGS:
            light = colour.log_decoding(codes, theirs)
        else:
            light = colour.cctf_decoding(codes, theirs)
    own = log_to_light(encoding(name).to_log(torch.from_numpy(codes))).numpy()
    assert np.abs(own - light).max() < 1e-6 * np.abs(light).max()


@pytest.mark.parametrize("name", ENCODING_NAMES)
@given(values=st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20))
def test_every_way_back_is_exact(name: str, values: list[float]) -> None:
    space = encoding(name)
    codes = torch.tensor(values, dtype=torch.float64).view(1, -1, 1)
    assert torch.allclose(space.from_log(space.to_log(codes)), codes, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["cineon", "rec709", "acescct"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_limited_levels_put_black_and_white_where_they_belong(name: str, bits: int) -> None:
    full = encoding(name)
    limited = with_levels(full, "limited", bits)
    top = (1 << bits) - 1
    ends = torch.tensor([16.0, 235.0], dtype=torch.float64) * (1 << (bits - 8)) / top
    assert torch.allclose(limited.to_log(ends), full.to_log(curve([0.0, 1.0])), atol=1e-12)
    outside = curve([0.0, 1.0])
    assert torch.allclose(limited.from_log(limited.to_log(outside)), outside, atol=1e-9)
    assert with_levels(full, "full", bits) is full
    assert limited.key != full.key


def test_unknown_encodings_are_refused_with_what_there_is() -> None:
    with pytest.raises(EncodingUndeclared, match="'kodak'") as caught:
        encoding("kodak", reel="R1")
    assert "acescct" in caught.value.hint
    with pytest.raises(EncodingUndeclared, match="no color encoding"):
        encoding("")
    with pytest.raises(EncodingUndeclared, match="'ADX11'") as near:
        encoding("ocio:ADX11")
    assert "ADX10" in near.value.hint
    with pytest.raises(ConfigError, match="cannot be read"):
        encoding("ocio:ADX10@/nowhere/config.ocio")


def test_an_ocio_encoding_leaves_its_input_alone_and_takes_luma() -> None:
    space = encoding("ocio:ACEScct")
    values = torch.linspace(0.1, 0.9, 12).view(1, 3, 4).transpose(1, 2)
    kept = values.clone()
    log = space.to_log(values)
    assert torch.equal(values, kept)
    assert log.shape == values.shape
    assert torch.allclose(log, encoding("acescct").to_log(values), atol=1e-5)
