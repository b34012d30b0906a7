"""Which arithmetic made a pixel. Part of every chunk's key, so results are never mixed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

import cv2
import torch
from threadpoolctl import threadpool_limits

from media.errors import UsageError
from restore.models.precision import half_pays

Numerics = Mapping[str, str]
"""A numerics profile: what ``profile`` found on one kind of worker."""
_BF16 = "bf16"


def pick_device(wanted: str) -> torch.device:
    """``auto`` takes CUDA when it is there. raises: UsageError for a device that is not."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "render.device = 'cuda', but no CUDA device can be used",
            hint="set render.device = 'cpu' or 'auto'",
        )
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def pin_numerics() -> None:
    """One thread inside each library call: work is spread over shots instead.

    DIS optical flow cuts its work by the number of threads and gives slightly different flow
    for each; with one thread a result does not depend on the size of the machine. The small
    linear systems of the solvers run ten times slower on threads that wait for each other.
    """
    threadpool_limits(1, user_api="blas")
    cv2.setNumThreads(1)
    cv2.ocl.setUseOpenCL(False)
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


@cache
def _numba() -> str:
    """Asked for every chunk; reading a package's record each time would take seconds."""
    return version("numba")


def profile(device: torch.device) -> dict[str, str]:
    """What the bits of a result depend on besides code and decisions."""
    found = {
        "device": device.type,
        "precision": "float32",
        # Networks keep features in bf16 where the processor multiplies them; pictures never.
        "features": _BF16 if half_pays(device) else "float32",
        "torch": ".".join(torch.__version__.split("+")[0].split(".")[:2]),
        "opencv": cv2.__version__,
    }
    # Motion is found on the CPU, and dirt covered there, whatever device the pictures are on.
    found["instructions"] = torch.backends.cpu.get_cpu_capability()
    if device.type == "cpu":
        found["numba"] = _numba()
    else:
        found["gpu"] = torch.cuda.get_device_name(device)
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    return found


def halved(numerics: Numerics) -> bool:
    """Do networks that may keep features in bf16 do so on this kind of worker?"""
    return numerics["features"] == _BF16


def kind_of(numerics: Numerics) -> str:
    """A profile for people: ``cpu/AVX512/bf16``, ``cuda/NVIDIA H100 80GB HBM3/bf16``."""
    unit = numerics.get("gpu") or numerics["instructions"]
    return f"{numerics['device']}/{unit}/{numerics['features']}"


def kind_beside(numerics: Numerics, own: Numerics) -> str:
    """The same, told apart from one's own where only versions differ."""
    words = kind_of(numerics)
    if words != kind_of(own):
        return words
    other = sorted(k for k in {*numerics, *own} if numerics.get(k) != own.get(k))
    return ", ".join([words, *(f"{k} {numerics.get(k, 'not there')}" for k in other)])
