"""Work on many engines: bounded, and over in time."""

import asyncio
import time

import pytest

from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.participants import taking_part
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import EngineError, NotFound, Unavailable
from tests.cluster.image_daemon import ImageDaemon, clustered, engine_of, lose
from tests.cluster.members import member


async def test_bounded() -> None:
    """No more than so many engines work at once, all of them do, and the answers are in the engines' order."""
    engines = [member(number) for number in range(20)]
    working = most = 0

    async def work(engine: Engine) -> str:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0.001 * (20 - int(engine.name.removeprefix("node-"))))
        working -= 1
        if engine is engines[3]:
            raise EngineError(409, "busy")
        return engine.name

    outcome = await on_all(engines, work, timeout_s=30, at_once=4)
    assert most == 4
    assert [name for _, name in outcome.done] == [engine.name for engine in engines if engine is not engines[3]]
    assert [engine for engine, _ in outcome.failed] == [engines[3]]
    assert str(outcome.error) == "node-3: busy"


async def test_deadline_is_for_all() -> None:
    """Engines that hang hold neither one another nor the caller longer than the one deadline, queued or not."""
    engines = [member(number) for number in range(12)]
    begun = time.monotonic()

    async def hang(_engine: Engine) -> None:
        await asyncio.sleep(60)

    outcome = await on_all(engines, hang, timeout_s=1.0, at_once=2)
    assert len(outcome.failed) == 12
    assert time.monotonic() - begun < 12 / 2 * 1.0
    assert "did not answer within 1 s" in str(outcome.error)


async def test_dead_engine_is_given_up() -> None:
    """An engine that is lost meanwhile does not use up the deadline."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    async with clustered(daemons) as cluster:
        dead = engine_of(cluster, daemons[1])

        async def work(engine: Engine) -> str:
            if engine is dead:
                await asyncio.sleep(600)
            return engine.name

        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(on_all(cluster.healthy(), work, timeout_s=600, silence_s=0.2), name="fan-out")
            await lose(cluster, daemons[1])
            outcome = await running
        assert [name for _, name in outcome.done] == ["n0"]
        assert [str(error) for _, error in outcome.failed] == [f"engine {dead.address} stopped answering"]


async def test_who_takes_part() -> None:
    """All healthy engines, or those that are named: then each has to be there and healthy."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1"), ImageDaemon("n2")]
    async with clustered(daemons) as cluster:
        await lose(cluster, daemons[2])
        assert sorted(engine.name for engine in taking_part(cluster)) == ["n0", "n1"]
        assert [engine.name for engine in taking_part(cluster, ("n1", "n1"))] == ["n1"]
        with pytest.raises(NotFound, match=r"^No such node: n9$"):
            taking_part(cluster, ("n1", "n9"))
        with pytest.raises(Unavailable, match=r"^the node n2 is Unhealthy$"):
            taking_part(cluster, ("n2",))
    async with clustered([]) as cluster:
        with pytest.raises(Unavailable, match=r"^No healthy node available in the cluster$"):
            taking_part(cluster)
