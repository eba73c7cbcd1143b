"""What tests read of a backend or an election: a task reads, so that nothing is lost while the test is busy."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from discovery import Backend, Listing, open_backend
from discovery.election import Election, Standing
from discovery.opening import open_election
from tests.discovery.servers.process import Store

T = TypeVar("T")

GUARD_S = 60.0
HEARTBEAT_S = 1.0
LATE = "does not answer"  # in what is said of a store that a busy machine holds up
STEADY_S = 30.0
"""A time to live for tests that are not about it: a machine that is late renews in time."""


class Watched:
    """What a backend yields."""

    def __init__(self, listings: "asyncio.Queue[Listing]") -> None:
        self._listings = listings
        self._last = Listing(())

    async def next(self) -> Listing:
        async with asyncio.timeout(GUARD_S):
            self._last = await self._listings.get()
            return self._last

    async def until(self, *addresses: str) -> Listing:
        """Return the first listing without an error that has exactly these addresses, in any order."""
        while True:
            listing = await self.next()
            if not listing.error and sorted(map(str, listing.entries)) == sorted(addresses):
                return listing

    async def error(self) -> Listing:
        """Return the next listing with an error."""
        while not (listing := await self.next()).error:
            pass
        return listing

    async def more(self, seconds: float) -> list[Listing]:
        """Return what comes within `seconds`."""
        await asyncio.sleep(seconds)
        return [self._listings.get_nowait() for _ in range(self._listings.qsize())]

    async def stays_silent(self, seconds: float) -> None:
        """Return after `seconds`, in which nothing is told but that the store is late, and then the same once more."""
        for listing in await self.more(seconds):
            assert LATE in listing.error or (LATE in self._last.error and not listing.error), listing
            assert listing.entries == self._last.entries
            self._last = listing


class Candidate:
    """What an election yields to one candidate."""

    def __init__(self, standings: "asyncio.Queue[Standing]", campaign: "asyncio.Task[None]") -> None:
        self._standings = standings
        self._campaign = campaign
        self._last = Standing()

    async def until(self, *, leading: bool, leader: str | None = None) -> Standing:
        """Return the first standing that is like this; who leads has no error."""
        async with asyncio.timeout(GUARD_S):
            while True:
                self._last = standing = await self._standings.get()
                if (
                    standing.leading == leading
                    and leader in (None, standing.leader)
                    and not (leading and standing.error)
                ):
                    return standing

    async def until_known(self) -> Standing:
        """Return the first standing with a leader, and leave it to be seen again."""
        async with asyncio.timeout(GUARD_S):
            while not (standing := await self._standings.get()).leader:
                pass
        self._standings.put_nowait(standing)
        return standing

    async def resign(self) -> None:
        """End the campaign, and return when it has ended."""
        self._campaign.cancel()
        await asyncio.wait([self._campaign])

    async def stays_silent(self, seconds: float) -> None:
        """Return after `seconds`, in which nothing is told but that the store is late, and then the same once more."""
        await asyncio.sleep(seconds)
        while not self._standings.empty():
            standing = self._standings.get_nowait()
            assert LATE in standing.error or (LATE in self._last.error and not standing.error), standing
            assert (standing.leading, standing.leader) == (self._last.leading, self._last.leader)
            self._last = standing


def backend_of(
    store: Store, prefix: str, *, ttl_s: float | None = None, options: Mapping[str, str] | None = None
) -> Backend:
    """Return a backend of `store` that could also register."""
    chosen = {**store.options, **(options or {})}
    ttl_s = store.ttl_s if ttl_s is None else ttl_s
    return open_backend(store.url(prefix), heartbeat_s=HEARTBEAT_S, ttl_s=ttl_s, options=chosen)


async def read_into(queue: "asyncio.Queue[T]", source: AsyncIterator[T]) -> None:
    """Put all that `source` yields into `queue`, without making it wait."""
    async for item in source:
        queue.put_nowait(item)


@asynccontextmanager
async def watching(backend: Backend) -> AsyncIterator[Watched]:
    """Yield the backend's listings, which end with the block."""
    queue: asyncio.Queue[Listing] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(read_into(queue, backend.watch()), name="watch")
        yield Watched(queue)
        task.cancel()


async def changes(standings: AsyncIterator[Standing]) -> AsyncIterator[Standing]:
    """Yield the standings without those that only say that the lock was renewed; these have to be in order."""
    last: Standing | None = None
    async for standing in standings:
        if standing.leading:
            assert standing.until > time.monotonic()
            assert last is None or not last.leading or standing.until >= last.until
        if standing != last:
            yield standing
        last = standing


@asynccontextmanager
async def running(election: Election, address: str) -> AsyncIterator[Candidate]:
    """Yield the standings of a candidate, who resigns at the end of the block."""
    queue: asyncio.Queue[Standing] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(read_into(queue, changes(election.campaign(address))), name=f"campaign {address}")
        yield Candidate(queue, task)
        task.cancel()


def campaigning(
    store: Store,
    prefix: str,
    address: str,
    *,
    ttl_s: float | None = None,
    options: Mapping[str, str] | None = None,
) -> AbstractAsyncContextManager[Candidate]:
    """Return a candidate in `store`, as `running` does."""
    chosen = {**store.options, **(options or {})}
    election = open_election(store.url(prefix), ttl_s=store.ttl_s if ttl_s is None else ttl_s, options=chosen)
    return running(election, address)
