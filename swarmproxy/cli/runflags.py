"""The flags of `docker run` that decide where a container goes, and the create body that they make.

Source: the docker CLI, cli/command/container/opts.go.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

from swarmproxy.cli.options import text, texts
from swarmproxy.cli.sizes import parse_size
from swarmproxy.errors import ConfigError

_PORTS = re.compile(r"([0-9]+)(?:-([0-9]+))?")
_BUILT_IN_NETWORKS = ("default", "bridge", "host", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFlags:
    """What stood on the command line, by the names of `options`."""

    env: tuple[str, ...]
    label: tuple[str, ...]
    publish: tuple[str, ...]
    expose: tuple[str, ...]
    memory: str
    memory_reservation: str
    cpu_shares: str
    cpus: str
    cpuset_cpus: str
    gpus: str
    network: str
    ipc: str
    pid: str
    volume: tuple[str, ...]
    volumes_from: tuple[str, ...]
    link: tuple[str, ...]

    @property
    def given(self) -> list[str]:
        """The names of the flags that were given."""
        return [f"--{name.replace('_', '-')}" for name in self.__slots__ if getattr(self, name)]


def options() -> list[click.Option]:
    """Return the flags, spelt as docker does."""
    return [
        texts("--env", "-e", help="environment variable, or an expression: constraint:storage==ssd"),
        texts("--label", "-l", help="label, key=value"),
        texts("--publish", "-p", help="port of the host, [ip:][port:]port[/protocol]"),
        texts("--expose", help="port that the container listens on"),
        text("--memory", "-m", help="memory limit, such as 512m"),
        text("--memory-reservation", help="memory that is to be there for it"),
        text("--cpu-shares", "-c", help="CPU cores, as in classic Swarm"),
        text("--cpus", help="CPU limit, such as 1.5"),
        text("--cpuset-cpus", help="the cores that it may run on, such as 0-2"),
        text("--gpus", help="how many GPUs, all, or device=0,1"),
        text("--network", "--net", help="network, host, or container:name"),
        text("--ipc", help="host, or container:name"),
        text("--pid", help="host, or container:name"),
        texts("--volume", "-v", help="volume or path of the host, source:/path"),
        texts("--volumes-from", help="container whose volumes it uses"),
        texts("--link", help="container that it talks to, name:alias"),
    ]


def create_body(image: str, flags: RunFlags) -> dict[str, Any]:
    """Return the body of the create that docker would send. Raises ConfigError for a flag that cannot be read."""
    published = [_publish(each) for each in flags.publish]
    bindings: dict[str, list[dict[str, str]]] = {}
    for port, binding in (each for group in published for each in group):
        bindings.setdefault(port, []).append(binding)
    exposed = [*bindings, *(port if "/" in port else f"{port}/tcp" for port in flags.expose)]
    host: dict[str, Any] = {
        "PortBindings": bindings,
        "Memory": _bytes("--memory", flags.memory),
        "MemoryReservation": _bytes("--memory-reservation", flags.memory_reservation),
        "CpuShares": int(_number("--cpu-shares", flags.cpu_shares)),
        "NanoCpus": round(_number("--cpus", flags.cpus) * 1e9),
        "CpusetCpus": flags.cpuset_cpus,
        "DeviceRequests": [_gpus(flags.gpus)] if flags.gpus else [],
        "NetworkMode": flags.network or "default",
        "IpcMode": flags.ipc,
        "PidMode": flags.pid,
        "Binds": [each for each in flags.volume if ":" in each],
        "VolumesFrom": list(flags.volumes_from),
        "Links": list(flags.link),
    }
    body: dict[str, Any] = {
        "Image": image,
        "Env": list(flags.env),
        "Labels": dict(_pair(each) for each in flags.label),
        "ExposedPorts": {port: {} for port in exposed},
        "HostConfig": {name: value for name, value in host.items() if value},
    }
    if flags.network and flags.network not in _BUILT_IN_NETWORKS and ":" not in flags.network:
        body["NetworkingConfig"] = {"EndpointsConfig": {flags.network: {}}}
    return body


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _bytes(flag: str, text: str) -> int:
    """Return the bytes of `512m`; 0 for an empty text."""
    return parse_size(flag, text) if text else 0


def _number(flag: str, text: str) -> float:
    try:
        return float(text or 0)
    except ValueError:
        raise ConfigError(f'{flag}: "{text}" is not a number') from None


def _gpus(text: str) -> dict[str, Any]:
    request: dict[str, Any] = {"Driver": "", "Count": 0, "Capabilities": [["gpu"]]}
    if text.startswith("device="):
        request["DeviceIDs"] = text.removeprefix("device=").strip("\"'").split(",")
        return request
    if text != "all" and not text.isdecimal():
        raise ConfigError(f'--gpus: "{text}" is neither a number nor all nor device=...')
    request["Count"] = -1 if text == "all" else int(text)
    return request


def _publish(text: str) -> Iterable[tuple[str, dict[str, str]]]:
    """Yield the container's ports that `-p` binds, and to what. A range to a range binds port by port."""
    rest, _, protocol = text.partition("/")
    rest, _, inside = rest.rpartition(":")
    ip, _, outside = rest.rpartition(":")
    first, last = _span(text, inside)
    host_first, host_last = _span(text, outside) if outside else (0, 0)
    binding = {"HostIp": ip.strip("[]"), "HostPort": outside}
    if first == last:
        yield f"{first}/{protocol or 'tcp'}", binding
        return
    if outside and host_last - host_first != last - first:
        raise ConfigError(f'--publish: the ranges of "{text}" differ in length')
    for number in range(last - first + 1):
        port = {**binding, "HostPort": str(host_first + number) if outside else ""}
        yield f"{first + number}/{protocol or 'tcp'}", port


def _span(whole: str, ports: str) -> tuple[int, int]:
    found = _PORTS.fullmatch(ports)
    if found is None:
        raise ConfigError(f'--publish: "{whole}" is not [ip:][port:]port[/protocol]')
    span = int(found[1]), int(found[2] or found[1])
    if not 0 < span[0] <= span[1] < 65536:
        raise ConfigError(f'--publish: there are no ports "{ports}"')
    return span
