"""Nodes of which only the best is wanted, as a rule: who will do is asked when the best is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, overload

from swarmproxy.scheduler.contest import Contest, Key, standing
from swarmproxy.scheduler.crowd import Crowd, Many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.scheduler.crowd import Register, Sieve, Together


class Asked(NamedTuple):
    """A question about nodes; see `crowd.where`."""

    question: str
    holds: Callable[[Node], bool]
    sieve: Sieve | None = None


class Weighed(NamedTuple):
    """What orders nodes, the lowest first; see `crowd.column`. Those that weigh `too_much` will not do."""

    name: str
    read: Callable[[Node], int]
    together: Together | None
    too_much: int


class Entrants(Many):
    """Those nodes of a register of which all that is asked holds. Only who looks at them has them asked."""

    __slots__ = ("_asked", "_register")

    def __init__(self, register: Register, asked: tuple[Asked, ...] = ()) -> None:
        self._register = register
        self._asked = asked

    def where(self, question: str, holds: Callable[[Node], bool], sieve: Sieve | None = None) -> Entrants:
        """Return those of these nodes for which `holds`."""
        return Entrants(self._register, (*self._asked, Asked(question, holds, sieve)))

    def crowd(self) -> Crowd:
        """Return them, found out."""
        crowd = self._register.all()
        for each in self._asked:
            crowd = crowd.where(*each)
        return crowd

    def best(self, weighed: Weighed, preferred: Asked | None) -> Node | None:
        """Return the best node: of equal ones a preferred one, of these the first by name.

        None if none will do, or if this is asked for the first time.
        """
        register, questions = self._register, tuple(each.question for each in self._asked)
        key = Key(questions, weighed.name, preferred.question if preferred is not None else "")
        if (contest := register.contests.get(key)) is None and not register.contests.is_worth_it(key):
            return None
        positions, places = register.in_order()
        weights = register.column(weighed.name, weighed.read, weighed.together)
        if contest is None:
            contest = register.contests.keep(key, self._contest(weights, weighed.too_much, preferred))

        def standing_at(at: int) -> int | None:
            will_do = weights[at] != weighed.too_much and all(register.is_so(at, *each[:2]) for each in self._asked)
            if not will_do:
                return None
            is_preferred = preferred is None or register.is_so(at, *preferred[:2])
            return standing(weights[at], positions[at], is_preferred=is_preferred)

        contest.renew(standing_at)
        at = contest.best(places)
        return register.nodes[at] if at is not None else None

    def _contest(self, weights: Sequence[int], too_much: int, preferred: Asked | None) -> Contest:
        """Return the contest, all nodes looked at together."""
        everyone = self._register.all()
        holders = (everyone if preferred is None else everyone.where(*preferred)).mask
        rows = zip(self.crowd().mask, holders, weights, self._register.in_order()[0], strict=True)
        return Contest(
            [
                standing(weight, position, is_preferred=bool(held)) if will_do and weight != too_much else None
                for will_do, held, weight, position in rows
            ]
        )

    def __bool__(self) -> bool:
        """Return True: nobody has looked yet."""
        return True

    def __iter__(self) -> Iterator[Node]:
        return iter(self.crowd())

    def __len__(self) -> int:
        return len(self.crowd())

    @overload
    def __getitem__(self, at: int) -> Node: ...
    @overload
    def __getitem__(self, at: slice) -> list[Node]: ...
    def __getitem__(self, at: int | slice) -> Node | list[Node]:
        return self.crowd()[at]
