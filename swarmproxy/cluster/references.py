"""What a create says of other objects of the cluster: containers that it needs, networks of one node."""

from contextlib import suppress
from dataclasses import replace

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.errors import NotFound
from swarmproxy.model.container import Container
from swarmproxy.model.spec import ContainerSpec


def resolve(spec: ContainerSpec, cluster: Cluster) -> ContainerSpec:
    """Return `spec` as the scheduler is to see it, with what it names looked up in the whole cluster.

    `found` holds the containers it depends on; one that does not exist is left out, for the dependency filter to
    refuse. A network `node/net` becomes a constraint on that node, which no label keeps. Raises Conflict and
    BadRequest, as the look-up does, for a name that may mean several containers.
    """
    found: dict[str, Container] = {}
    for each in spec.dependencies:
        with suppress(NotFound):
            found[each.name] = cluster.find(each.name).container
    nodes = {node: None for name in (spec.network_mode, *spec.networks) if (node := _split(name, cluster)[0])}
    constraints = (*spec.expressions.constraints, *(f"node=={node}" for node in nodes))
    return replace(
        spec,
        found=found,
        network_mode=own_network(spec.network_mode, cluster),
        expressions=replace(spec.expressions, constraints=constraints),
    )


def own_network(name: str, cluster: Cluster) -> str:
    """Return what the engine calls the network that a client calls `name`, which may be `node/net`."""
    return _split(name, cluster)[1]


def _split(name: str, cluster: Cluster) -> tuple[str, str]:
    """Return node and network; what stands before the slash may not be a node: then there is none."""
    node, slash, network = name.partition("/")
    if slash and any(node == engine.name for engine in cluster.engines()):
        return node, network
    return "", name
