"""Only nodes that hold what the new container needs: containers (`--link`, …), local networks and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.scheduler.crowd import where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec


class DependencyFilter:
    """Keeps the nodes that hold every container in `spec.found` and are in every `spec.reach`.

    A container that was not found is on no node. Unlike classic's it knows `--ipc container:` and
    `--pid container:`, too, and volumes, and networks: classic only wished for their node, and lost to any other wish.
    """

    name = "dependency"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:  # noqa: ARG002
        """Return the nodes that hold all that is needed."""
        wanted = spec.dependencies
        if any(each.name not in spec.found for each in wanted):
            return []
        kept = nodes
        if ids := {spec.found[each.name].id for each in wanted}:
            question = f"holds {' '.join(sorted(ids))}"
            kept = where(kept, question, lambda node: all(container_id in node.held for container_id in ids))
        for reach in spec.reach:
            kept = [node for node in kept if node.id in reach.nodes]
        return kept

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return the options that name containers, networks and volumes; the last two with the nodes that have them."""
        return [
            *(each.option for each in spec.dependencies),
            *(f"{each.option} (only on {each.where})" for each in spec.reach),
        ]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:  # noqa: ARG002
        """See Filter: the reason is the first option whose container, network or volume is not there."""
        wanted = [(each.option, spec.found.get(each.name)) for each in spec.dependencies]

        def reason(node: Node) -> str:
            missing = (option for option, found in wanted if found is None or found.id not in node.held)
            beyond = (each.option for each in spec.reach if node.id not in each.nodes)
            option = next(missing, "") or next(beyond, "")
            return f"by {option}" if option else ""

        return reason
