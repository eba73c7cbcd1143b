"""One container as the cluster keeps it, made from what its engine lists and inspects."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from sys import intern

import msgspec

from swarmproxy.errors import SwarmError
from swarmproxy.model import labels as label_names
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.recipe import CONTAINER_MODE, distil
from swarmproxy.model.times import NANOSECONDS, parse_rfc3339_ns

SHORT_ID_LENGTH = 12
SHARED = 4096  # dictionaries of labels, and of networks, that new containers may share with others
DEFAULT_PERIOD_US = 100_000  # of CPU quotas, in the kernel
RUNNING_STATES = frozenset({"running", "paused", "restarting"})


class DeviceRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A wish for devices of the host, such as GPUs. A count of -1 means all there are."""

    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[tuple[str, ...], ...] = ()


class PortBinding(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A port of the host that belongs, or shall belong, to a container. No `host_ip` means every address."""

    container_port: str  # "80/tcp"
    host_ip: str = ""
    host_port: str = ""  # a number or a range; empty: the engine chooses


class Container(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One container of one engine. Replaced when the engine says something new, never updated."""

    id: str
    name: str = ""  # without the slash
    names: tuple[str, ...] = ()  # as the engine lists them: with the slash, names given by links included
    image: str = ""
    image_id: str = ""
    created: int = 0  # unix seconds
    created_ns: int = 0  # the same moment, for the order of a listing
    state: str = "created"  # created, running, paused, restarting, removing, exited or dead
    started_ns: int = 0  # since 1970; 0: never
    finished_ns: int = 0
    exit_code: int = 0
    health: str = "none"  # none, starting, healthy or unhealthy
    labels: dict[str, str] = {}
    auto_remove: bool = False
    memory_bytes: int = 0
    memory_reservation_bytes: int = 0
    cpu_shares: int = 0  # as the engine has it: 1024 for the whole machine
    nano_cpus: int = 0
    cpuset: str = ""
    device_requests: tuple[DeviceRequest, ...] = ()
    network_mode: str = ""
    needs: tuple[str, ...] = ()  # other containers, by name or ID: whose network, ipc, pid or volumes it has, or links
    networks: dict[str, str] = {}  # name: network id
    mounts: tuple[tuple[str, str], ...] = ()  # (volume name or host path, path in the container)
    published: tuple[PortBinding, ...] = ()
    exposed: tuple[str, ...] = ()  # "80/tcp"
    fields: bytes = b""  # the members of the engine's list item but Names and Status: `"Id":"…","Image":"…"`
    recipe: bytes = b""  # of one that is to be rescheduled: what makes it anew when its engine cannot be asked any more

    @property
    def short_id(self) -> str:
        """The 12 characters that clients print."""
        return self.id[:SHORT_ID_LENGTH]

    @property
    def swarm_id(self) -> str:
        """The cluster's own ID of the container, which survives rescheduling; empty if another made it."""
        return self.labels.get(label_names.ID, "")

    @property
    def is_task(self) -> bool:
        """Whether it is a task of a service of Docker's swarm mode, which makes and removes it."""
        return label_names.TASK in self.labels

    @property
    def is_past_task(self) -> bool:
        """Whether it is a task that has ended: another one has taken its place, and it is never started again."""
        return self.is_task and self.state in ("exited", "dead", "removing")

    @property
    def slot(self) -> str:
        """What a task of a service is called without the part that changes: `web.1`. Empty for all others."""
        return self.labels.get(label_names.TASK_NAME, "").rpartition(".")[0]

    @property
    def is_movable(self) -> bool:
        """Whether it is to be made anew on another node when its own fails, or is drained: its user said so.

        One that its engine removes when it ends is not: its end would be taken for its node's.
        """
        return bool(self.recipe and self.swarm_id) and not self.auto_remove

    @property
    def is_running(self) -> bool:
        """Whether the container counts as running: `docker ps` shows it without `-a`."""
        return self.state in RUNNING_STATES


def cores_of_shares(cpu_shares: int, engine_cpus: int) -> int:
    """Return how many whole cores CPU shares stand for. Source: classic Swarm 1.2, cluster/config.go."""
    return cpu_shares * engine_cpus // 1024


def shares_of_cores(cores: int, engine_cpus: int) -> int:
    """Return the CPU shares that stand for `cores` on an engine: rounded up, so they read back the same."""
    return -(-cores * 1024 // engine_cpus) if engine_cpus > 0 else cores


def from_engine(item: bytes, inspect: bytes, *, skew_ns: int = 0, ip: str = "") -> Container:
    """Return the container that an engine lists as `item` (of `/containers/json`) and inspects as `inspect`.

    `skew_ns` is added to the engine's moments (never to those that are not set), `ip` stands in for the
    addresses 0.0.0.0 and :: of published ports. What is missing or null counts as empty; what is unknown
    stays in `fields`. Raises SwarmError if either cannot be read.
    """
    try:
        members = _members_decoder.decode(item)
        listed = _item_decoder.decode(item)
        seen = _inspect_decoder.decode(inspect)
        state = seen.State or _NO_STATE
        started_ns = _moment(state.StartedAt, skew_ns)
        finished_ns = _moment(state.FinishedAt, skew_ns)
        made_ns = parse_rfc3339_ns(seen.Created) if seen.Created else 0
        created = listed.Created or made_ns // NANOSECONDS
        created_ns = made_ns or created * NANOSECONDS
        if skew_ns and created:
            created += skew_ns // NANOSECONDS
            created_ns += skew_ns
            members["Created"] = msgspec.Raw(msgspec.json.encode(created))
        if ip and (ports := members.get("Ports")) is not None:
            members["Ports"] = _with_engine_ip(ports, ip)
    except (*NOT_JSON, ValueError) as error:
        raise SwarmError(f"the engine describes a container in a way that cannot be read: {error}") from error
    container_id = listed.Id or seen.Id
    if not container_id:
        raise SwarmError("the engine describes a container without an ID")
    config = seen.Config or _NO_CONFIG
    host = seen.HostConfig or _NO_HOST_CONFIG
    settings = seen.NetworkSettings or _NO_NETWORK_SETTINGS
    state_text = _state_of(state, started_ns)
    for name in ("Names", "Status"):  # these differ from client to client
        members.pop(name, None)
    if "State" in members:  # from the same moment as the status text
        members["State"] = _STATE_TEXTS[state_text]
    primary = (seen.Name or "").removeprefix("/")
    names = tuple(listed.Names or ()) or ((f"/{primary}",) if primary else ())
    health = (state.Health.Status or "none").lower() if state.Health is not None else "none"
    labels = _shared_labels(tuple(config.Labels.items())) if config.Labels else _EMPTY
    return Container(
        id=container_id,
        name=primary or _shortest(names),
        names=names,
        image=intern(listed.Image or config.Image or ""),
        image_id=intern(listed.ImageID or seen.Image or ""),
        created=created,
        created_ns=created_ns,
        state=state_text,
        started_ns=started_ns,
        finished_ns=finished_ns,
        exit_code=state.ExitCode or 0,
        health=intern(health),
        labels=labels,
        auto_remove=bool(host.AutoRemove),
        memory_bytes=host.Memory or 0,
        memory_reservation_bytes=host.MemoryReservation or 0,
        cpu_shares=host.CpuShares or 0,
        nano_cpus=host.NanoCpus or (_nano_of_quota(host) if label_names.TASK in labels else 0),
        cpuset=intern(host.CpusetCpus or ""),
        device_requests=tuple(map(to_device_request, host.DeviceRequests)) if host.DeviceRequests else (),
        network_mode=intern(host.NetworkMode or ""),
        needs=_needs(host),
        networks=_networks_of(settings),
        mounts=_mounts_of(seen.Mounts) if seen.Mounts else (),
        published=to_port_bindings(host.PortBindings, settings.Ports) if host.PortBindings or settings.Ports else (),
        exposed=tuple(map(intern, config.ExposedPorts)) if config.ExposedPorts else (),
        fields=msgspec.json.encode(members)[1:-1],
        recipe=distil(inspect) if label_names.is_rescheduled(labels) else b"",
    )


def _nano_of_quota(host: _HostConfig) -> int:
    """Return the CPU limit of a task, which its engine has as a quota: time in each period, both in microseconds.

    Source: moby, daemon/cluster/executor/container/container.go.
    """
    return max(host.CpuQuota or 0, 0) * NANOSECONDS // (host.CpuPeriod or DEFAULT_PERIOD_US)


def _moment(text: str | None, skew_ns: int) -> int:
    moment_ns = parse_rfc3339_ns(text) if text else 0
    return moment_ns + skew_ns if moment_ns else 0


def _networks_of(settings: _NetworkSettings) -> dict[str, str]:
    """Return the ID of each network by its name."""
    if not settings.Networks:
        return _EMPTY
    found = [(name, (endpoint and endpoint.NetworkID) or "") for name, endpoint in settings.Networks.items()]
    return _shared_networks(tuple(found))


def _mounts_of(mounts: list[_Mount | None]) -> tuple[tuple[str, str], ...]:
    return tuple([(mount.Name or mount.Source or "", mount.Destination or "") for mount in mounts if mount])


def _needs(host: _HostConfig) -> tuple[str, ...]:
    modes = (host.NetworkMode, host.IpcMode, host.PidMode)
    found = [mode.removeprefix(CONTAINER_MODE) for mode in modes if mode and mode.startswith(CONTAINER_MODE)]
    if host.VolumesFrom or host.Links:
        texts = (*(host.VolumesFrom or ()), *(host.Links or ()))
        found += [text.partition(":")[0].removeprefix("/") for text in texts]
    return tuple(found)


class RawDeviceRequest(msgspec.Struct, gc=False):
    """A device request as Docker's JSON has it."""

    Driver: str | None = None
    Count: int | None = None
    DeviceIDs: list[str] | None = None
    Capabilities: list[list[str]] | None = None


class RawPortBinding(msgspec.Struct, gc=False):
    """The host side of a port as Docker's JSON has it."""

    HostIp: str | None = None
    HostPort: str | None = None


RawPortMap = dict[str, list[RawPortBinding | None] | None]


def to_device_request(raw: RawDeviceRequest) -> DeviceRequest:
    """Return `raw` as a value."""
    return DeviceRequest(
        driver=raw.Driver or "",
        count=raw.Count or 0,
        device_ids=tuple(raw.DeviceIDs or ()),
        capabilities=tuple(tuple(group or ()) for group in raw.Capabilities or ()),
    )


def to_port_bindings(*maps: RawPortMap | None) -> tuple[PortBinding, ...]:
    """Return the bindings of all `maps` in order, each once; a port that is not bound gives none."""
    bindings = {
        PortBinding(
            container_port=intern(port),
            host_ip=intern(binding.HostIp or ""),
            host_port=intern(binding.HostPort or ""),
        ): None
        for ports in maps
        for port, bound in (ports or {}).items()
        for binding in bound or ()
        if binding is not None
    }
    return tuple(bindings)


class _Item(msgspec.Struct, gc=False):
    Id: str | None = None
    Names: list[str] | None = None
    Image: str | None = None
    ImageID: str | None = None
    Created: int | None = None


class _Health(msgspec.Struct, gc=False):
    Status: str | None = None


class _State(msgspec.Struct, gc=False):
    Status: str | None = None
    Running: bool | None = None
    Paused: bool | None = None
    Restarting: bool | None = None
    Dead: bool | None = None
    ExitCode: int | None = None
    StartedAt: str | None = None
    FinishedAt: str | None = None
    Health: _Health | None = None


class _Config(msgspec.Struct, gc=False):
    Image: str | None = None
    Labels: dict[str, str | None] | None = None
    ExposedPorts: dict[str, msgspec.Raw] | None = None


class _HostConfig(msgspec.Struct, gc=False):
    Memory: int | None = None
    MemoryReservation: int | None = None
    CpuShares: int | None = None
    NanoCpus: int | None = None
    CpuPeriod: int | None = None
    CpuQuota: int | None = None
    CpusetCpus: str | None = None
    NetworkMode: str | None = None
    IpcMode: str | None = None
    PidMode: str | None = None
    VolumesFrom: list[str] | None = None
    Links: list[str] | None = None
    AutoRemove: bool | None = None
    PortBindings: RawPortMap | None = None
    DeviceRequests: list[RawDeviceRequest] | None = None


class _Endpoint(msgspec.Struct, gc=False):
    NetworkID: str | None = None


class _NetworkSettings(msgspec.Struct, gc=False):
    Ports: RawPortMap | None = None
    Networks: dict[str, _Endpoint | None] | None = None


class _Mount(msgspec.Struct, gc=False):
    Name: str | None = None
    Source: str | None = None
    Destination: str | None = None


class _Inspect(msgspec.Struct, gc=False):
    Id: str | None = None
    Name: str | None = None
    Image: str | None = None
    Created: str | None = None
    State: _State | None = None
    Config: _Config | None = None
    HostConfig: _HostConfig | None = None
    NetworkSettings: _NetworkSettings | None = None
    Mounts: list[_Mount | None] | None = None


_EMPTY: dict[str, str] = {}
_NO_STATE, _NO_CONFIG, _NO_HOST_CONFIG, _NO_NETWORK_SETTINGS = _State(), _Config(), _HostConfig(), _NetworkSettings()
_STATE_TEXTS = {
    text: msgspec.Raw(msgspec.json.encode(text))
    for text in ("created", "running", "paused", "restarting", "removing", "exited", "dead")
}
_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_item_decoder = msgspec.json.Decoder(_Item)
_inspect_decoder = msgspec.json.Decoder(_Inspect)
_ports_decoder = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None)


def _state_of(state: _State, started_ns: int) -> str:
    if state.Running:
        return "paused" if state.Paused else "restarting" if state.Restarting else "running"
    if state.Status == "removing":
        return "removing"
    if state.Dead:
        return "dead"
    return "exited" if started_ns else "created"


def _shortest(names: tuple[str, ...]) -> str:
    """Return the name that no link gave: the one without a second slash."""
    return min(names, key=lambda name: name.count("/"), default="").removeprefix("/")


def _with_engine_ip(ports: msgspec.Raw, ip: str) -> msgspec.Raw:
    """Return the ports with `ip` where the engine says "any address"; what became equal is said once."""
    rewritten: dict[bytes, None] = {}
    for port in _ports_decoder.decode(ports) or ():
        if "IP" in port and _is_unspecified(msgspec.json.decode(port["IP"])):
            port["IP"] = msgspec.Raw(msgspec.json.encode(ip))
        rewritten[msgspec.json.encode(port)] = None
    return msgspec.Raw(b"[" + b",".join(rewritten) + b"]")


def _is_unspecified(address: object) -> bool:
    try:
        return isinstance(address, str) and bool(address) and ip_address(address).is_unspecified
    except ValueError:
        return False


@lru_cache(maxsize=SHARED)
def _shared_labels(items: tuple[tuple[str, str | None], ...]) -> dict[str, str]:
    """Return the labels as a dictionary, the same one for containers that are alike: it is half a kilobyte."""
    return {intern(key): value or "" for key, value in items}


@lru_cache(maxsize=SHARED)
def _shared_networks(items: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return the networks as a dictionary, likewise: most containers of an engine are on the same."""
    return {intern(name): network_id for name, network_id in items}
