"""What each kind of shot is protected from, and a person's word on it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from media.errors import ConfigError

SURE_ENOUGH = 0.5
"""A finding below this confidence is shown and switches nothing off."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a flag means for the color of a shot."""

    protects: tuple[str, ...]
    """Any of ``match``, ``balance``, ``fade``."""
    says: str
    """What it switches off and why, for people."""


_ALL = ("match", "balance", "fade")

RULES: Mapping[str, Rule] = {
    "monochrome": Rule(_ALL, "no color to balance: left as scanned, in no link"),
    "bw_insert": Rule(_ALL, "black and white among color shots: left as scanned, in no link"),
    "tinted": Rule(_ALL, "a tint is part of the print: never neutralised, in no link"),
    "toned": Rule(_ALL, "a tone is part of the print: never neutralised, in no link"),
    "intertitle": Rule(_ALL, "lettering says nothing about the scene: left as scanned, in no link"),
    "leader": Rule(_ALL, "leader is no picture: left as scanned, in no statistic"),
    "lad": Rule(_ALL, "a laboratory aim frame: left as scanned; its grey may set its reel's level"),
    "black": Rule(_ALL, "nothing is exposed: left as scanned, in no statistic"),
    "day_for_night": Rule(
        ("balance",),
        "dark on purpose: exposure and balance stay; match may act, and lifts it by no more than "
        "color.match.night_lift_points",
    ),
    "keep_intent": Rule(_ALL, "a person wants it as it is: left as scanned, in no link"),
    "fade": Rule((), "frames of the fade are in no statistic; the CDL runs out towards black"),
    "dissolve": Rule((), "frames of the dissolve are in no statistic; the CDLs are mixed"),
    "flash": Rule((), "frames of the flash are in no statistic"),
}


def switched_off(flags: object, what: str) -> str | None:
    """Why ``what`` is switched off by the flags of a shot (as in evidence), or None."""
    if not isinstance(flags, list):
        return None
    reasons = [
        f"{f['name']}: {f['reason']}"
        for f in flags
        if what in f["protects"] and float(f.get("confidence", 1.0)) >= SURE_ENOUGH
    ]
    return "; ".join(reasons) or None


def is_sure(flags: object, name: str) -> bool:
    """Whether a shot (its flags as in evidence) has this flag with enough confidence."""
    return isinstance(flags, list) and any(
        f["name"] == name and float(f.get("confidence", 1.0)) >= SURE_ENOUGH for f in flags
    )


def with_persons_flags(
    flags: list[dict[str, object]], said: Mapping[str, bool], shot: str
) -> list[dict[str, object]]:
    """Flags of a shot after a person's ``[<shot>.flags]``: false takes one off, true sets one.

    raises: ConfigError for a flag that does not exist, naming the nearest.
    """
    for name in said:
        if name not in RULES:
            close = difflib.get_close_matches(name, RULES, n=1, cutoff=0.0)
            raise ConfigError(
                f"overrides.toml: {shot}.flags.{name} is no flag",
                shot=shot,
                hint=f"did you mean {close[0]!r}? There are: {', '.join(RULES)}",
            )
    kept = [f for f in flags if said.get(str(f["name"])) is not False]
    have = {f["name"] for f in kept}
    return kept + [
        {
            "name": name,
            "confidence": 1.0,
            "reason": "said by a person",
            "protects": list(RULES[name].protects),
        }
        for name, on in said.items()
        if on and name not in have
    ]
