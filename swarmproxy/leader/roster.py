"""Which managers there are: each announces itself in the store that lists their engines."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing

from discovery import Backend, DiscoveryRefusedError, parse_entry
from swarmproxy.registration import register, unregister

log = logging.getLogger("swarmproxy.leader")

GOODBYE_S = 2.0
"""How long taking our address away may hold up our end; without it, it ends with its TTL."""
BEATS = 3
"""How often an address is renewed within its TTL."""


class Roster:
    """Announces one manager, and knows all that have announced themselves.

    Nothing is decided by it, the lock alone says who leads: a store that cannot be written to, or that shows a manager
    that has just been killed, is no more than a list that is not quite right.
    """

    def __init__(self, backend: Backend, address: str, *, ttl_s: float) -> None:
        """`address`: that of this manager. Raises DiscoveryError if it is none."""
        self._backend = backend
        self._entry = parse_entry(address)
        self._heartbeat_s = ttl_s / BEATS
        self.addresses: Sequence[str] = ()
        """Of all managers, in order; as they were when the store could be read last."""

    async def run(self) -> None:
        """Keep our address there until cancelled, which takes it away, and follow those of the others."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="managers")
            tasks.create_task(self._announce(), name="announcement")

    async def _follow(self) -> None:
        async with aclosing(self._backend.watch()) as listings:  # type: ignore[type-var]
            async for listing in listings:  # an error is one of the lock's and of the engines' list as well, which tell
                self.addresses = sorted({str(entry) for entry in listing.entries})

    async def _announce(self) -> None:
        said = ""
        try:
            while True:
                try:
                    problem = await register(self._backend, self._entry, self._heartbeat_s)
                except DiscoveryRefusedError as error:
                    problem = str(error)
                if problem and problem != said:
                    log.warning("other managers do not see this one", extra={"error": problem})
                said = problem
                await asyncio.sleep(self._heartbeat_s)
        finally:
            await unregister(self._backend, self._entry, GOODBYE_S)
