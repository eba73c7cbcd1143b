"""What must move is moved, whoever led before, and as often as it takes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.moves import Reason, was_running
from swarmproxy.cluster.placement import Placement
from swarmproxy.cluster.rescheduling import Pace, Rescheduling
from swarmproxy.errors import Unavailable
from swarmproxy.model.container import Container
from swarmproxy.model.recipe import Recipe
from tests.cluster.image_daemon import engine_of, lose
from tests.cluster.moving_daemon import MovingDaemon, moving, states
from tests.cluster.test_moves import RUNNING, put
from tests.engine.harness import eventually

QUICK = Pace(after_s=0.05, look_s=0.01, retry_min_s=0.05, retry_max_s=0.2, settle_s=0.0)


@pytest.fixture
def daemons() -> list[MovingDaemon]:
    """Return two daemons, node-0 and node-1, that do not run yet."""
    return [MovingDaemon("node-0"), MovingDaemon("node-1")]


@asynccontextmanager
async def rescheduling(
    daemons: Sequence[MovingDaemon], pace: Pace = QUICK
) -> AsyncIterator[tuple[Rescheduling, Placement, Cluster]]:
    """Run a cluster over `daemons` that looks after its containers."""
    async with moving(daemons) as (mover, placement, cluster):
        watched = Rescheduling(cluster, mover, pace=pace)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(watched.run(), name="rescheduling")
            yield watched, placement, cluster
            watched.finish()
            await task


async def test_retried(daemons: list[MovingDaemon]) -> None:
    """A move that fails is tried again until it succeeds, later each time."""
    async with rescheduling(daemons) as (_, placement, cluster):
        await put(placement, cluster)
        daemons[1].refusals = [(500, {"message": "no space left on device"})] * 3
        await lose(cluster, daemons[0])
        await eventually(lambda: states(daemons[1]) == RUNNING)
        assert len(daemons[1].creates) == 4


async def test_back_in_time(daemons: list[MovingDaemon]) -> None:
    """A node that is back before its time is over keeps its containers."""
    async with rescheduling(daemons, replace(QUICK, after_s=3.0)) as (_, placement, cluster):
        await put(placement, cluster)
        await lose(cluster, daemons[0])
        await daemons[0].listen()
        await eventually(lambda: len(cluster.healthy()) == 2)
        await asyncio.sleep(3.2)
        assert (states(daemons[0]), daemons[1].creates) == (RUNNING, [])


async def test_only_the_leader(daemons: list[MovingDaemon]) -> None:
    """A replica moves nothing, and what was lost before it led is moved once it leads."""
    async with rescheduling(daemons) as (_, placement, cluster):
        await put(placement, cluster)
        placement.leads = lambda: False
        await lose(cluster, daemons[0])
        await asyncio.sleep(0.3)
        assert daemons[1].creates == []
        placement.leads = lambda: True
        await eventually(lambda: states(daemons[1]) == RUNNING)


async def test_removed_is_not_made_again(daemons: list[MovingDaemon]) -> None:
    """A copy that its user removes stays removed while the node is away."""
    async with rescheduling(daemons) as (_, placement, cluster):
        await put(placement, cluster)
        await lose(cluster, daemons[0])
        await eventually(lambda: states(daemons[1]) == RUNNING)
        await eventually(lambda: cluster.find("web").container.is_running)
        daemons[1].remove(next(iter(daemons[1].containers)))
        await eventually(lambda: len(cluster.index) == 0)
        await asyncio.sleep(0.3)
        assert (states(daemons[1]), len(cluster.index)) == ({}, 0)


async def test_node_removed(daemons: list[MovingDaemon]) -> None:
    """What was on a node that discovery does not list any more is moved, too."""
    async with rescheduling(daemons) as (_, placement, cluster):
        await put(placement, cluster)
        cluster.follow([str(daemons[1].address)])
        await eventually(lambda: states(daemons[1]) == RUNNING)
        cluster.follow([str(each.address) for each in daemons])
        await eventually(lambda: states(daemons[0]) == {})
        assert states(daemons[1]) == RUNNING


async def test_duplicate_that_cannot_be_removed(daemons: list[MovingDaemon]) -> None:
    """A duplicate that its node does not give up is tried again, and never shown."""
    async with rescheduling(daemons) as (_, placement, cluster):
        await put(placement, cluster)
        await lose(cluster, daemons[0])
        await eventually(lambda: states(daemons[1]) == RUNNING)
        daemons[0].refused["delete"] = 500
        await daemons[0].listen()
        await eventually(lambda: daemons[0].acted.count(("delete", "web")) > 1)
        assert cluster.find("web").engine.name == "node-1"
        assert daemons[0].acted.count(("stop", "web")) == 1
        daemons[0].refused.clear()
        await eventually(lambda: states(daemons[0]) == {})


async def test_interrupted_drain(daemons: list[MovingDaemon]) -> None:
    """Of a move in order that a former leader did not come far with, the next one takes the copy away."""
    async with rescheduling(daemons) as (_, placement, cluster):
        old = await put(placement, cluster)
        placement.leads = lambda: False
        await asyncio.sleep(0.05)
        begun = daemons[1].add("web", state="created", NetworkMode="")
        daemons[1].change(begun, labels=dict(old.container.labels))
        await engine_of(cluster, daemons[1]).refresh_containers()
        await eventually(lambda: len(cluster.copies(old.container.swarm_id)) == 2)
        placement.leads = lambda: True  # of the two the original ran: the copy, which did not, goes
        await eventually(lambda: (states(daemons[0]), states(daemons[1])) == (RUNNING, {}))


async def test_drained(daemons: list[MovingDaemon]) -> None:
    """A drained node gives up what has the policy, and its state tells how far it is."""
    async with rescheduling(daemons) as (watched, placement, cluster):
        await put(placement, cluster)
        engine = engine_of(cluster, daemons[0])
        assert watched.drain_of(engine) is None
        cluster.book.put(replace(cluster.book.record_of(engine), availability="drain"))
        await eventually(lambda: (states(daemons[0]), states(daemons[1])) == ({}, RUNNING))
        await eventually(lambda: (drain := watched.drain_of(engine)) is not None and drain.moved == 1)
        cluster.book.put(replace(cluster.book.record_of(engine), availability="active"))
        await eventually(lambda: watched.drain_of(engine) is None)


async def test_unknown_node(daemons: list[MovingDaemon], caplog: pytest.LogCaptureFixture) -> None:
    """What was on a node that was dead before the manager began cannot be known, and the log says so."""
    async with rescheduling(daemons[:1]) as (_, _, cluster):
        cluster.follow([str(daemons[0].address), "127.0.0.1:1"])
        await eventually(lambda: "its containers are not known" in caplog.text)


async def test_original_that_cannot_be_removed(daemons: list[MovingDaemon]) -> None:
    """The original of a move in order that its node does not give up at once is removed later."""
    async with moving(daemons) as (mover, placement, cluster):
        watched = Rescheduling(cluster, mover, pace=QUICK)
        old = await put(placement, cluster)
        daemons[0].refused["delete"] = 500
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watched.run(), name="rescheduling")
            await mover.move(old, reason=Reason.REBALANCE)
            assert (states(daemons[0]), states(daemons[1])) == ({"web": "exited"}, RUNNING)
            daemons[0].refused.clear()
            await eventually(lambda: states(daemons[0]) == {})
            watched.finish()
        assert states(daemons[1]) == RUNNING


async def test_end(daemons: list[MovingDaemon]) -> None:
    """A manager that ends begins nothing more and finishes the move that is under way."""
    async with rescheduling(daemons) as (watched, placement, cluster):
        await put(placement, cluster)
        daemons[1].gate.clear()
        await lose(cluster, daemons[0])
        await eventually(lambda: daemons[1].waiting)
        watched.finish()
        with pytest.raises(Unavailable):
            watched.in_background(asyncio.sleep(0), name="late")
        daemons[1].gate.set()
    assert states(daemons[1]) == RUNNING


RESTARTED = Recipe(body=b"{}", is_restarted=True)
PLAIN = Recipe(body=b"{}")


@pytest.mark.parametrize(
    ("state", "ended_s", "exit_code", "recipe", "expected"),
    [
        ("running", 0, 0, PLAIN, True),
        ("paused", 0, 0, PLAIN, True),
        ("created", 0, 0, RESTARTED, False),
        ("exited", 990, 143, PLAIN, True),  # stopped as its machine was shut down
        ("exited", 1010, 137, PLAIN, True),  # it takes a while, and the API goes first
        ("exited", 990, 0, PLAIN, False),  # its work was done
        ("exited", 990, 0, RESTARTED, True),
        ("exited", 900, 143, RESTARTED, False),  # its user stopped it
    ],
)
def test_was_running(state: str, ended_s: int, exit_code: int, recipe: Recipe, expected: bool) -> None:
    """Whether a container ran when its node was lost, at 1000 seconds."""
    started = 0 if state == "created" else 1
    container = Container(id="a", state=state, started_ns=started, finished_ns=ended_s * 10**9, exit_code=exit_code)
    assert was_running(container, recipe, 1000.0) is expected
