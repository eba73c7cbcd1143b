"""Ports of the host: what a container wants or has, and what the containers of one engine have together."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swarmproxy.model.container import Container, PortBinding
    from swarmproxy.model.spec import ContainerSpec

HOST_MODE = "host"
NARROW = 16  # so many ports of one claim are looked up one by one


class PortClaim(NamedTuple):
    """Ports of one protocol, from the first to the last, on one address."""

    protocol: str
    first: int
    last: int
    ip: str = ""  # empty: on all

    def __str__(self) -> str:
        ports = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{f'{self.ip}:' if self.ip else ''}{ports}/{self.protocol}"

    def meets(self, other: PortClaim) -> bool:
        """Return whether both want the same port on the same address."""
        return (
            self.protocol == other.protocol
            and self.first <= other.last
            and other.first <= self.last
            and (not self.ip or not other.ip or self.ip == other.ip)
        )

    @property
    def is_narrow(self) -> bool:
        """Whether the ports are few."""
        return self.last - self.first < NARROW


def claims_of(holder: Container | ContainerSpec) -> tuple[PortClaim, ...]:
    """Return the ports that a container takes of its host, each once: without those that the engine chooses.

    One in the host's network has the ports that it exposes, any other those that it publishes.
    """
    return tuple(dict.fromkeys(_claims_of(holder))) if holder.published or holder.network_mode == HOST_MODE else ()


class Ports:
    """The ports that containers have, by number: whether one is free costs the same however many are taken."""

    __slots__ = ("_addresses", "_wide")

    def __init__(self) -> None:
        self._addresses: dict[tuple[str, int], tuple[str, ...]] = {}  # (protocol, port): addresses
        self._wide: list[PortClaim] = []

    def add(self, claims: Sequence[PortClaim]) -> None:
        """Take the ports of one more container in."""
        for claim in claims:
            if not claim.is_narrow:
                self._wide.append(claim)
                continue
            for port in range(claim.first, claim.last + 1):
                at = claim.protocol, port
                self._addresses[at] = (*self._addresses.get(at, ()), claim.ip)

    def take(self, claims: Sequence[PortClaim]) -> None:
        """Take the ports of a container, which were added, out."""
        for claim in claims:
            if not claim.is_narrow:
                self._wide.remove(claim)
                continue
            for port in range(claim.first, claim.last + 1):
                at = claim.protocol, port
                addresses = list(self._addresses[at])
                addresses.remove(claim.ip)
                if addresses:
                    self._addresses[at] = tuple(addresses)
                else:
                    del self._addresses[at]

    def meet(self, claims: Sequence[PortClaim]) -> bool:
        """Return whether any of `claims` is for a port that is taken."""
        if not self._addresses and not self._wide:
            return False
        return any(self._meet(claim) or any(map(claim.meets, self._wide)) for claim in claims)

    def _meet(self, claim: PortClaim) -> bool:
        protocol, first, last, ip = claim
        if first == last:
            return (found := self._addresses.get((protocol, first))) is not None and _share(ip, found)
        if claim.is_narrow:
            return any(_share(ip, self._addresses.get((protocol, port), ())) for port in range(first, last + 1))
        return any(
            its_protocol == protocol and first <= port <= last and _share(ip, addresses)
            for (its_protocol, port), addresses in self._addresses.items()
        )


def _share(ip: str, addresses: Sequence[str]) -> bool:
    return any(not ip or not each or each == ip for each in addresses)


def _claims_of(holder: Container | ContainerSpec) -> Iterator[PortClaim]:
    if holder.network_mode == HOST_MODE:
        for port in holder.exposed:
            ports, _, protocol = port.partition("/")
            if span := _span(ports):
                yield PortClaim(protocol or "tcp", *span)
        return
    for binding in holder.published:
        if span := _span(binding.host_port):
            yield PortClaim(_protocol(binding), *span, _address(binding.host_ip))


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


@lru_cache(maxsize=1024)
def _address(ip: str) -> str:
    """Return `ip` in the one way to write it; empty if it means all addresses."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    return "" if address.is_unspecified else address.compressed
