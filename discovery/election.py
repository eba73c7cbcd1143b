"""One leader among several managers, by the lock of the store that also lists their engines."""

import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Standing:
    """Who leads, as far as one candidate can know."""

    leading: bool = False
    """Whether this candidate holds the lock."""
    leader: str = ""
    """The address that the leader advertises, also if that is us. Empty: nobody leads, or it is not known."""
    error: str = ""
    """Why the store cannot be asked now, in one sentence. Empty when all is well."""
    until: float = field(default=math.inf, compare=False)
    """By the monotonic clock: from then on another may hold the lock, unless a later standing says otherwise."""


class Election(Protocol):
    """The lock of one cluster. It opens nothing before `campaign`."""

    def campaign(self, address: str) -> AsyncIterator[Standing]:
        """Take part under `address`: yield the standing now, then again after each change and each renewal.

        It never ends, and raises only DiscoveryRefusedError, in the beginning, if the store can never give the lock as
        it is asked for: a store that fails is told in `error`, and tried again. A
        candidate that cannot renew its lock is told that it does not lead before the lock can pass to another,
        counted by its own clock from before the last renewal that succeeded. Closing the iterator resigns: the lock
        is free, and the next candidate told, before `aclose` returns, unless the store does not answer within a
        bounded time.
        """
