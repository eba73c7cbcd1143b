"""A plan to even the nodes out is carried out as it was shown, or not at all."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.placement import CreateRequest, Placement
from swarmproxy.cluster.rebalancing import Rebalancing, Wanted
from swarmproxy.cluster.rescheduling import Rescheduling
from swarmproxy.errors import Conflict
from swarmproxy.scheduler.rebalance import Plan, plan
from swarmproxy.scheduler.strategy import Strategy
from tests.cluster.image_daemon import engine_of
from tests.cluster.moving_daemon import POLICY, MovingDaemon, moving, states
from tests.cluster.test_rescheduling import QUICK


@pytest.fixture
def daemons() -> list[MovingDaemon]:
    """Return two daemons, node-0 and node-1, that do not run yet."""
    return [MovingDaemon("node-0"), MovingDaemon("node-1")]


@asynccontextmanager
async def crowded(daemons: list[MovingDaemon], count: int = 4) -> AsyncIterator[tuple[Rebalancing, Placement, Cluster]]:
    """Run a cluster all of whose containers, c0 and so on, are on the first of two nodes."""
    async with moving(daemons) as (mover, placement, cluster):
        rescheduling = Rescheduling(cluster, mover, pace=QUICK)
        rebalancing = Rebalancing(
            cluster,
            mover,
            rescheduling,
            lambda nodes, movables, most: plan(
                nodes,
                movables,
                strategy=Strategy.SPREAD,
                fits=placement.rank,
                overcommit_percent=5,
                max_moves=most,
            ),
        )
        say(cluster, daemons[1], "pause")
        for number in range(count):
            await create(placement, f"c{number}")
        say(cluster, daemons[1], "active")
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(rescheduling.run(), name="rescheduling")
            yield rebalancing, placement, cluster
            rescheduling.finish()
            await task


def say(cluster: Cluster, daemon: MovingDaemon, availability: str) -> None:
    record = cluster.book.record_of(engine_of(cluster, daemon))
    cluster.book.put(replace(record, availability=availability))  # type: ignore[arg-type]


async def create(placement: Placement, name: str, **host: object) -> None:
    body = {"Image": "busybox", "Labels": POLICY, "HostConfig": host}
    await placement.place(CreateRequest(body=json.dumps(body).encode(), version=(1, 41), name=name))


def wanted(found: Plan) -> list[Wanted]:
    return [(move.movable.container.id, move.target.id) for move in found.moves]


async def carried_out(rebalancing: Rebalancing, moves: list[Wanted]) -> list[str]:
    """Return which containers were moved, and what the others failed with."""
    steps = [each async for each in rebalancing.carry_out(max_moves=100, wanted=moves)]
    ended = [each for each in steps if each.move is not None or each.error is not None]
    return [str(each.error or each.planned.movable.container.name) for each in ended]


async def test_as_shown(daemons: list[MovingDaemon]) -> None:
    """The moves that were shown are made and no others, though a new plan would have fewer by now."""
    async with crowded(daemons) as (rebalancing, placement, _):
        shown = rebalancing.plan(max_moves=100)
        await create(placement, "new")
        assert [len(each.moves) for each in (shown, rebalancing.plan(max_moves=100))] == [2, 1]
        names = [move.movable.container.name for move in shown.moves]
        assert await carried_out(rebalancing, wanted(shown)) == names
        assert set(states(daemons[1])) == {"new", *names}


async def test_changed_since(daemons: list[MovingDaemon]) -> None:
    """If a container of the plan is gone, or its node takes none any more, nothing is moved and the reason is told."""
    async with crowded(daemons) as (rebalancing, _, cluster):
        moves = wanted(rebalancing.plan(max_moves=100))
        say(cluster, daemons[1], "drain")
        with pytest.raises(Conflict, match=r"^the cluster has changed since the plan was made.*c\d cannot move there"):
            await carried_out(rebalancing, moves)
        say(cluster, daemons[1], "active")
        cluster.removed(engine_of(cluster, daemons[0]), moves[-1][0])
        with pytest.raises(Conflict, match=f"there is no container {moves[-1][0][:12]}$"):
            await carried_out(rebalancing, moves)
        assert (len(states(daemons[0])), states(daemons[1])) == (4, {})


async def test_no_room_any_more(daemons: list[MovingDaemon]) -> None:
    """The scheduler is asked again for each move: one that does not fit by now fails, and the others are made."""
    async with crowded(daemons, count=0) as (rebalancing, placement, cluster):
        say(cluster, daemons[1], "pause")
        for number in range(4):
            await create(placement, f"c{number}", PortBindings={"80/tcp": [{"HostPort": str(8000 + number)}]})
        say(cluster, daemons[1], "active")
        shown = rebalancing.plan(max_moves=100)
        port = int(shown.moves[0].movable.container.name[1:]) + 8000
        await create(placement, "new", PortBindings={"80/tcp": [{"HostPort": str(port)}]})
        failed, moved = await carried_out(rebalancing, wanted(shown))
        assert f"port {port}" in failed
        assert set(states(daemons[1])) == {"new", moved}


async def test_those_that_need_each_other_stay(daemons: list[MovingDaemon]) -> None:
    """Neither a container that another shares something with, or links to, moves, nor that other one."""
    async with crowded(daemons, count=5) as (rebalancing, placement, cluster):
        say(cluster, daemons[1], "pause")
        c3 = cluster.find("c3").container.id
        needs = {"NetworkMode": "container:c0", "VolumesFrom": ["c1:ro"], "Links": ["/c2:/x/db"]}
        for number, (member, value) in enumerate({**needs, "IpcMode": f"container:{c3}"}.items()):
            await create(placement, f"needs-{number}", **{member: value})
        say(cluster, daemons[1], "active")
        assert [move.movable.container.name for move in rebalancing.plan(max_moves=100).moves] == ["c4"]
