"""A node of a swarm as its managers tell of it."""

from __future__ import annotations

from typing import Any

import msgspec


class _Tls(msgspec.Struct, frozen=True):
    trust_root: str = msgspec.field(name="TrustRoot", default="")


class _Described(msgspec.Struct, frozen=True):
    name: str = msgspec.field(name="Hostname", default="")
    tls: _Tls = msgspec.field(name="TLSInfo", default=_Tls())


class _Status(msgspec.Struct, frozen=True):
    state: str = msgspec.field(name="State", default="unknown")
    address: str = msgspec.field(name="Addr", default="")


class _Version(msgspec.Struct, frozen=True):
    index: int = msgspec.field(name="Index", default=0)


class ManagerStatus(msgspec.Struct, frozen=True):
    """What a manager is to the others."""

    leads: bool = msgspec.field(name="Leader", default=False)
    reachability: str = msgspec.field(name="Reachability", default="unknown")
    address: str = msgspec.field(name="Addr", default="")  # host:port, at which others join


class SwarmNode(msgspec.Struct, frozen=True):
    """One element of `/nodes`: what we act on, and its specification as it came."""

    id: str = msgspec.field(name="ID")
    version: _Version = msgspec.field(name="Version", default=_Version())
    spec: dict[str, Any] = msgspec.field(name="Spec", default={})
    described: _Described = msgspec.field(name="Description", default=_Described())
    status: _Status = msgspec.field(name="Status", default=_Status())
    manager: ManagerStatus | None = msgspec.field(name="ManagerStatus", default=None)

    @property
    def availability(self) -> str:
        """Whether it gets tasks: active, pause, or drain, which also moves those that it has."""
        return str(self.spec.get("Availability") or "active")

    @property
    def is_manager(self) -> bool:
        """Whether it is a manager, or is to become one."""
        return self.manager is not None or self.spec.get("Role") == "manager"


class JoinTokens(msgspec.Struct, frozen=True):
    """What lets an engine join. Neither is ever logged or kept."""

    worker: str = msgspec.field(name="Worker")
    manager: str = msgspec.field(name="Manager")

    def __repr__(self) -> str:
        return "JoinTokens(...)"


class SwarmTokens(msgspec.Struct, frozen=True):
    """What we read of `/swarm`."""

    tokens: JoinTokens = msgspec.field(name="JoinTokens")


class UnlockKey(msgspec.Struct, frozen=True):
    """The body of `/swarm/unlockkey`. Never logged or kept, either."""

    key: str = msgspec.field(name="UnlockKey", default="")

    def __repr__(self) -> str:
        return "UnlockKey(...)"
