"""What a request asks for that a role may not be given, and the other objects that it uses.

A need is one thing that leads out of a container, or uses up what others need too. The same list decides (`Limits`)
and is learnt from: nothing is looked at twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from swarmproxy.errors import BadRequest
from swarmproxy.policy.body import Folded, number, table, tables, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINER = "container:"
UNLIMITED = None


class Need(NamedTuple):
    """One thing that is asked for. `what` is the name of a limit; an amount of None is one without bound."""

    what: str
    value: str | int | float | None
    where: str


class Use(NamedTuple):
    """Another object that the request uses, by what the client calls it."""

    kind: str  # of kinds.OF_OBJECTS, or images
    name: str
    where: str
    shares: str = ""  # the namespace of a container that is shared, or `mounts`
    may_be_new: bool = False  # it is made if it is not there


Found = tuple[list[Need], list[Use]]

SOCKETS = (
    "/run/docker.sock",
    "/run/docker",
    "/run/containerd",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
)
"""What gives the whole machine to a container that mounts it, or a directory above."""

HARMLESS_SECURITY = frozenset(("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"))
USUAL_LOG_DRIVERS = frozenset(("", "json-file", "local", "journald", "none"))
USUAL_RUNTIMES = frozenset(("", "runc", "io.containerd.runc.v2"))
_USUAL_NETWORKS = frozenset(("", "default", "none", "bridge", "nat", "host"))  # on every node, and nobody's
_SHARED_PROPAGATION = frozenset(("shared", "rshared"))


def words(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())


_CONFIG = words(
    """hostname domainname user attachstdin attachstdout attachstderr exposedports tty openstdin stdinonce env cmd
    healthcheck argsescaped image volumes workingdir entrypoint networkdisabled macaddress onbuild labels stopsignal
    stoptimeout shell hostconfig networkingconfig memory memoryswap cpushares cpuset platform name
    portspecs publishservice volumedriver"""
)
_HOST_CONFIG = words(
    """binds containeridfile logconfig networkmode portbindings restartpolicy autoremove volumedriver volumesfrom
    consolesize capadd capdrop cgroupnsmode dns dnsoptions dnssearch extrahosts groupadd ipcmode cgroup links
    oomscoreadj pidmode privileged publishallports readonlyrootfs securityopt storageopt tmpfs utsmode usernsmode
    shmsize sysctls runtime isolation cpushares memory nanocpus cgroupparent blkioweight blkioweightdevice
    blkiodevicereadbps blkiodevicewritebps blkiodevicereadiops blkiodevicewriteiops cpuperiod cpuquota
    cpurealtimeperiod cpurealtimeruntime cpusetcpus cpusetmems devices devicecgrouprules devicerequests kernelmemory
    kernelmemorytcp memoryreservation memoryswap memoryswappiness oomkilldisable pidslimit ulimits cpucount cpupercent
    iomaximumiops iomaximumbandwidth mounts maskedpaths readonlypaths init capabilities annotations
    lxcconf diskquota networkmaximumbandwidth"""
)


def is_inside(path: str, directory: str) -> bool:
    """Return whether `path` is `directory` or below it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def clean_path(path: str, where: str) -> str:
    """Return an absolute path without a slash at its end. Raises BadRequest if two readers may take it for two."""
    if not path.startswith("/") or "\x00" in path:
        raise BadRequest(f"{where}: {path!r} is no absolute path")
    parts = path.removeprefix("/").removesuffix("/").split("/")
    if path != "/" and any(part in ("", ".", "..") for part in parts):
        raise BadRequest(f"{where}: write {path!r} without empty parts, '.' and '..'")
    return path.rstrip("/") or "/"


def bind(source: str, where: str, *, read_only: bool) -> Iterator[Need]:
    """Yield what a path of the host that is mounted needs."""
    path = clean_path(source, where)
    real = path.removeprefix("/var") if is_inside(path, "/var/run") else path  # a link on every machine
    if any(is_inside(socket, real) or is_inside(real, socket) for socket in SOCKETS) or is_inside("/var/run", path):
        yield Need("docker_socket", path, where)
    yield Need("binds", f"{path}:ro" if read_only else path, where)


def of_container(body: Folded) -> Found:
    """Return what the body of a create asks for. Raises BadRequest if it is not what the API says."""
    needs: list[Need] = []
    uses: list[Use] = []
    needs += _unknown(body, _CONFIG, "")
    needs.append(Need("images", text(body, "Image"), "Image"))
    needs.append(Need("users", text(body, "User"), "User"))
    host = table(body, "HostConfig")
    legacy = {name: body[name] for name in ("memory", "memoryswap", "cpushares") if body.get(name)}
    more, used = of_host_config(host | legacy, driver=text(body, "VolumeDriver"))
    needs += more
    uses += used
    networking = table(body, "NetworkingConfig")
    endpoints = table(networking, "EndpointsConfig", "NetworkingConfig.")
    at = "NetworkingConfig.EndpointsConfig"
    needs += (Need("host_namespaces", "network", at) for name in endpoints if name == "host")
    uses += (Use("networks", name, at) for name in endpoints if name not in _USUAL_NETWORKS)
    return needs, uses


def of_host_config(host: Folded, *, driver: str = "") -> Found:
    """Return what a HostConfig asks for: all of a container's ways out of it, and its amounts."""
    at = "HostConfig."
    needs = list(_unknown(host, _HOST_CONFIG, at))
    uses: list[Use] = []
    needs += _flags(host, at)
    needs += (Need("capabilities", _capability(each), f"{at}CapAdd") for each in texts(host, "CapAdd", at))
    needs += (Need("capabilities", _capability(each), f"{at}Capabilities") for each in texts(host, "Capabilities", at))
    needs += _devices(host, at)
    needs += (
        Need("security_options", each, f"{at}SecurityOpt")
        for each in texts(host, "SecurityOpt", at)
        if each not in HARMLESS_SECURITY
    )
    _namespaces(host, at, needs, uses)
    needs += (Need("sysctls", name, f"{at}Sysctls") for name in table(host, "Sysctls", at))
    needs += _single(host, at)
    needs += _ports(host, at)
    _mounts(host, at, needs, uses, driver=text(host, "VolumeDriver", at) or driver)
    uses += (
        Use("containers", each.partition(":")[0], f"{at}VolumesFrom", shares="mounts")
        for each in texts(host, "VolumesFrom", at)
    )
    uses += (Use("containers", each.partition(":")[0], f"{at}Links") for each in texts(host, "Links", at))
    needs += amounts(host, at)
    return needs, uses


def of_start(body: Any) -> Found:
    """Return what the body of a start asks for: before API 1.24 it may hold a HostConfig, which old engines obey."""
    return of_host_config(body) if isinstance(body, dict) and body else ([], [])


def of_checkpoint(body: Any) -> Found:
    """Return what the body of a checkpoint asks for: a removal has none."""
    path = text(body, "CheckpointDir") if isinstance(body, dict) else ""
    return (list(bind(path, "CheckpointDir", read_only=False)) if path else []), []


def of_exec(body: Folded) -> Found:
    """Return what an exec asks for."""
    needs = [Need("users", text(body, "User"), "User")] if body.get("user") else []
    if body.get("privileged"):
        needs.append(Need("privileged", "an exec with all privileges", "Privileged"))
    return needs, []


def of_update(body: Folded) -> Found:
    """Return what an update of a container asks for; amounts that it does not name stay as they are."""
    needs = [*_unknown(body, _HOST_CONFIG, ""), *_flags(body, ""), *_devices(body, ""), *_single(body, "")]
    return needs + amounts(body, "", stays=True), []


def amounts(host: Folded, at: str, *, stays: bool = False) -> list[Need]:
    """Return how much memory, CPU and processes are asked for. With `stays`, what is not said is not asked for."""
    memory, swap = number(host, "Memory", at), number(host, "MemorySwap", at)
    nano, quota = number(host, "NanoCpus", at), number(host, "CpuQuota", at)
    period, pids = number(host, "CpuPeriod", at), number(host, "PidsLimit", at)
    needs: list[Need] = []
    if memory or not stays:
        needs.append(Need("memory", memory if memory > 0 else UNLIMITED, f"{at}Memory"))
    if swap:
        needs.append(Need("memory", swap // 2 if swap > 0 else UNLIMITED, f"{at}MemorySwap"))
    if nano or quota or period or not stays:
        # an update may set a quota without a period, which then stays what it was: 100 ms is as good as known
        cpus = nano / 1e9 if nano > 0 else quota / (period or 100_000) if quota > 0 and period >= 0 else UNLIMITED
        needs.append(Need("cpus", cpus, f"{at}NanoCpus"))
    if pids or not stays:
        needs.append(Need("pids", pids if pids > 0 else UNLIMITED, f"{at}PidsLimit"))
    return needs


def of_volume(body: Folded) -> Found:
    """Return what the body of a volume create asks for."""
    needs = volume_driver(text(body, "Driver"), table(body, "DriverOpts"), "DriverOpts")
    return needs, [Use("volumes", text(body, "Name"), "Name", may_be_new=True)] if body.get("name") else []


def volume_driver(driver: str, options: Folded, where: str) -> list[Need]:
    """Return what a volume of this driver with these options needs: `local` mounts whatever it is told to."""
    if driver not in ("", "local"):
        return [Need("volume_drivers", driver, where)]
    given = {name.lower(): value for name, value in options.items() if isinstance(value, str)}
    kind, device, how = given.get("type", ""), given.get("device", ""), given.get("o", "").split(",")
    if "bind" in how or "rbind" in how or kind == "bind" or (kind in ("", "none") and device):
        return list(bind(device, where, read_only="ro" in how))
    if kind in ("", "tmpfs") and set(how) <= {""} | {each for each in how if each.startswith(("size", "uid", "mode"))}:
        return []
    return [Need("volume_drivers", f"local:{kind}", where)]


def of_network(body: Folded) -> Found:
    """Return what the body of a network create asks for."""
    needs = [Need("network_drivers", text(body, "Driver") or "bridge", "Driver")]
    if body.get("ingress"):
        needs.append(Need("network_drivers", "ingress", "Ingress"))
    options = table(body, "Options")
    needs += (
        Need("network_drivers", f"bridge:{options[name]}", f"Options.{name}")
        for name in options
        if name.lower() == "com.docker.network.bridge.name"
    )
    origin = text(table(body, "ConfigFrom"), "Network")
    return needs, [Use("networks", origin, "ConfigFrom.Network")] if origin else []


def of_endpoint(body: Folded) -> Found:
    """Return what a connect or disconnect uses."""
    return [], [Use("containers", text(body, "Container"), "Container")]


def _unknown(members: Folded, known: frozenset[str], at: str) -> list[Need]:
    return [Need("unknown", f"{at}{name}", f"{at}{name}") for name in members if name not in known]


def _flags(host: Folded, at: str) -> Iterator[Need]:
    if host.get("privileged"):
        yield Need("privileged", "all privileges", f"{at}Privileged")
    for name in ("MaskedPaths", "ReadonlyPaths"):
        if host.get(name.lower()) is not None:
            yield Need("privileged", "paths of the kernel unmasked", f"{at}{name}")
    if number(host, "OomScoreAdj", at) < 0 or host.get("oomkilldisable"):
        yield Need("privileged", "not to be killed when memory is short", f"{at}OomScoreAdj")
    if host.get("annotations"):
        yield Need("privileged", "annotations, which runtimes obey", f"{at}Annotations")
    for name in ("CpuRealtimePeriod", "CpuRealtimeRuntime"):
        if number(host, name, at):
            yield Need("privileged", "real time", f"{at}{name}")
    if host.get("lxcconf"):
        yield Need("privileged", "options of LXC", f"{at}LxcConf")


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _devices(host: Folded, at: str) -> Iterator[Need]:
    for device in tables(host, "Devices", at):
        path = text(device, "PathOnHost", f"{at}Devices.")
        yield Need("devices", path if ".." not in path.split("/") else f"..{path}", f"{at}Devices")
    for rule in texts(host, "DeviceCgroupRules", at):
        yield Need("devices", f"rule {rule}", f"{at}DeviceCgroupRules")
    for request in tables(host, "DeviceRequests", at):
        driver = text(request, "Driver", f"{at}DeviceRequests.")
        yield Need("device_requests", driver or "gpu", f"{at}DeviceRequests")


def _namespaces(host: Folded, at: str, needs: list[Need], uses: list[Use]) -> None:
    for name, namespace in (
        ("NetworkMode", "network"),
        ("IpcMode", "ipc"),
        ("PidMode", "pid"),
        ("UTSMode", "uts"),
        ("UsernsMode", "user"),
        ("CgroupnsMode", "cgroup"),
        ("Cgroup", "cgroup"),
    ):
        mode = text(host, name, at)
        if mode == "host" or mode.startswith("ns:"):
            needs.append(Need("host_namespaces", namespace, f"{at}{name}"))
        elif mode.startswith(CONTAINER):
            uses.append(Use("containers", mode.removeprefix(CONTAINER), f"{at}{name}", shares=namespace))
        elif name == "NetworkMode" and mode not in _USUAL_NETWORKS:
            uses.append(Use("networks", mode, f"{at}{name}"))


def _single(host: Folded, at: str) -> Iterator[Need]:
    runtime, parent = text(host, "Runtime", at), text(host, "CgroupParent", at)
    if runtime not in USUAL_RUNTIMES:
        yield Need("runtimes", runtime, f"{at}Runtime")
    if parent:
        yield Need("cgroup_parent", parent, f"{at}CgroupParent")
    logs = text(table(host, "LogConfig", at), "Type", f"{at}LogConfig.")
    if logs not in USUAL_LOG_DRIVERS:
        yield Need("log_drivers", logs, f"{at}LogConfig")


def _ports(host: Folded, at: str) -> Iterator[Need]:
    if host.get("publishallports"):
        yield Need("host_ports", "random", f"{at}PublishAllPorts")
    for bindings in table(host, "PortBindings", at).values():
        for binding in bindings if isinstance(bindings, list) else ():
            if not isinstance(binding, dict):
                continue
            port = text(binding, "HostPort", f"{at}PortBindings.")
            yield Need("host_ports", port if port not in ("", "0") else "random", f"{at}PortBindings")


def _mounts(host: Folded, at: str, needs: list[Need], uses: list[Use], *, driver: str) -> None:
    for each in texts(host, "Binds", at):
        source, colon, rest = each.partition(":")
        options = rest.partition(":")[2].split(",")
        where = f"{at}Binds"
        if not colon:
            continue  # an anonymous volume
        if source.startswith("/"):
            needs += bind(source, where, read_only="ro" in options)
            if not _SHARED_PROPAGATION.isdisjoint(options):
                needs.append(Need("privileged", "a mount that the host sees", where))
        else:
            uses.append(Use("volumes", source, where, may_be_new=True))
            needs += volume_driver(driver, {}, f"{at}VolumeDriver")
    for mount in tables(host, "Mounts", at):
        mount_needs(mount, f"{at}Mounts", needs, uses)


def mount_needs(mount: Folded, where: str, needs: list[Need], uses: list[Use]) -> None:
    """Add what one mount of a container or a service needs and uses."""
    kind, source = text(mount, "Type", f"{where}."), text(mount, "Source", f"{where}.")
    match kind:
        case "bind":
            needs += bind(source, where, read_only=bool(mount.get("readonly")))
            options = table(mount, "BindOptions", f"{where}.")
            if text(options, "Propagation", f"{where}.") in _SHARED_PROPAGATION:
                needs.append(Need("privileged", "a mount that the host sees", where))
        case "volume" | "":
            options = table(mount, "VolumeOptions", f"{where}.")
            config = table(options, "DriverConfig", f"{where}.")
            needs += volume_driver(text(config, "Name"), table(config, "Options"), f"{where}.VolumeOptions")
            if source.startswith("/"):
                needs += bind(source, where, read_only=bool(mount.get("readonly")))
            elif source:
                uses.append(Use("volumes", source, where, may_be_new=True))
        case "tmpfs":
            return
        case "image":
            needs.append(Need("images", source, where))
        case _:
            needs.append(Need("unknown", f"a mount of type {kind}", where))
