"""What a create says of other objects of the cluster: containers that it needs, networks that it joins."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.networks import HeldNetwork
from swarmproxy.cluster.swarms import mates
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import NotFound
from swarmproxy.model.container import Container
from swarmproxy.model.network import PREDEFINED
from swarmproxy.model.spec import CONTAINER_MODE, ContainerSpec, Reach

_NAMED_AT_MOST = 5


def resolve(spec: ContainerSpec, cluster: Cluster) -> ContainerSpec:
    """Return `spec` as the scheduler is to see it, with what it names looked up in the whole cluster.

    `found` holds the containers it depends on; one that does not exist is left out, for the dependency filter to
    refuse. `reach` holds the networks that are not on all nodes, by name, ID or as `node/net`; one that nobody has is
    left out, for the engine to refuse. Raises Conflict and BadRequest, as the look-up does, for a name that may mean
    several containers.
    """
    found: dict[str, Container] = {}
    for each in spec.dependencies:
        with suppress(NotFound):
            found[each.name] = cluster.find(each.name).container
    return replace(
        spec, found=found, network_mode=own_network(spec.network_mode, cluster), reach=tuple(_reaches(spec, cluster))
    )


def own_network(name: str, cluster: Cluster) -> str:
    """Return what the engine calls the network that a client calls `name`, which may be `node/net`."""
    if "/" not in name or cluster.networks.named(name):
        return name
    found, _ = cluster.networks.candidates(name)
    return found[0].network.name if found else _split(name, cluster)[1]


def _reaches(spec: ContainerSpec, cluster: Cluster) -> Iterator[Reach]:
    """Yield the networks of `spec` that bind it to nodes. Those of which every engine has its own bind it nowhere."""
    for name in dict.fromkeys((spec.network_mode, *spec.networks)):
        if not name or name in PREDEFINED or name.startswith(CONTAINER_MODE):
            continue
        found, _ = cluster.networks.candidates(name)
        if found:
            engines = {engine: None for held in found for engine in engines_that_join(cluster, held)}
        else:
            engines = dict.fromkeys(_split(name, cluster)[0])
        if engines:
            yield Reach(f"--net={name}", frozenset(engine.id for engine in engines), _titles(engines))


def engines_that_join(cluster: Cluster, held: HeldNetwork) -> Iterable[Engine]:
    """Return the engines whose containers can join a network: for one of a swarm all that are in the swarm.

    Their own list may not have it: it comes to a worker with the first container that joins it there.
    """
    if held.network.scope != "swarm":
        return held.engines
    return dict.fromkeys((*held.engines, *mates(cluster, held.engines)))


def _titles(engines: Iterable[Engine]) -> str:
    names = sorted(engine.name for engine in engines)
    return ", ".join(names[:_NAMED_AT_MOST]) + (", …" if len(names) > _NAMED_AT_MOST else "")


def _split(name: str, cluster: Cluster) -> tuple[list[Engine], str]:
    """Return the engines of a node and a network; what stands before the slash may not be a node: then none."""
    node, slash, network = name.partition("/")
    engines = [engine for engine in cluster.engines() if engine.name == node] if slash else []
    return (engines, network) if engines else ([], name)
