"""Only nodes that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.errors import NoNodeFits
from swarmproxy.scheduler.crowd import where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec


class HealthFilter:
    """Keeps the nodes that are healthy. Its error stands alone, as classic's."""

    name = "health"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:  # noqa: ARG002
        """Return the healthy nodes. Raises NoNodeFits if there is none."""
        healthy = where(nodes, "healthy", _is_healthy)
        if not healthy:
            raise NoNodeFits("No healthy node available in the cluster")
        return healthy

    def describe(self, spec: ContainerSpec) -> list[str]:  # noqa: ARG002
        """Return nothing: health is not asked for."""
        return []

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:  # noqa: ARG002
        """See Filter."""
        return lambda node: "" if _is_healthy(node) else "unhealthy"


def _is_healthy(node: Node) -> bool:
    return node.healthy and node.health > 0
