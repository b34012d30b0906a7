"""Numbers and names in plain words."""

from __future__ import annotations

from collections.abc import Mapping

from media.passes import Effect

TOUCH = ("untouched", "adjusted", "borrowed", "invented")
"""In the order of the touch plane."""

TOUCH_WORDS = {
    "untouched": "the scan's own code values, bit for bit",
    "adjusted": "this frame's own picture, moved or gained",
    "borrowed": "copied from another frame of the same shot",
    "invented": "filled in or enlarged: no frame of the scan shows it",
}

OPERATOR_WORDS = {
    "weave": ("Weave", "moved each frame back to its place"),
    "flicker": ("Flicker", "evened out the exposure from frame to frame"),
    "rebuild": (
        "Rebuilding",
        "made missing and destroyed frames, and torn parts, from the pictures on both sides",
    ),
    "dirt": ("Dirt", "covered specks and hairs with the same spot of a neighbouring frame"),
    "scratch": ("Scratches", "repaired vertical lines"),
    "line-cover": (
        "Scratches that hide the picture",
        "borrowed what lies under them from frames near by",
    ),
    "noise": ("Grain reduction", "softened grain and kept a stated share of it"),
    "grain": ("Grain", "laid on grain made from what was measured of the shot's own"),
    "weave and upscale": (
        "Weave and enlargement",
        "moved each frame back to its place and made it larger, in one resample",
    ),
    "weave and upscale from frames": (
        "Weave and enlargement from several frames",
        "moved each frame back to its place and made it larger with what the frames beside it "
        "show, in one resample",
    ),
    "upscale": ("Enlargement", "made the picture larger"),
    "upscale from frames": (
        "Enlargement from several frames",
        "made the picture larger with what the frames beside it show of the same place",
    ),
    "fit": ("Size", "brought each frame to the size that was asked for, in one more resample"),
    "fade": ("Unfading", "gave each dye layer of the reel its share back"),
    "color": ("Color", "applied the shot's CDL"),
}

_EFFECT_WORDS = {
    Effect.UNTOUCHED: "untouched",
    Effect.ADJUSTED: "adjusted",
    Effect.BORROWED: "borrowed",
    Effect.INVENTED: "invented",
}

MEASURES = (
    ("flicker_stops", "Flicker", "stops", 1.0, 3),
    ("weave_px", "Weave", "px", 1.0, 2),
    ("grain_sigma", "Grain", "codes of 1023", 1023.0, 2),
    ("unsteady", "Change along the motion", "codes of 1023", 1023.0, 2),
    ("clipped_share", "Clipped picture", "%", 100.0, 2),
)
"""Key in a verdict, name, unit, factor to that unit, decimals."""

NOT_MEASURED = "not measured"


def effect_word(effect: Effect) -> str:
    """The class of the touch plane."""
    return _EFFECT_WORDS[effect]


def percent(share: object) -> str:
    """A share 0..1; a little never reads as nothing, nor almost all as all."""
    if not isinstance(share, int | float):
        return NOT_MEASURED
    value = 100.0 * share
    if value <= 0.0:
        return "0 %"
    if value < 0.01:
        return "< 0.01 %"
    if share < 1.0 and value >= 99.95:
        return "> 99.9 %"
    return f"{value:.2f} %" if value < 10.0 else f"{value:.1f} %"


def number(value: object, decimals: int = 2) -> str:
    """A measured number, or the words for none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return NOT_MEASURED if value is None else str(value)
    text = f"{value:.{decimals}f}"
    return text.replace("-", "−") if float(text) != 0.0 else text.lstrip("-")


def figure(value: object) -> str:
    """A number of unknown size to three digits; text as it is."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return number(value)
    return (f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")


def signed(value: float, decimals: int = 2) -> str:
    """With its sign; zero has none."""
    text = number(value, decimals)
    return f"+{text}" if value > 0 and float(text) != 0.0 else text


def sentence(text: str) -> str:
    """With a capital first letter; the rest as it is."""
    return text[:1].upper() + text[1:]


def counted(count: int, noun: str) -> str:
    """``1 shot``, ``3 shots``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def measures(verdict: Mapping[str, object]) -> list[dict[str, str]]:
    """Rows of name, unit, before and after, as text; and whether it fell or rose."""
    before, after = verdict.get("before"), verdict.get("after")
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return []
    rows = []
    for key, name, unit, factor, decimals in MEASURES:
        was, now = before.get(key), after.get(key)
        if key == "unsteady" and was is None and now is None:
            # Asked for by the enlargement alone.
            continue
        texts = [
            number(v * factor if isinstance(v, int | float) else None, decimals) for v in (was, now)
        ]
        way = ""
        if isinstance(was, int | float) and isinstance(now, int | float) and texts[0] != texts[1]:
            way = "fell" if now < was else "rose"
        rows.append({"name": name, "unit": unit, "was": texts[0], "now": texts[1], "way": way})
    return rows
