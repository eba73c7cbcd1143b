"""The hub as its routes see it: the store, in a thread of its own, and failures of its disk."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from swarmproxy.errors import Unavailable
from swarmproxy.hub.settings import HubSettings
from swarmproxy.hub.store import Store

log = logging.getLogger("swarmproxy.hub")

TICK_S = 2.0
MAX_WAITING = 1000

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


class Hub:
    """What a hub can do. Every call raises Unavailable when the disk fails, or too many wait for it."""

    def __init__(self, store: Store, thread: ThreadPoolExecutor) -> None:
        self._store = store
        self._thread = thread
        self._waiting = 0
        self._problem = ""

    async def create(self) -> str:
        """Return a new token. Raises Unavailable if there are too many."""
        return await self._write(self._store.create)

    async def addresses(self, token: str) -> list[str]:
        """Return the addresses under `token`, sorted. Raises NotFound."""
        return await self._call(self._store.addresses, token)

    async def register(self, token: str, address: str, ttl_s: float) -> None:
        """List `address` for `ttl_s`. Raises NotFound, or Forbidden if the token has too many."""
        await self._write(self._store.register, token, address, ttl_s)

    async def unregister(self, token: str, address: str) -> None:
        """Take `address` away, if it is there. Raises NotFound if the token is not."""
        await self._write(self._store.unregister, token, address)

    async def expire(self, forget_after_s: float) -> None:
        """Let time pass until cancelled."""
        while True:
            with contextlib.suppress(Unavailable):  # logged, and tried again
                await self._write(self._store.tick, forget_after_s)
            await asyncio.sleep(TICK_S)

    async def _write(self, call: Callable[_Args, _Result], *args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        """As `_call`. Only a write that succeeds shows that the disk works: reading mostly goes on without it."""
        result = await self._call(call, *args, **kwargs)
        self._note("")
        return result

    async def _call(self, call: Callable[_Args, _Result], *args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("the hub is overloaded")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: call(*args, **kwargs))
        except sqlite3.Error as error:
            self._note(str(error))
            raise Unavailable(f"the hub cannot keep its data: {error}") from error
        finally:
            self._waiting -= 1

    def _note(self, problem: str) -> None:
        """Log a failure of the disk when it begins, and its end."""
        if problem == self._problem:
            return
        self._problem = problem
        if problem:
            log.error("the hub cannot keep its data", extra={"error": problem})
        else:
            log.info("the hub keeps its data again")


@contextlib.asynccontextmanager
async def opened(settings: HubSettings) -> AsyncIterator[Hub]:
    """Yield the hub with its data at hand, and close them. Raises ConfigError if they cannot be used."""
    store = Store(settings.data, max_tokens=settings.max_tokens, max_entries=settings.max_entries)
    with ThreadPoolExecutor(1, thread_name_prefix="hub") as thread:
        hub = Hub(store, thread)
        try:
            yield hub
        finally:
            try:
                await asyncio.get_running_loop().run_in_executor(thread, store.close)
            except sqlite3.Error as error:
                log.error("the hub could not close its data", extra={"error": str(error)})  # noqa: TRY400
