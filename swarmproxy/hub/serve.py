"""The composition root of `swarmproxy hub`."""

import asyncio
import logging
import os
import signal

import uvloop

from swarmproxy import __version__
from swarmproxy.certificates import towards_clients
from swarmproxy.hub import app
from swarmproxy.hub.hub import opened
from swarmproxy.hub.settings import HubSettings
from swarmproxy.reloading import Reloader, reload_on_hangup
from swarmproxy.server import Server, listening

log = logging.getLogger("swarmproxy.hub")


def run(settings: HubSettings) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code. Raises ConfigError when it cannot begin."""
    return uvloop.run(_serve(settings))


async def _serve(settings: HubSettings) -> int:
    secure = towards_clients(settings.tls)
    with listening(settings.hosts, settings.socket_group) as sockets:
        async with opened(settings) as hub, asyncio.TaskGroup() as tasks:
            server = Server(app.build(hub, settings), tls=secure, drain_timeout_s=settings.drain_timeout_s)
            _on_signals(server)
            reload_on_hangup([Reloader("certificates", secure.renew)] if secure is not None else [])
            _tell(settings)
            expiring = tasks.create_task(hub.expire(settings.forget_after_s), name="expire entries")
            await server.serve(sockets)
            expiring.cancel()
    log.info("the hub has stopped")
    return 0


def _tell(settings: HubSettings) -> None:
    """Log that we begin, and what the operator may not want."""
    data = str(settings.data) if settings.data else "in memory"
    log.info("the hub is starting", extra={"version": __version__, "data": data})
    if settings.data is None:
        log.warning("tokens and entries are lost at the end of this process: name a file with --data")
    if settings.tls is None and not all(host.is_local for host in settings.hosts):
        log.warning("without --tls, tokens and entries cross the network in the clear")


def _on_signals(server: Server) -> None:
    """The first SIGTERM or SIGINT drains, the second ends at once."""
    loop = asyncio.get_running_loop()

    def first(name: str) -> None:
        log.info("draining", extra={"signal": name})
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, os._exit, 1)
        server.drain()

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, first, each.name)
