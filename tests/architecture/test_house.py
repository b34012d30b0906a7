"""The house is built as it was drawn: packages, imports, sizes, and what tests may do."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import random
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from tests.conftest import NetworkUsedError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("flows", "wetgate", "restore", "color", "media")
LONGEST = 400


def sources(*tops: str) -> list[Path]:
    return sorted(p for top in tops for p in (ROOT / top).rglob("*.py"))


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def tracked_text() -> list[Path]:
    """Files of the project that are text."""
    told = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    if told.returncode:
        pytest.skip("not a git checkout")
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".html", ".css", ".js", ".sh", ".cfg"}
    paths = [ROOT / name for name in told.stdout.splitlines()]
    return [p for p in paths if p.is_file() and (p.suffix in kinds or p.name == "Makefile")]


def outside(script: str) -> str:
    """What a fresh interpreter prints."""
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stderr == ""
    return told.stdout


def test_every_package_is_shipped() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    listed = table["tool"]["setuptools"]["packages"]
    found = {
        ".".join(p.parent.relative_to(ROOT).parts)
        for top in PACKAGES
        for p in (ROOT / top).rglob("__init__.py")
    }
    assert sorted(listed) == sorted(found)
    for path in sources(*PACKAGES):
        assert (path.parent / "__init__.py").is_file(), f"{path} is in no package"
    for package, patterns in table["tool"]["setuptools"]["package-data"].items():
        assert any(list((ROOT / package).glob(p)) for p in patterns) or package == "wetgate"


def test_the_names_of_the_packages_are_free() -> None:
    assert not set(PACKAGES) & set(sys.stdlib_module_names)
    for name in PACKAGES:
        module: ModuleType = importlib.import_module(name)
        assert module.__file__ is not None
        assert Path(module.__file__).is_relative_to(ROOT)
    others = {m.name for m in pkgutil.iter_modules() if m.name in PACKAGES}
    assert others <= set(PACKAGES)


def test_repairs_and_balance_load_light_and_silent() -> None:
    names = [module_name(p) for p in sources("restore", "color")]
    script = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
for heavy in ("prefect", "av", "colour", "OpenImageIO", "basicsr", "wetgate", "flows"):
    if heavy in sys.modules:
        print(heavy)
"""
    assert outside(script) == ""


def test_nothing_is_printed_at_import() -> None:
    names = [module_name(p) for p in sources("media", "wetgate") if p.name != "__main__.py"]
    script = "import importlib\n" + "".join(f"importlib.import_module({n!r})\n" for n in names)
    assert outside(script + "import sys\nprint(int('prefect' in sys.modules))") == "0\n"


@pytest.mark.parametrize("top", [*PACKAGES, "tests", "benchmarks"])
def test_no_module_is_too_long(top: str) -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in sources(top)
        if (n := len(p.read_text("utf-8").splitlines())) > (LONGEST if top != "tests" else 1000)
    }
    assert not long


def test_errors_are_caught_by_name() -> None:
    """One handler of everything: the last line of defence of the program."""
    broad = []
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                raises = any(isinstance(n, ast.Raise) for n in ast.walk(node))
                if caught in ("everything", "Exception", "BaseException") and not raises:
                    broad.append(f"{path.relative_to(ROOT)}: {caught}")
    assert broad == ["wetgate/cli.py: Exception"]


def test_functions_say_what_they_take() -> None:
    """No ``**kwargs``: an option that is misspelt must be an error."""
    loose = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.args.kwarg
    ]
    assert not loose


def test_nothing_names_the_machine_it_was_written_on() -> None:
    places = "|".join(("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/\\w+/", "/Us" + "ers/"))
    found = []
    for path in tracked_text():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if re.search(rf"(?<![\w.$}}\)])(?:{places})", line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found


def test_the_readme_and_the_makefile_agree() -> None:
    readme = ROOT / "README.md"
    if not readme.is_file():
        pytest.skip("there is no README.md yet")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", makefile))
    text = readme.read_text("utf-8")
    named = set(re.findall(r"(?m)(?:^|`|\s)make ([a-z][a-z-]*)", text))
    assert {"demo", "test"} <= named & targets
    assert {n for n in named if f"make {n}`" in text or f"\nmake {n}" in text} <= targets
    code = "".join(p.read_text("utf-8") for p in sorted((ROOT / "wetgate").glob("cli*.py")))
    for command in re.findall(r"(?m)^\$? ?wetgate ([a-z]+)", text):
        assert f"def {command}(" in code or command == "models"


# What conftest promises to every test.


def test_only_this_machine_can_be_reached() -> None:
    with socket.socket() as far, pytest.raises(NetworkUsedError, match=r"192\.0\.2\.1"):
        far.connect(("192.0.2.1", 80))
    with socket.socket() as far, pytest.raises(NetworkUsedError):
        far.connect_ex(("192.0.2.1", 80))
    with socket.socket() as server, socket.socket() as near:
        server.bind(("127.0.0.1", 0))
        server.listen()
        near.connect(server.getsockname())


@pytest.mark.parametrize("turn", [1, 2])
def test_chance_is_seeded(turn: int) -> None:
    drawn = (random.random(), float(np.random.rand()), float(torch.rand(1)))
    assert drawn == pytest.approx((0.9056396761745207, 0.5881308010772742, 0.5614), abs=1e-4)


def test_arithmetic_is_that_of_the_product() -> None:
    assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
    assert not torch.backends.cuda.matmul.allow_tf32
    assert os.environ.get("PREFECT_API_URL") is None
