"""The leader's lock in etcd's v2 store, which classic's managers take part in: a key that is created once."""

import asyncio
import math

from discovery.errors import DiscoveryError
from discovery.etcd_candidacy import RETRY_S, Holder
from discovery.etcd_options import EtcdOptions
from discovery.etcd_v2 import COMPARE_FAILED, EXISTS, MISSING, Keys, Node, refuse


class V2Lock:
    """One candidate's Lock, on a connection that somebody else closes."""

    def __init__(self, etcd: Keys, options: EtcdOptions, *, address: str, ttl_s: float) -> None:
        self._etcd = etcd
        self._key = options.leader
        self._address = address
        self._form = {"value": address, "ttl": str(math.ceil(ttl_s))}
        self._mine = 0  # the index of the key as we set it; 0: we do not have it
        self._seen = 0  # the index of the last look
        self._tried = False  # whether we have ever tried to set the key

    async def take(self) -> Holder:
        """Create the key if there is none. Raises DiscoveryError, also for a key that would stand for ever."""
        self._mine = 0
        if (node := await self._look()) is not None:
            return await self._claim(node)
        self._tried = True
        return await self._set({"prevExist": "false"})

    async def renew(self) -> Holder:
        """Set the key again if it is still as we left it. Raises DiscoveryError."""
        return await self._set({"prevIndex": str(self._mine)})

    async def wait(self, timeout_s: float) -> None:
        """Return when the key has changed since the last look, or after `timeout_s`."""
        try:
            if timeout_s > 0:
                await self._etcd.wait(self._key, self._seen, timeout_s=timeout_s)
        except DiscoveryError:
            await asyncio.sleep(min(RETRY_S, timeout_s))

    async def release(self) -> None:
        """Remove the key if it has our address, also if we never heard that we set it. Raises DiscoveryError."""
        if self._tried:
            answer = await self._etcd.ask("DELETE", self._key, query={"prevValue": self._address})
            if answer.error_code not in (MISSING, COMPARE_FAILED):
                refuse(answer)
            self._mine = 0

    async def _set(self, condition: dict[str, str]) -> Holder:
        """Set the key on `condition`; return who has it then."""
        answer = await self._etcd.ask("PUT", self._key, query=condition, form=self._form)
        if answer.error_code in (MISSING, COMPARE_FAILED, EXISTS):
            self._mine = 0
            node = await self._look()
            return Holder() if node is None else await self._claim(node)
        refuse(answer)
        self._mine = self._seen = answer.node.modified_index
        return Holder(self._address, is_me=True)

    async def _claim(self, node: Node) -> Holder:
        """Return who has the lock, which is held. It is ours if only the answer to our setting it was lost."""
        if self._tried and node.value == self._address:  # nobody else has this address
            return await self._set({"prevIndex": str(node.modified_index)})
        return Holder(node.value)

    async def _look(self) -> Node | None:
        answer = await self._etcd.ask("GET", self._key, query={"quorum": "true"})
        self._seen = answer.index
        if answer.error_code == MISSING:
            return None
        refuse(answer)
        if answer.node.ttl is None:
            raise DiscoveryError(
                f"key {self._key} in etcd ('{answer.node.value}') has no ttl and blocks every election: remove it"
            )
        return answer.node
