"""One piece of work on several engines side by side: at most so many at once, and never longer than its deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from swarmproxy.cluster.broadcast import AT_ONCE, SILENCE_S, patience
from swarmproxy.cluster.failures import Failure, combined
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import EngineUnreachable, SwarmError

T = TypeVar("T")


@dataclass(slots=True)
class Outcome(Generic[T]):
    """What became of it, in the order of the engines."""

    done: list[tuple[Engine, T]] = field(default_factory=list)
    failed: list[tuple[Engine, SwarmError]] = field(default_factory=list)

    @property
    def error(self) -> SwarmError | None:
        """The failures as one error; None if there are none."""
        if not self.failed:
            return None
        failures: list[Failure] = [(engine.title, error) for engine, error in self.failed]
        return combined(failures, asked=len(self.done) + len(self.failed))


async def on_all(
    engines: Sequence[Engine],
    work: Callable[[Engine], Awaitable[T]],
    *,
    timeout_s: float,
    at_once: int = AT_ONCE,
    silence_s: float = SILENCE_S,
) -> Outcome[T]:
    """Do `work` on each engine and return what came of it: an engine that fails harms no other.

    All of it ends within `timeout_s`, however many engines there are. An engine that is not healthy any more is given
    up `silence_s` after it was asked, so that a dead one does not hold the rest until the deadline.
    """
    places = asyncio.Semaphore(at_once)
    end = asyncio.get_running_loop().time() + timeout_s

    async def attempt(engine: Engine) -> T | SwarmError:
        try:
            async with asyncio.timeout_at(end), places, patience(engine, silence_s):
                return await work(engine)
        except TimeoutError:
            return EngineUnreachable(f"engine {engine.address} did not answer within {timeout_s:g} s")
        except SwarmError as error:
            return error

    outcome: Outcome[T] = Outcome()
    for engine, result in zip(engines, await asyncio.gather(*map(attempt, engines)), strict=True):
        if isinstance(result, SwarmError):
            outcome.failed.append((engine, result))
        else:
            outcome.done.append((engine, result))
    return outcome
