"""The best of many nodes, found again after a few have changed: what a create costs does not grow with the cluster."""

from __future__ import annotations

from collections import OrderedDict
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_CONTESTS = 4  # that are kept; one takes some hundred bytes for each node
MAX_SEEN = 64  # of those that are not, so that the second time is known
_PLACE_BITS = 32
_PLACE = (1 << _PLACE_BITS) - 1
_WORN = 2  # the heap is made anew when it holds so many times as many as there are nodes


def standing(weight: int, position: int, *, is_preferred: bool) -> int:
    """Return one number for what orders nodes, the lowest first: weight, whether preferred, position by name."""
    return (weight << 1 | (not is_preferred)) << _PLACE_BITS | position


class Contest:
    """The nodes that will do, in order as far as anybody has looked. `standings` go place by place, None: will not."""

    __slots__ = ("_heap", "_standings", "stale")

    def __init__(self, standings: list[int | None]) -> None:
        self._standings = standings
        self.stale: set[int] = set()  # places of nodes that have changed
        self._fill()

    def _fill(self) -> None:
        self._heap = [each for each in self._standings if each is not None]
        heapify(self._heap)

    def renew(self, standing_at: Callable[[int], int | None]) -> None:
        """Take in what became of the nodes that have changed."""
        while self.stale:
            at = next(iter(self.stale))
            found = standing_at(at)
            self.stale.discard(at)
            if found != self._standings[at]:
                self._standings[at] = found
                if found is not None:
                    heappush(self._heap, found)
        if len(self._heap) > _WORN * len(self._standings):
            self._fill()

    def best(self, places: Sequence[int]) -> int | None:
        """Return the place of the best node, None if none will do; `places` are those of the positions by name."""
        heap = self._heap
        while heap:
            at = places[heap[0] & _PLACE]
            if self._standings[at] == heap[0]:
                return at
            heappop(heap)  # what a node was before
        return None


class Key(NamedTuple):
    """What a contest is about: the questions that are asked of nodes, and what orders those that will do."""

    questions: tuple[str, ...]
    weight: str
    preference: str


class Contests:
    """The contests about one register of nodes that were asked for last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Contest] = OrderedDict()
        self._seen: OrderedDict[Key, None] = OrderedDict()

    def get(self, key: Key) -> Contest | None:
        """Return the contest, if it is kept."""
        if (contest := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
        return contest

    def is_worth_it(self, key: Key) -> bool:
        """Return whether it was asked for before, lately: to prepare what is asked once costs more than it saves."""
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        return False

    def keep(self, key: Key, contest: Contest) -> Contest:
        """Keep and return a contest."""
        self._kept[key] = contest
        if len(self._kept) > MAX_CONTESTS:
            self._kept.popitem(last=False)
        return contest

    def changed(self, at: int) -> None:
        """Take note that there is another node at this place, by the same name."""
        for contest in self._kept.values():
            contest.stale.add(at)

    def moved(self) -> None:
        """Take note that places or names are others."""
        self._kept.clear()
