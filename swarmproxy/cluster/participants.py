"""Which engines take part in what a request asks of several."""

from collections.abc import Sequence

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import Unavailable


def taking_part(cluster: Cluster, nodes: Sequence[str] = ()) -> list[Engine]:
    """Return the engines to ask: those that `nodes` names, or else all healthy ones.

    Raises NotFound for a node that is not there, Unavailable for one that does not answer and if there is none at all.
    """
    if not nodes:
        healthy = cluster.healthy()
        if not healthy:
            raise Unavailable("No healthy node available in the cluster")
        return healthy
    named = list(dict.fromkeys(cluster.engine_named(node) for node in nodes))
    for engine in named:
        if engine.state is not State.HEALTHY:
            raise Unavailable(f"the node {engine.title} is {engine.state.value}")
    return named
