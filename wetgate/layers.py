"""Settings in layers: title, then reel, then scene, then shot; the narrower one wins.

Only the repairs that are decided shot by shot can be layered. Size and color are settled for the
whole title: a reel cannot be twice as large as the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from media.errors import ConfigError
from media.material import reel_id_from
from wetgate.config import LAYERED, Policy, Project, Restore

Layer = Mapping[str, Any]


def effective(
    project: Project, reel: str, shot: str, person: Layer | None = None
) -> tuple[Project, tuple[str, ...]]:
    """The project as one shot sees it, and the layers that had a say, widest first.

    person: the shot's ``restore`` table in overrides.toml.
    raises: ConfigError naming the layer, the option and what it may be.
    """
    settings, said = project.restore, []
    for name, layer in _layers(project, reel, shot, person):
        if layer:
            settings = merged(settings, layer, name)
            check_invented(settings, project.policy, name)
            said.append(name)
    if not said:
        return project, ()
    return project.model_copy(update={"restore": settings}), tuple(said)


def _layers(
    project: Project, reel: str, shot: str, person: Layer | None
) -> list[tuple[str, Layer]]:
    found = [(f"reel {reel}", r.restore) for r in project.reels if (r.id or _named(r.path)) == reel]
    found += [(f"scene {s.name}", s.restore) for s in project.scenes if shot in s.shots]
    return [*found, (f"shot {shot}", person or {})]


def gaps_of(project: Project, reel: str) -> str:
    """What the project says about numbers that a reel lacks; empty where it says nothing."""
    said = [r.gaps for r in project.reels if (r.id or _named(r.path)) == reel]
    return said[0] if said else ""


def _named(path: str) -> str:
    return reel_id_from(Path(path))


def merged(settings: Restore, layer: Layer, name: str) -> Restore:
    """Settings with a layer over them. raises: ConfigError."""
    table = settings.model_dump()
    for repair, options in layer.items():
        if repair not in LAYERED:
            raise ConfigError(
                f"{name}: restore.{repair} cannot be set here",
                hint="repairs that can: " + ", ".join(LAYERED),
            )
        if not isinstance(options, Mapping):
            raise ConfigError(
                f"{name}: restore.{repair} must be a table", hint=f"write {repair}.enabled = ..."
            )
        unknown = sorted(set(options) - set(table[repair]))
        if unknown:
            raise ConfigError(
                f"{name}: restore.{repair}.{unknown[0]} is not an option",
                hint="options: " + ", ".join(table[repair]),
            )
        table[repair] = {**table[repair], **options}
    try:
        return Restore.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise ConfigError(
            f"{name}: restore.{where}: {first['msg'].lower()} (got {first['input']!r})",
            hint="configs/project.toml lists every option with its range and default",
        ) from error


def check_layers(project: Project) -> None:
    """raises: ConfigError for a layer that says what it may not, or a scene named twice."""
    check_invented(project.restore, project.policy)
    for reel in project.reels:
        check_layer(project, reel.restore, f"reel {reel.id or _named(reel.path)}")
    names = [s.name for s in project.scenes]
    for scene in project.scenes:
        check_layer(project, scene.restore, f"scene {scene.name}")
        if names.count(scene.name) > 1:
            raise ConfigError(f"two scenes are called {scene.name!r}", hint="rename one")


def check_layer(project: Project, layer: Layer, name: str) -> None:
    """raises: ConfigError for a layer that says what it may not, or what the policy forbids."""
    check_invented(merged(project.restore, layer, name), project.policy, name)


def check_invented(settings: Restore, policy: Policy, name: str = "") -> None:
    """What is asked for, by the title or a layer, against what it permits. raises: ConfigError."""
    if policy.allow_invented:
        return
    where = f"{name}: " if name else ""
    if settings.grain.enabled and settings.grain.source == "made":
        raise ConfigError(
            f"{where}restore.grain.source = 'made' makes grain that no frame of the scan shows",
            hint="set policy.allow_invented = true to permit it, or use source = 'own'",
        )
    if settings.weave.border == "mirror":
        raise ConfigError(
            f"{where}restore.weave.border = 'mirror' makes borders that no frame of the scan shows",
            hint="set policy.allow_invented = true to permit it, or use 'keep' or 'matte'",
        )
    if settings.dirt.fill:
        raise ConfigError(
            f"{where}restore.dirt.fill = true makes pixels that no frame of the scan shows",
            hint="set policy.allow_invented = true to permit it, or leave fill off",
        )


def check_scenes(project: Project, shots: set[str]) -> None:
    """raises: ConfigError for a scene that names a shot the title does not have."""
    for scene in project.scenes:
        for shot in scene.shots:
            if shot not in shots:
                raise ConfigError(
                    f"scene {scene.name!r} names {shot!r}, which is no shot of this title",
                    hint="shots are listed by 'wetgate shots OUT'",
                )
