"""A loop kept awake: for a moment, and no longer."""

import asyncio

from swarmproxy.wire.limits import Limits
from swarmproxy.wire.wakeful import Wakeful
from tests.wire.conftest import Start
from tests.wire.peers import GUARD_S, answer_ok

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def until_asleep(wakeful: Wakeful) -> int:
    """Return how many turns of the loop it took until nothing kept it awake."""
    turns = 0
    async with asyncio.timeout(GUARD_S):
        while wakeful.is_turning:
            await asyncio.sleep(0)
            turns += 1
    return turns


async def test_ends_by_itself() -> None:
    """The loop turns while the moment lasts, then sleeps again, however often it was told to stay awake."""
    wakeful = Wakeful(0.01)
    loop = asyncio.get_running_loop()
    for _ in range(3):
        wakeful.stay_awake(loop)
        assert wakeful.is_turning
        assert await until_asleep(wakeful) > 1


async def test_never() -> None:
    """With no moment to wait the loop sleeps as it likes."""
    wakeful = Wakeful(0)
    wakeful.stay_awake(asyncio.get_running_loop())
    assert not wakeful.is_turning


async def test_requests_are_answered_without_it(start: Start) -> None:
    """A server that never waits awake answers like any other."""
    proxy = await start("plain", limits=Limits(awake_s=0))
    proxy.engine.script = answer_ok
    client = await proxy.connect()
    for _ in range(2):
        await client.send(GET)
        assert (await client.answer())[2] == b"ok"
