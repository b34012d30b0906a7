"""What holds for every test: no network but loopback, seeded chance, pinned arithmetic."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from tests.reels import hashes, project_of, put_title, run_here
from wetgate.numerics import pin_numerics

LOOPBACK = ("127.", "::1", "localhost")


class NetworkUsedError(AssertionError):
    """A test reached for something outside this machine."""


def pytest_configure() -> None:
    """Property tests take what time they need on a loaded machine, and the same examples."""
    # What work costs is learned from run to run; tests learn from nothing but themselves.
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="wetgate-state-")
    settings.register_profile("wetgate", deadline=None, derandomize=True)
    settings.load_profile("wetgate")


def _guarded(call: Callable[..., object]) -> Callable[..., object]:
    def checked(self: socket.socket, address: object) -> object:
        host = str(address[0]) if isinstance(address, tuple) else ""
        if self.family in (socket.AF_INET, socket.AF_INET6) and not host.startswith(LOOPBACK):
            raise NetworkUsedError(f"a test reached for {host}")
        return call(self, address)

    return checked


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets to anywhere but this machine are refused."""
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


@pytest.fixture(autouse=True)
def same_chance() -> None:
    """Every test draws the same numbers, whatever ran before it."""
    random.seed(20)
    np.random.seed(20)
    torch.manual_seed(20)


@pytest.fixture(autouse=True)
def product_numerics() -> Iterator[None]:
    """The arithmetic the product runs with."""
    threads = torch.get_num_threads()
    pin_numerics()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """Two reels of two shots for all tests; nobody may change them, and that is checked."""
    reels = put_title(tmp_path_factory.mktemp("title"))
    before = hashes(*reels)
    yield reels
    assert hashes(*reels) == before, "a scan was changed"


@pytest.fixture(scope="session")
def reference(scans: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of an undisturbed run over ``scans``; copy it, do not change it."""
    out = tmp_path_factory.mktemp("reference") / "out"
    pin_numerics()
    assert run_here(project_of(scans), out).exit_code == 0
    return out


@pytest.fixture
def finished(reference: Path, tmp_path: Path) -> Path:
    """A copy of the finished job, to do things to."""
    return Path(shutil.copytree(reference, tmp_path / "finished"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes a disk of a given size (``8m``), where this machine lets a test do so."""
    made: list[Path] = []

    def make(size: str, *more: str) -> Path:
        place = tmp_path / f"disk{len(made)}"
        place.mkdir()
        if sys.platform != "linux" or shutil.which("mount") is None:
            pytest.skip("a small disk can only be made on Linux")
        options = ",".join((f"size={size}", *more))
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"not allowed to make a small disk: {done.stderr.strip()}")
        made.append(place)
        return place

    yield make
    for place in made:
        subprocess.run(["umount", str(place)], check=True, capture_output=True)
