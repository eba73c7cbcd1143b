"""A manager at work: what runs, and how it ends."""

import asyncio
import socket
from collections.abc import Sequence

from swarmproxy import process
from swarmproxy.api.authz import Plugin
from swarmproxy.engine.shared import Shared
from swarmproxy.manager import Manager
from swarmproxy.monitoring.metrics import Metrics
from swarmproxy.server import Server, SideServer

SETTLE_S = 60.0  # in which a start is over, however many engines there are


class Serving:
    """Runs a manager until its last request has an answer after `drain`.

    From then on it leads no more and moves nothing that it has not begun to move, while clients are served as before:
    what their requests need ends only after them.
    """

    def __init__(
        self,
        manager: Manager,
        server: Server,
        *,
        sides: Sequence[SideServer],
        plugins: Sequence[Plugin],
        metrics: Metrics | None,
        drain_timeout_s: float,
    ) -> None:
        self._manager = manager
        self._server = server
        self._sides = sides
        self._plugins = plugins
        self._metrics = metrics
        self._drain_timeout_s = drain_timeout_s
        self._campaign: asyncio.Task[None] | None = None
        self._moving: asyncio.Task[None] | None = None

    def drain(self) -> None:
        """Begin to end: take no new connections, end streams, let another manager lead."""
        manager = self._manager
        if self._metrics is not None:
            self._metrics.readiness.is_draining = True
        manager.rescheduling.finish()
        if self._moving is not None:
            asyncio.get_running_loop().call_later(self._drain_timeout_s, self._moving.cancel)
        if manager.replica is not None and self._campaign is not None:
            manager.replica.leadership.resign()
            self._campaign.cancel()  # frees the lock: the next leader need not wait for our requests to end
        manager.cluster.hub.close()
        self._server.drain()

    async def run(self, sockets: list[socket.socket]) -> None:
        """Serve on `sockets` until `drain` and a little longer. Raises ExceptionGroup of what a part could not bear."""
        async with self._manager.cluster.running(), asyncio.TaskGroup() as tasks:
            needed = self._begin(tasks)
            await self._server.serve(sockets)
            for plugin in self._plugins:
                await plugin.close()
            for side in self._sides:
                side.drain()
            for task in needed:
                task.cancel()
            if self._manager.replica is not None:
                await self._manager.replica.close()

    def _begin(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start all that runs; return what requests need, and is to be ended after the last of them."""
        manager, metrics, forming = self._manager, self._metrics, self._manager.forming
        needed = [
            tasks.create_task(manager.follow(), name="discovery"),
            tasks.create_task(_settle(manager.shared), name="settling"),
            tasks.create_task(manager.books.run(), name="bookkeeping"),
        ]
        self._moving = tasks.create_task(manager.rescheduling.run(), name="rescheduling")
        if manager.replica is not None:
            self._campaign = tasks.create_task(manager.replica.run(), name="replica")
        needed.append(tasks.create_task(manager.swarm_keeping.run(), name="swarm keeping"))
        if forming is not None:
            needed.append(tasks.create_task(forming.run(), name="forming"))
        if metrics is not None:
            needed.append(tasks.create_task(metrics.run(), name="metrics"))
        for side in self._sides:
            tasks.create_task(side.serve(side.sockets), name=f"listener {side.address}")
        return needed


async def _settle(shared: Shared) -> None:
    """Have the process settle when the engines have been read that discovery lists at first."""
    try:
        async with asyncio.timeout(SETTLE_S):
            await shared.gate.calm()
    except TimeoutError:
        pass
    process.settle()
