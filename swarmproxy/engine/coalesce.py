"""Work that is asked for more often than it need be done."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from swarmproxy.errors import EngineUnreachable, SwarmError

log = logging.getLogger("swarmproxy.engine")

T = TypeVar("T")


class Coalescer(Generic[T]):
    """Does `work(key)` for all who ask, at most once at a time for a key.

    Those who ask while it is under way share one more run, which begins after they asked. At most `limit`
    keys are worked on at once; tasks exist only while there is work.
    """

    __slots__ = (
        "_begun",
        "_busy",
        "_limit",
        "_name",
        "_tasks",
        "_wanted",
        "_work",
    )  # there are several for each engine

    def __init__(self, work: Callable[[str], Awaitable[T]], *, limit: int, name: str) -> None:
        self._work = work
        self._limit = limit
        self._name = name
        self._tasks: asyncio.TaskGroup | None = None
        self._wanted: dict[str, asyncio.Future[T]] = {}  # in the order in which they are worked on
        self._busy: set[str] = set()
        self._begun: dict[str, asyncio.Future[T]] = {}  # runs under way

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Work in `tasks` from now on; the group of before has ended."""
        self._tasks = tasks
        self._begun.clear()
        self._busy.clear()  # a task that was cancelled before it began had no chance to say so

    def close(self, reason: str) -> None:
        """Take no more work; who waits gets EngineUnreachable. What is under way ends with its group."""
        self._tasks = None
        wanted, self._wanted = self._wanted, {}
        for future in wanted.values():
            if not future.done():
                future.set_exception(EngineUnreachable(reason))

    def ask(self, key: str, *, urgent: bool = False, begun_will_do: bool = False) -> asyncio.Future[T]:
        """Return the outcome of a run that begins now or later; an urgent one goes before all that wait.

        Or that of the run which is under way, if who asks can do with that. The future is shared: wait for it with
        `asyncio.shield`. Raises EngineUnreachable before `open` and after `close`.
        """
        if self._tasks is None:
            raise EngineUnreachable("the engine is not a member of the cluster")
        future = self._wanted.get(key)
        if begun_will_do and key in self._begun:
            return self._begun[key]
        if future is None:
            future = self._wanted[key] = asyncio.get_running_loop().create_future()
            future.add_done_callback(_look_at)
        if urgent:
            self._wanted = {key: future, **self._wanted}
        if key not in self._busy and len(self._busy) < self._limit:
            self._start(key)
        return future

    def _start(self, key: str) -> None:
        assert self._tasks is not None  # noqa: S101
        self._busy.add(key)
        self._tasks.create_task(self._run(key), name=f"{self._name} {key[:12]}")

    async def _run(self, first: str) -> None:
        key: str | None = first
        while key is not None:
            future = self._wanted.pop(key, None)
            if future is not None:
                self._begun[key] = future
            try:
                outcome = await self._work(key)
            except asyncio.CancelledError:
                if future is not None and not future.done():
                    future.set_exception(EngineUnreachable("the engine has left the cluster"))
                raise
            except Exception as error:
                if not isinstance(error, SwarmError):
                    log.exception("work failed", extra={"task": self._name, "key": key})
                if future is not None and not future.done():
                    future.set_exception(error)
            else:
                if future is not None and not future.done():
                    future.set_result(outcome)
            finally:
                self._busy.discard(key)
                self._begun.pop(key, None)
            key = next((each for each in self._wanted if each not in self._busy), None)
            if key is not None:
                self._busy.add(key)


def _look_at(future: asyncio.Future[T]) -> None:
    """Take note of a failure that nobody may be waiting for: it has been logged."""
    if not future.cancelled():
        future.exception()
