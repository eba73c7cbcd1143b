"""The nodes in etcd's v2 store: keys with a time to live, set again at each heartbeat, as classic's agents do."""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator

from discovery.entry import Entry
from discovery.errors import DiscoveryError
from discovery.etcd_options import EtcdOptions
from discovery.etcd_tree import CHECK_S, Tree
from discovery.etcd_v2 import HISTORY_LOST, MISSING, Answer, Endpoints, Keys, Node, refuse

_PAUSE_S = 1.0  # before listing again when one wait after the other fails
_REMOVALS = frozenset({"delete", "expire", "compareAndDelete"})


class V2Nodes:
    """Reads and writes the entries of one directory."""

    def __init__(self, options: EtcdOptions, *, heartbeat_s: float, ttl_s: float) -> None:
        self._options = options
        self._endpoints = Endpoints(options)
        self._check_s = min(heartbeat_s, CHECK_S)
        self._ttl_s = math.ceil(ttl_s)
        self._registered: set[Entry] = set()

    async def follow(self) -> AsyncGenerator[tuple[Entry, ...], None]:
        """Yield as Follow says. After a silence, and when the history is lost, all is listed again."""
        barren = 0  # waits in a row, each after a new list, that failed
        async with Keys(self._options, self._endpoints) as etcd:
            while True:
                tree, index = await self._read(etcd)
                yield tree.entries()
                barren += 1
                while True:
                    try:
                        change = await etcd.wait(self._options.nodes, index, timeout_s=self._check_s)
                    except DiscoveryError:
                        break
                    if change is None or change.error_code == HISTORY_LOST:
                        barren = 0
                        break
                    refuse(change)
                    _apply(tree, change)
                    index = change.node.modified_index
                    barren = 0
                    yield tree.entries()
                await asyncio.sleep(_PAUSE_S if barren > 1 else 0)

    async def fetch(self) -> tuple[Entry, ...]:
        """Return all entries. Raises DiscoveryError."""
        async with Keys(self._options, self._endpoints) as etcd:
            return (await self._read(etcd))[0].entries()

    async def register(self, entry: Entry) -> None:
        """Set the key of `entry`, which begins its time again. Raises DiscoveryError."""
        form = {"value": str(entry), "ttl": str(self._ttl_s)}
        async with Keys(self._options, self._endpoints) as etcd:
            self._registered.add(entry)
            refuse(await etcd.ask("PUT", self._key(entry), form=form))

    async def unregister(self, entry: Entry) -> None:
        """Remove the key of `entry`, if we set it. Raises DiscoveryError."""
        if entry in self._registered:
            async with Keys(self._options, self._endpoints) as etcd:
                answer = await etcd.ask("DELETE", self._key(entry))
            if answer.error_code != MISSING:
                refuse(answer)
            self._registered.discard(entry)

    def _key(self, entry: Entry) -> str:
        return f"{self._options.nodes}/{entry}"

    async def _read(self, etcd: Keys) -> tuple[Tree, int]:
        """Return what is there, and the index from which to wait for changes."""
        query = {"recursive": "true", "sorted": "true", "quorum": "true"}
        answer = await etcd.ask("GET", self._options.nodes, query=query)
        tree = Tree()
        if answer.error_code != MISSING:
            refuse(answer)
            for node in _leaves(answer.node):
                tree.put(node.key, node.value)
        return tree, answer.index


def _leaves(node: Node) -> Iterator[Node]:
    if node.dir:
        for below in node.nodes:
            yield from _leaves(below)
    else:
        yield node


def _apply(tree: Tree, change: Answer) -> None:
    key = change.node.key
    if change.action in _REMOVALS:
        tree.remove(key)
        tree.remove_below(key)
    elif not change.node.dir:
        tree.put(key, change.node.value)
