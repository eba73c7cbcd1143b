"""Who leads the group of managers that this one belongs to, as far as it knows."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from discovery.election import Election, Standing

log = logging.getLogger("swarmproxy.leader")

CATCH_UP_S = 1.0
"""For so long a new leader may read what its predecessor did last; an engine that hangs must not hold up all others."""


class Leadership:
    """Takes part in the election and knows its outcome. Everything changes on the event loop only.

    `catch_up` is awaited each time the lock has come to this manager, before it leads.
    """

    def __init__(self, election: Election, address: str, catch_up: Callable[[], Awaitable[None]] | None = None) -> None:
        self._election = election
        self._catch_up = catch_up
        self.address = address  # under which the other managers reach this one
        self.standing = Standing()
        self.resigned = False
        self.elections = 0  # that were heard of: another leader than before
        self._is_ready = False  # has caught up since the lock came
        self._changed = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this manager answers for the cluster. Asked again for each request: a lock ends by the clock."""
        return self._is_ready and self.standing.leading and time.monotonic() < self.standing.until

    @property
    def other(self) -> str:
        """The address of the leader if that is another manager; empty if nobody is known to lead.

        Our own address with somebody else's lock is that of our former self, which the store has not buried yet.
        """
        return "" if self.standing.leader == self.address else self.standing.leader

    async def run(self) -> None:
        """Take part until cancelled, which frees the lock: `resign` comes before that."""
        try:
            async with (
                aclosing(self._election.campaign(self.address)) as standings,  # type: ignore[type-var]
                asyncio.TaskGroup() as tasks,
            ):
                catching_up: asyncio.Task[None] | None = None
                async for standing in standings:
                    held = self.standing.leading
                    self._take(standing)
                    if self.standing.leading and not held:
                        catching_up = tasks.create_task(self._get_ready(), name="catch up")
                    elif held and not self.standing.leading and catching_up is not None:
                        catching_up.cancel()
        finally:
            self.resign()

    def resign(self) -> None:
        """Lead no more, from now on and for good. The lock is freed only afterwards, when `run` is cancelled."""
        if self.resigned:
            return
        self.resigned = True
        self._take(Standing())
        self._tell()

    async def change(self, timeout_s: float) -> None:
        """Return when it has changed who leads, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _get_ready(self) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_S):
                if self._catch_up is not None:
                    await self._catch_up()
        except TimeoutError:
            log.warning("the new leader may not know all that the last one did")
        self._is_ready = True
        self._tell()

    def _take(self, standing: Standing) -> None:
        if self.resigned:
            standing = Standing(error=standing.error)
        before, self.standing = self.standing, standing
        if standing.leading != before.leading:
            self._is_ready = False
            log.info("Leader Election: Cluster leadership %s", "acquired" if standing.leading else "lost")
        if standing.leader and standing.leader != before.leader:
            self.elections += 1
            log.info("New leader elected", extra={"leader": standing.leader})
        if standing.error and standing.error != before.error:
            log.error("Leader Election failed", extra={"error": standing.error})
        if (standing.leading, standing.leader) != (before.leading, before.leader):
            self._tell()

    def _tell(self) -> None:
        """Wake whoever waits for a change now."""
        self._changed.set()
        self._changed = asyncio.Event()
