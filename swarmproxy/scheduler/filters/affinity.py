"""Only nodes that hold, or do not hold, certain containers or images: `-e affinity:container==web`.

Source: classic Swarm 1.2, scheduler/filter/affinity.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.model.container import SHORT_ID_LENGTH
from swarmproxy.scheduler.expression import Expression, parse_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.pattern import Pattern
    from swarmproxy.model.spec import ContainerSpec

_HEX = frozenset("0123456789abcdef")


class AffinityFilter:
    """Compares with the containers of a node, in every state and those being created, and with its images.

    The key `container` stands for IDs and names, `image` for IDs, tags, digests and repositories, any other for that
    label of every container, where a missing one is an empty text. Unlike with classic, IDs of 12 characters
    count, and image IDs without `sha256:`.
    """

    name = "affinity"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> list[Node]:
        """Return the nodes that satisfy every affinity, soft ones only if `soft`. Raises BadRequest."""
        kept = list(nodes)
        for expression in parse_all(spec.expressions.affinities, soft=soft):
            kept = [node for node in kept if _holds(expression, node)]
        return kept

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return all affinities."""
        return [f"{each} (soft={str(each.soft).lower()})" for each in parse_all(spec.expressions.affinities, soft=True)]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:
        """See Filter: the reason is the first affinity that does not hold."""
        wanted = parse_all(spec.expressions.affinities, soft=soft)

        def reason(node: Node) -> str:
            broken = next((each for each in wanted if not _holds(each, node)), None)
            return f"by affinity {broken}" if broken else ""

        return reason


def _holds(expression: Expression, node: Node) -> bool:
    return _is_there(expression, node) is (expression.operator == "==")


def _is_there(expression: Expression, node: Node) -> bool:
    """Return whether `node` has what the value means, whatever the operator."""
    only = expression.pattern.only
    if only is None or (len(only) == SHORT_ID_LENGTH and _HEX.issuperset(only)):  # takes a look at everything
        return node.remember(f"{expression.key}=={expression.value}", lambda: _has(expression, node))
    return _has(expression, node)


def _has(expression: Expression, node: Node) -> bool:
    pattern = expression.pattern
    match expression.key:
        case "image":
            return pattern.finds(node.names_of_images)
        case "container":
            return _has_container(pattern, node)
    values = node.contents.values_of(expression.key)
    return pattern.finds(values) or any(
        pattern.search(each.spec.labels.get(expression.key, "")) for each in node.pending
    )


def _has_container(pattern: Pattern, node: Node) -> bool:
    if pattern.finds(node.contents.names) or any(pattern.search(each.name) for each in node.pending if each.name):
        return True
    only = pattern.only
    if only is None or len(only) != SHORT_ID_LENGTH:
        return pattern.finds(node.held)
    return any(container_id.startswith(only) for container_id in node.held)
