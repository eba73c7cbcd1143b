"""The managers' document in one of etcd's stores: one key, in the same store as the leader's lock."""

from collections.abc import Mapping
from typing import Any

from discovery.errors import DiscoveryError
from discovery.etcd_options import EtcdOptions, parse_options
from discovery.etcd_v2 import COMPARE_FAILED, EXISTS, MISSING, Endpoints, Keys, Node, refuse
from discovery.etcd_v3 import Connection, Session, etcdrpc
from discovery.keeping import ChangedElsewhereError, Keeper, aside


def etcd_keeper(rest: str, *, options: Mapping[str, str]) -> Keeper:
    """Return the Keeper of the store that holds the leader's lock. Raises DiscoveryError as EtcdBackend does."""
    parsed = parse_options(rest, options)
    return V3Keeper(parsed) if parsed.leader_api == "v3" else V2Keeper(parsed)


class V3Keeper:
    """A Keeper in etcd's v3 store."""

    def __init__(self, options: EtcdOptions) -> None:
        self._options = options
        self._session = Session(options)
        self._key = options.state.encode()
        self._revision = 0  # of the key as we know it; 0: it is not there

    async def read(self) -> bytes | None:
        """Return the value of the key."""
        with Connection(self._options, self._session) as etcd:
            return self._take((await etcd.call("KV.Range", etcdrpc.RangeRequest(key=self._key))).kvs)

    async def write(self, data: bytes) -> None:
        """Put the key if it is at the revision that we know."""
        known = etcdrpc.Compare(
            key=self._key,
            result=etcdrpc.Compare.EQUAL,
            target=etcdrpc.Compare.MOD,
            mod_revision=self._revision,
        )
        put = etcdrpc.RequestOp(request_put=etcdrpc.PutRequest(key=self._key, value=data))
        look = etcdrpc.RequestOp(request_range=etcdrpc.RangeRequest(key=self._key))
        with Connection(self._options, self._session) as etcd:
            answer = await etcd.call("KV.Txn", etcdrpc.TxnRequest(compare=[known], success=[put, look], failure=[look]))
        before = self._revision
        # The call may have been asked of two endpoints, and the first have done it: what stands there counts.
        if self._take(answer.responses[-1].response_range.kvs) != data:
            self._revision = before
            raise ChangedElsewhereError(f"somebody else has written {self._options.state} in etcd")

    async def set_aside(self, data: bytes) -> str:
        """Put a key beside."""
        key = aside(self._options.state)
        with Connection(self._options, self._session) as etcd:
            await etcd.call("KV.Put", etcdrpc.PutRequest(key=key.encode(), value=data))
        return f"etcd, key {key}"

    async def close(self) -> None:
        """Do nothing."""

    def _take(self, found: Any) -> bytes | None:
        self._revision = found[0].mod_revision if found else 0
        return bytes(found[0].value) if found else None


class V2Keeper:
    """A Keeper in etcd's v2 store, which takes text only."""

    def __init__(self, options: EtcdOptions) -> None:
        self._options = options
        self._endpoints = Endpoints(options)
        self._index = 0  # of the key as we know it; 0: it is not there

    async def read(self) -> bytes | None:
        """Return the value of the key."""
        async with Keys(self._options, self._endpoints) as etcd:
            node = await self._look(etcd)
        self._index = node.modified_index if node is not None else 0
        return node.value.encode() if node is not None else None

    async def write(self, data: bytes) -> None:
        """Set the key if it is at the index that we know."""
        condition = {"prevIndex": str(self._index)} if self._index else {"prevExist": "false"}
        async with Keys(self._options, self._endpoints) as etcd:
            answer = await etcd.ask("PUT", self._options.state, query=condition, form={"value": data.decode()})
            node: Node | None = answer.node
            if answer.error_code in (MISSING, COMPARE_FAILED, EXISTS):
                node = await self._look(etcd)  # as with v3, it may be what we wrote
            else:
                refuse(answer)
        if node is None or node.value.encode() != data:
            raise ChangedElsewhereError(f"somebody else has written {self._options.state} in etcd")
        self._index = node.modified_index

    async def set_aside(self, data: bytes) -> str:
        """Set a key beside."""
        key = aside(self._options.state)
        async with Keys(self._options, self._endpoints) as etcd:
            refuse(await etcd.ask("PUT", key, form={"value": data.decode(errors="replace")}))
        return f"etcd, key {key}"

    async def close(self) -> None:
        """Do nothing."""

    async def _look(self, etcd: Keys) -> Node | None:
        answer = await etcd.ask("GET", self._options.state, query={"quorum": "true"})
        if answer.error_code == MISSING:
            return None
        refuse(answer)
        if answer.node.dir:
            raise DiscoveryError(f"{self._options.state} in etcd is a directory: remove it")
        return answer.node
