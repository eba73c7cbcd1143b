"""A manager's front end over scripted daemons, and a client of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from swarmproxy.api import app as api
from swarmproxy.api.dispatch import Dispatch
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.placement import Placement
from swarmproxy.server import Server, listening
from swarmproxy.settings import Listen, Settings
from swarmproxy.wire.address import Address
from swarmproxy.wire.relay import Exchange
from tests.cluster.image_daemon import ImageDaemon, clustered

PATIENCE_S = 20.0


class Front:
    """A manager's front end, and a client of it."""

    def __init__(self, cluster: Cluster, dispatch: Dispatch) -> None:
        self.cluster = cluster
        self.client: httpx.AsyncClient
        self.server: Server
        self.port = 0
        self.at_once = False  # whether the shortcut is taken where there is one
        self.asked: list[str] = []  # paths that the application was asked for
        self._dispatch = dispatch

    def shortcut(self, exchange: Exchange) -> bool:
        return self.at_once and self._dispatch.at_once(exchange)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        await self._dispatch(scope, receive, send)

    async def post(self, target: str, **options: Any) -> httpx.Response:
        return await self.client.post(target, **options)

    async def lines(self, target: str, **options: Any) -> list[dict[str, Any]]:
        """POST and return the lines of the answer, whose head must be that of a stream of JSON."""
        answer = await self.client.post(target, **options)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return [json.loads(line) for line in answer.text.splitlines()]


def without_placement(cluster: Cluster) -> Dispatch:
    """Return the application of a cluster that places no containers."""
    placement = Placement(cluster, lambda _spec, _nodes: [], Pulls(), lambda: "")
    return api.build(cluster, placement, Settings(discovery="nodes://"))


@asynccontextmanager
async def front(
    daemons: Sequence[ImageDaemon],
    *,
    dead: Sequence[Address] = (),
    build: Callable[[Cluster], Dispatch] = without_placement,
    **changes: float,
) -> AsyncIterator[Front]:
    """Serve a cluster of `daemons` on a free port; `changes` are of the engines' settings."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(clustered(daemons, dead=dead, **changes))
        manager = Front(cluster, build(cluster))
        manager.server = server = Server(manager, tls=None, drain_timeout_s=1.0, shortcut=manager.shortcut)
        sockets = stack.enter_context(listening([Listen("127.0.0.1", 0)]))
        manager.port = sockets[0].getsockname()[1]
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(server.serve(sockets), name="server under test")
        stack.callback(server.drain)
        manager.client = client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{manager.port}", timeout=PATIENCE_S, trust_env=False)
        )
        await until_it_serves(client)
        yield manager


async def until_it_serves(client: httpx.AsyncClient) -> None:
    """Return when whoever `client` speaks to answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await client.get("/_ping")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.01)


def of_node(lines: list[dict[str, Any]], node: str) -> list[str]:
    """Return what the lines of one node say."""
    return [line["status"] for line in lines if line.get("id") == node]


def progress(current: int, total: int) -> dict[str, int]:
    return {"current": current, "total": total}
