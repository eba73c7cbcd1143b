"""What nodes have, side by side: a question about all of them reads one list, and does not look at the nodes."""

from __future__ import annotations

from collections.abc import Collection, MutableSequence
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmproxy.model.node import Node

_T = TypeVar("_T")


class Column(Generic[_T]):
    """What `read` finds on each node, place by place."""

    __slots__ = ("_read", "cells")

    def __init__(self, read: Callable[[Node], _T], cells: list[_T]) -> None:
        self._read = read
        self.cells = cells

    def add(self, node: Node) -> None:
        """Take in a node at the next place."""
        self.cells.append(self._read(node))

    def replace(self, at: int, node: Node) -> None:
        """Read what became of the node in its place."""
        self.cells[at] = self._read(node)

    def take_out(self, at: int) -> None:
        """Forget a node; the last one takes its place."""
        move_last(self.cells, at)


class Vocabulary(Column[Collection[str]]):
    """Texts that many nodes have in common, and on how many each is.

    For texts that are seldom replaced: what has not been is recognized as the same object.
    """

    __slots__ = ("counts",)

    def __init__(self, read: Callable[[Node], Collection[str]], cells: list[Collection[str]]) -> None:
        super().__init__(read, cells)
        self.counts: dict[str, int] = {}
        for texts in cells:
            self._count(texts)

    def add(self, node: Node) -> None:
        """Take in a node at the next place."""
        super().add(node)
        self._count(self.cells[-1])

    def replace(self, at: int, node: Node) -> None:
        """Read what became of the node in its place."""
        before = self.cells[at]
        super().replace(at, node)
        if self.cells[at] is not before:
            self._uncount(before)
            self._count(self.cells[at])

    def take_out(self, at: int) -> None:
        """Forget a node; the last one takes its place."""
        self._uncount(self.cells[at])
        super().take_out(at)

    def _count(self, texts: Collection[str]) -> None:
        for text in texts:
            self.counts[text] = self.counts.get(text, 0) + 1

    def _uncount(self, texts: Collection[str]) -> None:
        for text in texts:
            left = self.counts[text] - 1
            if left:
                self.counts[text] = left
            else:
                del self.counts[text]


def move_last(line: MutableSequence[_T], at: int) -> None:
    """Put the last one in the place of the one at `at`, which is gone."""
    last = line.pop()
    if at < len(line):
        line[at] = last
