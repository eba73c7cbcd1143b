"""`etcd://h1,h2/prefix`: nodes that register in etcd, and the lock that makes one manager the leader.

etcd holds two separate stores: v3, and v2 for clusters with classic's agents and managers.
Options: see `parse_options`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Protocol

from discovery.backend import Listing
from discovery.candidacy import Candidacy, campaign
from discovery.election import Standing
from discovery.entry import Entry
from discovery.errors import DiscoveryError
from discovery.etcd_candidacy import EtcdCandidacy
from discovery.etcd_options import EtcdOptions, parse_options
from discovery.etcd_tree import keep_listing
from discovery.etcd_v2 import Endpoints, Keys, V2IsOffError
from discovery.etcd_v2_lock import V2Lock
from discovery.etcd_v2_nodes import V2Nodes
from discovery.etcd_v3 import CALL_S, Connection, Session
from discovery.etcd_v3_lock import V3Lock
from discovery.etcd_v3_nodes import V3Nodes


class Nodes(Protocol):
    """The nodes in one of etcd's stores; `fetch`, `register` and `unregister` are those of Backend."""

    def follow(self) -> AsyncGenerator[tuple[Entry, ...], None]:
        """Yield the entries now, and again at each change or when they are found to be right. Raises DiscoveryError."""

    async def fetch(self) -> tuple[Entry, ...]:
        """Return all entries. Raises DiscoveryError."""

    async def register(self, entry: Entry) -> None:
        """Announce or renew `entry`. Raises DiscoveryError."""

    async def unregister(self, entry: Entry) -> None:
        """Take `entry` away if we registered it. Raises DiscoveryError."""


class EtcdBackend:
    """The nodes in one of etcd's stores, or in both."""

    def __init__(self, rest: str, *, heartbeat_s: float, ttl_s: float, options: Mapping[str, str]) -> None:
        """Raises DiscoveryError if `rest`, what follows `etcd://`, or the options make no sense."""
        parsed = parse_options(rest, options)
        self.source = parsed.source
        self._heartbeat_s = heartbeat_s
        self._ttl_s = ttl_s
        self._nodes = _choose_nodes(parsed, heartbeat_s=heartbeat_s, ttl_s=ttl_s)

    def watch(self) -> AsyncIterator[Listing]:
        """Yield listings as Backend says, a few milliseconds after each change.

        A silent etcd is asked every ten seconds, or each heartbeat if that is shorter, whether it has more to say.
        """
        return keep_listing(self._nodes.follow, heartbeat_s=self._heartbeat_s)

    async def fetch(self) -> tuple[Entry, ...]:
        """Return all entries. Raises DiscoveryError."""
        return await self._nodes.fetch()

    async def register(self, entry: Entry) -> None:
        """Announce or renew `entry`. Raises DiscoveryError."""
        if self._ttl_s <= 0:
            raise DiscoveryError("to register in etcd needs a ttl")
        await self._nodes.register(entry)

    async def unregister(self, entry: Entry) -> None:
        """Take `entry` away if we registered it. Raises DiscoveryError."""
        await self._nodes.unregister(entry)


class BothNodes:
    """The nodes of both stores: those of classic's agents, and those of ours. A server without v2 has none there."""

    def __init__(self, v3: Nodes, v2: Nodes, *, heartbeat_s: float) -> None:
        self._v3 = v3
        self._v2 = v2
        self._heartbeat_s = heartbeat_s
        self._had_v2 = False

    async def follow(self) -> AsyncGenerator[tuple[Entry, ...], None]:
        """Yield the union as Nodes says. When one store fails, both are begun again."""
        latest: dict[Nodes, tuple[Entry, ...]] = {}
        failures: list[DiscoveryError] = []
        changed = asyncio.Event()

        async def pump(nodes: Nodes) -> None:
            while not failures:
                try:
                    async with aclosing(nodes.follow()) as changes:
                        async for entries in changes:
                            self._had_v2 |= nodes is self._v2
                            latest[nodes] = entries
                            changed.set()
                except DiscoveryError as error:
                    # A server that has lost its v2 nodes by a wrong start does not take them from us as well.
                    if isinstance(error, V2IsOffError) and not self._had_v2:
                        latest[nodes] = ()
                        changed.set()
                        await asyncio.sleep(self._heartbeat_s)  # and see whether it is on by then
                    else:
                        failures.append(error)
                        changed.set()

        async with asyncio.TaskGroup() as tasks:
            pumps = [
                tasks.create_task(pump(nodes), name=f"etcd {name}")
                for name, nodes in (("v3", self._v3), ("v2", self._v2))
            ]
            try:
                while not failures:
                    await changed.wait()
                    changed.clear()
                    if len(latest) == len(pumps):
                        yield _union(latest[self._v3], latest[self._v2])
            except GeneratorExit:
                return  # not through the group, which would make an error of it
            finally:
                for task in pumps:
                    task.cancel()
        raise failures[0]

    async def fetch(self) -> tuple[Entry, ...]:
        """Return the union. Raises DiscoveryError."""
        entries = await self._v3.fetch()
        with suppress(V2IsOffError):
            entries = _union(entries, await self._v2.fetch())
        return entries

    async def register(self, entry: Entry) -> None:
        """Register in both, so that classic's managers see it as well. Raises DiscoveryError."""
        await self._v3.register(entry)
        with suppress(V2IsOffError):
            await self._v2.register(entry)

    async def unregister(self, entry: Entry) -> None:
        """Take `entry` away from both. Raises DiscoveryError, after it has tried both."""
        try:
            with suppress(V2IsOffError):
                await self._v2.unregister(entry)
        finally:
            await self._v3.unregister(entry)


def _union(first: tuple[Entry, ...], second: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _choose_nodes(options: EtcdOptions, *, heartbeat_s: float, ttl_s: float) -> Nodes:
    v3 = V3Nodes(options, heartbeat_s=heartbeat_s, ttl_s=ttl_s)
    v2 = V2Nodes(options, heartbeat_s=heartbeat_s, ttl_s=ttl_s)
    if options.api == "auto":
        return BothNodes(v3, v2, heartbeat_s=heartbeat_s)
    return v3 if options.api == "v3" else v2


class EtcdElection:
    """The leader's lock in one of etcd's stores."""

    def __init__(self, rest: str, *, ttl_s: float, options: Mapping[str, str]) -> None:
        """Raises DiscoveryError as EtcdBackend does."""
        self._options = parse_options(rest, options)
        self._ttl_s = ttl_s
        self._call_s = min(CALL_S, ttl_s / 4)  # time for another endpoint before a reign ends

    def campaign(self, address: str) -> AsyncIterator[Standing]:
        """Yield the standing of `address`; see Election."""
        return campaign(self._candidacy(address))

    @asynccontextmanager
    async def _candidacy(self, address: str) -> AsyncIterator[Candidacy]:
        options, ttl_s = self._options, self._ttl_s
        if options.leader_api == "v3":
            with Connection(options, Session(options), call_s=self._call_s) as etcd:
                yield EtcdCandidacy(V3Lock(etcd, options, address=address, ttl_s=ttl_s), address, ttl_s)
        else:
            async with Keys(options, Endpoints(options), call_s=self._call_s) as keys:
                yield EtcdCandidacy(V2Lock(keys, options, address=address, ttl_s=ttl_s), address, ttl_s)
