"""Leases: one holder at a time, whatever dies, sleeps or has a wrong clock."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wetgate.leases import LeaseLost, Leases

BEAT_S, EXPIRY_S = 0.05, 0.6


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[Leases, Leases]]:
    pair = (
        Leases(tmp_path / "leases", beat_s=BEAT_S, expiry_s=EXPIRY_S),
        Leases(tmp_path / "leases", beat_s=BEAT_S, expiry_s=EXPIRY_S),
    )
    yield pair
    for worker in pair:
        worker.close()


def elsewhere(leases: Leases, name: str) -> None:
    """As if the holder were on a machine that cannot be looked into."""
    leases._stop.set()
    if leases._thread is not None:
        leases._thread.join()
    newest = leases.newest(name)
    assert newest is not None
    file = leases.root / name / f"{newest.number:06d}.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "host": "far away"}))


def soon(answer: object, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def test_one_holds_and_the_other_waits(workers: tuple[Leases, Leases]) -> None:
    one, two = workers
    assert one.claim("shot")
    assert not two.claim("shot")
    assert not one.claim("shot")
    assert two.alive("shot")
    one.leave("shot", done=True, note="work 1")
    newest = two.newest("shot")
    assert newest is not None
    assert (newest.state, newest.note, newest.owner) == ("done", "work 1", one.owner)
    assert two.claim("shot")
    assert not one.claim("shot")


def test_a_holder_that_beats_keeps_its_lease(workers: tuple[Leases, Leases]) -> None:
    one, two = workers
    assert one.claim("shot")
    until = time.monotonic() + 3 * EXPIRY_S
    while time.monotonic() < until:
        assert not two.claim("shot")
        time.sleep(0.05)
    one.check("shot")


def test_a_holder_that_stands_still_loses_it(workers: tuple[Leases, Leases]) -> None:
    """Nobody's clock is asked: the watcher's own runs out while the beat stands still."""
    one, two = workers
    assert one.claim("shot")
    elsewhere(one, "shot")
    assert two.alive("shot")
    assert not two.claim("shot")
    assert soon(lambda: two.claim("shot"))
    # It wakes up, looks, and stops.
    one.check_lost()
    with pytest.raises(LeaseLost, match="taken over shot"):
        one.check("shot")
    with pytest.raises(LeaseLost):
        one.check_lost()
    # What it says on leaving changes nothing.
    one.leave("shot", done=True)
    newest = two.newest("shot")
    assert newest is not None
    assert (newest.owner, newest.state) == (two.owner, "held")


def test_the_beat_itself_finds_that_the_lease_is_lost(workers: tuple[Leases, Leases]) -> None:
    one, two = workers
    assert one.claim("shot")
    newest = one.newest("shot")
    assert newest is not None
    (one.root / "shot" / f"{newest.number + 1:06d}.json").write_text(
        json.dumps({"owner": two.owner, "beat": 0, "state": "held"})
    )
    assert soon(lambda: "shot" in one._lost)
    with pytest.raises(LeaseLost):
        one.check_lost()


def hold_for_ever(root: str) -> None:
    leases = Leases(Path(root))
    assert leases.claim("shot")
    time.sleep(600)


def test_a_dead_process_of_this_machine_is_not_waited_for(tmp_path: Path) -> None:
    process = multiprocessing.get_context("forkserver").Process(
        target=hold_for_ever, args=(str(tmp_path),)
    )
    process.start()
    leases = Leases(tmp_path)
    assert soon(lambda: leases.newest("shot") is not None, 60.0)
    time.sleep(0.2)
    assert not leases.claim("shot")
    process.kill()
    process.join()
    assert leases.claim("shot")
    leases.close()


def test_of_many_that_grasp_at_once_one_gets_it(tmp_path: Path) -> None:
    """Again and again: free, given back, and from the dead."""
    crowd = [Leases(tmp_path, beat_s=BEAT_S, expiry_s=EXPIRY_S) for _ in range(12)]
    for _ in range(8):
        start, got = threading.Barrier(len(crowd)), list[Leases]()

        def grasp(
            leases: Leases, start: threading.Barrier = start, got: list[Leases] = got
        ) -> None:
            start.wait()
            if leases.claim("shot"):
                got.append(leases)

        threads = [threading.Thread(target=grasp, args=(c,)) for c in crowd]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        got[0].leave("shot")
    for leases in crowd:
        leases.close()


@pytest.mark.parametrize("content", [b"", b'{"owner": ', b'{"owner": "x", "more": 1}'])
def test_a_torn_file_is_a_holder_until_it_stands_still(
    workers: tuple[Leases, Leases], content: bytes
) -> None:
    one, _ = workers
    (one.root / "shot").mkdir(parents=True)
    (one.root / "shot" / "000007.json").write_bytes(content)
    assert not one.claim("shot")
    assert soon(lambda: one.claim("shot"))
    newest = one.newest("shot")
    assert newest is not None
    assert newest.number == 8


@pytest.mark.parametrize("name", ["../shot", "a/b", "", "x" * 200])
def test_names_stay_inside(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name for a lease"):
        Leases(tmp_path).claim(name)


def test_closing_gives_everything_back(workers: tuple[Leases, Leases]) -> None:
    one, two = workers
    assert one.claim("a")
    assert one.claim("b")
    one.close()
    assert two.claim("a")
    assert two.claim("b")
