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
    replica: Replica | None = None,
    explainer: Explainer | None = None,
    books: Bookkeeping | None = None,
    rebalancing: Rebalancing | None = None,
    rescheduling: Rescheduling | None = None,
    forming: Forming | None = None,
) -> Dispatch:
    """Return the ASGI application for one cluster. Without `books`, what operators say is kept in memory."""
    app = FastAPI(title="swarmproxy", openapi_url=None, redirect_slashes=False)
    app.state.cluster = cluster
    app.state.placement = placement
    app.state.network_maker = NetworkMaker(cluster, placement.rank, settings.default_network)
    app.state.volume_maker = VolumeMaker(cluster, placement.rank, placement.new_swarm_id)
    app.state.settings = settings
    app.state.node_table = NodeTable(cluster, settings.overcommit)
    app.state.explainer = explainer
    app.state.rebalancing = rebalancing
    app.state.rescheduling = rescheduling
    app.state.forming = forming
    app.state.disk_usage = DiskUsage(cluster)
    app.state.books = books if books is not None else Bookkeeping(cluster.book)
    app.state.leadership = replica.leadership if replica is not None else None
    for module in ROUTES:
        app.include_router(module.router)
    app.mount(operators.PREFIX, operators.build(app.state))
    answer_errors(app)
    return Dispatch(cluster, app, placement, cors=settings.cors, experimental=settings.experimental, replica=replica)
