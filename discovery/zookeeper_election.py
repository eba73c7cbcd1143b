"""The leader's lock in ZooKeeper, as classic's managers take it: the lowest of numbered nodes leads."""

import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from discovery.candidacy import SAFETY, Candidacy, campaign
from discovery.election import Standing
from discovery.errors import DiscoveryError
from discovery.zookeeper_session import Session, parse_url

CALL_S = 5.0
LOST = "the connection to zookeeper is lost"

_CONTENDER = re.compile(r"(?P<owner>.*)-lock-(?P<number>-?[0-9]+)", re.DOTALL)


class ZookeeperElection:
    """The lock of one cluster: a node, with one below it for each candidate, and the leader's address in it."""

    def __init__(self, rest: str, *, ttl_s: float, options: Mapping[str, str]) -> None:
        """Name the place. Raises DiscoveryError if `rest` or the options are not what ZooKeeper needs."""
        self._ensemble, place = parse_url(rest, options)
        self._path = place.leader
        self._ttl_s = ttl_s

    def campaign(self, address: str) -> AsyncIterator[Standing]:
        """Yield the standing of `address`; see Election."""
        return campaign(self._candidacy(address))

    @asynccontextmanager
    async def _candidacy(self, address: str) -> AsyncIterator[Candidacy]:
        async with self._ensemble.connect(self._ttl_s, min(CALL_S, self._ttl_s / 4)) as session:
            yield _Candidacy(session, self._path, address, self._ttl_s)


class _Candidacy(Candidacy):
    """One candidate and its node below that of the lock."""

    def __init__(self, session: Session, path: str, address: str, ttl_s: float) -> None:
        super().__init__(address, promised_s=ttl_s * SAFETY)
        self._session = session
        self._path = path
        self._pause_s = 0.0
        self._number = 0
        self._name = ""
        """Ours, without the number. Another in each session: a node of one that is lost may still be there a while."""
        self._head = ""
        """Whoever was first when we looked last, and the number of the last change of the address then."""
        self._written = 0
        self._left_behind = -1
        """The last change by a leader who is gone."""

    async def step(self) -> Standing:
        """Wait for a change, or until we have to ask whether our session lives, then look who is first."""
        await self._session.wait(self._pause_s)
        self._pause_s = self.promised_s / 3
        if self.leads and not self._session.is_connected:
            self.leads = False  # not for as long as we could: it is the way with ZooKeeper to stop at once
            raise DiscoveryError(LOST)
        return await self._look()

    def doubt(self, problem: str) -> Standing:
        """Look again soon."""
        self._pause_s = 0
        return super().doubt(problem)

    async def resign(self) -> None:
        """Remove our node. The end of the session does so, too, but this is sooner."""
        if self._session.is_connected and self._name:
            for name in await self._session.children(self._path) or []:
                if name.startswith(self._name):
                    await self._session.remove(f"{self._path}/{name}")

    async def _look(self) -> Standing:
        started = time.monotonic()
        names = await self._session.children(self._path)
        self._session.demand_timeout()
        number = self._session.number
        if not number:
            raise DiscoveryError(LOST)
        if number != self._number:
            # In the form that Go's client gives to the names of protected nodes. It reads the text after the
            # last "-" of every node here as a number, and cannot go on at one that is none.
            self._number, self._name = number, f"_c_{uuid.uuid4().hex}-lock-"
            self.promised_s = self._session.timeout_s * SAFETY
        contenders = _in_order(names)
        if not any(name.startswith(self._name) for name in contenders):
            self._pause_s = 0
            if self.leads:
                self.leads = False  # this is told before we try again
                return Standing()
            await self._session.make_path(self._path)
            await self._session.add_contender(f"{self._path}/{self._name}")
            return await self._look()
        self.renewed_at = started
        head = contenders[0]
        if head.startswith(self._name):
            # A candidate that was frozen just when it won may write its address after it has lost again.
            written = await self._session.read(self._path)
            if not self.leads or not written or written[0] != self.address:
                await self._session.write(self._path, self.address)
            self.leads = True
            return Standing(leading=True, leader=self.address)
        self.leads = False
        address, change = await self._session.read(self._path) or ("", 0)
        if (head, change) != (self._head, self._written):
            now = _in_order(await self._session.children(self._path))
            if now[:1] != [head]:  # it may be the next one's address already
                return await self._look()
            if self._head not in ("", head):
                self._left_behind = self._written
            self._head, self._written = head, change
        return Standing(leader="" if change == self._left_behind else address)


def _in_order(names: list[str] | None) -> list[str]:
    """Return the nodes of candidates, the leader's first."""
    found = [(int(match["number"]), name) for name in names or [] if (match := _CONTENDER.fullmatch(name))]
    return [name for _, name in sorted(found)]
