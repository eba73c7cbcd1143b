"""The application: our own routes by FastAPI, behind the dispatch that forwards all others."""

from fastapi import FastAPI

from swarmproxy.api import (
    adapted,
    containers,
    disk_usage,
    events,
    images,
    networks,
    plugins,
    prunes,
    swarm_forming,
    swarm_mode,
    system,
    volumes,
)
from swarmproxy.api.dispatch import Dispatch
from swarmproxy.api.node_table import NodeTable
from swarmproxy.api.operators import app as operators
from swarmproxy.api.parts import Parts
from swarmproxy.api.refusals import answer_errors
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
from swarmproxy.leader.replica import Replica
from swarmproxy.settings import Settings

ROUTES = (
    system,
    events,
    containers,
    images,
    networks,
    adapted,
    swarm_forming,
    swarm_mode,
    disk_usage,
    prunes,
    plugins,
    volumes,
)


def build(
    cluster: Cluster,
    placement: Placement,
    settings: Settings,
    *,
    replica: Replica | None = None,
    explainer: Explainer | None = None,
    books: Bookkeeping | None = None,
    rebalancing: Rebalancing | None = None,
    rescheduling: Rescheduling | None = None,
    forming: Forming | None = None,
) -> Dispatch:
    """Return the ASGI application for one cluster. Without `books`, what operators say is kept in memory."""
    parts = Parts(
        settings=settings,
        cluster=cluster,
        placement=placement,
        network_maker=NetworkMaker(cluster, placement.rank, settings.default_network),
        volume_maker=VolumeMaker(cluster, placement.rank, placement.new_swarm_id),
        node_table=NodeTable(cluster, settings.overcommit),
        disk_usage=DiskUsage(cluster),
        books=books if books is not None else Bookkeeping(cluster.book),
        explainer=explainer,
        rebalancing=rebalancing,
        rescheduling=rescheduling,
        forming=forming,
        leadership=replica.leadership if replica is not None else None,
    )
    app = FastAPI(title="swarmproxy", openapi_url=None, redirect_slashes=False)
    app.state.parts = parts
    for module in ROUTES:
        app.include_router(module.router)
    app.mount(operators.PREFIX, operators.build(parts))
    answer_errors(app)
    return Dispatch(cluster, app, placement, cors=settings.cors, experimental=settings.experimental, replica=replica)
