"""Values in order, for as many as a cluster has."""

import bisect
from collections.abc import Iterator
from itertools import chain
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=Any)  # comparable

BLOCK = 1024
MANY = 8  # new values are sorted in with all others if they are more than one in so many


class Ordered(Generic[T]):
    """Sorted values. To put one in or take one out costs about the same however many there are.

    New ones are sorted in when somebody looks: thousands that come together, as from a start, cost one sort.
    """

    __slots__ = ("_blocks", "_fresh", "_lasts")

    def __init__(self) -> None:
        self._blocks: list[list[T]] = []  # none is empty
        self._lasts: list[T] = []  # the last value of each
        self._fresh: list[T] = []

    def __iter__(self) -> Iterator[T]:
        """All values in order."""
        self._sort_in()
        return chain.from_iterable(self._blocks)

    def put(self, value: T) -> None:
        """Take a value in, which must not be there."""
        self._fresh.append(value)

    def take(self, value: T) -> None:
        """Take a value out; one that is not there is no error."""
        self._sort_in()
        at = bisect.bisect_left(self._lasts, value)
        if at == len(self._blocks):
            return
        block = self._blocks[at]
        inside = bisect.bisect_left(block, value)
        if block[inside] != value:
            return
        del block[inside]
        if block:
            self._lasts[at] = block[-1]
        else:
            del self._blocks[at], self._lasts[at]

    def start(self, least: T, most: int) -> list[T]:
        """Return the first values that are not below `least`, at most `most` of them."""
        self._sort_in()
        at = bisect.bisect_left(self._lasts, least)
        found: list[T] = []
        if at < len(self._blocks):
            inside = bisect.bisect_left(self._blocks[at], least)
            while len(found) < most and at < len(self._blocks):
                found += self._blocks[at][inside : inside + most - len(found)]
                at, inside = at + 1, 0
        return found

    def _sort_in(self) -> None:
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        if len(fresh) * MANY > len(self._blocks) * BLOCK:
            self._fill(sorted(chain(chain.from_iterable(self._blocks), fresh)))
            return
        for value in fresh:
            at = min(bisect.bisect_left(self._lasts, value), len(self._blocks) - 1)
            block = self._blocks[at]
            bisect.insort(block, value)
            if len(block) > 2 * BLOCK:
                self._blocks[at : at + 1] = block[:BLOCK], block[BLOCK:]
                self._lasts.insert(at, block[BLOCK - 1])
                at += 1
            self._lasts[at] = self._blocks[at][-1]

    def _fill(self, values: list[T]) -> None:
        self._blocks = [values[at : at + BLOCK] for at in range(0, len(values), BLOCK)]
        self._lasts = [block[-1] for block in self._blocks]
