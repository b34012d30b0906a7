"""Work a little ahead in threads, memory bounded: whole runs in order, or reads on demand."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_order(
    work: Callable[[A], B], items: Iterable[A], *, threads: int, ahead: int
) -> Iterator[B]:
    """``work(item)`` for every item, in order; at most ``ahead`` results exist at once.

    The first error is raised at its place in the order; what was begun is finished or dropped
    before this returns, also when the caller stops early.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class ReadAhead(Generic[B]):
    """Reads on demand, with the next few of an expected order already under way.

    Use as a context manager: what was begun is finished or dropped when it is left.
    """

    def __init__(
        self, read: Callable[[int], B], order: Sequence[int], *, ahead: int, keep: int
    ) -> None:
        """read: may raise; the error comes out of ``get`` for that number. order: the numbers
        that will probably be asked for, in turn. ahead: how many of them are read before they
        are asked for. keep: how many results are held at most, those under way included."""
        self._read = read
        self._order = list(order)
        self._place = {n: k for k, n in enumerate(self._order)}
        self._ahead, self._keep = ahead, max(keep, ahead + 1)
        self._kept: OrderedDict[int, Future[B]] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def get(self, number: int) -> B:
        """The result for a number; starts the reads that will follow."""
        with self._lock:
            wanted = self._begin(number)
            at = self._place.get(number)
            if at is not None:
                for later in self._order[at + 1 : at + 1 + self._ahead]:
                    self._begin(later)
            self._kept.move_to_end(number)
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return wanted.result()

    def _begin(self, number: int) -> Future[B]:
        found = self._kept.get(number)
        if found is None:
            found = self._kept[number] = self._pool.submit(self._read, number)
        return found
