"""What engines have in common: waits, places at the start, connections that wait."""

import asyncio
import socket
import time

import uvloop

from swarmproxy.engine.shared import LOOK_S, Gate, Shared
from swarmproxy.engine.wheel import Wheel
from tests.engine.harness import Recorder, eventually, followed
from tests.engine.scripted import ScriptedEngine


async def test_wheel_calls_in_time() -> None:
    """Nobody is called before the time, and all are called soon after it, with one timer."""
    loop = asyncio.get_running_loop()
    wheel = Wheel(tick_s=0.02)
    late: list[float] = []
    for number in range(200):
        due = loop.time() + number % 10 * 0.01
        wheel.call_later(due - loop.time(), lambda due=due: late.append(loop.time() - due))  # type: ignore[misc]
    await eventually(lambda: len(late) == 200)
    assert min(late) >= 0
    assert wheel._timer is None


async def test_wheel_goes_on() -> None:
    """Who is called may ask to be called again."""
    wheel = Wheel(tick_s=0.005)
    calls: list[int] = []

    def again() -> None:
        calls.append(len(calls))
        if len(calls) < 3:
            wheel.call_later(0.0, again)

    wheel.call_later(0.0, again)
    await eventually(lambda: len(calls) == 3)


def test_wheel_after_a_busy_moment() -> None:
    """What came in while the event loop was busy is read before anybody is said to have been silent.

    Our loop polls before it looks at its timers (libuv from 1.45 on), so engines do not suffer from a busy manager.
    """
    happened: list[str] = []

    async def run() -> None:
        wheel = Wheel(tick_s=0.05)
        here, there = socket.socketpair()
        with here, there:
            asyncio.get_running_loop().add_reader(here, lambda: happened.append(here.recv(9).decode()))
            wheel.call_later(0.1, lambda: happened.append("called"))
            await asyncio.sleep(0)
            there.send(b"read")
            time.sleep(0.3)
            await eventually(lambda: len(happened) == 2)
            asyncio.get_running_loop().remove_reader(here)

    uvloop.run(run())
    assert happened == ["read", "called"]


async def test_gate() -> None:
    """Only so many are inside at once; who stays too long does not keep the next one out; to leave twice is once."""
    gate = Gate(2, patience_s=600.0)
    first, _ = await gate.enter(), await gate.enter()
    async with asyncio.TaskGroup() as tasks:
        third = tasks.create_task(gate.enter(), name="third")
        fourth = tasks.create_task(gate.enter(), name="fourth")
        await asyncio.sleep(0.01)
        assert not third.done()
        first.leave()
        first.leave()
        await eventually(third.done)
        assert not fourth.done()
        third.result().leave()
    patient = Gate(1, patience_s=0.01)
    await patient.enter()
    async with asyncio.timeout(10.0):
        await patient.enter()


async def test_calm_gate() -> None:
    """A gate is calm once somebody has come and all have left, those too who gave up waiting."""
    gate = Gate(1, patience_s=600.0)
    async with asyncio.TaskGroup() as tasks:
        calm = tasks.create_task(gate.calm(), name="calm")
        await asyncio.sleep(0)
        assert not calm.done()
        place = await gate.enter()
        waiting = tasks.create_task(gate.enter(), name="waiting")
        await asyncio.sleep(2 * LOOK_S)
        waiting.cancel()
        assert not calm.done()
        place.leave()
    await gate.calm()


async def test_hung_engines_keep_nobody_out(scripted: ScriptedEngine, recorder: Recorder) -> None:
    """Engines that hang while they are read do not keep one that is well from the cluster."""
    shared = Shared(gate=Gate(1, patience_s=0.05))
    async with ScriptedEngine().running() as hung:
        hung.frozen = True
        async with followed(hung.address, Recorder(), step_timeout_s=600.0, shared=shared):
            await eventually(lambda: hung.requests)
            async with followed(scripted.address, recorder, shared=shared) as engine:
                await eventually(lambda: engine.is_member)
