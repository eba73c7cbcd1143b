"""Containers in the order of a listing, in blocks: a change touches one block, which keeps what was made of it."""

from __future__ import annotations

import bisect
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from swarmproxy.engine.engine import Engine
from swarmproxy.model.container import Container
from swarmproxy.model.listing import order

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator


MOST = 512  # rows of a block: as many are made anew after a change, and looked at by a question that was not asked yet
MANY = 8  # all rows are sorted anew if more than one in so many is new
KEPT = 16  # things that were made of one block
Key = tuple[int, str]


class Located(msgspec.Struct, frozen=True, gc=False):
    """A container and the engine that holds it."""

    engine: Engine
    container: Container

    @property
    def title(self) -> str:
        """How a message names it: `node/name`."""
        return f"{self.engine.name}/{self.container.name}"


def key_of(row: Located) -> Key:
    """Return where a row stands."""
    return order(row.container)


class Block:
    """Some neighbours of the order, and what readers have made of them.

    `kept` is theirs: it is emptied as soon as any of the rows changes, joins or leaves.
    """

    __slots__ = ("kept", "rows")

    def __init__(self, rows: list[Located]) -> None:
        self.rows = rows
        self.kept: dict[Hashable, Any] = {}

    def keep(self, name: Hashable, made: object) -> None:
        """Keep what was made of the rows, until they change or something else takes the room."""
        if len(self.kept) >= KEPT:
            del self.kept[next(iter(self.kept))]
        self.kept[name] = made


class Newest:
    """All containers, latest created first, then by id."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._blocks: list[Block] = []
        self._lasts: list[Key] = []  # of the last row of each block
        self._fresh: list[Located] = []  # without a place yet

    def add(self, row: Located) -> None:
        """Take in a row whose key is not there. It gets its place when somebody looks: a start brings thousands."""
        self._fresh.append(row)

    def replace(self, row: Located) -> None:
        """Take a row in, in the place of the one with its key, which must be there."""
        self._sort_in()
        key = key_of(row)
        block = self._blocks[bisect.bisect_left(self._lasts, key)]
        block.kept.clear()
        block.rows[bisect.bisect_left(block.rows, key, key=key_of)] = row

    def remove(self, container: Container) -> None:
        """Take the row of `container` out, which must be there."""
        self._sort_in()
        key = order(container)
        at = bisect.bisect_left(self._lasts, key)
        rows = self._blocks[at].rows
        self._blocks[at].kept.clear()
        del rows[bisect.bisect_left(rows, key, key=key_of)]
        if not rows:
            del self._blocks[at], self._lasts[at]
            return
        self._lasts[at] = key_of(rows[-1])
        following = at + 1
        if following < len(self._blocks) and len(rows) + len(self._blocks[following].rows) <= self._most // 2:
            rows += self._blocks[following].rows
            del self._blocks[following], self._lasts[at]

    def touch(self, container: Container) -> None:
        """Take note that something about `container`, which must be there, looks different now.

        Of one without a place nothing has been made yet: all containers of an engine are touched when it becomes
        healthy, and to sort them in then would place those of a start one by one.
        """
        at = bisect.bisect_left(self._lasts, order(container))
        if at < len(self._blocks):
            self._blocks[at].kept.clear()

    def blocks(self, after: Key | None = None) -> Iterator[Block]:
        """Yield the blocks from the one that holds the first key behind `after` on.

        Good until something changes: who waits between two blocks asks again.
        """
        self._sort_in()
        start = 0 if after is None else bisect.bisect_right(self._lasts, after)
        for at in range(start, len(self._blocks)):
            yield self._blocks[at]

    def __iter__(self) -> Iterator[Located]:
        return (row for block in self.blocks() for row in block.rows)

    def __len__(self) -> int:
        return sum(len(block.rows) for block in self._blocks) + len(self._fresh)

    def _sort_in(self) -> None:
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        if len(fresh) * MANY <= len(self._blocks) * self._most:
            for row in fresh:
                self._insert(row)
            return
        rows = sorted(chain((row for block in self._blocks for row in block.rows), fresh), key=key_of)
        self._blocks = [Block(rows[at : at + self._most]) for at in range(0, len(rows), self._most)]
        self._lasts = [key_of(block.rows[-1]) for block in self._blocks]

    def _insert(self, row: Located) -> None:
        key = key_of(row)
        at = min(bisect.bisect_left(self._lasts, key), len(self._blocks) - 1)
        block = self._blocks[at]
        rows = block.rows
        place = bisect.bisect_left(rows, key, key=key_of)
        if len(rows) < self._most:
            block.kept.clear()
            rows.insert(place, row)
            self._lasts[at] = key_of(rows[-1])
        elif at == place == 0:  # new containers come first: a block of their own leaves the others full
            self._insert_block(0, [row])
        else:
            block.kept.clear()
            rows.insert(place, row)
            half = len(rows) // 2
            self._insert_block(at + 1, rows[half:])
            del rows[half:]
            self._lasts[at] = key_of(rows[-1])

    def _insert_block(self, at: int, rows: list[Located]) -> None:
        self._blocks.insert(at, Block(rows))
        self._lasts.insert(at, key_of(rows[-1]))
