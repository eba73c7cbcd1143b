"""Only nodes where the ports that a container wants of the host are free: `-p 80:80`.

Classic compared the texts of ports, so that `8000-8010` did not meet `8005`, and neither looked at the protocol
nor compared what a container publishes with what one in the host's network listens on.
Source: classic Swarm 1.2, scheduler/filter/port.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.model.ports import HOST_MODE, PortClaim, claims_of
from swarmproxy.scheduler.crowd import where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec


class PortFilter:
    """Keeps the nodes none of whose containers, stopped ones and those being created included, has a wanted port.

    A container in the host's network has the ports that it exposes, any other those that it publishes. Ports
    that the engine chooses are free everywhere.
    """

    name = "port"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:  # noqa: ARG002
        """Return the nodes where all wanted ports are free."""
        wanted = claims_of(spec)
        if not wanted:
            return nodes
        question = f"free {' '.join(map(str, wanted))}"
        return where(nodes, question, lambda node: not _is_taken(wanted, node))

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return every port that is asked for, in classic's words."""
        if spec.network_mode == HOST_MODE:
            return [f"port {port} (Host mode)" for port in spec.exposed]
        return [f"port {binding.host_port} (Bridge mode)" for binding in spec.published]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:  # noqa: ARG002
        """See Filter: the reason is the first port that is taken."""
        claims = list(claims_of(spec))

        def reason(node: Node) -> str:
            lost = next((mine for mine in claims if _is_taken((mine,), node)), None)
            return f"by port {lost}" if lost else ""

        return reason


def _is_taken(wanted: Sequence[PortClaim], node: Node) -> bool:
    if node.contents.ports.meet(wanted):
        return True
    if not node.pending:
        return False
    return any(mine.meets(its) for each in node.pending for its in claims_of(each.spec) for mine in wanted)
