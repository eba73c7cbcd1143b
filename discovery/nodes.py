"""`nodes://a:2375,b:2375`: engines named on the command line, which never change."""

import asyncio
import time
from collections.abc import AsyncIterator

from discovery.backend import Listing, ReadOnly
from discovery.entry import MAX_ENTRIES, Entry, parse_entries
from discovery.errors import DiscoveryError


class NodesBackend(ReadOnly):
    """The entries of a comma separated list."""

    def __init__(self, rest: str) -> None:
        """Parse `rest`, what follows `nodes://`. Raises DiscoveryError."""
        entries: list[Entry] = []
        for pattern in rest.split(","):
            try:
                entries += parse_entries(pattern.strip())
            except DiscoveryError as error:
                hint = "please check you are using the correct discovery (missing token:// ?)"
                raise DiscoveryError(f"{error}, {hint}") from error
            if len(entries) > MAX_ENTRIES:
                raise DiscoveryError(f"more than {MAX_ENTRIES} addresses")
        self._entries = tuple(entries)
        self.source = f"nodes://{rest}"

    async def watch(self) -> AsyncIterator[Listing]:
        """Yield the entries, and then nothing for ever."""
        yield Listing(self._entries, read_at=time.time())
        await asyncio.Event().wait()

    async def fetch(self) -> tuple[Entry, ...]:
        """Return the entries."""
        return self._entries
