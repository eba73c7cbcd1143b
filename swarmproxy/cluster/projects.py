"""Where a compose project lives: its services reach each other only if its local networks are on one node."""

from collections.abc import Mapping

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine

PROJECT = "com.docker.compose.project"


def home_of(cluster: Cluster, labels: Mapping[str, str]) -> list[Engine]:
    """Return the nodes of the project that `labels` name; none if there is no project or nothing of it yet.

    Those with its local networks; without any, those with its local volumes, whose data must be found again, unless
    all nodes have them; at last those with its containers.
    """
    project = labels.get(PROJECT)
    if not project:
        return []
    labelled = cluster.networks.labelled(PROJECT, project)
    networks = {held.engines[0]: None for held in labelled if held.network.is_local}
    if networks:
        return list(networks)
    volumes = {
        held.engines[0]: None
        for held in cluster.volumes
        if held.volume.is_local and held.volume.labels.get(PROJECT) == project
    }
    if volumes and len(volumes) < len(cluster.healthy()):
        return list(volumes)
    return list(
        dict.fromkeys(
            each.engine for each in cluster.index.newest_first() if each.container.labels.get(PROJECT) == project
        )
    )
