"""A candidate for a lock with a time to live: the two stores of etcd differ in the lock only."""

import time
from dataclasses import dataclass
from typing import Protocol

from discovery.candidacy import SAFETY, Candidacy
from discovery.election import Standing
from discovery.etcd_tree import CHECK_S

RETRY_S = 0.3
"""Before the lock is looked at again whose watch broke."""


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


class EtcdCandidacy(Candidacy):
    """One candidate and its lock."""

    def __init__(self, lock: Lock, address: str, ttl_s: float) -> None:
        super().__init__(address, promised_s=ttl_s * SAFETY)
        self._lock = lock
        self._ttl_s = ttl_s
        self._look_at = 0.0
        """When to look next, by the monotonic clock, whether the lock has changed or not."""

    async def step(self) -> Standing:
        """Wait for a change, or until it is time to renew or to look again, then take the lock if it is free."""
        if (wait_s := self._look_at - time.monotonic()) > 0:
            await self._lock.wait(wait_s)
        asked_at = time.monotonic()
        holder = await (self._lock.renew() if self.leads else self._lock.take())
        self.renewed_at, self.leads = asked_at, holder.is_me
        self._look_at = asked_at + (self._ttl_s / 3 if holder.is_me else min(self._ttl_s / 2, CHECK_S))
        return Standing(leading=holder.is_me, leader=holder.address)

    def doubt(self, problem: str) -> Standing:
        """Look again soon."""
        self._look_at = 0.0
        return super().doubt(problem)

    async def resign(self) -> None:
        """Free the lock."""
        await self._lock.release()
