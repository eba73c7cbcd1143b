"""An engine's part in a swarm of Docker's swarm mode, which some members may form among themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from swarmproxy.errors import SwarmError
from swarmproxy.model.members import NOT_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

INACTIVE = "inactive"
ACTIVE = "active"
LOCKED = "locked"
ERROR = "error"

# What an engine says when it did not even begin with a request, since it could not have decided anything.
# Source: moby, daemon/cluster/errors.go and cluster.go; swarmkit, manager/state/raft/raft.go.
_NOT_BEGUN = (
    "This node is not a swarm manager.",
    "This node is not part of a swarm",
    "Swarm is encrypted and needs to be unlocked",
    "The swarm does not have a leader.",
)

# What it says when the leader was lost in the middle: it may have been done, or may still be.
_CUT_OFF = (
    "node lost leader status",
    "code = DeadlineExceeded",
    "code = Unavailable",
    "context deadline exceeded",
)


@dataclass(frozen=True, slots=True)
class SwarmPart:
    """What an engine in a swarm says of that."""

    node_id: str
    is_manager: bool = False
    managers: frozenset[str] = frozenset()  # node IDs; whoever shares one is in the same swarm
    cluster_id: str = ""  # only managers know it
    trust_root: str = field(default="", repr=False)  # the certificate that the nodes' are signed by; likewise
    address: str = ""  # where the others of the swarm reach it
    error: str = ""  # why a manager cannot say more: there is no leader
    info: bytes = field(default=b"{}", repr=False)  # the `Swarm` of its /info, as it came

    @property
    def marks(self) -> frozenset[str]:
        """By any of these it is told that two are in the same swarm."""
        own = [each for each in (self.cluster_id, self.node_id if self.is_manager else "") if each]
        return self.managers.union(own)


class _Discrete(msgspec.Struct, frozen=True):
    kind: str = msgspec.field(name="Kind", default="")
    value: int = msgspec.field(name="Value", default=0)


class _Generic(msgspec.Struct, frozen=True):
    discrete: _Discrete | None = msgspec.field(name="DiscreteResourceSpec", default=None)


class _Reserved(msgspec.Struct, frozen=True):
    memory_bytes: int | None = msgspec.field(name="MemoryBytes", default=None)
    nano_cpus: int | None = msgspec.field(name="NanoCPUs", default=None)
    generic: tuple[_Generic, ...] | None = msgspec.field(name="GenericResources", default=None)

    def read(self) -> Reserved:
        """Return it as a value."""
        asked = [each.discrete for each in self.generic or () if each.discrete is not None]
        return Reserved(
            memory_bytes=self.memory_bytes or 0,
            nano_cpus=self.nano_cpus or 0,
            resources={each.kind: each.value for each in asked if each.kind and each.value > 0},
        )


class _Resources(msgspec.Struct, frozen=True):
    reserved: _Reserved | None = msgspec.field(name="Reservations", default=None)


class _Template(msgspec.Struct, frozen=True):
    resources: _Resources | None = msgspec.field(name="Resources", default=None)


class _ServiceSpec(msgspec.Struct, frozen=True):
    template: _Template = msgspec.field(name="TaskTemplate", default=_Template())


class _Service(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="ID")
    spec: _ServiceSpec = msgspec.field(name="Spec", default=_ServiceSpec())


@dataclass(frozen=True, slots=True)
class Reserved:
    """What each task of a service reserves. Only the swarm's own scheduler knows: its container does not say."""

    memory_bytes: int = 0
    nano_cpus: int = 0
    resources: Mapping[str, int] = field(default_factory=dict)  # generic ones: a service asks for a number of a kind


NOTHING_RESERVED = Reserved()
_services = msgspec.json.Decoder(list[_Service] | None)


def reservations(services: bytes) -> dict[str, Reserved]:
    """Return what tasks reserve, by ID of their service, of those in a manager's `/services` that reserve anything.

    Raises SwarmError if that cannot be read.
    """
    try:
        found = _services.decode(services) or ()
    except NOT_JSON as error:
        raise SwarmError(f"a manager of the swarm lists its services in a way that cannot be read: {error}") from error
    reserved: dict[str, Reserved] = {}
    for service in found:
        resources = service.spec.template.resources
        if resources is not None and resources.reserved is not None:
            each = resources.reserved.read()
            if each != NOTHING_RESERVED:
                reserved[service.id] = each
    return reserved


def is_without_effect(status: int, message: str) -> bool:
    """Return whether a manager refused for its own sake, and did nothing: another one may do what was asked for."""
    return status >= 500 and any(words in message for words in _NOT_BEGUN)


def is_leaderless(status: int, message: str) -> bool:
    """Return whether a manager could not answer for want of a leader: later, or another manager, it may be answered."""
    return is_without_effect(status, message) or (status >= 500 and any(words in message for words in _CUT_OFF))
