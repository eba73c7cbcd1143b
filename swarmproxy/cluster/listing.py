"""The containers that a query shows, without a look at those that it cannot show."""

from collections.abc import Iterator

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.index import Located
from swarmproxy.cluster.newest import Block
from swarmproxy.engine.engine import Engine, State
from swarmproxy.model.container import Container
from swarmproxy.model.listing import ContainerQuery, Place, order, select
from swarmproxy.model.narrowing import Clue, Mentions

ID_LENGTH = 64  # of every container's


def listed(cluster: Cluster, query: ContainerQuery) -> list[Located]:
    """Return the containers that `query` shows, newest first.

    Raises as `Cluster.find` for what `before` and `since` name.
    """
    places: dict[Engine, Place] = {}

    def rows() -> Iterator[tuple[Container, Place]]:
        for located in _candidates(cluster, query):
            engine = located.engine
            place = places.get(engine)
            if place is None:
                place = places[engine] = Place(engine.name, engine.state is State.HEALTHY, engine.images)
            yield located.container, place

    shown = select(
        rows(),
        query,
        before=cluster.find(query.before).container if query.before else None,
        since=cluster.find(query.since).container if query.since else None,
    )
    by_id = cluster.index.by_id
    return [by_id[container.id] for container, _ in shown]


def _candidates(cluster: Cluster, query: ContainerQuery) -> Iterator[Located]:
    """Yield all containers that the filters of `query` may show, newest first."""
    index = cluster.index
    if query.nodes is not None:
        engines = [engine for engine in cluster.engines() if query.nodes(engine.name)]
        held = (index.by_id.get(container_id) for engine in engines for container_id in engine.containers)
        yield from sorted(
            {each.container.id: each for each in held if each}.values(), key=lambda row: order(row.container)
        )
    elif query.clue is None:
        yield from index.newest
    elif isinstance(query.clue, Mentions) and query.clue.name == "id" and _are_whole(query.clue.needs):
        named = (index.by_id[need] for need in query.clue.needs if need in index.by_id)
        yield from sorted(named, key=lambda row: order(row.container))
    else:
        for block in index.newest.blocks():
            for place in _places(block, query.clue):
                yield block.rows[place]


def _are_whole(ids: tuple[str, ...]) -> bool:
    """Return whether each of `ids` can be part of no other."""
    return all(len(each) == ID_LENGTH for each in ids)


def _places(block: Block, clue: Clue) -> list[int]:
    """Return which rows of `block` are worth a test. What is found out for that is kept for the next query."""
    if isinstance(clue, Mentions):
        lines = block.kept.get(clue.name)
        if lines is None:
            # a line break in a line, which no need has, would make two of it
            lines = "\n".join([clue.line_of(row.container).replace("\n", "\r") for row in block.rows])
            block.keep(clue.name, lines)
        return clue.among(lines)
    groups: dict[str, list[int]] | None = block.kept.get(clue.name)
    if groups is None:
        groups = {}
        for place, row in enumerate(block.rows):
            for value in clue.values_of(row.container):
                groups.setdefault(value, []).append(place)
        block.keep(clue.name, groups)
    return clue.among(groups)
