"""What came in, in plain words: reels/<reel>/ingest.txt."""

from __future__ import annotations

from collections import Counter

from media.cadence import Cadence
from media.frames import rate_text
from media.listing import named_runs
from media.reel import MadeBy
from media.timecode import feet_and_frames, nominal_rate
from wetgate.records import IngestedReel


def _damage(ingested: IngestedReel) -> list[str]:
    """Frames that are not what those around them agree on; what is done is decided later."""
    said = [
        f"  {f.first if f.first == f.last else f'{f.first}-{f.last}'}  {f.kind}: {f.reason}"
        for f in ingested.findings
        if f.sides == "both"
    ]
    return ["frames that stand out (docs/surface.md):", *said, ""] if said else []


def ingest_summary(ingested: IngestedReel, cadence: Cadence) -> str:
    """One page for a person: inventory, time, cadence, shots, what was noticed."""
    reel = ingested.reel
    count = len(reel.frames)
    seconds = count / reel.rate
    lines = [
        f"Reel {reel.id}",
        "",
        f"frames     {count}, numbers {reel.range}",
        f"picture    {reel.format} ({reel.kind}), declared as {reel.encoding}",
        f"rate       {rate_text(reel.rate)} frames per second: "
        f"{int(seconds) // 60} min {float(seconds % 60):.1f} s, "
        f"{feet_and_frames(count)} feet of 35 mm",
        f"size       {_gigabytes(ingested):.2f} GB, every frame hashed (SHA-256) as it was read",
        f"timecode   {_clock(ingested, 'timecode')}",
        f"keycode    {_clock(ingested, 'keycode')}",
    ]
    if reel.gaps:
        lines.append(f"missing    {named_runs(reel.gaps)}: left out")
    for how in MadeBy:
        made = sum(f.made_by is how for f in reel.frames)
        if made:
            lines.append(f"missing    {made} frames, by policy: {how.value}")
    doubled = len(cadence.doubled)
    lines += [
        f"doubled    {doubled} frames ({100 * doubled / count:.1f} %) show the picture before them",
        "",
        *_damage(ingested),
        f"{len(ingested.shots)} shot{'s' if len(ingested.shots) != 1 else ''}",
    ]
    for shot in ingested.shots:
        notes = [
            f"{name} {length}"
            for name, length in (
                ("dissolve in", shot.dissolve_in),
                ("dissolve out", shot.dissolve_out),
                ("fade in", shot.fade_in),
                ("fade out", shot.fade_out),
            )
            if length
        ]
        if shot.kind.value != "shot":
            notes.insert(0, shot.kind.value)
        text = f"  {shot.id:<16} {shot.frames!s:>17}  {', '.join(notes)}"
        lines.append(text.rstrip())
    kinds = Counter(s.kind.value for s in ingested.spans)
    if kinds:
        lines += ["", "found      " + ", ".join(f"{n} {k}" for k, n in sorted(kinds.items()))]
    if reel.notes:
        lines += ["", "Noticed", *(f"  {note}" for note in reel.notes)]
    return "\n".join(lines) + "\n"


def _gigabytes(ingested: IngestedReel) -> float:
    sizes = {f.path: f.size_bytes for f in ingested.reel.frames}
    return sum(sizes.values()) / 1e9


def _clock(ingested: IngestedReel, key: str) -> str:
    found = ingested.reel.facts.get(key)
    if not isinstance(found, list):
        if key == "timecode":
            if ingested.reel.timecode:
                return f"from {ingested.reel.timecode}"
            if nominal_rate(ingested.reel.rate) is None:
                return "none; it does not exist at this rate, frames are counted"
        return "none in the source"
    return f"{found[0]} to {found[1]}"
