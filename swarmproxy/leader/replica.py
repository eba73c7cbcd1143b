"""What a manager that does not lead does with a request: it passes it on to the one that does."""

import asyncio
import time

from swarmproxy.errors import BadRequest, EngineUnreachable, SwarmError, Unavailable
from swarmproxy.leader.leadership import Leadership
from swarmproxy.leader.roster import Roster
from swarmproxy.wire.address import Address
from swarmproxy.wire.fetch import fetch
from swarmproxy.wire.pool import Pool
from swarmproxy.wire.relay import Exchange, RelayOptions
from swarmproxy.wire.tls import RenewableContext

LOCAL = frozenset(("/_ping", "/info", "/version"))
PASSED_ON = b"swarmproxy-passed-on"
"""The header of a request that a manager has passed on: it is not passed on again, or it could go round for ever."""

CLIENT = b"swarmproxy-client"
"""The header that tells who the client of a request is that a manager has passed on."""

CONNECT_S = 3.0
RETRY_S = 0.2
CHECK_S = 5.0
PING_S = 3.0
_HARMLESS = frozenset((b"GET", b"HEAD"))


class Replica:
    """Passes requests to the leader over pooled connections.

    A request is passed on once: one that the leader may have read and not answered is an error to its client, unless
    it only reads. When a client goes away the leader hears of it, and does what it would do without us.
    """

    def __init__(
        self,
        leadership: Leadership,
        *,
        roster: Roster | None = None,
        patience_s: float = 10.0,
        tls: RenewableContext | None = None,
    ) -> None:
        """`patience_s`: how long a request waits for a leader that can be reached."""
        self.leadership = leadership
        self.roster = roster
        self._patience_s = patience_s
        self._tls = tls
        self._pools: dict[str, Pool] = {}  # by leader, former ones with open streams included

    def passes_on(self, path: str) -> bool:
        """Return whether a request for `path` (without version) is another manager's to answer."""
        return not self.leadership.leads and path not in LOCAL

    async def pass_on(self, exchange: Exchange, target: bytes, *, upgrade: bool, endless: bool) -> bool:
        """Have the leader answer; return False if this manager has become it meanwhile and is to answer itself.

        Raises Unavailable while the request has not been passed on, SwarmError when it is not known what became of it.
        """
        leadership = self.leadership
        deadline = time.monotonic() + self._patience_s
        names = {name for name, _ in exchange.request.fields.headers}
        was_passed_on = PASSED_ON in names
        lines = PASSED_ON + b": 1\r\n"
        if CLIENT not in names:
            lines += CLIENT + b": " + exchange.peer.encode("ascii", "replace") + b"\r\n"
        options = RelayOptions(upgrade=upgrade, endless=endless, request_lines=lines)
        problem = ""
        while not leadership.leads:
            if exchange.gone:
                return True
            leader = leadership.other
            if leader and was_passed_on:
                raise Unavailable(f"This cluster manager was taken for the primary, which is {leader}")
            if leader:
                try:
                    pool = await self._reach(leader)
                except EngineUnreachable as error:
                    problem = f"Unable to reach primary cluster manager ({error}): {leader}"
                else:
                    exchange.about.node = leader
                    try:
                        await exchange.relay(pool, target, options=options)
                    except EngineUnreachable as error:
                        problem = f"Unable to reach primary cluster manager ({error}): {leader}"
                        if exchange.request.method not in _HARMLESS or exchange.request.has_body:
                            raise SwarmError(f"{problem}. What was asked for may have been done") from error
                    else:
                        return True
            left_s = deadline - time.monotonic()
            if left_s <= 0 or leadership.resigned:
                raise Unavailable(problem or self._nobody())
            await leadership.change(min(left_s, RETRY_S) if leader else left_s)
            if exchange.connection.input_ended and not upgrade:
                raise Unavailable("The client has hung up before there was a primary cluster manager")
        return False

    def _nobody(self) -> str:
        if self.leadership.resigned:
            return "This cluster manager is about to end"
        error = self.leadership.standing.error
        return f"No elected primary cluster manager{': ' if error else ''}{error}"

    async def _reach(self, leader: str) -> Pool:
        """Return the pool of `leader`, with a connection in it: so it is known that the leader is there.

        Raises EngineUnreachable.
        """
        pool = self._pools.get(leader)
        if pool is None:
            try:
                address = Address.parse(leader)
            except BadRequest as error:
                raise EngineUnreachable(str(error)) from error
            pool = self._pools[leader] = Pool(address, tls=self._tls, connect_timeout_s=CONNECT_S)
        await pool.reach()
        return pool

    async def find_leader(self) -> None:
        """Return if requests can be answered here or passed on. Raises Unavailable, EngineUnreachable."""
        if self.leadership.leads:
            return
        if not self.leadership.other:
            raise Unavailable(self._nobody())
        await self._reach(self.leadership.other)

    async def run(self) -> None:
        """Take part in the election until cancelled, and give up former leaders that hang."""
        async with asyncio.TaskGroup() as tasks:
            if self.roster is not None:
                tasks.create_task(self.roster.run(), name="roster")
            tasks.create_task(self.leadership.run(), name="election")
            tasks.create_task(self._give_up_former(), name="former leaders")

    async def _give_up_former(self) -> None:
        """Cut what waits for a former leader that does not answer; the streams of one that does go on."""
        while True:
            await self.leadership.change(CHECK_S)
            leader = self.leadership.standing.leader
            for address, pool in list(self._pools.items()):
                if leader in ("", address):
                    continue
                try:
                    if pool.busy:
                        await fetch(pool, "GET", "/_ping", timeout_s=PING_S)
                except SwarmError:
                    await pool.close()
                if not pool.busy:
                    self._pools.pop(address, None)
                    await pool.close()

    async def close(self) -> None:
        """End all connections to other managers."""
        for pool in self._pools.values():
            await pool.close()
