"""Working ahead changes nothing but the time: order, errors and bounds stay."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.ahead import ReadAhead, in_order


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(), max_size=30), st.integers(1, 4), st.integers(1, 6))
def test_results_come_in_order(items: list[int], threads: int, ahead: int) -> None:
    assert list(in_order(lambda n: n * 2, items, threads=threads, ahead=ahead)) == [
        2 * n for n in items
    ]


def test_no_more_is_under_way_than_was_said() -> None:
    alive = most = 0
    lock = threading.Lock()

    def work(n: int) -> int:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return n

    for _ in in_order(work, range(50), threads=4, ahead=5):
        with lock:
            alive -= 1
    assert most <= 5


def test_an_error_comes_at_its_place() -> None:
    def work(n: int) -> int:
        if n == 3:
            raise ValueError("three")
        return n

    found = in_order(work, range(10), threads=3, ahead=4)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(found)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 19), min_size=1, max_size=40), st.integers(0, 3), st.integers(1, 8))
def test_reads_in_any_order_give_the_same(asked: list[int], ahead: int, keep: int) -> None:
    with ReadAhead(lambda n: n * n, range(20), ahead=ahead, keep=keep) as source:
        assert [source.get(n) for n in asked] == [n * n for n in asked]


def test_what_is_asked_for_in_order_is_read_once() -> None:
    read: list[int] = []

    def once(n: int) -> int:
        read.append(n)
        return n

    with ReadAhead(once, range(12), ahead=2, keep=4) as source:
        for n in range(12):
            assert source.get(n) == n
    assert read == list(range(12))


def test_a_read_that_fails_says_so_when_it_is_asked_for() -> None:
    def read(n: int) -> int:
        if n == 2:
            raise OSError("gone")
        return n

    with ReadAhead(read, range(5), ahead=2, keep=4) as source:
        assert [source.get(0), source.get(1)] == [0, 1]
        with pytest.raises(OSError, match="gone"):
            source.get(2)
        assert source.get(3) == 3
