"""What of a manager the routes have to do with."""

from dataclasses import dataclass
from typing import cast

from fastapi import Request

from swarmproxy.api.node_table import NodeTable
from swarmproxy.cluster.bookkeeping import Bookkeeping
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.disk_usage import DiskUsage
from swarmproxy.cluster.explaining import Explainer
from swarmproxy.cluster.forming import Forming
from swarmproxy.cluster.network_making import NetworkMaker
from swarmproxy.cluster.placement import Placement
from swarmproxy.cluster.rebalancing import Rebalancing
from swarmproxy.cluster.rescheduling import Rescheduling
from swarmproxy.cluster.volume_making import VolumeMaker
from swarmproxy.leader.leadership import Leadership
from swarmproxy.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The same for all requests. None is what this manager does not do."""

    settings: Settings
    cluster: Cluster
    placement: Placement
    network_maker: NetworkMaker
    volume_maker: VolumeMaker
    node_table: NodeTable
    disk_usage: DiskUsage
    books: Bookkeeping
    explainer: Explainer | None
    rebalancing: Rebalancing | None
    rescheduling: Rescheduling | None
    forming: Forming | None
    leadership: Leadership | None


def parts_of(request: Request) -> Parts:
    """Return what is to answer `request`."""
    return cast("Parts", request.app.state.parts)
