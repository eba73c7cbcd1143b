"""Connections through ssh: `docker system dial-stdio` on the engine's host, as the docker CLI does it.

Each connection is an ssh process of its own. Who has many of them shares one session in `~/.ssh/config`, with
`ControlMaster auto`, `ControlPath` and `ControlPersist`: then a connection costs no handshake.
"""

import asyncio
import shlex
import socket
from collections.abc import Sequence
from typing import cast

from swarmproxy.wire.address import Address

CONNECT_TIMEOUT_S = 30
_MAX_SAID_BYTES = 4096


def command(address: Address) -> Sequence[str]:
    """Return the command line that reaches the daemon at `address`. Nobody is there to type a password."""
    options = ["-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}"]
    if address.user:
        options += ["-l", address.user]
    if address.port:
        options += ["-p", str(address.port)]
    docker = ["docker"]
    if address.path:
        docker += ["--host", f"unix://{address.path}"]
    return ["ssh", *options, "--", address.host, shlex.join([*docker, "system", "dial-stdio"])]


async def dial(address: Address, protocol: asyncio.Protocol) -> asyncio.Transport:
    """Return a connection of `protocol` to the daemon at `address`.

    That ssh cannot get through is known only after a while: the connection is then lost, for the reason that ssh
    gives. Raises OSError when there is no ssh command.
    """
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            tunnel = _Tunnel()
            process, _ = await loop.subprocess_exec(
                lambda: tunnel,
                *command(address),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=asyncio.subprocess.PIPE,
            )
        except BaseException:
            ours.close()
            raise
    tunnel.process = process
    try:
        transport, _ = await loop.create_unix_connection(lambda: _Pipe(protocol, tunnel), sock=ours)
    except BaseException:
        tunnel.end()
        ours.close()
        raise
    return transport


class _Tunnel(asyncio.SubprocessProtocol):
    """The ssh process."""

    def __init__(self) -> None:
        self.process: asyncio.SubprocessTransport | None = None
        self.pipe: _Pipe | None = None
        self.ended = False
        self._said = b""

    @property
    def reason(self) -> str:
        """Why ssh ended, in its own words as far as it said any."""
        said = [line.strip() for line in self._said.decode(errors="replace").splitlines() if line.strip()]
        code = self.process.get_returncode() if self.process is not None else None
        return said[-1] if said else f"ssh ended with code {code}"

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002  # stderr is the only pipe
        self._said = (self._said + data)[-_MAX_SAID_BYTES:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Take note that the process has ended, and all that it said is here."""
        self.ended = True
        if self.pipe is not None:
            self.pipe.tunnel_ended()

    def end(self) -> None:
        """End the process, if it has not ended."""
        if self.process is not None:
            self.process.close()  # kills it


class _Pipe(asyncio.Protocol):
    """Our end of the process's input and output. An end before any byte came is a failure of ssh."""

    def __init__(self, protocol: asyncio.Protocol, tunnel: _Tunnel) -> None:
        self._protocol = protocol
        self._tunnel = tunnel
        self._transport: asyncio.Transport | None = None
        self._heard = False
        self._lost = False
        self._told = False
        tunnel.pipe = self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on the end of output; if it is the first thing that comes, ssh is about to say why."""
        if self._heard:
            return self._protocol.eof_received()
        if self._tunnel.ended:
            self.tunnel_ended()
        return True

    def tunnel_ended(self) -> None:
        """Lose the connection if nothing has ever come through it."""
        if self._lost:
            self._tell(ConnectionError(self._tunnel.reason))
        elif not self._heard and self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on the loss; of one that nothing ever came through ssh is about to say why, or has said it."""
        self._lost = True
        failed = not self._heard and (exc is not None or self._tunnel.ended)
        if failed and not self._tunnel.ended:
            return
        self._tell(ConnectionError(self._tunnel.reason) if failed else exc)
        self._tunnel.end()

    def _tell(self, error: Exception | None) -> None:
        if not self._told:
            self._told = True
            self._protocol.connection_lost(error)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
