"""Clients on a unix socket, and half-closes there."""

import asyncio
import socket
from pathlib import Path

import pytest
import uvicorn
from uvicorn.server import ServerState

from swarmproxy.wire.factory import protocol_factory
from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Proxy
from tests.wire.peers import Peer

UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


@pytest.mark.parametrize("upgrade", [False, True])
async def test_unix_socket(proxy: Proxy, tmp_path: Path, upgrade: bool) -> None:
    """Requests and streams pass from a unix socket, with its half-closes."""
    proxy.options = RelayOptions(upgrade=upgrade)

    async def script(peer: Peer) -> None:
        await peer.request()
        if upgrade:
            await peer.send(UPGRADED)
            await peer.send(await peer.rest())
        else:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy.engine.script = script
    factory = protocol_factory()
    config = uvicorn.Config(proxy.app, http=factory, lifespan="off", log_config=None, interface="asgi3")  # type: ignore[arg-type]
    config.load()
    state = ServerState()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "front.sock"))
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: factory(config, state, {}), sock=listener)
    client = Peer(*await asyncio.open_unix_connection(tmp_path / "front.sock"))
    await client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    if upgrade:
        await client.send(b"stdin")
    await client.end()
    answer = await client.rest()
    assert answer.endswith(b"\r\n\r\nstdin" if upgrade else b"\r\n\r\nok")
    assert await proxy.result() == (101 if upgrade else 200)
    client.close()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)
