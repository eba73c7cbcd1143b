"""What a role may ask of a container: what leads out of one only if listed, amounts unless they are bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from swarmproxy.errors import ConfigError
from swarmproxy.model.image import split_reference
from swarmproxy.policy.globs import fits, fits_any
from swarmproxy.policy.needs import Need, clean_path, is_inside

NAMESPACES = ("network", "ipc", "pid", "uts", "user", "cgroup")
AMOUNTS = ("memory", "cpus", "pids")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_HEX = re.compile(r"(?:sha256:)?[0-9a-f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be asked for. Lists hold globs, and all of it applies to services, updates, execs and builds as well."""

    unlimited: bool = False
    privileged: bool = False
    docker_socket: bool = False
    capabilities: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    device_requests: tuple[str, ...] = ()
    host_namespaces: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    volume_drivers: tuple[str, ...] = ()
    network_drivers: tuple[str, ...] = ("bridge", "overlay")
    log_drivers: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    sysctls: tuple[str, ...] = ()
    cgroup_parent: tuple[str, ...] = ()
    images: tuple[str, ...] = ("*",)
    users: tuple[str, ...] = ("*",)
    host_ports: tuple[str, ...] = ("random", "1-65535")
    memory: int | None = None  # bytes of one container
    cpus: float | None = None  # cores of one container
    pids: int | None = None

    def check(self) -> None:
        """Raise ConfigError for a list that cannot be meant, naming the key."""
        for name in self.host_namespaces:
            if name not in (*NAMESPACES, "*"):
                raise ConfigError(f"host_namespaces: {name!r} is none of {', '.join(NAMESPACES)}")
        for text in self.host_ports:
            parse_ports(text)
        for text in self.binds:
            self._check_bind(text)

    def _check_bind(self, text: str) -> None:
        """Raise ConfigError if a container could put a link where this entry would have the engine follow it."""
        path, read_only = split_bind(text)
        base = path.removesuffix("/**").removesuffix("/*")
        if "*" in base or "?" in base:
            raise ConfigError(f"binds: {text!r} has a pattern that is not /* or /** at its end")
        if path.endswith("/**") and not read_only:
            raise ConfigError(
                f"binds: {text!r} has to end with :ro, or a container could put a link there that leads out"
            )
        above = [base[:at] or "/" for at, char in enumerate(base) if char == "/"]
        followed = [*above, base or "/"] if path != base else above
        for other in self.binds:
            granted, other_is_read_only = split_bind(other)
            if other_is_read_only or other == text:
                continue
            inside = path.endswith("/**") and is_inside(granted.removesuffix("/*") or "/", base or "/")
            if inside or any(_covers(granted, each) for each in followed if each != granted or path != granted):
                raise ConfigError(
                    f"binds: {text!r} is reached through {other!r}: a container that writes to that could put a link "
                    "there, and the engine would follow it out"
                )

    def refuses(self, need: Need, known_as: tuple[str, ...] = ()) -> str:
        """Return why `need` is not granted, in a few words; empty if it is. `known_as`: names of an image by its ID."""
        if self.unlimited:
            return ""
        value = need.value
        match need.what:
            case "unknown":
                return f"{value} is not known to this version of swarmproxy"
            case "privileged" | "docker_socket":
                return "" if getattr(self, need.what) else _TEXTS[need.what].format(value)
            case "memory" | "cpus" | "pids":
                return self._amount(need)
            case "binds":
                granted = any(_covers(text, str(value)) for text in self.binds)
                return (
                    ""
                    if granted
                    else f"the path {str(value).removesuffix(':ro')} of the host cannot be mounted"
                    + ("" if str(value).endswith(":ro") or not self._covers_read_only(str(value)) else " to be written")
                )
            case "images":
                return self._image(str(value), known_as)
            case "host_ports":
                return "" if self._port(str(value)) else f"the port {value} of the host cannot be published"
        granted = fits_any(getattr(self, need.what), str(value))
        return "" if granted else _TEXTS[need.what].format(value or "(none)")

    def _covers_read_only(self, value: str) -> bool:
        return any(_covers(text, f"{value}:ro") for text in self.binds)

    def _amount(self, need: Need) -> str:
        most = getattr(self, need.what)
        if most is None or (need.value is not None and isinstance(need.value, int | float) and need.value <= most):
            return ""
        bound = f"{most:g}" if need.what == "cpus" else str(most)
        asked = "no bound" if need.value is None else f"{need.value}"
        return f"{_AMOUNT_NAMES[need.what]} has to be bounded, by at most {bound}: {asked} was asked for"

    def _image(self, reference: str, known_as: tuple[str, ...]) -> str:
        if "*" in self.images:
            return ""
        names = known_as if is_image_id(reference) else (reference,)
        for name in names:
            whole = canonical_image(name)
            repository = split_reference(whole)[0]
            if any(
                fits(pattern, whole) or fits(pattern, repository) for pattern in map(canonical_pattern, self.images)
            ):
                return ""
        return f"the image {reference or '(none)'} is not one of those allowed"

    def _port(self, value: str) -> bool:
        if value == "random":
            return "random" in self.host_ports
        try:
            first, last = parse_ports(value)
        except ConfigError:
            return False
        ranges = [parse_ports(text) for text in self.host_ports if text != "random"]
        return any(low <= first and last <= high for low, high in ranges)


_TEXTS = {
    "privileged": "{}: that is not allowed",
    "docker_socket": "{} gives access to a container runtime",
    "capabilities": "the capability {} cannot be added",
    "devices": "the device {} is not allowed",
    "device_requests": "devices of the driver {} are not allowed",
    "host_namespaces": "the host's {} namespace cannot be used",
    "security_options": "the security option {} is not allowed",
    "volume_drivers": "a volume of the driver {} is not allowed",
    "network_drivers": "a network of the driver {} is not allowed",
    "log_drivers": "the log driver {} is not allowed",
    "runtimes": "the runtime {} is not allowed",
    "sysctls": "the kernel parameter {} cannot be set",
    "cgroup_parent": "the cgroup {} is not allowed",
    "users": "the user {} is not allowed",
}
_AMOUNT_NAMES = {"memory": "memory", "cpus": "CPU", "pids": "the number of processes"}

UNLIMITED = Limits(unlimited=True)
NAMES = tuple(field.name for field in fields(Limits))
LISTS = tuple(name for name in NAMES if isinstance(getattr(Limits(), name), tuple))


def split_bind(text: str) -> tuple[str, bool]:
    """Return the path of an entry of `binds`, cleaned, and whether it is read-only. Raises ConfigError."""
    path = text.removesuffix(":ro")
    tail = next((tail for tail in ("/**", "/*") if path.endswith(tail)), "")
    try:
        cleaned = clean_path(path.removesuffix(tail) or "/", "binds")
    except Exception as error:
        raise ConfigError(f"binds: {text!r} is no absolute path without '.' and '..'") from error
    return ("" if cleaned == "/" and tail else cleaned) + tail, text.endswith(":ro")


def _covers(text: str, value: str) -> bool:
    """Return whether the entry `text` of `binds` grants the mount `value`: a path, or a path and `:ro`."""
    granted, read_only = split_bind(text)
    if read_only and not value.endswith(":ro"):
        return False
    path = value.removesuffix(":ro")
    if granted.endswith("/**"):
        return path.startswith(granted[:-2]) or path == granted[:-3]
    if granted.endswith("/*"):
        return path.startswith(granted[:-1]) and "/" not in path[len(granted) - 1 :] and len(path) >= len(granted)
    return path == granted


def parse_ports(text: str) -> tuple[int, int]:
    """Return first and last port of `80` or `8000-8999`; `random` is (0, 0). Raises ConfigError."""
    if text == "random":
        return 0, 0
    found = _PORTS.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not 0 < first <= last <= 65535:
        raise ConfigError(f"host_ports: {text!r} is neither a port, nor a range of ports, nor random")
    return first, last


def parse_size(text: str) -> int:
    """Return the bytes of `512m` or `2GiB`. Raises ConfigError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or not (size := int(float(found[1]) * _UNITS[found[2].lower()])):
        raise ConfigError(f"{text!r} is no size such as 512m or 2g")
    return size


def is_image_id(reference: str) -> bool:
    """Return whether `reference` may be an ID, or the first digits of one: then it names no registry."""
    return _HEX.fullmatch(reference) is not None


def canonical_image(reference: str) -> str:
    """Return `reference` with its registry, and with a tag or digest: `docker.io/library/nginx:latest`."""
    repository, tag = split_reference(reference)
    whole = canonical_pattern(repository)
    return f"{whole}@{tag}" if "@" in reference else f"{whole}:{tag or 'latest'}"


def canonical_pattern(pattern: str) -> str:
    """Return a pattern with its registry, as `canonical_image` does; one that begins with `*` stays as it is."""
    pattern = pattern.replace("index.docker.io/", "docker.io/", 1) if pattern.startswith("index.") else pattern
    first, slash, rest = pattern.partition("/")
    if "*" in first or "?" in first:
        return pattern
    if slash and ("." in first or ":" in first or first == "localhost"):
        return pattern if first != "docker.io" or "/" in rest or "*" in rest else f"docker.io/library/{rest}"
    return f"docker.io/{pattern}" if slash else f"docker.io/library/{pattern}"
