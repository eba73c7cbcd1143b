"""Streams to an engine that reads nothing of what the client says."""

import asyncio
import contextlib
import logging

import pytest

from swarmproxy.wire.relay import RelayOptions
from tests.wire.conftest import Start
from tests.wire.peers import GUARD_S, Peer
from tests.wire.test_hijack import ATTACH, UPGRADED


@pytest.mark.parametrize("listens", [True, False])
async def test_engine_that_reads_no_input(start: Start, caplog: pytest.LogCaptureFixture, *, listens: bool) -> None:
    """It closes as it likes, and all output arrives: no close_notify is left unread, for which the kernel resets."""
    caplog.set_level(logging.INFO, "swarmproxy.wire")
    proxy = await start("tls1.3")
    proxy.options = RelayOptions(upgrade=True, takes_input=listens)
    size = 32 * 1024 * 1024
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.stop_reading()
        await peer.send(UPGRADED)
        await asyncio.wait_for(ended.wait(), GUARD_S)
        for _ in range(32):
            await peer.send(bytes(size // 32))
        peer.close()

    proxy.engine.script = script
    client = await proxy.connect()
    await client.send(ATTACH)
    await client.head()
    await client.end()
    ended.set()
    got = 0
    with contextlib.suppress(ConnectionResetError):
        while data := await client.some():
            got += len(data)
            await asyncio.sleep(0.001)
    # What a kernel does with a record that nobody reads is why there is the option.
    assert (got == size) is not listens
    assert ("stream cut" in caplog.messages) is listens
