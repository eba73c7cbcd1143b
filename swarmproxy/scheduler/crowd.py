"""Many nodes, and what has been found out about them: a question is asked of a node once, until the node changes.

Ten thousand nodes do not fit a processor's cache. To look at each for every filter of every create would wait for
memory most of the time; what has been found out stands side by side and is combined without a look at the nodes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import MutableSequence, Sequence
from itertools import compress
from typing import TYPE_CHECKING, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarmproxy.model.node import Node

_T = TypeVar("_T")
NO, YES, UNKNOWN = 0, 1, 2  # what is known of one node, as a byte
MAX_QUESTIONS = 128  # that are remembered; one takes a byte for each node
MAX_COLUMNS = 16  # of numbers, read anew whenever a node changes
_UNKNOWN = bytes([UNKNOWN])


class Register:
    """All nodes of the cluster, each at its place, with what is known of them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._answers: OrderedDict[str, bytearray] = OrderedDict()
        self._columns: OrderedDict[str, tuple[Callable[[Node], int], list[int]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.nodes)

    def add(self, node: Node) -> None:
        """Take in a node at the next place."""
        self.nodes.append(node)
        for answers in self._answers.values():
            answers.append(UNKNOWN)
        for read, column in self._columns.values():
            column.append(read(node))

    def replace(self, at: int, node: Node) -> None:
        """Put what became of the node in its place: nothing is known of it any more."""
        self.nodes[at] = node
        for answers in self._answers.values():
            answers[at] = UNKNOWN
        for read, column in self._columns.values():
            column[at] = read(node)

    def take_out(self, at: int) -> None:
        """Forget a node; the last one takes its place."""
        _move_last(self.nodes, at)
        for answers in self._answers.values():
            _move_last(answers, at)
        for _, column in self._columns.values():
            _move_last(column, at)

    def all(self) -> Crowd:
        """Return all nodes. Good until something changes."""
        return Crowd(self, bytes([YES]) * len(self.nodes))

    def answers_to(self, question: str) -> bytearray:
        """Return what is known, place by place."""
        answers = self._answers.get(question)
        if answers is None:
            if len(self._answers) >= MAX_QUESTIONS:
                self._answers.popitem(last=False)
            answers = self._answers[question] = bytearray(_UNKNOWN * len(self.nodes))
        self._answers.move_to_end(question)
        return answers

    def column(self, name: str, read: Callable[[Node], int]) -> list[int]:
        """Return the number that `read` finds on each node; `name` stands for it."""
        if name not in self._columns:
            if len(self._columns) >= MAX_COLUMNS:
                self._columns.popitem(last=False)
            self._columns[name] = read, [read(node) for node in self.nodes]
        self._columns.move_to_end(name)
        return self._columns[name][1]


class Crowd(Sequence["Node"]):
    """Some of the nodes of a register, in the order of their places."""

    __slots__ = ("_mask", "_register")

    def __init__(self, register: Register, mask: bytes) -> None:
        self._register = register
        self._mask = mask

    def where(self, question: str, holds: Callable[[Node], bool]) -> Crowd:
        """Return those of these nodes for which `holds`, which `question` stands for."""
        answers = self._register.answers_to(question)
        mask = int.from_bytes(self._mask, "little")
        known = int.from_bytes(answers, "little")
        if unknown := known & (mask << 1):  # bit 1 of those that are in the crowd
            places = unknown.to_bytes(len(answers) + 1, "little")
            nodes = self._register.nodes
            at = places.find(_UNKNOWN)
            while at >= 0:
                answers[at] = holds(nodes[at])
                at = places.find(_UNKNOWN, at + 1)
            known = int.from_bytes(answers, "little")
        return Crowd(self._register, (known & mask).to_bytes(len(answers), "little"))

    def column(self, name: str, read: Callable[[Node], int]) -> list[int]:
        """Return what `read` finds on each of these nodes; `name` stands for it."""
        return list(compress(self._register.column(name, read), self._mask))

    def __iter__(self) -> Iterator[Node]:
        return compress(self._register.nodes, self._mask)

    def __len__(self) -> int:
        return self._mask.count(YES)

    @overload
    def __getitem__(self, at: int) -> Node: ...
    @overload
    def __getitem__(self, at: slice) -> list[Node]: ...
    def __getitem__(self, at: int | slice) -> Node | list[Node]:
        return list(self)[at]


def _move_last(line: MutableSequence[_T], at: int) -> None:
    last = line.pop()
    if at < len(line):
        line[at] = last


def where(nodes: Sequence[Node], question: str, holds: Callable[[Node], bool]) -> Sequence[Node]:
    """Return those of `nodes` for which `holds`; `question` names it, so that no two that differ have the same."""
    return nodes.where(question, holds) if isinstance(nodes, Crowd) else [node for node in nodes if holds(node)]


def column(nodes: Sequence[Node], name: str, read: Callable[[Node], int]) -> list[int]:
    """Return what `read` finds on each of `nodes`; `name` stands for it."""
    return nodes.column(name, read) if isinstance(nodes, Crowd) else [read(node) for node in nodes]
