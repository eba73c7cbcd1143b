"""Which containers `GET /containers/json` lists, and in which order.

Kept from classic Swarm: the `node` filter (a regular expression on the engine's name), names without a node
in the `name` filter, and containers of a node that is down only under `all`, `limit` or the old `before` and
`since` parameters. Changed: classic hid all containers of an image named `swarm`; a listing here hides
nothing, because a manager is a container like another and the daemon shows it too.
Source: moby, daemon/list.go; classic Swarm 1.2, api/handlers.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from swarmproxy.errors import BadRequest
from swarmproxy.model import filters as filter_values
from swarmproxy.model import image as images
from swarmproxy.model.container import RUNNING_STATES
from swarmproxy.model.filters import any_pattern, parse_filters, parse_flag
from swarmproxy.model.labels import TASK
from swarmproxy.model.narrowing import clue_of, node_test, ports_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from swarmproxy.model.container import Container
    from swarmproxy.model.filters import Filters
    from swarmproxy.model.image import Image
    from swarmproxy.model.narrowing import Clue

STATES = ("paused", "restarting", "removing", "running", "dead", "created", "exited")
HEALTHS = ("starting", "healthy", "unhealthy", "none")


class Place(NamedTuple):
    """Where a container is: what a query needs to know of its engine."""

    node_name: str
    node_healthy: bool = True
    images: Mapping[str, Image] = {}  # of that engine, by ID


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerQuery:
    """A parsed query. `before` and `since` are references to containers, which the caller looks up.

    Only containers on `nodes`, and those that `clue` names, can pass the tests; None: any.
    """

    all: bool = False
    limit: int = 0  # 0: no limit
    size: bool = False
    before: str = ""
    since: str = ""
    tests: tuple[Callable[[Container, Place], bool], ...] = ()
    nodes: Callable[[str], bool] | None = None
    clue: Clue | None = None

    @property
    def shows_stopped(self) -> bool:
        """Whether containers that do not run, or are on nodes that do not answer, are shown too."""
        return self.all or self.limit > 0

    @property
    def is_plain(self) -> bool:
        """Whether it shows all containers, or all that run: in full, and as they are."""
        return not (self.limit or self.size or self.before or self.since or self.tests)

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> ContainerQuery:
        """Return the query in the parameters of `GET /containers/json`. Raises BadRequest as the daemon.

        A `status` filter shows stopped containers too, as do a limit and the parameters `before` and `since`
        (not the filters of these names).
        """
        filters = parse_filters(parameters.get("filters", ""))
        filter_values.check_keys(filters, KEYS)
        old_before, old_since = parameters.get("before", ""), parameters.get("since", "")
        return cls(
            all=parse_flag(parameters.get("all", "")) or bool(filters.get("status") or old_before or old_since),
            limit=_parse_limit(parameters.get("limit", "")),
            size=parse_flag(parameters.get("size", "")),
            before=filters.get("before", ("",))[-1] or old_before,
            since=filters.get("since", ("",))[-1] or old_since,
            tests=tuple(make(filters) for key, make in _MAKERS.items() if filters.get(key)),
            nodes=node_test(filters),
            clue=clue_of(filters),
        )


def matches(container: Container, place: Place, query: ContainerQuery) -> bool:
    """Return whether `query` shows the container, apart from its `limit`, `before` and `since`."""
    if not query.shows_stopped and not (container.state in RUNNING_STATES and place.node_healthy):
        return False
    return all(test(container, place) for test in query.tests)


def select(
    rows: Iterable[tuple[Container, Place]],
    query: ContainerQuery,
    *,
    before: Container | None = None,
    since: Container | None = None,
) -> list[tuple[Container, Place]]:
    """Return those of `rows`, which come in the order of a listing, that `query` shows; no more are read than needed.

    `before` and `since` are the containers that the query names: only older, respectively newer ones are
    shown.
    """
    shown = (row for row in _between(rows, before, since) if matches(row[0], row[1], query))
    return list(islice(shown, query.limit or None))


def _between(
    rows: Iterable[tuple[Container, Place]], before: Container | None, since: Container | None
) -> Iterator[tuple[Container, Place]]:
    newest = order(before) if before is not None else None
    oldest = order(since) if since is not None else None
    for row in rows:
        if oldest is not None and order(row[0]) >= oldest:
            return
        if newest is None or order(row[0]) > newest:
            yield row


def order(container: Container) -> tuple[int, str]:
    """Return the sort key of a listing: newest first, then by ID."""
    return (-container.created_ns, container.id)


def _parse_limit(text: str) -> int:
    try:
        return max(int(text), 0) if text else 0
    except ValueError:
        raise BadRequest(f"invalid limit: {text!r} is not a whole number") from None


def _by_name(filters: Filters) -> Callable[[Container, Place], bool]:
    holds = any_pattern(filters["name"])
    return lambda container, _: bool(container.name) and (holds(container.name) or holds(f"/{container.name}"))


def _by_id(filters: Filters) -> Callable[[Container, Place], bool]:
    holds = any_pattern(filters["id"])
    return lambda container, _: holds(container.id)


def _by_node(filters: Filters) -> Callable[[Container, Place], bool]:
    holds = any_pattern(filters["node"])
    known: dict[str, bool] = {}  # nodes are few, containers many

    def test(_: Container, place: Place) -> bool:
        name = place.node_name
        if name not in known:
            known[name] = holds(name)
        return known[name]

    return test


def _by_label(filters: Filters) -> Callable[[Container, Place], bool]:
    wanted = filter_values.parse_labels(filters["label"])
    return lambda container, _: filter_values.labels_match(container.labels, wanted)


def _by_status(filters: Filters) -> Callable[[Container, Place], bool]:
    wanted = _checked(filters, "status", STATES)
    return lambda container, _: container.state in wanted


def _by_health(filters: Filters) -> Callable[[Container, Place], bool]:
    wanted = _checked(filters, "health", HEALTHS)
    return lambda container, _: container.health in wanted


def _checked(filters: Filters, key: str, known: tuple[str, ...]) -> frozenset[str]:
    for value in filters[key]:
        if value not in known:
            raise BadRequest(f"invalid filter '{key}={value}'")
    return frozenset(filters[key])


def _by_task(filters: Filters) -> Callable[[Container, Place], bool]:
    wanted = filter_values.one_boolean(filters, "is-task")
    return lambda container, _: (TASK in container.labels) is wanted


def _by_exit_code(filters: Filters) -> Callable[[Container, Place], bool]:
    try:
        codes = frozenset(int(value) for value in filters["exited"])
    except ValueError:
        raise BadRequest(f"invalid filter 'exited={' '.join(filters['exited'])}'") from None
    return lambda container, _: container.exit_code in codes and not container.is_running and bool(container.started_ns)


def _by_published(filters: Filters) -> Callable[[Container, Place], bool]:
    holds = ports_test("publish", filters["publish"])
    return lambda container, _: any(holds(binding.container_port) for binding in container.published)


def _by_exposed(filters: Filters) -> Callable[[Container, Place], bool]:
    holds = ports_test("expose", filters["expose"])
    return lambda container, _: any(map(holds, container.exposed))


def _by_network(filters: Filters) -> Callable[[Container, Place], bool]:
    wanted = filters["network"]
    return lambda container, _: any(
        value == name or (value and network_id.startswith(value))
        for name, network_id in container.networks.items()
        for value in wanted
    )


def _by_volume(filters: Filters) -> Callable[[Container, Place], bool]:
    wanted = frozenset(filters["volume"]) - {""}
    return lambda container, _: any(
        source in wanted or destination in wanted for source, destination in container.mounts
    )


def _by_ancestor(filters: Filters) -> Callable[[Container, Place], bool]:
    references = filters["ancestor"]
    known: dict[tuple[str, int], bool] = {}  # many containers share an image; engines differ in what they hold

    def test(container: Container, place: Place) -> bool:
        key = (container.image_id, id(place.images))
        if key not in known:
            known[key] = any(
                images.is_descendant(container.image_id, reference, place.images) for reference in references
            )
        return known[key] or container.image in references

    return test


def _by_isolation(_filters: Filters) -> Callable[[Container, Place], bool]:
    """Accept every container: isolation is a matter of Windows, and a daemon on Linux does the same."""
    return lambda _container, _place: True


_MAKERS: dict[str, Callable[[Filters], Callable[[Container, Place], bool]]] = {  # cheap ones first
    "status": _by_status,
    "health": _by_health,
    "node": _by_node,
    "label": _by_label,
    "is-task": _by_task,
    "exited": _by_exit_code,
    "network": _by_network,
    "volume": _by_volume,
    "publish": _by_published,
    "expose": _by_exposed,
    "isolation": _by_isolation,
    "ancestor": _by_ancestor,
    "id": _by_id,
    "name": _by_name,
}
KEYS = frozenset({*_MAKERS, "before", "since"})
