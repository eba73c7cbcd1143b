"""One body for several readers."""

import asyncio

import pytest

from swarmproxy.cluster.tee import Branch, Tee

CHUNK = b"x" * 1000


async def collect(branch: Branch) -> bytes:
    return b"".join([chunk async for chunk in branch])


async def test_every_branch_gets_all() -> None:
    """Each branch yields the whole body and ends with it."""
    tee = Tee(window_bytes=3000)
    branches = [tee.branch(), tee.branch()]
    async with asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(collect(branch), name="reader") for branch in branches]
        for number in range(100):
            await tee.feed(b"%d," % number * 100)
        tee.complete()
    expected = b"".join(b"%d," % number * 100 for number in range(100))
    assert [reader.result() for reader in readers] == [expected, expected]


async def test_slowest_branch_sets_the_pace() -> None:
    """Feeding waits for the branch that is behind, so no more than the window is held."""
    tee = Tee(window_bytes=3000)
    slow, quick = tee.branch(), tee.branch()
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(collect(quick), name="quick")
        for _ in range(3):
            await tee.feed(CHUNK)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await tee.feed(CHUNK)
        assert await anext(slow) == CHUNK
        await tee.feed(CHUNK)
        slow.close()
        tee.complete()
    assert reader.result() == CHUNK * 4


async def test_closed_branch_holds_up_nobody() -> None:
    """A branch whose engine has ended is not waited for; with all of them closed the body goes nowhere."""
    tee = Tee(window_bytes=1000)
    first, second = tee.branch(), tee.branch()
    first.close()
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(collect(second), name="second")
        for _ in range(50):
            await tee.feed(CHUNK)
        tee.complete()
    assert len(reader.result()) == 50_000
    second.close()
    await tee.feed(CHUNK * 100)


async def test_branch_that_takes_nothing_is_dropped() -> None:
    """A full branch that takes nothing for the bounded time is dropped once; the others get everything."""
    tee = Tee(window_bytes=1000, stall_s=2.0)
    hung, living = tee.branch(), tee.branch()
    told: list[str] = []
    hung.on_drop = lambda: told.append("dropped")
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(collect(living), name="living")
        for _ in range(20):
            await tee.feed(CHUNK)
        tee.complete()
    assert len(reader.result()) == 20_000
    assert told == ["dropped"]
    assert hung.dropped
    assert not living.dropped


async def test_idle_time_of_the_client_is_not_a_stall() -> None:
    """A branch that had nothing to take is not dropped, however long the client paused."""
    tee = Tee(window_bytes=1000, stall_s=0.2)
    branch = tee.branch()
    await tee.feed(CHUNK)
    await anext(branch)
    await asyncio.sleep(0.3)
    await tee.feed(CHUNK)
    async with asyncio.TaskGroup() as tasks:
        feeding = tasks.create_task(tee.feed(CHUNK), name="feed")
        await asyncio.sleep(0)
        await anext(branch)
    assert feeding.done()
    assert not branch.dropped


async def test_body_that_is_cut_does_not_end() -> None:
    """A branch never ends before the body is said to be complete."""
    tee = Tee()
    branch = tee.branch()
    await tee.feed(CHUNK)
    assert await anext(branch) == CHUNK
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await anext(branch)
    tee.complete()
    with pytest.raises(StopAsyncIteration):
        await anext(branch)
