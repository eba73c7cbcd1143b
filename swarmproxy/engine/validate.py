"""What a daemon says of itself, and whether that makes it an engine we can use."""

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from sys import intern

import msgspec

from swarmproxy.engine.client import EngineClient
from swarmproxy.engine.events import EngineClock
from swarmproxy.errors import EngineUnreachable, NotSupported
from swarmproxy.model.generic import declared_in
from swarmproxy.model.swarm import ACTIVE, INACTIVE, SwarmPart
from swarmproxy.model.times import parse_rfc3339_ns
from swarmproxy.wire.address import Address

log = logging.getLogger("swarmproxy.engine")

OLDEST_API = (1, 24)  # Docker 1.12; older ones describe events and errors in other shapes
NEWEST_API = (1, 51)  # the newest whose answers we have read with real engines
SKEW_LIMIT_NS = 2_000_000_000
PROXY_VERSIONS = ("swarm/", "swarmproxy/")
FIXED_LABELS = ("storagedriver", "kernelversion", "operatingsystem", "ostype")


class NotAnEngine(NotSupported):
    """What answers at the address cannot take part in the cluster; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an engine says of itself. Replaced when it is read anew."""

    id: str
    name: str
    ip: str  # where its published ports are reached
    cpus: int
    memory_bytes: int
    resources: dict[str, int] = field(default_factory=dict)  # generic ones, by kind, GPUs included
    labels: dict[str, str] = field(default_factory=dict)
    server_version: str = ""
    api_min: str = "1.12"
    api_max: str = "1.24"
    os: str = ""  # "Debian GNU/Linux 12 (bookworm)"
    os_type: str = ""  # "linux"
    arch: str = ""  # as the kernel says it: "x86_64"
    cgroup_version: str = "1"
    swarm: SwarmPart | None = None  # its part in a swarm of Docker's swarm mode, while that is active
    swarm_state: str = INACTIVE  # or pending, active, error, locked
    plugins: bytes = b"{}"  # the `Plugins` of its info, as it came
    info: bytes = b"{}"  # the body of its /info
    version: bytes = b"{}"  # the body of its /version

    @property
    def standing(self) -> tuple[str, SwarmPart | None]:
        """What it is to swarm mode."""
        return self.swarm_state, self.swarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The facts of one moment, and what the engine's clock said then."""

    facts: Facts
    api_version: str  # of our own calls: "1.41"
    clock: EngineClock
    skew_ns: int  # ours less the engine's; 0 while they agree well enough
    ignored_labels: tuple[str, ...] = ()  # why labels of the daemon are not used


class _Version(msgspec.Struct):
    Version: str | None = None
    ApiVersion: str | None = None
    MinAPIVersion: str | None = None


class _NamedResource(msgspec.Struct):
    Kind: str | None = None


class _DiscreteResource(msgspec.Struct):
    Kind: str | None = None
    Value: int | None = None


class _GenericResource(msgspec.Struct):
    NamedResourceSpec: _NamedResource | None = None
    DiscreteResourceSpec: _DiscreteResource | None = None


class _RemoteManager(msgspec.Struct):
    NodeID: str | None = None


class _TlsInfo(msgspec.Struct):
    TrustRoot: str | None = None


class _SwarmCluster(msgspec.Struct):
    ID: str | None = None
    TLSInfo: _TlsInfo | None = None


class _Swarm(msgspec.Struct):
    NodeID: str | None = None
    NodeAddr: str | None = None
    LocalNodeState: str | None = None
    ControlAvailable: bool | None = None
    Error: str | None = None
    RemoteManagers: list[_RemoteManager] | None = None
    Cluster: _SwarmCluster | None = None


def _swarm_part(said: _Swarm, info: bytes) -> SwarmPart | None:
    """Return the part in a swarm that `said` tells of; None if that is not active."""
    if said.LocalNodeState != ACTIVE or not said.NodeID:
        return None
    managers = said.RemoteManagers or ()
    cluster = said.Cluster or _SwarmCluster()
    return SwarmPart(
        node_id=said.NodeID,
        is_manager=bool(said.ControlAvailable),
        managers=frozenset(each.NodeID for each in managers if each.NodeID),
        cluster_id=cluster.ID or "",
        trust_root=(cluster.TLSInfo.TrustRoot if cluster.TLSInfo is not None else None) or "",
        address=said.NodeAddr or "",
        error=said.Error or "",
        info=info,
    )


class _Info(msgspec.Struct):
    ID: str | None = None
    Name: str | None = None
    NCPU: int | None = None
    MemTotal: int | None = None
    Labels: list[str] | None = None
    ServerVersion: str | None = None
    Driver: str | None = None
    KernelVersion: str | None = None
    OperatingSystem: str | None = None
    OSType: str | None = None
    Architecture: str | None = None
    CgroupVersion: str | None = None
    SystemTime: str | None = None
    SystemStatus: list[list[str]] | None = None
    GenericResources: list[_GenericResource] | None = None
    Swarm: msgspec.Raw = msgspec.Raw(b"null")
    Plugins: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def is_a_manager(self) -> bool:
        """Whether it answers as classic Swarm does, and as we do."""
        return any(row[:1] == ["Role"] for row in self.SystemStatus or ())


async def identify(client: EngineClient, address: Address, *, timeout_s: float) -> Identity:
    """Ask the daemon at `address` who it is. Each step has `timeout_s`.

    Raises NotAnEngine if it will not do; EngineUnreachable, EngineError or ProtocolViolation if it does not
    say.
    """
    ip = await resolve(address, timeout_s=timeout_s)
    asked_ns = time.time_ns()
    with client.who_it_is(timeout_s=timeout_s) as answers:
        pinged = (await answers.next_answer()).headers.get("api-version", "")
        version_body = await answers.next()
        version = client.decode(version_body, _Version, "/version")
        info_body = await answers.next()
    midpoint_ns = (asked_ns + time.time_ns()) // 2
    clock_at_ns = time.monotonic_ns()  # not in the middle: what its clock says now is never taken for later than it is
    info = client.decode(info_body, _Info, "/info")
    swarm_info = bytes(info.Swarm)
    swarm = client.decode(swarm_info, _Swarm, "/info") if swarm_info != b"null" else _Swarm()

    _refuse_manager(address, version, info)
    api_max = version.ApiVersion or pinged or "1.24"
    api_min = version.MinAPIVersion or "1.12"
    if parse_version(api_max) < OLDEST_API:
        raise NotAnEngine(
            f"{address} speaks version {api_max} of the Docker API at most, "
            "and 1.24 (Docker 1.12) is the oldest that can be used"
        )
    engine_id = info.ID or ""
    labels, ignored = labels_of(info, engine_id, address)
    resources = {**_generic_resources(info.GenericResources or ()), **declared_in(labels)}
    clock_ns = _moment_ns(info.SystemTime or "")
    skew_ns = midpoint_ns - clock_ns if clock_ns else 0
    facts = Facts(
        id=engine_id,
        name=info.Name or "",
        ip=ip,
        cpus=info.NCPU or 0,
        memory_bytes=info.MemTotal or 0,
        resources=resources,
        labels=labels,
        server_version=info.ServerVersion or version.Version or "",
        api_min=api_min,
        api_max=api_max,
        os=info.OperatingSystem or "",
        os_type=info.OSType or "",
        arch=info.Architecture or "",
        cgroup_version=info.CgroupVersion or "1",
        swarm=_swarm_part(swarm, swarm_info),
        swarm_state=swarm.LocalNodeState or INACTIVE,
        plugins=bytes(info.Plugins),
        info=info_body,
        version=version_body,
    )
    return Identity(
        facts=facts,
        api_version=own_version(api_min, api_max),
        clock=EngineClock.read(clock_ns, clock_at_ns),
        skew_ns=skew_ns if abs(skew_ns) >= SKEW_LIMIT_NS else 0,
        ignored_labels=ignored,
    )


def _refuse_manager(address: Address, version: _Version, info: _Info) -> None:
    """Raise NotAnEngine if this is a manager of engines, with or without nodes of its own.

    Source: classic Swarm 1.2, cluster/engine.go; it did not see a manager that had nodes.
    """
    said = version.Version or info.ServerVersion or ""
    if said.startswith(PROXY_VERSIONS) or info.is_a_manager:
        raise NotAnEngine(
            f"{said or 'a cluster manager'} answers at {address}, "
            f"make sure {address} is a Docker Engine, not a Swarm manager"
        )
    if not info.NCPU or not info.MemTotal:
        raise NotAnEngine(
            f"cannot get resources for this engine, make sure {address} is a Docker Engine, not a Swarm manager"
        )
    if not info.ID:
        raise NotAnEngine(f"the engine at {address} has no ID")


def labels_of(info: _Info, engine_id: str, address: Address) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the labels of a node, and a sentence for each label of the daemon that is not used.

    What the engine knows of itself comes first, and the daemon's own labels cannot override it.
    `architecture` and `engineversion` are ours, and give way to a daemon that has always had a label of that name.
    Raises NotAnEngine for a label without `=`.
    Source: classic Swarm 1.2, cluster/engine.go.
    """
    known = {
        "storagedriver": info.Driver,
        "kernelversion": info.KernelVersion,
        "operatingsystem": info.OperatingSystem,
        "ostype": info.OSType,
        "architecture": info.Architecture,
        "engineversion": info.ServerVersion,
    }
    labels = {key: intern(value) for key, value in known.items() if value}
    ignored: list[str] = []
    for text in info.Labels or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise NotAnEngine(
                f"Engine (ID: {engine_id}, Addr: {address}) contains an invalid label ({text}) "
                'not formatted as "key=value".'
            )
        if key == "node":
            ignored.append("label node is not usable: it is reserved for the name of the node")
        elif key in FIXED_LABELS and key in labels:
            ignored.append(f"label {key} cannot override what the engine says of itself")
        else:
            labels[intern(key)] = intern(value)  # most are those of other engines, too
    return labels, tuple(ignored)


def _generic_resources(resources: Sequence[_GenericResource]) -> dict[str, int]:
    """Return what a daemon was told to offer (`node-generic-resources` in its configuration), by kind."""
    total: dict[str, int] = {}
    for resource in resources:
        named, discrete = resource.NamedResourceSpec, resource.DiscreteResourceSpec
        if named is not None and named.Kind:
            total[named.Kind] = total.get(named.Kind, 0) + 1
        if discrete is not None and discrete.Kind:
            total[discrete.Kind] = total.get(discrete.Kind, 0) + (discrete.Value or 0)
    return total


async def resolve(address: Address, *, timeout_s: float) -> str:
    """Return the IP address of the engine's host, IPv4 if it has one; empty for a host that only ssh knows.

    Raises EngineUnreachable.
    """
    if address.path and not address.ssh:
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(address.host))
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        if address.ssh:
            return ""  # a name that only ssh's configuration knows
        raise EngineUnreachable(f"cannot find the address of {address.host}: {error or 'no answer'}") from error
    found.sort(key=lambda entry: entry[0] is not socket.AF_INET)
    return str(found[0][4][0])


def own_version(api_min: str, api_max: str) -> str:
    """Return the version of our own calls: the engine's newest, unless that is newer than we know."""
    newest = min(parse_version(api_max), NEWEST_API)
    major, minor = max(newest, parse_version(api_min))
    return f"{major}.{minor}"


def parse_version(text: str) -> tuple[int, int]:
    """Return "1.41" as (1, 41). What is no version counts as older than all."""
    major, _, minor = text.partition(".")
    try:
        return int(major), int(minor)
    except ValueError:
        return 0, 0


def _moment_ns(text: str) -> int:
    try:
        return parse_rfc3339_ns(text)
    except ValueError:
        return 0


class Skew:
    """How far our clock is ahead of an engine's: warned of once, steady while measurements agree."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.ns = 0

    def measured(self, identity: Identity) -> bool:
        """Take in a new measurement; return whether moments of this engine have to be read anew."""
        if abs(identity.skew_ns - self.ns) < SKEW_LIMIT_NS // 2:
            return False
        self.ns = identity.skew_ns
        if self.ns:
            log.warning(
                "Engine has unsynchronized systime with swarm, please synchronize it.",
                extra={"engine": identity.facts.id, "addr": str(self._address), "skew_s": self.ns / 1e9},
            )
        return True
