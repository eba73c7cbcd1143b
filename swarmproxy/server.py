"""The listening sockets and the server on them: several addresses, one application, an orderly end."""

import asyncio
import contextlib
import grp
import logging
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn

from swarmproxy import notify
from swarmproxy.errors import ConfigError
from swarmproxy.settings import Listen
from swarmproxy.wire.admission import Admission
from swarmproxy.wire.factory import protocol_factory
from swarmproxy.wire.journal import Journal
from swarmproxy.wire.limits import Limits
from swarmproxy.wire.relay import Shortcut
from swarmproxy.wire.tls import RenewableContext

log = logging.getLogger("swarmproxy.server")

SOCKET_MODE = 0o660
BACKLOG = 4096
SIDE_DRAIN_S = 1.0


class Server(uvicorn.Server):
    """uvicorn's server, woken when it has something to do, with signals left to the composition root."""

    def __init__(
        self,
        app: Any,
        *,
        tls: RenewableContext | None,
        drain_timeout_s: float,
        shortcut: Shortcut | None = None,
        journal: Journal | None = None,
        limits: Limits | None = None,
        admission: Admission | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol_factory(  # type: ignore[arg-type]
                    tls=tls, limits=limits, shortcut=shortcut, journal=journal, admission=admission
                ),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=120,
                timeout_graceful_shutdown=max(1, round(drain_timeout_s)),
            )
        )
        self._end = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def main_loop(self) -> None:
        """Wait for `drain`."""
        notify.tell(notify.READY)
        await notify.beat_until(self._end)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all connections: in order while the drain timeout lasts, what is left then at once."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def drain(self) -> None:
        """Stop accepting, let short requests end, end streams; `serve` returns within the drain timeout."""
        notify.tell(notify.STOPPING)
        self.should_exit = True
        self._end.set()


class SideServer(Server):
    """A listener beside Docker's API, for people and programs that watch: another application, the same wire below it.

    It is told to `drain` when the manager has ended its own requests, so that it can be watched ending.
    """

    def __init__(self, app: Any, address: Listen, *, tls: RenewableContext | None = None) -> None:
        super().__init__(app, tls=tls, drain_timeout_s=SIDE_DRAIN_S)
        self.address = address
        self.sockets: list[socket.socket] = []  # to be served: see `beside`

    async def main_loop(self) -> None:
        """Wait for `drain`. That the manager is well is not for this one to say."""
        await self._end.wait()


@contextlib.contextmanager
def beside(sides: Sequence[SideServer]) -> Iterator[None]:
    """Have each of `sides` listen, so that what is in the way shows before anything begins. Raises ConfigError."""
    with contextlib.ExitStack() as opened:
        for side in sides:
            side.sockets = opened.enter_context(listening((side.address,)))
        yield


@contextlib.contextmanager
def listening(hosts: Sequence[Listen], socket_group: str = "") -> Iterator[list[socket.socket]]:
    """Yield sockets that listen on `hosts`, and take them away again. Raises ConfigError."""
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for host in hosts:
            try:
                listener = _listen_unix(host, socket_group) if host.path else _listen_tcp(host)
            except OSError as error:
                # Source: classic Swarm 1.2, api/server.go
                hint = ""
                if ":2375" in str(host):
                    hint = ": is Docker already running on this machine? Try using a different port"
                raise ConfigError(f"listen on {host}: {error.strerror or error}{hint}") from error
            opened.callback(_close, listener, host)
            sockets.append(listener)
            proto = "unix" if host.path else "tcp"
            where = host if host.path or host.port else replace(host, port=listener.getsockname()[1])
            log.info(
                "Listening for HTTP",
                extra={"addr": host.path or str(where).removeprefix("tcp://"), "proto": proto},
            )
        yield sockets


def _listen_tcp(address: Listen) -> socket.socket:
    if not address.host:
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", address.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
        return socket.create_server(("", address.port), backlog=BACKLOG)
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, where = min(found, key=lambda each: each[0] != socket.AF_INET)
    return socket.create_server(where, family=family, backlog=BACKLOG)


def _listen_unix(address: Listen, group: str) -> socket.socket:
    path = Path(address.path)
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise OSError(0, f"{path} exists and is not a socket")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o777)  # nobody gets in before mode and group are right
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if group:
            _give(path, group)
        path.chmod(SOCKET_MODE)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _give(path: Path, group: str) -> None:
    try:
        os.chown(path, -1, _group_id(group))
    except PermissionError as error:
        raise ConfigError(f"--socket-group: only root and members of {group!r} can give it a socket") from error


def _group_id(group: str) -> int:
    try:
        return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise ConfigError(f"--socket-group: no group {group!r} on this machine") from error


def _close(listener: socket.socket, address: Listen) -> None:
    listener.close()
    if address.path:
        Path(address.path).unlink(missing_ok=True)
