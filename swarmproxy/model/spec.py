"""What a container create asks for, and the body that its engine gets.

Only the members that the cluster acts on are read. All others stay byte for byte as the client wrote them, so
a client may use an API newer than ours. Member names are matched without regard to case, as Go does.
Source: classic Swarm 1.2, cluster/config.go and api/handlers.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.container import (
    SHORT_ID_LENGTH,
    Container,
    DeviceRequest,
    PortBinding,
    RawDeviceRequest,
    RawPortBinding,
    RawPortMap,
    shares_of_cores,
    to_device_request,
    to_port_bindings,
)
from swarmproxy.model.generic import read_wishes
from swarmproxy.model.image import familiar, split_reference
from swarmproxy.model.labels import ID, Expressions, check_reschedule_policies, take_expressions
from swarmproxy.model.members import NOT_JSON, decode_member, folded, members_decoder, members_of, put
from swarmproxy.model.recipe import CONTAINER_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Dependency:
    """Another container that must be on the same node."""

    option: str  # as on a command line: --volumes-from=data:ro
    name: str  # what the client calls it


@dataclass(frozen=True, slots=True)
class Reach:
    """Something of the cluster that the container joins, and the only nodes where it is: a local network or volume."""

    option: str  # as on a command line: --net=blue, --volume=data
    nodes: frozenset[str]  # IDs
    where: str  # for people: "node-1, node-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What a create body asks for, as far as the cluster acts on it; `raw` holds all of it."""

    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)  # expressions included
    env: tuple[str, ...] = ()  # expressions taken out
    expressions: Expressions = field(default_factory=Expressions)
    exposed: tuple[str, ...] = ()  # "80/tcp"
    memory_bytes: int = 0
    memory_reservation_bytes: int = 0
    cpus: int = 0  # whole cores: what the user wrote as CPU shares
    nano_cpus: int = 0
    cpuset: str = ""
    device_requests: tuple[DeviceRequest, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)  # generic ones, by kind
    published: tuple[PortBinding, ...] = ()
    network_mode: str = ""
    volumes_from: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    ipc_mode: str = ""
    pid_mode: str = ""
    auto_remove: bool = False
    volumes: tuple[str, ...] = ()  # names of the volumes it mounts
    networks: tuple[str, ...] = ()  # keys of EndpointsConfig
    network_links: tuple[str, ...] = ()  # links within those networks: no dependencies, they may span nodes
    found: Mapping[str, Container] = field(default_factory=dict)  # what it depends on, by the client's name for it
    reach: tuple[Reach, ...] = ()  # what it joins that is not on all nodes
    platforms: tuple[str, ...] = ()  # that its image is known to be for; empty: any node may run it
    raw: bytes = b"{}"

    @property
    def image_names(self) -> tuple[str, ...]:
        """The texts by which a node that holds the image lists it: see `holdings.image_names`."""
        if not self.image:
            return ()
        repository, tag = split_reference(self.image)
        if "@" in self.image:
            return (f"{familiar(repository)}@{tag}",)
        digits = self.image.removeprefix("sha256:")
        by_id = (digits,) if len(digits) >= SHORT_ID_LENGTH and _HEX.issuperset(digits) else ()
        return (f"{familiar(repository)}:{tag or 'latest'}", *by_id)

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """The containers that it cannot do without, in the order of Docker's options.

        Source: classic Swarm 1.2, scheduler/filter/dependency.go, which left out ipc and pid.
        """
        modes = {"--net": self.network_mode, "--ipc": self.ipc_mode, "--pid": self.pid_mode}
        return (
            *(Dependency(f"--volumes-from={each}", each.partition(":")[0]) for each in self.volumes_from),
            *(Dependency(f"--link={each}", each.partition(":")[0]) for each in self.links),
            *(
                Dependency(f"{option}={mode}", mode.removeprefix(CONTAINER_MODE))
                for option, mode in modes.items()
                if mode.startswith(CONTAINER_MODE)
            ),
        )

    @classmethod
    def parse(cls, body: bytes) -> ContainerSpec:
        """Return what the body of `POST /containers/create` asks for.

        Expressions are moved from the environment to labels. Raises BadRequest if the body is not what the
        API says, if an amount is negative, or for an unknown reschedule policy.
        """
        if not body.strip():
            raise BadRequest("invalid JSON: got EOF while reading request body")
        try:
            top = folded(msgspec.json.decode(body), _Body)
            if isinstance(top, dict):
                top["HostConfig"] = _folded_host(top.get("HostConfig"))
                top["NetworkingConfig"] = folded(top.get("NetworkingConfig"), _NetworkingConfig)
            read = msgspec.convert(top, _Body)
        except NOT_JSON as error:
            raise BadRequest(f"invalid JSON: {error}") from error
        host = read.HostConfig or _HostConfig()
        labels = {key: value or "" for key, value in (read.Labels or {}).items()}
        env = tuple(entry or "" for entry in read.Env or ())
        expressions, rest = take_expressions(labels, env)
        check_reschedule_policies(expressions.reschedule_policies)
        return cls(
            image=read.Image or "",
            labels=labels | expressions.as_labels(),
            env=rest,
            expressions=expressions,
            exposed=tuple(read.ExposedPorts or ()),
            memory_bytes=_amount("Memory", read.Memory or host.Memory),
            memory_reservation_bytes=_amount("MemoryReservation", host.MemoryReservation),
            cpus=_amount("CpuShares", read.CpuShares or host.CpuShares),
            nano_cpus=_amount("NanoCpus", host.NanoCpus),
            cpuset=read.Cpuset or host.CpusetCpus or "",
            device_requests=tuple(_device_request(request) for request in host.DeviceRequests or ()),
            resources=read_wishes(expressions.resources),
            published=to_port_bindings(host.PortBindings),
            network_mode=host.NetworkMode or "",
            volumes_from=tuple(host.VolumesFrom or ()),
            links=tuple(host.Links or ()),
            ipc_mode=host.IpcMode or "",
            pid_mode=host.PidMode or "",
            auto_remove=bool(host.AutoRemove),
            volumes=tuple(_volume_names(host)),
            network_links=tuple(_network_links(read.NetworkingConfig)),
            networks=tuple((read.NetworkingConfig or _NetworkingConfig()).EndpointsConfig or ()),
            raw=_with_legacy_members_moved(body, read),
        )


def body_for_engine(
    spec: ContainerSpec,
    *,
    swarm_id: str,
    engine_cpus: int,
    rename_network: Callable[[str], str] | None = None,
    rename_volume: Callable[[str], str] | None = None,
) -> bytes:
    """Return the create body for an engine with `engine_cpus` cores: shares scaled, expressions as labels.

    The container keeps the swarm ID it has, if any, and gets `swarm_id` otherwise. `rename_network` gives the
    engine's own name of each network in EndpointsConfig, and of the network mode, `rename_volume` that of each
    volume. Containers in `spec.found` are named as the engine knows them.
    """
    host: dict[str, object] = _own_names(spec)
    if spec.cpus:
        host["CpuShares"] = shares_of_cores(spec.cpus, engine_cpus)
    if rename_network and spec.network_mode and (mode := rename_network(spec.network_mode)) != spec.network_mode:
        host["NetworkMode"] = mode
    if rename_volume and any(rename_volume(name) != name for name in spec.volumes):
        host |= _own_volumes(spec, rename_volume)
    return rewrite(
        spec,
        labels={ID: swarm_id, **spec.labels} if not spec.labels.get(ID) else spec.labels,
        env=spec.env,
        host=host,
        rename_network=rename_network,
        rename_link=(lambda link: _own_link(spec, link)) if spec.network_links else None,
    )


def rewrite(
    spec: ContainerSpec,
    *,
    labels: Mapping[str, str] | None = None,
    env: Sequence[str] | None = None,
    host: Mapping[str, object] | None = None,
    rename_network: Callable[[str], str] | None = None,
    rename_link: Callable[[str], str] | None = None,
) -> bytes:
    """Return `spec.raw` with these members replaced; all others are byte for byte as they were.

    `host` holds members of HostConfig under Docker's names. None, and an `env` that the body has already,
    change nothing.
    """
    members = members_decoder.decode(spec.raw)
    if labels is not None:
        put(members, "Labels", dict(labels))
    if env is not None and list(env) != decode_member(members, "Env"):
        put(members, "Env", list(env))
    if host:
        inner = members_of(members, "HostConfig")
        for name, value in host.items():
            put(inner, name, value)
        put(members, "HostConfig", inner)
    if rename_network is not None and any(rename_network(name) != name for name in spec.networks):
        networking = members_of(members, "NetworkingConfig")
        endpoints = members_of(networking, "EndpointsConfig")
        put(networking, "EndpointsConfig", {rename_network(name): raw for name, raw in endpoints.items()})
        put(members, "NetworkingConfig", networking)
    if rename_link is not None and any(rename_link(link) != link for link in spec.network_links):
        networking = members_of(members, "NetworkingConfig")
        endpoints = members_of(networking, "EndpointsConfig")
        for network in endpoints:
            endpoint = members_of(endpoints, network)
            links: Any = decode_member(endpoint, "Links")
            if links:
                put(endpoint, "Links", [rename_link(link) for link in links])
                endpoints[network] = msgspec.Raw(msgspec.json.encode(endpoint))
        put(networking, "EndpointsConfig", endpoints)
        put(members, "NetworkingConfig", networking)
    return msgspec.json.encode(members)


def _own_volumes(spec: ContainerSpec, rename: Callable[[str], str]) -> dict[str, object]:
    """Return the members of HostConfig that name volumes, each renamed."""
    host = members_of(members_decoder.decode(spec.raw), "HostConfig")
    binds: Any = decode_member(host, "Binds")
    mounts: Any = decode_member(host, "Mounts")
    renamed: dict[str, object] = {}
    if binds:
        parts = (bind.partition(":") for bind in binds)
        renamed["Binds"] = [f"{rename(name) if name in spec.volumes else name}{colon}{to}" for name, colon, to in parts]
    if mounts:
        for mount in mounts:
            for key in mount:
                if key.lower() == "source" and mount[key] in spec.volumes:
                    mount[key] = rename(mount[key])
        renamed["Mounts"] = mounts
    return renamed


def _own_names(spec: ContainerSpec) -> dict[str, object]:
    """Return the members of HostConfig that name a container in a way that its engine does not understand."""

    def first_part(text: str) -> str:
        name, colon, rest = text.partition(":")
        return f"{_own_name(spec, name)}{colon}{rest}"

    def mode(text: str) -> str:
        name = text.removeprefix(CONTAINER_MODE)
        return text if name == text else f"{CONTAINER_MODE}{_own_name(spec, name)}"

    changes: dict[str, tuple[object, object]] = {
        "VolumesFrom": (spec.volumes_from, tuple(map(first_part, spec.volumes_from))),
        "Links": (spec.links, tuple(_own_link(spec, link) for link in spec.links)),
        "NetworkMode": (spec.network_mode, mode(spec.network_mode)),
        "IpcMode": (spec.ipc_mode, mode(spec.ipc_mode)),
        "PidMode": (spec.pid_mode, mode(spec.pid_mode)),
    }
    return {member: after for member, (before, after) in changes.items() if after != before}


def _own_name(spec: ContainerSpec, name: str) -> str:
    container = spec.found.get(name)
    if container is None or container.id.startswith(name) or f"/{name.removeprefix('/')}" in container.names:
        return name
    return container.name or container.id


def _own_link(spec: ContainerSpec, link: str) -> str:
    name, colon, alias = link.partition(":")
    own = _own_name(spec, name)
    if not colon and own != name:  # what the client wrote would have been the alias
        return f"{own}:{name.rpartition('/')[2]}"
    return f"{own}{colon}{alias}"


class _Mount(msgspec.Struct, gc=False):
    Type: str | None = None
    Source: str | None = None


class _HostConfig(msgspec.Struct, gc=False):
    Memory: int | None = None
    MemoryReservation: int | None = None
    CpuShares: int | None = None
    NanoCpus: int | None = None
    CpusetCpus: str | None = None
    PortBindings: RawPortMap | None = None
    NetworkMode: str | None = None
    VolumesFrom: list[str] | None = None
    Links: list[str] | None = None
    IpcMode: str | None = None
    PidMode: str | None = None
    DeviceRequests: list[RawDeviceRequest] | None = None
    AutoRemove: bool | None = None
    Binds: list[str] | None = None
    Mounts: list[_Mount] | None = None


class _NetworkingConfig(msgspec.Struct, gc=False):
    EndpointsConfig: dict[str, Any] | None = None


class _Body(msgspec.Struct, gc=False):
    Image: str | None = None
    Labels: dict[str, str | None] | None = None
    Env: list[str | None] | None = None
    ExposedPorts: dict[str, Any] | None = None
    HostConfig: _HostConfig | None = None
    NetworkingConfig: _NetworkingConfig | None = None
    Memory: int | None = None  # this one and the next three: legacy
    MemorySwap: int | None = None
    CpuShares: int | None = None
    Cpuset: str | None = None


def _folded_host(host: object) -> object:
    host = folded(host, _HostConfig)
    if isinstance(host, dict):
        for name, shape in (("DeviceRequests", RawDeviceRequest), ("Mounts", _Mount)):
            if isinstance(host.get(name), list):
                host[name] = [folded(item, shape) for item in host[name]]
        if isinstance(ports := host.get("PortBindings"), dict):
            host["PortBindings"] = {
                port: [folded(binding, RawPortBinding) for binding in bound] if isinstance(bound, list) else bound
                for port, bound in ports.items()
            }
    return host


def _amount(name: str, value: int | None) -> int:
    if value is not None and value < 0:
        raise BadRequest(f"invalid {name}: {value} is negative")
    return value or 0


def _device_request(raw: RawDeviceRequest) -> DeviceRequest:
    request = to_device_request(raw)
    if request.count < -1:
        raise BadRequest(f"invalid DeviceRequests: a count of {request.count}")
    return request


def _volume_names(host: _HostConfig) -> Iterable[str]:
    """Yield the names of volumes that the container mounts; what begins like a path is a path of the host."""
    for bind in host.Binds or ():
        source, colon, _ = bind.partition(":")
        if colon and source and source[0] not in "/.~":
            yield source
    for mount in host.Mounts or ():
        if (mount.Type or "volume") == "volume" and mount.Source:
            yield mount.Source


def _network_links(networking: _NetworkingConfig | None) -> Iterable[str]:
    """Yield the links of all endpoints, as far as they are texts."""
    for endpoint in ((networking and networking.EndpointsConfig) or {}).values():
        members = endpoint.items() if isinstance(endpoint, dict) else ()
        for links in (value for name, value in members if name.lower() == "links" and isinstance(value, list)):
            yield from (link for link in links if isinstance(link, str))


def _with_legacy_members_moved(body: bytes, read: _Body) -> bytes:
    """Return the body with what stood at the top before API 1.18 in HostConfig, which it outranks."""
    moved: dict[str, object] = {
        "Memory": read.Memory,
        "MemorySwap": read.MemorySwap,
        "CpuShares": read.CpuShares,
        "CpusetCpus": read.Cpuset,
    }
    moved = {name: value for name, value in moved.items() if value}
    if not moved:
        return body
    body = rewrite(ContainerSpec(raw=body), host=moved)
    members = members_decoder.decode(body)
    legacy = ("memory", "memoryswap", "cpushares", "cpuset")
    return msgspec.json.encode({name: raw for name, raw in members.items() if name.lower() not in legacy})
