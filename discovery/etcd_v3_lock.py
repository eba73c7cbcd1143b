"""The leader's lock in etcd's v3 store: a key that only its creator has, and that ends with a lease."""

import asyncio
import math
import time
from typing import Any

from discovery.errors import DiscoveryError
from discovery.etcd_candidacy import RETRY_S, Holder
from discovery.etcd_options import EtcdOptions
from discovery.etcd_v3 import Connection, Stream, etcdrpc
from discovery.etcd_v3_nodes import grant, renew, revoke


class V3Lock:
    """One candidate's Lock, on a connection that somebody else closes."""

    def __init__(self, etcd: Connection, options: EtcdOptions, *, address: str, ttl_s: float) -> None:
        self._etcd = etcd
        self._name = options.leader
        self._key = options.leader.encode()
        self._address = address.encode()
        self._ttl_s = math.ceil(ttl_s)
        self._lease = 0
        self._revision = 0  # of the last look at the key
        self._watch: Stream | None = None

    async def take(self) -> Holder:
        """Create the key if there is none. Raises DiscoveryError, also for a key that would stand for ever."""
        if self._lease and not await renew(self._etcd, self._lease):
            self._lease = 0
        holder = await self._look()
        if holder.address:
            return holder
        if not self._lease:
            self._lease = await grant(self._etcd, self._ttl_s)
        is_free = etcdrpc.Compare(
            key=self._key, result=etcdrpc.Compare.EQUAL, target=etcdrpc.Compare.CREATE, create_revision=0
        )
        put = etcdrpc.PutRequest(key=self._key, value=self._address, lease=self._lease)
        request = etcdrpc.TxnRequest(compare=[is_free], success=[etcdrpc.RequestOp(request_put=put)])
        await self._etcd.call("KV.Txn", request)
        # Looking tells more than the answer: the call may have been asked of two endpoints.
        return await self._look()

    async def renew(self) -> Holder:
        """Renew the lease and look at the key, which may have been removed all the same. Raises DiscoveryError."""
        if self._lease and not await renew(self._etcd, self._lease):
            self._lease = 0
        return await self._look()

    async def wait(self, timeout_s: float) -> None:
        """Return when the key has changed since the last look, or after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        try:
            if self._watch is None:
                create = etcdrpc.WatchCreateRequest(key=self._key, start_revision=self._revision + 1)
                self._watch = self._etcd.stream("Watch.Watch", etcdrpc.WatchRequest(create_request=create))
            while (left_s := deadline - time.monotonic()) > 0:
                answer = await self._watch.next(left_s)
                if answer is not None and (answer.canceled or answer.compact_revision):
                    raise DiscoveryError("the watch was cancelled")
                if answer is not None and answer.events:
                    return
        except DiscoveryError:
            self._end_watch()
            await asyncio.sleep(max(0, min(RETRY_S, deadline - time.monotonic())))

    async def release(self) -> None:
        """End the lease, and with it the key. Raises DiscoveryError."""
        self._end_watch()
        if self._lease:
            await revoke(self._etcd, self._lease)
            self._lease = 0

    async def _look(self) -> Holder:
        answer: Any = await self._etcd.call("KV.Range", etcdrpc.RangeRequest(key=self._key))
        self._revision = answer.header.revision
        if not answer.kvs:
            return Holder()
        held = answer.kvs[0]
        address = held.value.decode(errors="replace")
        if not held.lease:
            raise DiscoveryError(
                f"key {self._name} in etcd ('{address}') has no lease and blocks every election: remove it"
            )
        return Holder(address, is_me=held.lease == self._lease)

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
