"""Many nodes, and what has been found out about them: a question is asked of a node once, until the node changes.

Ten thousand nodes do not fit a processor's cache. To look at each for every filter of every create would wait for
memory most of the time; what has been found out stands side by side and is combined without a look at the nodes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain, compress
from operator import and_, attrgetter
from typing import TYPE_CHECKING, Protocol, TypeVar, cast, overload

from swarmproxy.scheduler.columns import Column, Vocabulary, move_last
from swarmproxy.scheduler.contest import Contests

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from swarmproxy.model.node import Node

_T = TypeVar("_T")
NO, YES, UNKNOWN = 0, 1, 2  # what is known of one node, as a byte
MAX_QUESTIONS = 128  # that are remembered; one takes a byte for each node
MAX_COLUMNS = 16  # of weights, one for each demand, read anew whenever a node changes
MAX_FACTS = 32  # columns of what nodes have, likewise
BULK = 8  # all nodes are looked at together if more than one in so many has not been asked
_UNKNOWN = bytes([UNKNOWN])
identity = attrgetter("name", "id")


class Sieve(Protocol):
    """What can be said of all nodes together, faster than of one after the other."""

    def __call__(self, register: Register) -> bytes:
        """Return YES or NO for each node, as `holds` would, or UNKNOWN for those that it has to be asked about."""
        ...


class Together(Protocol):
    """A number for each node, worked out for all of them together."""

    def __call__(self, register: Register) -> list[int]:
        """Return the numbers, place by place."""
        ...


class Register:
    """All nodes of the cluster, each at its place, with what is known of them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._answers: OrderedDict[str, bytearray] = OrderedDict()
        self._columns: OrderedDict[str, Column[int]] = OrderedDict()
        self._facts: OrderedDict[str, Column[object]] = OrderedDict()
        self._in_order: tuple[list[int], list[int]] | None = None
        self.contests = Contests()

    def __len__(self) -> int:
        return len(self.nodes)

    def add(self, node: Node) -> None:
        """Take in a node at the next place."""
        self._moved()
        self.nodes.append(node)
        for answers in self._answers.values():
            answers.append(UNKNOWN)
        for column in self._all_columns():
            column.add(node)

    def replace(self, at: int, node: Node) -> None:
        """Put what became of the node in its place: nothing is known of it any more."""
        if identity(node) != identity(self.nodes[at]):
            self._moved()
        self.contests.changed(at)
        self.nodes[at] = node
        for answers in self._answers.values():
            answers[at] = UNKNOWN
        for column in self._all_columns():
            column.replace(at, node)

    def take_out(self, at: int) -> None:
        """Forget a node; the last one takes its place."""
        self._moved()
        move_last(self.nodes, at)
        for answers in self._answers.values():
            move_last(answers, at)
        for column in self._all_columns():
            column.take_out(at)

    def _moved(self) -> None:
        """Take note that places or names are others."""
        self._in_order = None
        self.contests.moved()

    def all(self) -> Crowd:
        """Return all nodes. Good until something changes."""
        return Crowd(self, bytes([YES]) * len(self.nodes))

    def in_order(self) -> tuple[list[int], list[int]]:
        """Return the position of each node in the order of names, place by place, and the places in this order."""
        if self._in_order is None:
            places = sorted(range(len(self.nodes)), key=lambda place: identity(self.nodes[place]))
            positions = [0] * len(places)
            for position, place in enumerate(places):
                positions[place] = position
            self._in_order = positions, places
        return self._in_order

    def answers_to(self, question: str) -> bytearray:
        """Return what is known, place by place."""
        answers = self._answers.get(question)
        if answers is None:
            if len(self._answers) >= MAX_QUESTIONS:
                self._answers.popitem(last=False)
            answers = self._answers[question] = bytearray(_UNKNOWN * len(self.nodes))
        self._answers.move_to_end(question)
        return answers

    def is_so(self, at: int, question: str, holds: Callable[[Node], bool]) -> bool:
        """Return whether the node at this place is one for which `holds`, which `question` stands for."""
        answers = self.answers_to(question)
        if answers[at] == UNKNOWN:
            answers[at] = holds(self.nodes[at])
        return answers[at] == YES

    def column(self, name: str, read: Callable[[Node], int], together: Together | None = None) -> list[int]:
        """Return the number that `read` finds on each node; `name` stands for it.

        `together` finds the same, faster, for all nodes at once.
        """
        columns = self._columns
        if name not in columns:
            cells = together(self) if together is not None else list(map(read, self.nodes))
            _make_room(columns, MAX_COLUMNS)
            columns[name] = Column(read, cells)
        columns.move_to_end(name)
        return columns[name].cells

    def facts(self, name: str, read: Callable[[Node], _T]) -> Sequence[_T]:
        """Return what `read` finds on each node, for questions about all of them; `name` stands for it."""
        return cast("Sequence[_T]", self._fact(name, lambda: Column(read, list(map(read, self.nodes)))).cells)

    def vocabulary(
        self, name: str, read: Callable[[Node], Collection[str]]
    ) -> tuple[Sequence[Collection[str]], Mapping[str, int]]:
        """Return the texts that `read` finds on each node, and each of them with the number of nodes that have it."""
        column = self._fact(f"{name}, counted", lambda: Vocabulary(read, list(map(read, self.nodes))))
        assert isinstance(column, Vocabulary)  # noqa: S101  # the name says so; a type checker cannot see it
        return column.cells, column.counts

    def _fact(self, name: str, make: Callable[[], object]) -> Column[object]:
        facts = self._facts
        if name not in facts:
            _make_room(facts, MAX_FACTS)
            facts[name] = cast("Column[object]", make())
        facts.move_to_end(name)
        return facts[name]

    def _all_columns(self) -> Iterator[Column[int] | Column[object]]:
        return chain(self._columns.values(), self._facts.values())


class Many(Sequence["Node"]):
    """Some of the nodes of a register, in the order of their places. Good until something changes."""

    __slots__ = ()

    def where(self, question: str, holds: Callable[[Node], bool], sieve: Sieve | None = None) -> Many:
        """Return those of these nodes for which `holds`, which `question` stands for."""
        raise NotImplementedError


class Crowd(Many):
    """Nodes of which it is known who they are: `mask` has YES or NO for each node of `register`."""

    __slots__ = ("mask", "register")

    def __init__(self, register: Register, mask: bytes) -> None:
        self.register = register
        self.mask = mask

    @property
    def is_everyone(self) -> bool:
        """Whether they are all nodes of the register."""
        return NO not in self.mask

    def where(self, question: str, holds: Callable[[Node], bool], sieve: Sieve | None = None) -> Crowd:
        """Return those of these nodes for which `holds`, which `question` stands for.

        If many have not been asked yet, `sieve` goes first.
        """
        answers = self.register.answers_to(question)
        mask = int.from_bytes(self.mask, "little")
        known = int.from_bytes(answers, "little")
        if unknown := known & (mask << 1):  # bit 1 of those that are in the crowd
            if sieve is not None and unknown.bit_count() > len(answers) // BULK:
                answers[:] = sieve(self.register)
                unknown = int.from_bytes(answers, "little") & (mask << 1)
            places = unknown.to_bytes(len(answers) + 1, "little")
            nodes = self.register.nodes
            at = places.find(_UNKNOWN)
            while at >= 0:
                answers[at] = holds(nodes[at])
                at = places.find(_UNKNOWN, at + 1)
            known = int.from_bytes(answers, "little")
        return Crowd(self.register, (known & mask).to_bytes(len(answers), "little"))

    def column(self, name: str, read: Callable[[Node], int], together: Together | None = None) -> list[int]:
        """Return what `read` finds on each of these nodes; `name` stands for it."""
        return list(compress(self.register.column(name, read, together), self.mask))

    def first(self, chosen: bytes, preferred: Sequence[Node]) -> Node:
        """Return the first by name of the nodes that are `chosen`, as there is one: of `preferred` if any of these is.

        `chosen` has YES or NO for each of these nodes; `preferred` are some of them.
        """
        if isinstance(preferred, Crowd):
            both = bytes(map(and_, chosen, compress(preferred.mask, self.mask)))
            chosen = both if YES in both else chosen
        positions, places = self.register.in_order()
        return self.register.nodes[places[min(compress(compress(positions, self.mask), chosen))]]

    def __iter__(self) -> Iterator[Node]:
        return compress(self.register.nodes, self.mask)

    def __len__(self) -> int:
        return self.mask.count(YES)

    @overload
    def __getitem__(self, at: int) -> Node: ...
    @overload
    def __getitem__(self, at: slice) -> list[Node]: ...
    def __getitem__(self, at: int | slice) -> Node | list[Node]:
        return list(self)[at]


def where(
    nodes: Sequence[Node], question: str, holds: Callable[[Node], bool], sieve: Sieve | None = None
) -> Sequence[Node]:
    """Return those of `nodes` for which `holds`; `question` names it, so that no two that differ have the same."""
    if isinstance(nodes, Many):
        return nodes.where(question, holds, sieve)
    return [node for node in nodes if holds(node)]


def column(
    nodes: Sequence[Node], name: str, read: Callable[[Node], int], together: Together | None = None
) -> list[int]:
    """Return what `read` finds on each of `nodes`; `name` stands for it."""
    return nodes.column(name, read, together) if isinstance(nodes, Crowd) else [read(node) for node in nodes]


def _make_room(kept: OrderedDict[str, _T], most: int) -> None:
    if len(kept) >= most:
        kept.popitem(last=False)
