"""Only nodes that hold, or do not hold, certain containers or images: `-e affinity:container==web`.

Source: classic Swarm 1.2, scheduler/filter/affinity.go.
"""

from __future__ import annotations

import functools
from operator import attrgetter
from typing import TYPE_CHECKING

from swarmproxy.model.container import SHORT_ID_LENGTH
from swarmproxy.scheduler.crowd import where
from swarmproxy.scheduler.expression import Expression, first_broken, parse_all
from swarmproxy.scheduler.sieve import by_parts, by_texts, by_vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.pattern import Pattern
    from swarmproxy.model.spec import ContainerSpec
    from swarmproxy.scheduler.crowd import Sieve

_HEX = frozenset("0123456789abcdef")


class AffinityFilter:
    """Compares with the containers of a node, in every state and those being created, and with its images.

    The key `container` stands for IDs and names, `image` for IDs, tags, digests and repositories, any other for that
    label of every container, where a missing one is an empty text. Unlike with classic, IDs of 12 characters
    count, and image IDs without `sha256:`.
    """

    name = "affinity"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:
        """Return the nodes that satisfy every affinity, soft ones only if `soft`. Raises BadRequest."""
        kept = nodes
        for expression in parse_all(spec.expressions.affinities, soft=soft):
            kept = where(kept, f"affinity {expression}", _verdict(expression), _sieve(expression))
        return kept

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return all affinities."""
        return [f"{each} (soft={str(each.soft).lower()})" for each in parse_all(spec.expressions.affinities, soft=True)]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:
        """See Filter: the reason is the first affinity that does not hold."""
        wanted = [(each, _verdict(each)) for each in parse_all(spec.expressions.affinities, soft=soft)]
        return first_broken("affinity", wanted)


def _verdict(expression: Expression) -> Callable[[Node], bool]:
    """Return what says whether a node satisfies `expression`."""
    match expression.key:
        case "image":
            has = functools.partial(_has_image, expression.pattern, _Matches(expression.pattern))
        case "container":
            has = functools.partial(_has_container, expression.pattern)
        case _:
            has = functools.partial(_has_label, expression.key, expression.pattern)
    wanted = expression.operator == "=="
    return lambda node: has(node) is wanted


def _sieve(expression: Expression) -> Sieve | None:
    """Return what says the same of all nodes together; None if only a look at each can tell."""
    key, pattern, wanted = expression.key, expression.pattern, expression.operator == "=="
    if key == "image":
        return by_vocabulary("images", lambda node: node.names_of_images, pattern, wanted=wanted)
    if key == "container":
        only = pattern.only
        if _HEX.issuperset(pattern.needs):  # it may mean an ID
            return _by_name_or_id(only, wanted=wanted) if only is not None else None
        return by_texts("containers", _names, pattern, wanted=wanted)
    return by_texts(f"containers' {key}", functools.partial(_values, key), pattern, wanted=wanted)


def _by_name_or_id(only: str, *, wanted: bool) -> Sieve:
    ids: tuple[str, Callable[[Node], Container[str]]] = "IDs", attrgetter("held")
    if _may_be_short_id(only):
        ids = "short IDs", _short_ids
    return by_parts(only, [("containers", _names), ids], wanted=wanted)


def _short_ids(node: Node) -> str:
    return " ".join(container_id[:SHORT_ID_LENGTH] for container_id in node.held)


def _names(node: Node) -> Collection[str]:
    """Return the names of containers, of those on the way as well."""
    held = node.contents.names
    return held if not node.pending else {*held, *(each.name for each in node.pending if each.name)}


def _values(key: str, node: Node) -> Collection[str]:
    """Return what containers, those on the way as well, say of a label."""
    held = node.contents.values_of(key)
    return held if not node.pending else {*held, *(each.spec.labels.get(key, "") for each in node.pending)}


class _Matches(dict[str, bool]):
    """Whether a text matches, worked out once each: engines hold the same images as a rule."""

    def __init__(self, pattern: Pattern) -> None:
        super().__init__()
        self._pattern = pattern

    def __missing__(self, text: str) -> bool:
        self[text] = self._pattern.search(text)
        return self[text]


def _has_image(pattern: Pattern, matches: _Matches, node: Node) -> bool:
    if pattern.only is not None:
        return pattern.only in node.names_of_images
    return any(map(matches.__getitem__, node.names_of_images))


def _has_label(key: str, pattern: Pattern, node: Node) -> bool:
    if pattern.finds(node.contents.values_of(key)):
        return True
    return any(pattern.search(each.spec.labels.get(key, "")) for each in node.pending) if node.pending else False


def _has_container(pattern: Pattern, node: Node) -> bool:
    if pattern.finds(node.contents.names):
        return True
    if _HEX.issuperset(pattern.needs) and pattern.finds(node.held):
        return True
    if node.pending and any(pattern.search(each.name) for each in node.pending if each.name):
        return True
    only = pattern.only
    if only is None or not _may_be_short_id(only):
        return False
    return any(container_id.startswith(only) for container_id in node.held)


def _may_be_short_id(text: str) -> bool:
    return len(text) == SHORT_ID_LENGTH and _HEX.issuperset(text)
