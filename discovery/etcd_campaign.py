"""From a lock with a time to live to an election; the two stores of etcd differ in the lock only."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from discovery.election import Standing
from discovery.errors import DiscoveryError
from discovery.etcd_tree import CHECK_S

SAFETY = 0.9
"""The part of the time to live for which a leader trusts its last renewal: the rest is for clocks and slow loops."""

RETRY_S = 0.3
RESIGN_S = 2.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the lock."""

    address: str = ""
    """Empty: nobody."""
    is_me: bool = False


class Lock(Protocol):
    """The lock as one candidate sees it."""

    async def take(self) -> Holder:
        """Take the lock if it is free; return who has it now. Raises DiscoveryError."""

    async def renew(self) -> Holder:
        """Begin its time again if we have it, but do not take it; return who has it now. Raises DiscoveryError."""

    async def wait(self, timeout_s: float) -> None:
        """Return when the lock may have changed since the last look at it, or after `timeout_s`."""

    async def release(self) -> None:
        """Let go of the lock if we have it. Raises DiscoveryError."""


async def campaign(lock: Lock, *, ttl_s: float) -> AsyncGenerator[Standing, None]:
    """Yield standings as Election.campaign does. Each of them is to be taken off at once."""
    told = _Told()
    leading, until = False, 0.0  # we lead until then, unless we renew
    leader, heard_at = "", 0.0  # whom we follow, and when we knew last
    try:
        while True:
            asked_at, error = time.monotonic(), ""
            try:
                if leading:
                    async with asyncio.timeout(until - asked_at):
                        holder = await lock.renew()
                else:
                    holder = await lock.take()
                leading, until = holder.is_me, asked_at + ttl_s * SAFETY
                leader, heard_at = holder.address, asked_at
            except TimeoutError:
                error = "etcd does not answer in time"
            except DiscoveryError as failure:
                error = str(failure)
            now = time.monotonic()
            if leading and now >= until:
                leading, leader = False, ""
                error = error or "the lock could not be renewed in time"
            elif not leading and now - heard_at > ttl_s:
                leader = ""  # who led then cannot lead now
            standing = Standing(leading, leader, error, until)
            if told.lacks(standing):
                yield standing
            now = time.monotonic()
            if error:
                await asyncio.sleep(max(0, min(RETRY_S, until - now)) if leading else RETRY_S)
            else:
                await lock.wait(max(0, asked_at + (ttl_s / 3 if leading else min(ttl_s / 2, CHECK_S)) - now))
    finally:
        with suppress(DiscoveryError, TimeoutError):  # then it ends by itself
            async with asyncio.timeout(RESIGN_S):
                await lock.release()


class _Told:
    """What the reader knows already: of one outage it hears each reason once, in whatever order they turn up."""

    def __init__(self) -> None:
        self._last: Standing | None = None
        self._reasons: set[str] = set()

    def lacks(self, standing: Standing) -> bool:
        """Say whether `standing` is to be told, and take it for told if so."""
        last = self._last
        changed = last is None or (standing.leading, standing.leader) != (last.leading, last.leader)
        changed = changed or (standing.leading and last is not None and standing.until != last.until)
        if standing.error:
            changed = changed or standing.error not in self._reasons
            self._reasons.add(standing.error)
        else:
            changed = changed or bool(self._reasons)
            self._reasons.clear()
        if changed:
            self._last = standing
        return changed
