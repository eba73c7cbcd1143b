"""The values of `--cluster-opt`, checked, in the order and words of classic Swarm.

Source: classic Swarm 1.2, cluster/swarm/cluster.go, for all that is not marked as ours.
"""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from discovery import split_url
from swarmproxy.cli.goflags import parse_int
from swarmproxy.cli.options import read_duration
from swarmproxy.errors import ConfigError
from swarmproxy.settings import DEFAULT_NETWORKS, NAMES, SWARM_MODES, SwarmMode

W = TypeVar("W", bound=str)

log = logging.getLogger("swarmproxy")

_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

IMAGE_SWITCHES = {
    "swarm.imageplatform": "image_platform",
    "swarm.imageties": "image_ties",
    "swarm.imagemove": "image_move",
}
RESCHEDULE_AFTER = "swarm.reschedule-after"
CLUSTER_OPTIONS = frozenset(
    {
        "swarm.createretry",
        "swarm.managers",
        "swarm.mode",
        "swarm.names",
        "swarm.network",
        "swarm.overcommit",
        RESCHEDULE_AFTER,
        *IMAGE_SWITCHES,
    }
)


def read_cluster_options(pairs: tuple[str, ...], url: str) -> dict[str, Any]:
    """Return the settings that cluster options are, by name; `url` is that of discovery. Raises ConfigError."""
    options = _by_key(pairs)
    return {
        "overcommit": _overcommit(options),
        "create_retry": _create_retry(options),
        "names": _one_of(NAMES, "swarm.names", options.get("swarm.names", "auto")),
        **_image_switches(options),
        "reschedule_after_s": _reschedule_after(options),
        "default_network": _one_of(DEFAULT_NETWORKS, "swarm.network", options.get("swarm.network", "auto")),
        "swarm_mode": _swarm_mode(options, url),
        "swarm_managers": _swarm_managers(options),
    }


def _by_key(pairs: tuple[str, ...]) -> Mapping[str, str]:
    """Return the cluster options by key; the first of a key counts, unknown ones are only warned of."""
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key not in CLUSTER_OPTIONS:
            log.warning("unknown cluster option ignored", extra={"option": key})
        elif not equals:
            raise ConfigError(f"{key} needs a value: --cluster-opt {key}=...")
        else:
            options.setdefault(key, value)
    return options


def _overcommit(options: Mapping[str, str]) -> float:
    text = options.get("swarm.overcommit", "0.05")
    value = float(text) if _FLOAT.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ConfigError(f'swarm.overcommit should be a number, "{text}" is invalid')
    if value <= -1:
        raise ConfigError(f"swarm.overcommit should be larger than -1, {value:f} is invalid")
    if value < 0:
        log.warning("-1 < swarm.overcommit < 0 will make swarm take less resource than docker engine offers")
    return value


def _create_retry(options: Mapping[str, str]) -> int:
    text = options.get("swarm.createretry", "0")
    count = parse_int(text)
    if count is None:
        raise ConfigError(f'swarm.createretry should be a whole number, "{text}" is invalid')
    if count < 0:
        raise ConfigError(f"swarm.createretry can not be negative, {count} is invalid")
    return count


def _image_switches(options: Mapping[str, str]) -> dict[str, bool]:
    switches: dict[str, bool] = {}
    for key, field in IMAGE_SWITCHES.items():
        text = options.get(key, "on")
        if text not in ("on", "off"):
            raise ConfigError(f'{key} should be on or off, "{text}" is invalid')
        switches[field] = text == "on"
    return switches


def _reschedule_after(options: Mapping[str, str]) -> float:
    after_s = read_duration(options.get(RESCHEDULE_AFTER, "30s"), RESCHEDULE_AFTER)
    if after_s < 0:
        raise ConfigError(f"{RESCHEDULE_AFTER} can not be negative")
    return after_s


def _swarm_mode(options: Mapping[str, str], url: str) -> SwarmMode:
    text = options.get("swarm.mode", "use")
    if text == "auto" and split_url(url)[0] == "swarm":
        raise ConfigError("swarm.mode=auto forms a swarm, and swarm:// finds the nodes of one that is there")
    return _one_of(SWARM_MODES, "swarm.mode", text)


def _one_of(words: Sequence[W], key: str, text: str) -> W:
    for word in words:
        if text == word:
            return word
    raise ConfigError(f'{key} should be one of {", ".join(words)}, "{text}" is invalid')


def _swarm_managers(options: Mapping[str, str]) -> int:
    if (text := options.get("swarm.managers")) is None:
        return 0
    if (count := parse_int(text)) not in (1, 3, 5, 7):
        raise ConfigError(f'swarm.managers should be 1, 3, 5 or 7, "{text}" is invalid')
    if options.get("swarm.mode") != "auto":
        raise ConfigError("swarm.managers is for a swarm that is formed here: it needs swarm.mode=auto")
    return count
