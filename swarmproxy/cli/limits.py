"""`--limit key=value`: what a client may take. Ours; classic Swarm had no limits."""

import math
from collections.abc import Callable
from typing import Any

from swarmproxy.cli.goflags import parse_int
from swarmproxy.cli.options import read_duration
from swarmproxy.cli.sizes import parse_size
from swarmproxy.errors import ConfigError
from swarmproxy.wire.limits import Limits

LEAST_HEAD_BYTES = 8192
"""Docker's own clients send registry credentials in a header, which run to kilobytes."""
LEAST_BODY_BYTES = 65536


def read_limits(pairs: tuple[str, ...]) -> Limits:
    """Return what `--limit` was told. Raises ConfigError, which names the keys that there are."""
    given: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if key not in _KEYS:
            raise ConfigError(f'--limit: there is no limit "{key}", only {", ".join(_KEYS)}')
        if not equals:
            raise ConfigError(f"--limit: {key} needs a value: --limit {key}=...")
        field, read = _KEYS[key]
        if field in given:
            raise ConfigError(f"--limit: {key} is given twice")
        given[field] = read(f"--limit {key}", text)
    limits = Limits(**given)
    if limits.connections and limits.connections_per_client > limits.connections:
        raise ConfigError("--limit: connections-per-client is more than connections")
    if limits.requests_burst and not limits.requests_per_second:
        raise ConfigError("--limit: requests-burst is of no use without requests-per-second")
    return limits


def _count(spelling: str, text: str) -> int:
    count = parse_int(text)
    if count is None or count < 0:
        raise ConfigError(f'{spelling} should be a whole number, 0 for no limit, "{text}" is invalid')
    return count


def _rate(spelling: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate >= 0):
        raise ConfigError(f'{spelling} should be a number, 0 for no limit, "{text}" is invalid')
    return rate


def _size(least: int) -> Callable[[str, str], int]:
    def read(spelling: str, text: str) -> int:
        size = parse_size(spelling, text)
        if size < least:
            raise ConfigError(f'{spelling} should be {least} bytes at least, "{text}" is invalid')
        return size

    return read


def _time(spelling: str, text: str) -> float:
    seconds = read_duration(text, spelling)
    if seconds <= 0:
        raise ConfigError(f'{spelling} should be a positive time, "{text}" is invalid')
    return seconds


_KEYS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "connections": ("connections", _count),
    "connections-per-client": ("connections_per_client", _count),
    "requests-per-second": ("requests_per_second", _rate),
    "requests-burst": ("requests_burst", _count),
    "head-bytes": ("head_bytes", _size(LEAST_HEAD_BYTES)),
    "body-bytes": ("body_bytes", _size(LEAST_BODY_BYTES)),
    "head-timeout": ("head_timeout_s", _time),
    "body-timeout": ("body_timeout_s", _time),
    "idle-timeout": ("keep_alive_s", _time),
    "stall-timeout": ("stall_s", _time),
}
NOTES = (
    ("connections=0", "connections of clients, 0: three quarters of the descriptors"),
    ("connections-per-client=0", "of each address or local user, 0: half of that"),
    ("requests-per-second=0", "of each identity (certificate, local user or address), 0: any number"),
    ("requests-burst=0", "requests that one may make at once, 0: for ten seconds' worth"),
    ("head-bytes=1m", "a request's line and headers"),
    ("body-bytes=16m", "a body that is read before it is acted on; builds, archives and images pass in any size"),
    ("head-timeout=30s", "for a request's headers to arrive"),
    ("body-timeout=10m", "how long nothing may come of a body"),
    ("idle-timeout=2m", "how long a connection may wait for its next request"),
    ("stall-timeout=10m", "how long a client may take nothing of its answer"),
)
