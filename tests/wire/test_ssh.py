"""What the ssh command is told. Connections through a real ssh are in tests/integration/test_ssh_members.py."""

import asyncio

import pytest

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.address import Address
from swarmproxy.wire.fetch import fetch
from swarmproxy.wire.pool import Pool
from swarmproxy.wire.ssh import command


def test_command() -> None:
    """User, port and socket are told only if they are known, and nothing of an address is an option or a shell's."""
    assert list(command(Address.parse("ssh://build1"))[-3:]) == ["--", "build1", "docker system dial-stdio"]
    told = command(Address.parse("ssh://me@build1:2222/run/my docker.sock"))
    assert told[told.index("-l") + 1] == "me"
    assert told[told.index("-p") + 1] == "2222"
    assert told[-1] == "docker --host 'unix:///run/my docker.sock' system dial-stdio"


async def test_reason_of_a_failure() -> None:
    """What ssh says of a host that it cannot reach is told, and the connection is over."""
    pool = Pool(Address.parse("ssh://127.0.0.1:1"))
    async with asyncio.timeout(30):
        with pytest.raises(EngineUnreachable, match="port 1: Connection refused"):
            await fetch(pool, "GET", "/_ping", timeout_s=20)
    await pool.close()
