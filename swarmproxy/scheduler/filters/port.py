"""Only nodes where the ports that a container wants of the host are free: `-p 80:80`.

Classic compared the texts of ports, so that `8000-8010` did not meet `8005`, and neither looked at the protocol
nor compared what a container publishes with what one in the host's network listens on.
Source: classic Swarm 1.2, scheduler/filter/port.go.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swarmproxy.model.container import Container, PortBinding
    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec

HOST_MODE = "host"


class PortFilter:
    """Keeps the nodes none of whose containers, stopped ones and those being created included, has a wanted port.

    A container in the host's network has the ports that it exposes, any other those that it publishes. Ports
    that the engine chooses are free everywhere.
    """

    name = "port"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> list[Node]:  # noqa: ARG002
        """Return the nodes where all wanted ports are free."""
        wanted = _Wanted(spec)
        return [node for node in nodes if not wanted.is_taken_on(node)] if wanted.claims else list(nodes)

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return every port that is asked for, in classic's words."""
        if spec.network_mode == HOST_MODE:
            return [f"port {port} (Host mode)" for port in spec.exposed]
        return [f"port {binding.host_port} (Bridge mode)" for binding in spec.published]


class _Claim(NamedTuple):
    """Ports of one protocol, from the first to the last, on one address."""

    protocol: str
    first: int
    last: int
    ip: str = ""  # empty: on all

    def meets(self, other: _Claim) -> bool:
        return (
            self.protocol == other.protocol
            and self.first <= other.last
            and other.first <= self.last
            and (not self.ip or not other.ip or self.ip == other.ip)
        )


class _Wanted:
    """The ports of one create, for a look at many containers."""

    def __init__(self, spec: ContainerSpec) -> None:
        self.claims = list(_claims_of(spec))
        self._near = _Near(self.claims)

    def is_taken_on(self, node: Node) -> bool:
        """Return whether any container of `node` has one of them."""
        return any(map(self._meets, node.held.values())) or any(self._meets(each.spec) for each in node.pending)

    def _meets(self, holder: Container | ContainerSpec) -> bool:
        if holder.network_mode != HOST_MODE:
            for binding in holder.published:
                if self._near[binding.host_port]:
                    break
            else:
                return False
        return any(claim.meets(mine) for claim in _claims_of(holder) for mine in self.claims)


class _Near(dict[str, bool]):
    """Whether a text of ports overlaps what is wanted, worked out once each: most have nothing to do with it."""

    def __init__(self, claims: Sequence[_Claim]) -> None:
        super().__init__()
        self._claims = claims

    def __missing__(self, ports: str) -> bool:
        span = _span(ports)
        self[ports] = span is not None and any(span[0] <= each.last and each.first <= span[1] for each in self._claims)
        return self[ports]


def _claims_of(holder: Container | ContainerSpec) -> Iterator[_Claim]:
    if holder.network_mode == HOST_MODE:
        for port in holder.exposed:
            ports, _, protocol = port.partition("/")
            if span := _span(ports):
                yield _Claim(protocol or "tcp", *span)
        return
    for binding in holder.published:
        if span := _span(binding.host_port):
            yield _Claim(_protocol(binding), *span, _address(binding.host_ip))


def _protocol(binding: PortBinding) -> str:
    return binding.container_port.partition("/")[2] or "tcp"


def _span(ports: str) -> tuple[int, int] | None:
    """Return the first and the last port of `80` or `8000-8010`; None if the engine chooses, or will refuse."""
    first, dash, last = ports.partition("-")
    try:
        span = int(first), int(last if dash else first)
    except ValueError:
        return None
    return span if 0 < span[0] <= span[1] else None


def _address(ip: str) -> str:
    """Return `ip` in the one way to write it; empty if it means all addresses."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    return "" if address.is_unspecified else address.compressed
