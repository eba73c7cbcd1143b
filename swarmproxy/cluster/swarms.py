"""Swarms of Docker's swarm mode that members form among themselves."""

from collections.abc import Iterable, Sequence

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine
from swarmproxy.model.swarm import SwarmPart


def part_of(engine: Engine) -> SwarmPart | None:
    """Return the engine's part in a swarm; None if it is in none."""
    return engine.facts.swarm if engine.facts is not None else None


def mates(cluster: Cluster, engines: Iterable[Engine]) -> list[Engine]:
    """Return the members that are in one swarm with any of `engines`, these included if they are in one."""
    parts = [part for engine in engines if (part := part_of(engine)) is not None]
    managers = frozenset[str]().union(*(part.managers for part in parts))
    return [each for each in cluster.engines() if (part := part_of(each)) is not None and part.is_with(managers)]


def managers(engines: Iterable[Engine]) -> list[Engine]:
    """Return those of `engines` that manage a swarm: only they make and remove its networks."""
    return [engine for engine in engines if (part := part_of(engine)) is not None and part.is_manager]


def form_one_swarm(engines: Sequence[Engine]) -> bool:
    """Return whether all of `engines` are in the same swarm and one of them manages it."""
    parts = [part_of(engine) for engine in engines]
    leading = next((part for part in parts if part is not None and part.is_manager), None)
    return leading is not None and all(part is not None and part.is_with(leading.managers) for part in parts)
