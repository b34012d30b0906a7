"""Cards as files: one readable TOML beside the weights."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from media.errors import ModelRefused
from restore.models.architectures import Setting
from restore.models.card import ModelCard

SCHEMA = 1
_WORDS = ("name", "sha256", "licence", "arch", "trained_on", "task", "made_by", "not_for")
_COUNTS = ("scale", "block_frames", "warm_up_frames")
_FIGURES = ("half_loss_db", "half_codes", "gain_db", "like_db")


def read_card(file: Path, weights: Path | None = None) -> ModelCard:
    """The card in a TOML file; its weights lie beside it under the same name.

    weights: where they lie instead.
    raises: ModelRefused for a file that is missing, damaged, of another schema, or says what no
    card says.
    """
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelRefused(
            f"the card {file} cannot be read: {error}",
            hint="a card is a TOML file; docs/models.md shows one",
        ) from error
    return card_from(table, file.name, weights or file.with_suffix(".safetensors"))


def card_from(table: Mapping[str, Any], named: str, weights: Path) -> ModelCard:
    """raises: ModelRefused naming the entry that is unknown, missing or of the wrong kind."""
    if table.get("schema") != SCHEMA:
        raise ModelRefused(
            f"{named}: schema is {table.get('schema')!r}, this version reads {SCHEMA}",
            hint=f"write schema = {SCHEMA}",
        )
    known = {"schema", "settings", *_WORDS, *_COUNTS, *_FIGURES}
    for key in table:
        if key not in known:
            raise ModelRefused(f"{named}: no card has {key!r}", hint="it may have: " + _listed())
    for key in ("arch", "scale", "licence", "trained_on"):
        if key not in table:
            raise ModelRefused(f"{named}: {key} is missing", hint=f"write {key} = ...")
    kinds = ((_WORDS, (str,)), (_COUNTS, (int,)), (_FIGURES, (int, float)))
    for keys, kind in kinds:
        for key in keys:
            value = table.get(key, kind[0]())
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ModelRefused(f"{named}: {key} = {value!r} is of the wrong kind")
    for key, least in (("block_frames", 1), ("warm_up_frames", 0)):
        if table.get(key, least) < least:
            raise ModelRefused(f"{named}: {key} = {table[key]} is less than {least}")
    settings = table.get("settings", {})
    if not isinstance(settings, dict):
        raise ModelRefused(f"{named}: settings is no table", hint="write [settings]")
    return ModelCard(
        path=weights,
        settings=tuple((k, _setting(v, named)) for k, v in sorted(settings.items())),
        **{"sha256": "", **{k: v for k, v in table.items() if k not in ("schema", "settings")}},
    )


def _setting(value: object, named: str) -> Setting:
    if isinstance(value, int):
        return value
    if isinstance(value, list) and all(isinstance(v, int) for v in value):
        return tuple(value)
    raise ModelRefused(f"{named}: the setting {value!r} is neither a number nor a list of them")


def write_card(card: ModelCard, file: Path) -> None:
    """Beside its weights. Nothing that is unknown is written."""
    table: dict[str, Any] = {"schema": SCHEMA}
    for key in ("name", "task", "arch", "scale", "sha256", "licence", "trained_on", "made_by"):
        if getattr(card, key) not in ("", None):
            table[key] = getattr(card, key)
    for key in ("not_for", *_FIGURES):
        if getattr(card, key) not in ("", None):
            table[key] = getattr(card, key)
    if card.network.time.value == "sequence":
        table["block_frames"] = card.block_frames
        table["warm_up_frames"] = card.warm_up_frames
    if card.settings:
        table["settings"] = {k: list(v) if isinstance(v, tuple) else v for k, v in card.settings}
    file.write_text(tomli_w.dumps(table), "utf-8")


def _listed() -> str:
    return ", ".join((*_WORDS, *_COUNTS, *_FIGURES, "settings"))
