"""What makes it unnecessary to look at every container for a filter: what those that it shows have in common.

A filter's test decides; a clue only says which containers are worth a test. It may name too many, never too few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from swarmproxy.errors import BadRequest
from swarmproxy.model.filters import any_pattern, parse_labels
from swarmproxy.model.pattern import Budget, Pattern
from swarmproxy.model.pattern_syntax import PatternError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from swarmproxy.model.container import Container
    from swarmproxy.model.filters import Filters


class Values(NamedTuple):
    """The containers that have one of the `wanted` values. `name` stands for `values_of`."""

    name: str
    values_of: Callable[[Container], Iterable[str]]
    wanted: frozenset[str] | Callable[[str], bool]

    def among(self, groups: Mapping[str, list[int]]) -> list[int]:
        """Return the places, in order, of those in `groups`, which has the places of each value."""
        if isinstance(self.wanted, frozenset):
            found = [groups[value] for value in self.wanted if value in groups]
        else:
            found = [places for value, places in groups.items() if self.wanted(value)]
        return found[0] if len(found) == 1 else sorted({place for places in found for place in places})


class Mentions(NamedTuple):
    """The containers whose text, a line, holds one of `needs`. `name` stands for `line_of`."""

    name: str
    line_of: Callable[[Container], str]
    needs: tuple[str, ...]

    def among(self, lines: str) -> list[int]:
        """Return the numbers, in order, of the lines that hold a text that is needed."""
        found: set[int] = set()
        for need in self.needs:
            number = start = 0
            while (at := lines.find(need, start)) >= 0:
                number += lines.count("\n", start, at)
                found.add(number)
                start = lines.find("\n", at + len(need))
                if start < 0:
                    break
        return sorted(found)


Clue = Values | Mentions


def clue_of(filters: Filters) -> Clue | None:
    """Return what says most about the containers that `filters` shows, None if nothing does. Raises BadRequest."""
    for key, make in _MAKERS.items():
        if filters.get(key) and (clue := make(filters[key])) is not None:
            return clue
    return None


def _by_id(values: tuple[str, ...]) -> Clue | None:
    return _mentions("id", lambda container: container.id, values)


def _by_name(values: tuple[str, ...]) -> Clue | None:
    return _mentions("name", lambda container: f"/{container.name}", values)


def _mentions(name: str, line_of: Callable[[Container], str], values: tuple[str, ...]) -> Clue | None:
    budget, needs = Budget(), dict.fromkeys(values)
    for value in values:
        try:
            needed = Pattern(value, budget).needs
        except PatternError:
            continue  # matches only the text equal to it
        if not needed:
            return None
        needs[needed] = None
    if any("\n" in need or not need for need in needs):
        return None
    return Mentions(name, line_of, tuple(needs))


def _by_label(values: tuple[str, ...]) -> Clue | None:
    """Choose one label that every container shown has: the one with the longest value, as names of few are long."""
    key, value = max(parse_labels(values), key=lambda each: len(each[1] or ""))
    if value is None:
        return Values(f"has label {key}", lambda container: ("",) if key in container.labels else (), frozenset(("",)))
    return Values(
        f"label {key}",
        lambda container: (container.labels[key],) if key in container.labels else (),
        frozenset((value,)),
    )


def _by_volume(values: tuple[str, ...]) -> Clue | None:
    return Values("volume", lambda container: {text for mount in container.mounts for text in mount}, frozenset(values))


def _by_network(values: tuple[str, ...]) -> Clue | None:
    prefixes = tuple(value for value in values if value)
    exact = frozenset(values)
    return Values(
        "network",
        lambda container: {*container.networks, *container.networks.values()},
        lambda text: text in exact or (bool(prefixes) and text.startswith(prefixes)),
    )


def _by_status(values: tuple[str, ...]) -> Clue | None:
    return Values("status", lambda container: (container.state,), frozenset(values))


def _by_health(values: tuple[str, ...]) -> Clue | None:
    return Values("health", lambda container: (container.health,), frozenset(values))


def _by_exit_code(values: tuple[str, ...]) -> Clue | None:
    codes = frozenset(str(int(value)) for value in values)
    return Values("exited", lambda container: () if container.is_running else (str(container.exit_code),), codes)


def _by_published(values: tuple[str, ...]) -> Clue | None:
    holds = ports_test("publish", values)
    return Values("publish", lambda container: {each.container_port for each in container.published}, holds)


def _by_exposed(values: tuple[str, ...]) -> Clue | None:
    return Values("expose", lambda container: container.exposed, ports_test("expose", values))


def ports_test(key: str, values: Iterable[str]) -> Callable[[str], bool]:
    """Return the test of a container's port ("80/tcp", or from an old engine "80-82/tcp") for the filter `key`.

    Raises BadRequest in the daemon's words.
    """
    ranges = [_parse_ports(key, value) for value in values]

    def test(port: str) -> bool:
        low, high, protocol = _parse_ports(key, port)
        return any(protocol == wanted and low <= last and first <= high for first, last, wanted in ranges)

    return test


def _parse_ports(key: str, value: str) -> tuple[int, int, str]:
    """Return first port, last port and protocol of `80`, `80/udp` or `8000-8080/tcp`."""
    if ":" in value:
        raise BadRequest(f"filter for '{key}' should not contain ':': {value}")
    ports, _, protocol = value.partition("/")
    first, dash, last = ports.partition("-")
    try:
        low, high = int(first), int(last) if dash else int(first)
    except ValueError:
        low, high = 0, -1
    if not 0 <= low <= high <= 65535:
        raise BadRequest(f"error while looking up for {key} {value}: invalid port or range of ports")
    return low, high, (protocol or "tcp").lower()


_MAKERS: dict[str, Callable[[tuple[str, ...]], Clue | None]] = {  # those that leave least first
    "id": _by_id,
    "name": _by_name,
    "label": _by_label,
    "volume": _by_volume,
    "publish": _by_published,
    "expose": _by_exposed,
    "network": _by_network,
    "exited": _by_exit_code,
    "health": _by_health,
    "status": _by_status,
}


def node_test(filters: Filters) -> Callable[[str], bool] | None:
    """Return the test of the names of nodes whose containers `filters` shows, None if it shows those of all."""
    return any_pattern(filters["node"]) if filters.get("node") else None
