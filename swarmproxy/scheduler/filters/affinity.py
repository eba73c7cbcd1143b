"""Only nodes that hold, or do not hold, certain containers or images: `-e affinity:container==web`.

Source: classic Swarm 1.2, scheduler/filter/affinity.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.model.container import SHORT_ID_LENGTH
from swarmproxy.model.image import split_reference
from swarmproxy.scheduler.expression import Expression, parse_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec


class AffinityFilter:
    """Compares with the containers of a node, in every state and those being created, and with its images.

    The key `container` stands for IDs and names, `image` for IDs, tags and repositories, any other for that
    label of every container, where a missing one is an empty text. Unlike with classic, IDs of 12 characters
    count, and image IDs without `sha256:`.
    """

    name = "affinity"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> list[Node]:
        """Return the nodes that satisfy every affinity, soft ones only if `soft`. Raises BadRequest."""
        kept = list(nodes)
        for expression in parse_all(spec.expressions.affinities, soft=soft):
            kept = [node for node in kept if expression.holds(_candidates(expression, node))]
        return kept

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return all affinities."""
        return [f"{each} (soft={str(each.soft).lower()})" for each in parse_all(spec.expressions.affinities, soft=True)]


def _candidates(expression: Expression, node: Node) -> Iterable[str]:
    match expression.key:
        case "container":
            return _containers(node, expression.pattern.only)
        case "image":
            return _images(node)
    return _label_values(node, expression.key)


def _containers(node: Node, only: str | None) -> list[str]:
    """Return names and IDs, but of the IDs none that cannot be the text looked for, if it is `only` one."""
    candidates = [container.name for container in node.held.values() if container.name]
    candidates += [pending.name for pending in node.pending if pending.name]
    if only is None:
        candidates += node.held
    elif only in node.held:
        candidates.append(only)
    elif len(only) == SHORT_ID_LENGTH:
        candidates += [container_id[:SHORT_ID_LENGTH] for container_id in node.held]
    return candidates


def _images(node: Node) -> Iterator[str]:
    for image in node.images.values():
        yield image.id
        digits = image.id.removeprefix("sha256:")
        yield digits
        yield digits[:SHORT_ID_LENGTH]
        for tag in image.tags:
            yield tag
            yield split_reference(tag)[0]


def _label_values(node: Node, key: str) -> set[str]:
    return {
        *(container.labels.get(key, "") for container in node.held.values()),
        *(pending.spec.labels.get(key, "") for pending in node.pending),
    }
