"""One candidate for the leader's lock, whatever store holds it: what it may believe, and for how long."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace

from discovery.election import Standing
from discovery.errors import DiscoveryError, DiscoveryRefusedError

SAFETY = 0.9
"""The part of the promised time for which a leader trusts its last renewal: the rest is for clocks and slow loops."""

RESIGN_S = 2.0
RETRY_S = 0.1
"""Before the lock is tried again that was just refused, and after the first error."""

LONGEST_PAUSE_S = 0.3


class Candidacy(ABC):
    """One candidate, and what it knows of the lock."""

    def __init__(self, address: str, promised_s: float) -> None:
        """`promised_s`: for how long after a renewal the store gives the lock to nobody else."""
        self.address = address
        self.promised_s = promised_s
        self.renewed_at = 0.0
        """When we sent the last renewal that succeeded, by the monotonic clock."""
        self.leads = False
        self._followed, self._heard_at = "", 0.0  # whom we followed when the store told us last, and when that was
        self._problem = ""  # why it could not be asked since then

    @abstractmethod
    async def step(self) -> Standing:
        """Return the standing after the next change, or after a renewal; sets `renewed_at` and `leads`.

        Raises DiscoveryError.
        """

    @abstractmethod
    async def resign(self) -> None:
        """Free the lock, if we have it. Raises DiscoveryError."""

    @property
    def left_s(self) -> float:
        """For how long nobody else can have the lock, if we have it."""
        return self.renewed_at + self.promised_s - time.monotonic()

    async def advance(self) -> Standing:
        """Return what `step` does, and until when it holds. Raises DiscoveryError, also before the lock can pass on."""
        try:
            async with asyncio.timeout(self.left_s if self.leads else None):
                standing = await self.step()
        except TimeoutError as error:
            raise DiscoveryError(self._problem or "the store does not answer in time to renew the lock") from error
        if standing.leading and self.left_s <= 0:  # frozen, perhaps
            raise DiscoveryError("the lock was not renewed in time")
        self._followed, self._heard_at = "" if standing.leading else standing.leader, time.monotonic()
        self._problem = ""
        return self._with_end(standing)

    def doubt(self, problem: str) -> Standing:
        """Return the standing while the store cannot be asked: who led then still does, for as long as was promised."""
        self._problem = problem
        self.leads = self.leads and self.left_s > 0
        if self.leads:
            return self._with_end(Standing(leading=True, leader=self.address, error=problem))
        may_lead = time.monotonic() < self._heard_at + self.promised_s
        return Standing(leader=self._followed if may_lead else "", error=problem)

    def _with_end(self, standing: Standing) -> Standing:
        return replace(standing, until=self.renewed_at + self.promised_s) if standing.leading else standing


async def campaign(opened: AbstractAsyncContextManager[Candidacy]) -> AsyncGenerator[Standing, None]:
    """Yield the standing of the candidacy after each change and each renewal, and resign in the end; see Election."""
    said: Standing | None = None
    reasons: set[str] = set()  # that were told since all was well
    failures = 0
    async with opened as candidacy:
        try:
            while True:
                try:
                    standing = await candidacy.advance()
                    failures = 0
                    reasons.clear()
                except DiscoveryError as error:
                    if isinstance(error, DiscoveryRefusedError) and not candidacy.renewed_at:
                        raise
                    standing = candidacy.doubt(str(error))
                    failures += 1
                if said is None or (standing.leading, standing.leader) != (said.leading, said.leader):
                    is_news = True
                elif failures:  # a single connection that breaks is none
                    is_news = failures > 1 and standing.error not in reasons
                else:
                    is_news = bool(said.error) or standing.until != said.until
                if is_news:
                    said = standing
                    reasons.add(standing.error)
                    yield standing
                if failures:
                    pause_s = min(RETRY_S * 2 ** min(failures - 1, 10), LONGEST_PAUSE_S)
                    await asyncio.sleep(min(pause_s, candidacy.left_s) if candidacy.leads else pause_s)
        finally:
            with suppress(DiscoveryError, TimeoutError):  # then the lock ends by itself
                async with asyncio.timeout(RESIGN_S):
                    await candidacy.resign()
