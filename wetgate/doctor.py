"""Is this machine able to run a job, and is every package the one it should be?"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

OURS = ("media", "restore", "color", "wetgate", "flows")
_NEEDED = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "cv2": "opencv-python-headless",
    "OpenImageIO": "OpenImageIO",
    "PyOpenColorIO": "opencolorio",
    "av": "av",
    "opentimelineio": "opentimelineio",
    "pydantic": "pydantic",
    "prefect": "prefect",
    "basicsr": "basicsr",
    "defusedxml": "defusedxml",
}


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    ok: bool
    what: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Everything that must be right before a job can run here."""
    found = [
        Finding(
            (3, 11) <= sys.version_info[:2] < (3, 13),
            f"Python {sys.version_info.major}.{sys.version_info.minor}",
            "use Python 3.11 or 3.12",
        )
    ]
    found += [_package(module, name) for module, name in _NEEDED.items()]
    found += one_root()
    found.append(_device())
    return found


def one_root() -> list[Finding]:
    """Our packages have everyday names: each must come from the same place as the others."""
    root = Path(__file__).resolve().parent.parent
    found = []
    for name in OURS:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        ok = origin is not None and origin.is_relative_to(root)
        found.append(
            Finding(
                ok,
                f"package {name} is ours" if ok else f"package {name} comes from {origin}",
                "" if ok else f"remove or rename {origin}: it hides {root / name}",
            )
        )
    return found


def _package(module: str, name: str) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(False, f"{name} is not installed", "run 'make setup'")
    if module in ("basicsr", "prefect"):
        # Present is enough: importing them is slow, and basicsr is never imported whole.
        return Finding(True, f"{name} {version}")
    try:
        importlib.import_module(module)
    except ImportError as error:
        return Finding(False, f"{name} {version} cannot be loaded: {error}", _library(str(error)))
    return Finding(True, f"{name} {version}")


def _library(text: str) -> str:
    """The Debian package of a missing system library, where the message names one."""
    known = {"libGL.so.1": "libgl1", "libgthread": "libglib2.0-0", "libgomp": "libgomp1"}
    for library, package in known.items():
        if library in text:
            return f"install the system package {package}"
    return "run 'make setup' in a fresh checkout"


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding(True, f"CUDA device {torch.cuda.get_device_name(0)}")
    return Finding(True, "no CUDA device: everything runs on the CPU")
