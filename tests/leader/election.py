"""An election whose outcome the test decides."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from discovery.election import Standing


class ScriptedElection:
    """Says what it is told to say; `on_close` is called when the candidate leaves, which frees the lock."""

    def __init__(self, *standings: Standing, on_close: Callable[[], None] = lambda: None) -> None:
        self._standings: asyncio.Queue[Standing] = asyncio.Queue()
        self._on_close = on_close
        for standing in standings:
            self.say(standing)

    def say(self, standing: Standing) -> None:
        self._standings.put_nowait(standing)

    async def campaign(self, _address: str) -> AsyncIterator[Standing]:
        try:
            while True:
                yield await self._standings.get()
        finally:
            self._on_close()


def won(address: str, *, for_s: float = 60.0) -> Standing:
    """Return the standing of a leader whose lock lasts `for_s`."""
    return Standing(leading=True, leader=address, until=time.monotonic() + for_s)
