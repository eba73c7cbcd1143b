"""The leader's lock in consul, as classic's managers take it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from discovery.candidacy import RETRY_S, SAFETY, Candidacy, campaign
from discovery.consul_client import WAIT_S, Calls, parse_url
from discovery.election import Standing

CALL_S = 5.0


class ConsulElection:
    """The lock of one cluster: a key that the session of the leader holds."""

    def __init__(self, rest: str, *, ttl_s: float, options: Mapping[str, str]) -> None:
        """Name the place. Raises DiscoveryError if `rest` or the options are not what consul needs."""
        self._server, place = parse_url(rest, options)
        self._key = place.leader
        self._ttl_s = ttl_s

    def campaign(self, address: str) -> AsyncIterator[Standing]:
        """Yield the standing of `address`; see Election."""
        return campaign(self._candidacy(address))

    @asynccontextmanager
    async def _candidacy(self, address: str) -> AsyncIterator[Candidacy]:
        async with self._server.connect(min(CALL_S, self._ttl_s / 4)) as calls:
            yield _Candidacy(calls, self._key, address, self._ttl_s)


class _Candidacy(Candidacy):
    """One candidate and its session."""

    def __init__(self, calls: Calls, key: str, address: str, ttl_s: float) -> None:
        # consul promises half of the TTL, though it keeps a session for all of it. We renew early enough for a second
        # try.
        super().__init__(address, promised_s=ttl_s / 2 * SAFETY)
        self._calls = calls
        self._key = key
        self._ttl_s = ttl_s
        self._renew_s = ttl_s / 6
        self._session = ""
        self._index = 0

    async def step(self) -> Standing:
        """Renew the session if it is time, then wait for a change of the lock, and take it if it is free."""
        return await self._keep_session() or await self._look()

    def doubt(self, problem: str) -> Standing:
        """Forget where the lock was."""
        self._index = 0
        return super().doubt(problem)

    async def resign(self) -> None:
        """Free the lock and end the session."""
        if self._session:
            # Ending the session alone would keep others out for the lock delay.
            await self._calls.release(self._key, self._session, self.address)
            await self._calls.destroy(self._session)

    async def _keep_session(self) -> Standing | None:
        """Renew the session, or make a new one. Return a standing only if the lock went with the old one."""
        started = time.monotonic()
        if self._session and started < self.renewed_at + self._renew_s:
            return None
        if not self._session or not await self._calls.renew(self._session):
            lost, self.leads, self._session = self.leads, False, ""
            if lost:
                return Standing()
            self._session = await self._calls.create_session(self._ttl_s, "release")
        self.renewed_at = started
        return None

    async def _look(self) -> Standing:
        wait_s = min(WAIT_S, max(self.renewed_at + self._renew_s - time.monotonic(), 0.001))
        now, found = await self._calls.get(self._key, index=self._index, wait_s=wait_s)
        # An index that goes back is a server that begins anew; the old one would wait for ever.
        self._index = 0 if now < self._index else now
        holder = found.session if found else ""
        if holder == self._session:
            self.leads = True
        elif self.leads:
            self.leads, self._index = False, 0  # this is told before we try again
        elif not holder:
            self.leads = await self._calls.acquire(self._key, self._session, self.address)
            if not self.leads:  # the lock delay, or another was faster
                self._index = 0
                await asyncio.sleep(RETRY_S)
        if self.leads:
            return Standing(leading=True, leader=self.address)
        # The value of a leader who is gone stays.
        return Standing(leader=found.text if found and holder else "")
