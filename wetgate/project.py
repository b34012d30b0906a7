"""From what was asked (file, preset, --only, --set, sources) to one frozen Project."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_origin

import tomli_w
from pydantic import BaseModel, ValidationError

from color.cdl_files import read_cdls
from media.defect_map import channel_name
from media.encoding import ENCODING_NAMES
from media.errors import ConfigError, EncodingUndeclared, InputError
from media.frames import parse_rate
from media.material import reel_id_from
from media.ocio import ocio_view
from media.shots.timeline import safe_id
from wetgate.config import COLOR_WORK, REPAIRS, Project
from wetgate.layers import check_layers

Table = dict[str, object]

PRESETS = Path(__file__).resolve().parent.parent / "configs" / "presets"


def load_project(
    arguments: Sequence[str],
    *,
    preset: str | None = None,
    only: str | None = None,
    sets: Sequence[str] = (),
    encoding: str | None = None,
    rate: str | None = None,
) -> Project:
    """The project a command line asks for.

    arguments: one PROJECT.toml, or sources (movies, folders of frames, patterns).
    raises: ConfigError naming the option and the nearest valid one; InputError for sources.
    """
    if not arguments:
        raise ConfigError("nothing to work on", hint="name a project file or at least one source")
    table: Table = {}
    if preset is not None:
        _merge(table, _preset(preset))
    if len(arguments) == 1 and arguments[0].endswith(".toml"):
        path = Path(arguments[0])
        _merge(table, _read_toml(path))
        _root_paths(table, path.resolve().parent)
        if encoding or rate:
            raise ConfigError(
                "--encoding and --rate are for sources named on the command line",
                hint="set reels.encoding and reels.rate in the project",
            )
    else:
        reels = [_reel_of(a, encoding, rate) for a in arguments]
        table["reels"] = reels
        table.setdefault("title", reels[0]["id"])
    if only is not None:
        _merge(table, _only(only))
    for assignment in sets:
        _set(table, assignment)
    project = validate(table)
    _check(project)
    return project


def validate(table: Table) -> Project:
    """A Project, or a ConfigError that names the option and what it may be."""
    try:
        return Project.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        if first["type"] == "extra_forbidden":
            options = known_options()
            sections = {o.rpartition(".")[0] for o in options} - {""}
            raise ConfigError(
                f"{where} is not an option", hint=nearest(where, [*options, *sorted(sections)])
            ) from error
        raise ConfigError(
            f"{where}: {first['msg'].lower()} (got {first['input']!r})",
            hint="configs/project.toml lists every option with its range and default",
        ) from error


def known_options() -> list[str]:
    """Dotted names of every option; list items by the name of the list."""
    return sorted(_walk(Project, ""))


def dump_project(project: Project) -> str:
    """The resolved project as TOML, every option written out."""
    return tomli_w.dumps(project.model_dump(mode="json"), multiline_strings=False)


def _walk(model: type[BaseModel], prefix: str) -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if name == "scenes" or (name == "restore" and get_origin(inner) is dict):
            # Layers are tables of their own, see wetgate.layers.
            continue
        for candidate in (inner, *get_args(inner)):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                names += _walk(candidate, f"{prefix}{name}.")
                break
        else:
            names.append(f"{prefix}{name}")
    return names


def nearest(name: str, known: Sequence[str]) -> str:
    plain = ".".join(p for p in name.split(".") if not p.isdigit())
    close = difflib.get_close_matches(plain, known, n=1, cutoff=0.0)
    return f"did you mean {close[0]!r}?"


def _read_toml(path: Path) -> Table:
    if not path.is_file():
        raise ConfigError(f"project {path} is not there", hint="check the path")
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="mend that line") from error


def _preset(name: str) -> Table:
    known = sorted(p.stem for p in PRESETS.glob("*.toml"))
    if name not in known:
        raise ConfigError(f"preset {name!r} is not known", hint="known: " + ", ".join(known))
    return _read_toml(PRESETS / f"{name}.toml")


def _merge(base: Table, over: Table) -> None:
    for key, value in over.items():
        inner = base.get(key)
        if isinstance(value, dict) and isinstance(inner, dict):
            _merge(inner, value)
        else:
            base[key] = value


def _root_paths(table: Table, root: Path) -> None:
    """Paths in a project are relative to it and may not climb out of its folder."""
    reels = table.get("reels")
    for reel in reels if isinstance(reels, list) else []:
        if isinstance(reel, dict):
            for key in ("path", "shots"):
                _root_path(reel, key, f"reels.{key}", root)
            if not channel_name(str(reel.get("defect_map") or "")):
                _root_path(reel, "defect_map", "reels.defect_map", root)
    color = table.get("color")
    files = color.get("decisions") if isinstance(color, dict) else None
    if isinstance(color, dict) and isinstance(files, list):
        holder: Table = {}
        for k, file in enumerate(files):
            holder[str(k)] = file
            _root_path(holder, str(k), "color.decisions", root)
        color["decisions"] = list(holder.values())
    place: object = table
    for key in ("restore", "upscale", "model"):
        place = place.get(key) if isinstance(place, dict) else None
    if isinstance(place, dict):
        _root_path(place, "path", "restore.upscale.model.path", root)


def _root_path(section: Table, key: str, name: str, root: Path) -> None:
    value = section.get(key)
    if not isinstance(value, str) or not value or Path(value).is_absolute():
        return
    resolved = (root / value).resolve()
    if not resolved.is_relative_to(root):
        raise ConfigError(
            f"{name} = {value!r} leads out of the project's folder",
            hint="write the absolute path if that is meant",
        )
    section[key] = str(resolved)


def _reel_of(source: str, encoding: str | None, rate: str | None) -> Table:
    reel: Table = {
        "path": str(Path(source).absolute()),
        "id": reel_id_from(Path(source).absolute()),
    }
    if encoding:
        reel["encoding"] = encoding
    if rate:
        reel["rate"] = rate
    return reel


def _only(text: str) -> Table:
    names = [n.strip() for n in text.split(",") if n.strip()]
    known = (*REPAIRS, *COLOR_WORK)
    wanted = [] if names == ["none"] else names
    for name in wanted:
        if name not in known:
            raise ConfigError(f"--only {name}: no such repair", hint=nearest(name, known))
    return {
        "restore": {r: {"enabled": r in wanted} for r in REPAIRS},
        "color": {c: {"enabled": c in wanted} for c in COLOR_WORK},
    }


def _set(table: Table, assignment: str) -> None:
    name, sign, text = assignment.partition("=")
    if not sign or not name.strip():
        raise ConfigError(f"--set {assignment!r} is not of the form name=value", hint="see --help")
    keys = name.strip().split(".")
    options = known_options()
    if name.strip() not in options or keys[0] in ("reels", "deliver"):
        if keys[0] == "deliver" and name.strip() in options:
            deliver = table.setdefault("deliver", [{}])
            if isinstance(deliver, list):
                for item in deliver:
                    if isinstance(item, dict):
                        item[keys[1]] = _value(name.strip(), text)
            return
        if keys[0] == "reels" and name.strip() in options:
            reels = table.get("reels")
            for reel in reels if isinstance(reels, list) else []:
                if isinstance(reel, dict):
                    reel[keys[1]] = _from_here(keys[1], _value(name.strip(), text))
            return
        raise ConfigError(f"{name.strip()} is not an option", hint=nearest(name.strip(), options))
    place: Table = table
    for key in keys[:-1]:
        inner = place.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{name.strip()} is not an option", hint=nearest(name, options))
        place = inner
    place[keys[-1]] = _value(name.strip(), text)


def _from_here(key: str, value: object) -> object:
    """A path on the command line is relative to where that is; workers run elsewhere."""
    if key not in ("shots", "defect_map") or not isinstance(value, str) or not value:
        return value
    return value if channel_name(value) else str(Path(value).absolute())


def _value(name: str, text: str) -> object:
    """TOML where it parses as a value, else the text itself; a rate of 24 is a text too."""
    try:
        value: object = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text
    return text if _is_text(name) and not isinstance(value, str) else value


def _is_text(name: str) -> bool:
    """Whether an option holds text."""
    model: type[BaseModel] = Project
    *sections, last = name.split(".")
    for section in sections:
        annotation = model.model_fields[section].annotation
        model = next(
            c
            for c in (annotation, *get_args(annotation))
            if isinstance(c, type) and issubclass(c, BaseModel)
        )
    return model.model_fields[last].annotation is str


def _check(project: Project) -> None:
    """What no single option can know."""
    check_layers(project)
    if not project.reels:
        raise ConfigError("the project has no reels", hint="add a [[reels]] table with a path")
    ids = [r.id or reel_id_from(Path(r.path)) for r in project.reels]
    for reel_id in ids:
        if ids.count(reel_id) > 1:
            raise InputError(
                "two reels have this name", reel=reel_id, hint="set reels.id to tell them apart"
            )
        alike = [i for i in ids if safe_id(i) == safe_id(reel_id)]
        if len(alike) > 1:
            raise InputError(
                f"the names {alike[0]!r} and {alike[1]!r} would give their shots the same ids",
                reel=reel_id,
                hint="set reels.id to names that differ in letters, digits or dots",
            )
    for reel, reel_id in zip(project.reels, ids, strict=True):
        if reel.rate:
            parse_rate(reel.rate)
        if "/" in reel_id or reel_id in (".", ".."):
            raise ConfigError(f"reels.id {reel_id!r} is not a name", hint="leave out slashes")
        if not reel.encoding:
            raise EncodingUndeclared(
                "no color encoding is declared, and it is never guessed",
                reel=reel_id,
                hint="set reels.encoding in the project, or --encoding, to one of "
                + ", ".join(ENCODING_NAMES)
                + ", or ocio:<color space>",
            )
        if reel.gaps == "rebuild" and not project.policy.allow_invented:
            raise ConfigError(
                "reels.gaps = 'rebuild' makes frames that the scan does not have",
                reel=reel_id,
                hint="set policy.allow_invented = true to permit it, or use gaps = 'hold'",
            )
    if project.color.view:
        ocio_view(project.color.view)
    for file in project.color.decisions:
        # Read when they are needed, but refused now and not after a night of measuring.
        read_cdls(Path(file))
    names = [d.name for d in project.deliver]
    if len(set(names)) != len(names) or not names:
        raise ConfigError("deliverables need different names", hint="set deliver.name")
    for taken, files in (("color", "color files"), ("grain", "grain tables")):
        if taken in names:
            raise ConfigError(
                f"deliver.name = {taken!r} is where the {files} go", hint="choose another name"
            )
    upscale = project.restore.upscale
    if upscale.enabled and upscale.method == "network" and not project.policy.allow_invented:
        raise ConfigError(
            "restore.upscale.method = 'network' makes pixels no frame of the scan shows",
            hint="set policy.allow_invented = true to permit it, or use method = 'lanczos'",
        )
    if upscale.enabled and upscale.method == "network" and upscale.whole == 1:
        raise ConfigError(
            "restore.upscale.method = 'network' with factor = 1 would run no model",
            hint="set factor to that of the model; models that do not enlarge are not run yet",
        )
    if upscale.factor and (upscale.width or upscale.height):
        side = "width" if upscale.width else "height"
        raise ConfigError(
            f"restore.upscale.factor = {upscale.factor:g} and {side} = "
            f"{upscale.width or upscale.height} both say how large the picture becomes",
            hint="leave one of them at 0",
        )


def project_digest_table(project: Project) -> str:
    """What makes two runs the same delivery: everything but how many workers do it, and when."""
    table = project.model_dump(mode="json")
    table["render"].pop("workers")
    table.pop("night")
    return json.dumps(table, sort_keys=True)
