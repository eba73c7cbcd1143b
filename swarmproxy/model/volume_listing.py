"""`GET /volumes`: which volumes a query shows.

Source: moby, volume/service/by.go; classic Swarm 1.2, api/handlers.go, where the filter `node` let all volumes pass
that are not of one node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from swarmproxy.model.filters import any_pattern, check_keys, labels_match, one_boolean, parse_filters, parse_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.filters import Filters
    from swarmproxy.model.volume import Volume

KEYS = frozenset(("dangling", "driver", "label", "name", "node"))


class Shown(NamedTuple):
    """One volume, and what a query may ask of it besides."""

    volume: Volume
    nodes: Sequence[tuple[str, str]] = ()  # name and ID of those that have it
    is_used: bool = False  # a container, in whatever state, mounts it


@dataclass(frozen=True, slots=True)
class VolumeQuery:
    """A parsed query."""

    tests: tuple[Callable[[Shown], bool], ...] = ()
    may_name: Callable[[str], bool] = lambda _name: True  # false for the names of volumes that are surely not shown
    needs_use: bool = False

    @classmethod
    def parse(cls, text: str) -> VolumeQuery:
        """Return the query in the parameter `filters`. Raises BadRequest in the daemon's words."""
        filters = parse_filters(text)
        check_keys(filters, KEYS)
        return cls(
            tests=tuple(make(filters) for key, make in _MAKERS.items() if filters.get(key)),
            may_name=_may_name(filters),
            needs_use="dangling" in filters,
        )

    def shows(self, shown: Shown) -> bool:
        """Return whether the query shows a volume."""
        return all(test(shown) for test in self.tests)


def _by_name(filters: Filters) -> Callable[[Shown], bool]:
    wanted = any_pattern(filters["name"])
    titles = frozenset(name for name in filters["name"] if "/" in name)  # what a list calls it
    return lambda shown: (
        wanted(shown.volume.name)
        or (bool(titles) and any(f"{node}/{shown.volume.name}" in titles for node, _ in shown.nodes))
    )


def _may_name(filters: Filters) -> Callable[[str], bool]:
    if not (names := filters.get("name")):
        return lambda _name: True
    wanted = any_pattern(names)
    titles = tuple(name for name in names if "/" in name)
    return lambda name: wanted(name) or any(title.endswith(f"/{name}") for title in titles)


def _by_driver(filters: Filters) -> Callable[[Shown], bool]:
    wanted = frozenset(filters["driver"])
    return lambda shown: shown.volume.driver in wanted


def _by_label(filters: Filters) -> Callable[[Shown], bool]:
    wanted = parse_labels(filters["label"])
    return lambda shown: labels_match(shown.volume.labels, wanted)


def _by_node(filters: Filters) -> Callable[[Shown], bool]:
    wanted = frozenset(filters["node"])
    return lambda shown: any(not wanted.isdisjoint(node) for node in shown.nodes)


def _by_use(filters: Filters) -> Callable[[Shown], bool]:
    dangling = one_boolean(filters, "dangling")
    return lambda shown: shown.is_used is not dangling


_MAKERS: dict[str, Callable[[Filters], Callable[[Shown], bool]]] = {
    "driver": _by_driver,
    "node": _by_node,
    "name": _by_name,
    "label": _by_label,
    "dangling": _by_use,
}
