"""`GET /networks`: which networks a query shows.

Source: moby, daemon/network/filter.go; classic Swarm 1.2, api/handlers.go, whose filter `id` showed all networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.filters import any_pattern, check_keys, labels_match, one_boolean, parse_filters, parse_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.container import Container
    from swarmproxy.model.filters import Filters
    from swarmproxy.model.network import Network

KEYS = frozenset(("dangling", "driver", "id", "label", "name", "node", "scope", "type"))
TYPES = frozenset(("builtin", "custom"))


class Shown(NamedTuple):
    """One network, and what a query may ask of it besides."""

    network: Network
    nodes: Sequence[tuple[str, str]] = ()  # name and ID of those that have it
    is_used: bool = False  # a container that runs is in it


@dataclass(frozen=True, slots=True)
class NetworkQuery:
    """A parsed query. Networks can be had by `names` or `label` without looking at all of them."""

    names: Callable[[str], bool] | None = None
    with_nodes: bool = False  # a name that is asked for holds a slash, so it may be `node/name`
    ids: Callable[[str], bool] | None = None
    tests: tuple[Callable[[Shown], bool], ...] = ()
    label: tuple[str, str] | None = None  # one that every network shown has
    needs_nodes: bool = False
    needs_use: bool = False

    @classmethod
    def parse(cls, text: str) -> NetworkQuery:
        """Return the query in the parameter `filters`. Raises BadRequest in the daemon's words."""
        filters = parse_filters(text)
        check_keys(filters, KEYS)
        names, ids = filters.get("name", ()), filters.get("id", ())
        labels = parse_labels(filters.get("label", ()))
        return cls(
            names=any_pattern(names) if names else None,
            with_nodes=any("/" in name for name in names),
            ids=any_pattern(ids) if ids else None,
            tests=tuple(make(filters) for key, make in _MAKERS.items() if filters.get(key)),
            label=next(((key, value) for key, value in labels if value is not None), None),
            needs_nodes="node" in filters or any("/" in name for name in names),
            needs_use="dangling" in filters,
        )

    def shows(self, shown: Shown) -> bool:
        """Return whether the query shows a network."""
        network = shown.network
        if self.names is not None and not self.names(network.name):
            titles = (f"{node}/{network.name}" for node, _ in shown.nodes) if self.with_nodes else ()
            if not any(self.names(title) for title in titles):
                return False
        if self.ids is not None and not self.ids(network.id):
            return False
        return all(test(shown) for test in self.tests)


class _Endpoint(msgspec.Struct, gc=False):
    NetworkID: str | None = None
    EndpointID: str | None = None
    MacAddress: str | None = None
    IPAddress: str | None = None
    IPPrefixLen: int | None = None
    GlobalIPv6Address: str | None = None
    GlobalIPv6PrefixLen: int | None = None


class _Settings(msgspec.Struct, gc=False):
    Networks: dict[str, _Endpoint | None] | None = None


class _Item(msgspec.Struct, gc=False):
    NetworkSettings: _Settings | None = None


_item_decoder = msgspec.json.Decoder(_Item)


def endpoints_of(container: Container, network_id: str) -> list[dict[str, str]]:
    """Return how a container is connected to a network, in the form of a network's `Containers`; empty if it is not."""
    settings = _item_decoder.decode(b"{" + container.fields + b"}").NetworkSettings or _Settings()
    return [
        {
            "Name": container.name,
            "EndpointID": each.EndpointID or "",
            "MacAddress": each.MacAddress or "",
            "IPv4Address": f"{each.IPAddress}/{each.IPPrefixLen or 0}" if each.IPAddress else "",
            "IPv6Address": f"{each.GlobalIPv6Address}/{each.GlobalIPv6PrefixLen or 0}"
            if each.GlobalIPv6Address
            else "",
        }
        for each in (settings.Networks or {}).values()
        if each is not None and each.NetworkID == network_id
    ]


def _by_driver(filters: Filters) -> Callable[[Shown], bool]:
    wanted = frozenset(filters["driver"])
    return lambda shown: shown.network.driver in wanted


def _by_scope(filters: Filters) -> Callable[[Shown], bool]:
    wanted = frozenset(filters["scope"])
    return lambda shown: shown.network.scope in wanted


def _by_type(filters: Filters) -> Callable[[Shown], bool]:
    wanted = frozenset(filters["type"])
    for unknown in sorted(wanted - TYPES):
        raise BadRequest(f"invalid filter: 'type'='{unknown}'")
    return lambda shown: ("builtin" if shown.network.is_predefined else "custom") in wanted


def _by_label(filters: Filters) -> Callable[[Shown], bool]:
    wanted = parse_labels(filters["label"])
    return lambda shown: labels_match(shown.network.labels, wanted)


def _by_node(filters: Filters) -> Callable[[Shown], bool]:
    wanted = frozenset(filters["node"])
    return lambda shown: any(not wanted.isdisjoint(node) for node in shown.nodes)


def _by_use(filters: Filters) -> Callable[[Shown], bool]:
    try:
        dangling = one_boolean(filters, "dangling")
    except BadRequest:
        text = 'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")'
        raise BadRequest(text) from None
    return lambda shown: (not shown.is_used and not shown.network.is_predefined) is dangling


_MAKERS: dict[str, Callable[[Filters], Callable[[Shown], bool]]] = {
    "driver": _by_driver,
    "scope": _by_scope,
    "type": _by_type,
    "node": _by_node,
    "label": _by_label,
    "dangling": _by_use,
}
