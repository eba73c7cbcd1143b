"""The connections that wait for a request, over all engines."""

import asyncio
import time
from typing import Protocol


class Waiting(Protocol):
    """A connection that can wait."""

    idle_since: float  # of the monotonic clock

    def close(self) -> None:
        """End it, and have `Idle.take` called."""


class Idle:
    """The connections of all pools that wait for a request, the longest idle first: at most `most` of them.

    One that waits longer than `timeout_s` is ended, and so is the first when there are too many.
    """

    def __init__(self, *, most: int = 1024, timeout_s: float = 90.0) -> None:
        self._most = most
        self._timeout_s = timeout_s
        self._waiting: dict[Waiting, None] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def put(self, connection: Waiting) -> None:
        """Take in a connection that begins to wait."""
        connection.idle_since = time.monotonic()
        self._waiting[connection] = None
        if len(self._waiting) > self._most:
            next(iter(self._waiting)).close()
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._timeout_s, self._end_some)

    def take(self, connection: Waiting) -> None:
        """Forget a connection that waits no more."""
        self._waiting.pop(connection, None)

    def _end_some(self) -> None:
        """End the connections that waited too long."""
        now = time.monotonic()
        self._sweep = None
        while self._waiting:
            first = next(iter(self._waiting))
            wait_s = first.idle_since + self._timeout_s - now
            if wait_s > 0:
                self._sweep = asyncio.get_running_loop().call_later(wait_s, self._end_some)
                return
            first.close()
