"""The nodes in etcd's v3 store: a lease each, and a watch from the revision that was listed."""

import asyncio
import math
from collections.abc import AsyncGenerator
from typing import Any

from discovery.entry import MAX_ENTRIES, Entry
from discovery.errors import DiscoveryError
from discovery.etcd_options import EtcdOptions
from discovery.etcd_tree import CHECK_S, Tree
from discovery.etcd_v3 import Connection, Refused, Session, etcdrpc

_PAUSE_S = 1.0  # before listing again when one watch after the other ends


class V3Nodes:
    """Reads and writes the entries below one key."""

    def __init__(self, options: EtcdOptions, *, heartbeat_s: float, ttl_s: float) -> None:
        self._options = options
        self._session = Session(options)
        self._check_s = min(heartbeat_s, CHECK_S)
        self._ttl_s = math.ceil(ttl_s)
        self._key = f"{options.nodes}/".encode()
        self._end = f"{options.nodes}0".encode()  # "0" follows "/"
        self._leases: dict[Entry, int] = {}

    async def follow(self) -> AsyncGenerator[tuple[Entry, ...], None]:
        """Yield as Follow says. A watch that is lost, or behind, is begun again with a new list."""
        barren = 0  # watches in a row that ended before they said anything
        with Connection(self._options, self._session) as etcd:
            while True:
                image, revision = await self._read(etcd)
                yield image.entries()
                barren += 1
                with etcd.stream("Watch.Watch", self._watch_request(revision + 1)) as stream:
                    while True:
                        try:
                            answer = await stream.next(self._check_s)
                            answers = [] if answer is None else [answer, *stream.waiting()]
                        except DiscoveryError:
                            break
                        if not (image.apply(answers) if answers else await self._is_right(etcd, image)):
                            break
                        barren = 0
                        yield image.entries()
                await asyncio.sleep(_PAUSE_S if barren > 1 else 0)

    async def fetch(self) -> tuple[Entry, ...]:
        """Return all entries. Raises DiscoveryError."""
        with Connection(self._options, self._session) as etcd:
            return (await self._read(etcd))[0].entries()

    async def register(self, entry: Entry) -> None:
        """Renew the lease of `entry`, or begin a new one, and see to it that its key stands. Raises DiscoveryError."""
        with Connection(self._options, self._session) as etcd:
            lease = self._leases.get(entry, 0)
            if not lease or not await renew(etcd, lease):
                lease = self._leases[entry] = await grant(etcd, self._ttl_s)
            address = str(entry).encode()
            key = self._key + address
            equal = etcdrpc.Compare.EQUAL
            stands = [
                etcdrpc.Compare(key=key, result=equal, target=etcdrpc.Compare.LEASE, lease=lease),
                etcdrpc.Compare(key=key, result=equal, target=etcdrpc.Compare.VALUE, value=address),
            ]
            put = etcdrpc.RequestOp(request_put=etcdrpc.PutRequest(key=key, value=address, lease=lease))
            # Put only what does not stand, or each heartbeat of each node would wake every manager.
            await etcd.call("KV.Txn", etcdrpc.TxnRequest(compare=stands, failure=[put]))

    async def unregister(self, entry: Entry) -> None:
        """End the lease of `entry`, if we have one, and with it the key. Raises DiscoveryError."""
        if lease := self._leases.get(entry):
            with Connection(self._options, self._session) as etcd:
                await revoke(etcd, lease)
            del self._leases[entry]

    async def _read(self, etcd: Connection) -> "tuple[_Image, int]":
        """Return what is there, and at which revision."""
        request = etcdrpc.RangeRequest(key=self._key, range_end=self._end, limit=MAX_ENTRIES + 1)
        answer = await etcd.call("KV.Range", request)
        if answer.count > MAX_ENTRIES:
            raise DiscoveryError(f"more than {MAX_ENTRIES} addresses in etcd")
        return _Image(answer.kvs), answer.header.revision

    async def _is_right(self, etcd: Connection, image: "_Image") -> bool:
        """Say whether etcd has as many keys as we have, and the same one as the newest."""
        request = etcdrpc.RangeRequest(
            key=self._key,
            range_end=self._end,
            limit=1,
            keys_only=True,
            sort_target=etcdrpc.RangeRequest.MOD,
            sort_order=etcdrpc.RangeRequest.DESCEND,
        )
        answer = await etcd.call("KV.Range", request)
        newest = max((node.mod_revision for node in answer.kvs), default=0)
        return image.is_at(count=answer.count, newest=newest)

    def _watch_request(self, revision: int) -> Any:
        create = etcdrpc.WatchCreateRequest(key=self._key, range_end=self._end, start_revision=revision)
        return etcdrpc.WatchRequest(create_request=create)


class _Image:
    """The keys as they are at one revision, garbage included."""

    def __init__(self, nodes: Any) -> None:
        self._tree = Tree()
        self._revisions: dict[bytes, int] = {}
        for node in nodes:
            self._put(node)

    def entries(self) -> tuple[Entry, ...]:
        """Return the entries, in the order of their keys. Raises DiscoveryError."""
        return self._tree.entries()

    def is_at(self, *, count: int, newest: int) -> bool:
        """Say whether there are `count` keys, and `newest` is the latest revision of any."""
        return count == len(self._revisions) and newest == max(self._revisions.values(), default=0)

    def apply(self, answers: list[Any]) -> bool:
        """Make the changes that a watch told of; say whether it goes on."""
        for answer in answers:
            if answer.canceled or answer.compact_revision:
                return False
            for event in answer.events:
                if event.type == event.DELETE:
                    self._revisions.pop(event.kv.key, None)
                    self._tree.remove(_text(event.kv.key))
                else:
                    self._put(event.kv)
        return True

    def _put(self, node: Any) -> None:
        self._revisions[node.key] = node.mod_revision
        self._tree.put(_text(node.key), node.value)


def _text(key: bytes) -> str:
    return key.decode(errors="surrogateescape")


async def grant(etcd: Connection, ttl_s: int) -> int:
    """Return a new lease for at least `ttl_s` seconds. Raises DiscoveryError."""
    lease: int = (await etcd.call("Lease.LeaseGrant", etcdrpc.LeaseGrantRequest(TTL=ttl_s))).ID
    return lease


async def renew(etcd: Connection, lease: int) -> bool:
    """Begin the time of `lease` again; say whether there still is one. Raises DiscoveryError."""
    return bool((await etcd.exchange("Lease.LeaseKeepAlive", etcdrpc.LeaseKeepAliveRequest(ID=lease))).TTL > 0)


async def revoke(etcd: Connection, lease: int) -> None:
    """End `lease` and remove its keys; nothing happens if it is over. Raises DiscoveryError."""
    try:
        await etcd.call("Lease.LeaseRevoke", etcdrpc.LeaseRevokeRequest(ID=lease))
    except Refused:
        if await renew(etcd, lease):
            raise
