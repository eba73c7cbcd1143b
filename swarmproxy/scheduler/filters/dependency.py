"""Only the node that holds the containers which the new one needs: `--volumes-from`, `--link`, `--net container:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec


class DependencyFilter:
    """Keeps the nodes that hold every container in `spec.found`; one that was not found is on no node.

    Unlike classic's it knows `--ipc container:` and `--pid container:`, too.
    """

    name = "dependency"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> list[Node]:  # noqa: ARG002
        """Return the nodes that hold all that is needed."""
        wanted = spec.dependencies
        if any(each.name not in spec.found for each in wanted):
            return []
        ids = {spec.found[each.name].id for each in wanted}
        return [node for node in nodes if all(container_id in node.held for container_id in ids)]

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return the options that name containers."""
        return [each.option for each in spec.dependencies]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:  # noqa: ARG002
        """See Filter: the reason is the first option whose container is not there."""
        wanted = [(each.option, spec.found.get(each.name)) for each in spec.dependencies]

        def reason(node: Node) -> str:
            missing = (option for option, found in wanted if found is None or found.id not in node.held)
            option = next(missing, "")
            return f"by {option}" if option else ""

        return reason
