"""What was delivered, from what, by what: provenance a machine can check."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from media.errors import StoreError
from media.reel import DefectMap
from restore.dirt.apply import DirtOperator
from restore.dirt.network import dirt_card
from restore.noise.apply import NoiseOperator
from restore.noise.efforts import GUIDED, guide_for
from restore.noise.guide import guide_card
from wetgate import __version__
from wetgate.files import digest
from wetgate.job import Job
from wetgate.numerics import kind_of, profile
from wetgate.plan import PlannedShot
from wetgate.upscale_model import model_card

SCHEMA = 1
_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "OpenImageIO",
    "opencolorio",
    "av",
    "basicsr",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredFile:
    """One file of the delivery."""

    path: str
    """Relative to the output folder, with forward slashes."""
    sha256: str
    bytes: int
    made_from: str
    """Digest of everything the file was made from; the same digest means the same file."""

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "made_from": self.made_from,
        }


def software(job: Job) -> dict[str, object]:
    """Versions of everything that can move a pixel, and the numerics profile, of the worker that
    delivers; who made which shot is said by ``made_by`` and ``kinds_of``."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "wetgate": __version__,
        "python": platform.python_version(),
        "packages": versions,
        "numerics": profile(job.device),
    }


def made_by(planned: PlannedShot | None) -> str | None:
    """Digest of the numerics profile that made a shot; None for one that was not rendered."""
    return digest(dict(planned.numerics)) if planned is not None and planned.chunks else None


def kinds_of(planned: Mapping[str, PlannedShot]) -> list[dict[str, object]]:
    """The kinds of workers that made pictures, each with its whole profile and its shots."""
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(planned):
        shot = planned[name]
        key = made_by(shot)
        if key is not None:
            words = {"kind": kind_of(shot.numerics), "digest": key}
            kind = found.setdefault(
                key, {**words, "numerics": dict(shot.numerics), "shots": list[str]()}
            )
            kind["shots"].append(name)
    return [found[key] for key in sorted(found)]


def map_sources(found: DefectMap) -> dict[str, object]:
    """A reel's defect map as a source of the delivery."""
    return {
        "source": Path(found.source).name,
        "means": f"dirt is {'bright' if found.bright else 'dark'}",
        "files": [[n, f.path.name, f.sha256] for n, f in found.frames.items()],
    }


def models_used(job: Job, planned: Mapping[str, PlannedShot]) -> list[dict[str, object]]:
    """Learned models that made pixels, or said where others are to be made; empty without any.

    planned: reels, scenes and people ask for models that the title's own settings do not.
    """
    restore = job.project.restore
    dirt, noise, upscale = restore.dirt, restore.noise, restore.upscale
    chain = [op for shot in planned.values() for op in shot.chain]
    finds = {op.options.detector for op in chain if isinstance(op, DirtOperator)}
    guides = {op.guide.name for op in chain if isinstance(op, NoiseOperator) and op.guide}
    if dirt.enabled:
        finds.add(dirt.detector)
    if noise.enabled and guide_for(noise.effort, noise.guide) == "network":
        guides.add(GUIDED[noise.effort][0])
    used: list[dict[str, object]] = []
    if "network" in finds:
        used.append(dict(dirt_card()))
    used += [dict(guide_card(name)) for name in sorted(guides)]
    if not (upscale.enabled and upscale.method == "network"):
        return used
    card = model_card(job.project)
    return [
        *used,
        {
            "used_for": "upscale",
            "name": card.name,
            "arch": card.network.basicsr_name,
            "weights_sha256": card.sha256,
            "licence": card.licence,
            "trained_on": card.trained_on,
            "made_by": card.made_by,
            "not_for": card.not_for,
        },
    ]


def read_delivered(manifest: Mapping[str, Any] | None) -> dict[str, DeliveredFile]:
    """Files of an earlier manifest, by path. raises: StoreError when it is damaged."""
    files = (manifest or {}).get("files", [])
    try:
        return {
            f["path"]: DeliveredFile(
                path=f["path"], sha256=f["sha256"], bytes=f["bytes"], made_from=f["made_from"]
            )
            for f in files
        }
    except (KeyError, TypeError) as error:
        raise StoreError(
            "the list of files in manifest.json is damaged",
            hint="remove manifest.json to have it made again",
        ) from error


def checksum_lines(files: list[DeliveredFile]) -> str:
    """``sha256sum -c`` reads this from the output folder."""
    return "".join(f"{f.sha256}  {f.path}\n" for f in sorted(files, key=lambda f: f.path))


def self_digest(manifest: Mapping[str, Any]) -> str:
    """Digest of a manifest without its own digest."""
    return digest({k: v for k, v in manifest.items() if k != "manifest_sha256"})
