"""What a create says of other objects of the cluster: containers that it needs, networks and volumes that it uses."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.networks import HeldNetwork
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import NotFound
from swarmproxy.model.container import Container
from swarmproxy.model.labels import is_rescheduled
from swarmproxy.model.names import few_of
from swarmproxy.model.network import PREDEFINED
from swarmproxy.model.recipe import CONTAINER_MODE
from swarmproxy.model.spec import ContainerSpec, Reach


def resolve(spec: ContainerSpec, cluster: Cluster, among: Collection[Engine] | None = None) -> ContainerSpec:
    """Return `spec` as the scheduler is to see it, with what it names looked up in the whole cluster.

    `found` holds the containers it depends on; one that does not exist is left out, for the dependency filter to
    refuse. `reach` holds the networks and volumes that are not on all nodes, by name, ID or as `node/name`; one that
    nobody has is left out, for the engine to refuse or to make. `among` are the engines that it can go to, if not all.
    Raises Conflict and BadRequest, as the look-up does, for a name that may mean
    several containers.
    """
    found: dict[str, Container] = {}
    for each in spec.dependencies:
        with suppress(NotFound):
            found[each.name] = cluster.find(each.name).container
    for name in (link.partition(":")[0] for link in spec.network_links):
        with suppress(NotFound):
            found.setdefault(name, cluster.find(name).container)
    return replace(
        spec,
        found=found,
        network_mode=own_network(spec.network_mode, cluster),
        volumes=tuple(own_volume(name, cluster) for name in spec.volumes),
        reach=(*_reaches(spec, cluster), *_volume_reaches(spec, cluster, among)),
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


def own_volume(name: str, cluster: Cluster) -> str:
    """Return what the engine calls the volume that a client calls `name`, which may be `node/volume`."""
    if "/" not in name or cluster.volumes.named(name):
        return name
    found = cluster.volumes.candidates(name)
    return found[0].volume.name if found else _split(name, cluster)[1]


def _volume_reaches(spec: ContainerSpec, cluster: Cluster, among: Collection[Engine] | None) -> Iterator[Reach]:
    """Yield the volumes of `spec` that bind it to nodes: a local one that there is already is not to be a second time.

    With nobody asking for it two containers on `data` would have two volumes, or a new one an empty volume instead of
    the data of the one before. A container with a reschedule policy may lose its data: it is not bound to a node that
    it cannot go to, which has failed or is being emptied.
    """
    for name in dict.fromkeys(spec.volumes):
        own = own_volume(name, cluster)
        engines = dict.fromkeys(_split(name, cluster)[0])
        if not engines:
            held = cluster.volumes.candidates(name)
            if any(not each.volume.is_local for each in held):
                continue
            engines = dict.fromkeys(engine for each in held for engine in each.engines)
            engines |= dict.fromkeys(cluster.reservations.mounting(own))
            if is_rescheduled(spec.labels) and not any(
                engine.state is State.HEALTHY and (among is None or engine in among) for engine in engines
            ):
                continue
        if 0 < len(engines) < len(cluster.engines()):
            yield Reach(f"--volume={name}", frozenset(engine.id for engine in engines), _titles(engines))


def engines_that_join(cluster: Cluster, held: HeldNetwork) -> Iterable[Engine]:
    """Return the engines whose containers can join a network: for one of a swarm all that are in the swarm.

    Their own list may not have it: it comes to a worker with the first container that joins it there.
    """
    if held.network.scope != "swarm":
        return held.engines
    return dict.fromkeys((*held.engines, *cluster.swarms.mates(held.engines)))


def engines_with(cluster: Cluster, networks: Iterable[str]) -> set[Engine] | None:
    """Return the engines whose containers can join all of `networks`, by name; None if that is any."""
    made = [name for name in networks if name not in PREDEFINED]
    if not made:
        return None
    each_joins = [
        {engine for held in cluster.networks.named(name) for engine in engines_that_join(cluster, held)}
        for name in made
    ]
    return set.intersection(*each_joins)


def _titles(engines: Iterable[Engine]) -> str:
    return few_of(engine.name for engine in engines)


def _split(name: str, cluster: Cluster) -> tuple[list[Engine], str]:
    """Return the engines of a node and a network; what stands before the slash may not be a node: then none."""
    node, slash, network = name.partition("/")
    engines = [engine for engine in cluster.engines() if engine.name == node] if slash else []
    return (engines, network) if engines else ([], name)
