"""Only nodes with a free container slot, where an engine's label `containerslots` limits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.scheduler.crowd import where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec

LABEL = "containerslots"


class SlotsFilter:
    """Keeps the nodes with fewer containers, in whatever state, than their label says: no label, no limit."""

    name = "containerslots"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:  # noqa: ARG002
        """Return the nodes with a free slot."""
        return where(nodes, "free slot", _has_free_slot)

    def describe(self, spec: ContainerSpec) -> list[str]:  # noqa: ARG002
        """Return the same words always: scripts look for them."""
        return ["available container slots"]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:  # noqa: ARG002
        """See Filter."""
        return lambda node: "" if _has_free_slot(node) else "out of container slots"


def _has_free_slot(node: Node) -> bool:
    if (slots := node.labels.get(LABEL)) is None:
        return True
    try:
        return node.containers < int(slots)
    except ValueError:
        return True
