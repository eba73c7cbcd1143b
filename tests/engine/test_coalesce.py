"""Work that is asked for more often than it need be done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from swarmproxy.engine.coalesce import Coalescer
from swarmproxy.errors import EngineUnreachable


class Work:
    """Work that ends when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.most = 0
        self._now = 0
        self.gate = asyncio.Event()

    async def __call__(self, key: str) -> int:
        self.begun.append(key)
        number = len(self.begun)
        self._now += 1
        self.most = max(self.most, self._now)
        await self.gate.wait()
        self._now -= 1
        if key == "bad":
            raise ValueError(key)
        return number


@asynccontextmanager
async def open_for(work: Work, *, limit: int = 2) -> AsyncIterator[Coalescer[int]]:
    coalescer = Coalescer(work, limit=limit, name="work")
    async with asyncio.TaskGroup() as tasks:
        coalescer.open(tasks)
        yield coalescer
        coalescer.close("over")


async def test_shared_run() -> None:
    """Who asks before a run begins shares it, who asks afterwards shares the next one."""
    work = Work()
    async with open_for(work) as coalescer:
        first = coalescer.ask("a")
        assert coalescer.ask("a") is first
        await asyncio.sleep(0)
        second = coalescer.ask("a")
        assert coalescer.ask("a") is second
        work.gate.set()
        assert (await first, await second) == (1, 2)


async def test_begun_will_do() -> None:
    """Who can do with a run that is under way shares that, and begins one if there is none."""
    work = Work()
    async with open_for(work) as coalescer:
        first = coalescer.ask("a", begun_will_do=True)
        await asyncio.sleep(0)
        assert coalescer.ask("a", begun_will_do=True) is first
        second = coalescer.ask("a")
        work.gate.set()
        assert (await first, await second) == (1, 2)
        assert await coalescer.ask("a", begun_will_do=True) == 3


async def test_limit() -> None:
    """No more keys than the limit are worked on at once, and all are in the end."""
    work = Work()
    async with open_for(work, limit=3) as coalescer:
        asked = [coalescer.ask(str(number)) for number in range(20)]
        await asyncio.sleep(0)
        work.gate.set()
        await asyncio.gather(*asked)
    assert work.most == 3
    assert sorted(work.begun, key=int) == [str(number) for number in range(20)]


async def test_urgent() -> None:
    """What is urgent goes before what waits."""
    work = Work()
    async with open_for(work, limit=1) as coalescer:
        coalescer.ask("a")
        await asyncio.sleep(0)
        coalescer.ask("b")
        last = coalescer.ask("c")
        coalescer.ask("d", urgent=True)
        work.gate.set()
        await last
    assert work.begun == ["a", "d", "b", "c"]


async def test_failure() -> None:
    """A failure reaches who asked, and stops nobody else; nobody need have asked."""
    work = Work()
    work.gate.set()
    async with open_for(work) as coalescer:
        coalescer.ask("bad")
        with pytest.raises(ValueError, match="bad"):
            await coalescer.ask("bad")
        assert await coalescer.ask("good") == len(work.begun)


async def test_closed() -> None:
    """Before it is open and after it is closed nobody can ask, and whoever waited is told."""
    work = Work()
    with pytest.raises(EngineUnreachable):
        Coalescer(work, limit=1, name="work").ask("a")
    async with open_for(work, limit=1) as coalescer:
        running = coalescer.ask("a")
        await asyncio.sleep(0)
        waiting = coalescer.ask("b")
        coalescer.close("it left")
        with pytest.raises(EngineUnreachable, match="it left"):
            await waiting
        with pytest.raises(EngineUnreachable):
            coalescer.ask("c")
        work.gate.set()
        assert await running == 1


async def test_opened_again() -> None:
    """Work that was cancelled before it began can be asked for again when there is a new group."""
    work = Work()
    work.gate.set()
    coalescer = Coalescer(work, limit=1, name="work")
    lost: asyncio.Future[int]

    async def fail() -> None:
        nonlocal lost
        async with asyncio.TaskGroup() as tasks:
            coalescer.open(tasks)
            lost = coalescer.ask("a")
            raise ValueError("the group ends")

    with pytest.raises(ExceptionGroup):
        await fail()
    coalescer.close("it left")
    with pytest.raises(EngineUnreachable):
        await lost
    async with asyncio.TaskGroup() as tasks:
        coalescer.open(tasks)
        assert await coalescer.ask("a") == 1
        coalescer.close("over")
