"""Expressions compared with all nodes together: what is worked out in Python is done once for each text, not each node.

Each sieve says what a look at the nodes one by one would find (see `crowd.Sieve`).
"""

from __future__ import annotations

from itertools import compress, repeat
from operator import contains
from typing import TYPE_CHECKING

from swarmproxy.model.pattern import ODD, in_lines
from swarmproxy.scheduler.crowd import NO, UNKNOWN, YES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.pattern import Pattern
    from swarmproxy.scheduler.crowd import Register, Sieve

_OPPOSITE = bytes.maketrans(bytes([NO, YES]), bytes([YES, NO]))


def by_value(name: str, value_of: Callable[[Node], str], verdicts: Mapping[str, bool]) -> Sieve:
    """Return the sieve for a text that each node has one of; `verdicts` says which will do."""
    return lambda register: bytes(map(verdicts.__getitem__, register.facts(name, value_of)))


def by_texts(name: str, texts_of: Callable[[Node], Collection[str]], pattern: Pattern, *, wanted: bool) -> Sieve | None:
    """Return the sieve for nodes that have, or if not `wanted` do not have, a text that matches.

    None if the pattern can do without any certain text. All that `texts_of` returns may be different on each node.
    """
    only, marks = pattern.only, pattern.marks

    def exact(register: Register) -> bytes:
        return _verdicts(map(contains, register.facts(name, texts_of), repeat(only)), wanted=wanted)

    def marked(register: Register) -> bytes:
        lines = register.facts(f"{name} in lines", lambda node: in_lines(texts_of(node)))
        places: Sequence[int] = range(len(lines))
        for mark in marks:
            places = list(compress(places, map(contains, map(lines.__getitem__, places), repeat(mark))))
        verdicts = bytearray([not wanted]) * len(lines)
        for at in places:
            has_odd = lines[at].startswith(ODD)
            verdicts[at] = UNKNOWN if has_odd else pattern.finds_marked(lines[at]) is wanted
        return bytes(verdicts)

    if only is not None:
        return exact
    return marked if marks else None


def by_parts(text: str, parts: Iterable[tuple[str, Callable[[Node], Container[str]]]], *, wanted: bool) -> Sieve:
    """Return the sieve for nodes of which any part contains `text`, or if not `wanted` none does."""

    def sieve(register: Register) -> bytes:
        found = [map(contains, register.facts(name, part_of), repeat(text)) for name, part_of in parts]
        return _verdicts(map(any, zip(*found, strict=True)), wanted=wanted)

    return sieve


def by_vocabulary(name: str, texts_of: Callable[[Node], Collection[str]], pattern: Pattern, *, wanted: bool) -> Sieve:
    """Return the sieve for nodes that have, or if not `wanted` do not have, a text that matches.

    Each text is compared once, however many nodes have it.
    """

    def sieve(register: Register) -> bytes:
        nodes, counts = register.vocabulary(name, texts_of)
        if (only := pattern.only) is not None:
            return _verdicts(map(contains, nodes, repeat(only)), wanted=wanted)
        needs = pattern.needs
        matching = {text for text in counts if needs in text and pattern.search(text)}
        return _verdicts(map(matching.isdisjoint, nodes), wanted=not wanted)

    return sieve


def _verdicts(found: Iterable[bool], *, wanted: bool) -> bytes:
    verdicts = bytes(found)
    return verdicts if wanted else verdicts.translate(_OPPOSITE)
