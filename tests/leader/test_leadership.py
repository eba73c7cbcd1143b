"""Who leads, as one manager knows it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from discovery.election import Standing
from swarmproxy.leader.leadership import CATCH_UP_S, Leadership
from tests.engine.harness import eventually
from tests.leader.election import ScriptedElection, won

ME, OTHER = "10.0.0.1:2375", "10.0.0.2:2375"


@asynccontextmanager
async def campaigning(
    election: ScriptedElection, catch_up: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[tuple[Leadership, "asyncio.Task[None]"]]:
    """Lend a candidate, and its task."""
    leadership = Leadership(election, ME, catch_up)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(leadership.run(), name="campaign")
        yield leadership, task
        task.cancel()


async def test_win_and_lose() -> None:
    """Who has the lock leads until it is said to be another's."""
    election = ScriptedElection(Standing(leader=OTHER))
    async with campaigning(election) as (leadership, _):
        await eventually(lambda: leadership.other == OTHER)
        assert not leadership.leads
        election.say(won(ME))
        await eventually(lambda: leadership.leads)
        assert leadership.other == ""
        election.say(Standing(leader=OTHER))
        await eventually(lambda: leadership.other == OTHER)
        assert not leadership.leads


async def test_lock_that_ends() -> None:
    """A lock ends by the clock, without a word, and is had again by the word that it was renewed."""
    election = ScriptedElection(won(ME))
    async with campaigning(election) as (leadership, _):
        await eventually(lambda: leadership.leads)
        election.say(won(ME, for_s=0.2))
        await eventually(lambda: not leadership.leads)
        assert leadership.standing.leading
        election.say(won(ME))
        await eventually(lambda: leadership.leads)


async def test_former_self() -> None:
    """Our own address under somebody else's lock is no other manager."""
    election = ScriptedElection(Standing(leader=ME))
    async with campaigning(election) as (leadership, _):
        await eventually(lambda: leadership.standing.leader == ME)
        assert (leadership.leads, leadership.other) == (False, "")


async def test_catches_up_first() -> None:
    """A new leader leads when it has caught up, each time anew."""
    caught_up, begun = asyncio.Event(), 0

    async def catch_up() -> None:
        nonlocal begun
        begun += 1
        await caught_up.wait()

    election = ScriptedElection(won(ME))
    async with campaigning(election, catch_up) as (leadership, _):
        await eventually(lambda: begun == 1)
        assert not leadership.leads
        election.say(Standing())
        election.say(won(ME))
        await eventually(lambda: begun == 2)
        assert not leadership.leads
        caught_up.set()
        await eventually(lambda: leadership.leads)
    assert begun == 2


async def test_catching_up_is_bounded() -> None:
    """An engine that hangs does not keep a new leader from leading."""

    async def hang() -> None:
        await asyncio.Event().wait()

    started = time.monotonic()
    async with campaigning(ScriptedElection(won(ME)), hang) as (leadership, _):
        await eventually(lambda: leadership.leads)
    assert time.monotonic() - started >= CATCH_UP_S


async def test_stops_before_it_resigns() -> None:
    """A leader that ends has stopped to lead when its lock becomes free, and never leads again."""
    led_at_the_end: list[bool] = []
    election = ScriptedElection(won(ME), on_close=lambda: led_at_the_end.append(leadership.leads))
    async with campaigning(election) as (leadership, task):
        await eventually(lambda: leadership.leads)
        leadership.resign()
        assert not leadership.leads
        assert led_at_the_end == []
        election.say(won(ME))
        task.cancel()
        await asyncio.wait([task])
        assert led_at_the_end == [False]
        assert not leadership.leads


async def test_change() -> None:
    """Who waits for a change is woken by each, and not by a renewal, and waits no longer than it wants."""
    election = ScriptedElection(won(ME))
    async with campaigning(election) as (leadership, _):
        await eventually(lambda: leadership.leads)
        started = time.monotonic()
        election.say(won(ME))
        await leadership.change(0.2)
        assert time.monotonic() - started >= 0.2
        election.say(Standing(leader=OTHER))
        await leadership.change(60)
        assert leadership.other == OTHER
