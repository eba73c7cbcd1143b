"""Every network of the cluster by what a client may call it: id, unique prefix, name, `node/name`."""

import bisect
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import BadRequest, Conflict, NotFound
from swarmproxy.model.names import few_of
from swarmproxy.model.network import Network

REMEMBERED = 1024  # removed networks


@dataclass(frozen=True, slots=True)
class HeldNetwork:
    """A network, and the engines that have it: one for a local network, which is never the same as another's."""

    network: Network
    engines: tuple[Engine, ...]

    @property
    def title(self) -> str:
        """How a message names it: `node/name`, or the name alone if it is not of one node."""
        return f"{self.engines[0].name}/{self.network.name}" if self.network.is_local else self.network.name

    @property
    def healthy(self) -> list[Engine]:
        """Those of its engines that answer."""
        return [engine for engine in self.engines if engine.state is State.HEALTHY]


class NetworkIndex:
    """Networks of all engines, kept ready on each change so that a look-up never scans the cluster."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[Engine, Network]] = {}
        self._by_name: dict[str, dict[str, int]] = {}  # name: id: number of engines
        self._by_label: dict[tuple[str, str], dict[str, int]] = {}  # (key, value): likewise
        self._ids: list[str] = []
        self._making: set[str] = set()
        self.kept: dict[Hashable, bytes] = {}  # what readers have made of all networks; emptied when any changes
        self._removed: dict[str, None] = {}  # the latest, oldest first

    def replace(self, engine: Engine, before: Mapping[str, Network], after: Mapping[str, Network]) -> None:
        """Take in that `engine` has the networks `after`, and no more those of `before`. Both by ID."""
        for network_id, network in before.items():
            if after.get(network_id) != network:
                self._drop(engine, network)
        for network_id, network in after.items():
            if before.get(network_id) != network:
                self._put(engine, network)

    def _put(self, engine: Engine, network: Network) -> None:
        if network.id in self._removed:
            return
        self.kept.clear()
        holders = self._by_id.get(network.id)
        if holders is None:
            holders = self._by_id[network.id] = {}
            bisect.insort(self._ids, network.id)
        elif engine in holders:
            return
        holders[engine] = network
        for ids in self._groups_of(network):
            ids[network.id] = ids.get(network.id, 0) + 1

    def _drop(self, engine: Engine, network: Network) -> None:
        holders = self._by_id.get(network.id)
        if holders is None or engine not in holders:
            return
        self.kept.clear()
        network = holders.pop(engine)  # engines differ in what they say of a network that they share
        if not holders:
            del self._by_id[network.id]
            del self._ids[bisect.bisect_left(self._ids, network.id)]
        for ids in self._groups_of(network):
            ids[network.id] -= 1
            if not ids[network.id]:
                del ids[network.id]
        if not self._by_name[network.name]:
            del self._by_name[network.name]
        for label in network.labels.items():
            if not self._by_label[label]:
                del self._by_label[label]

    def _groups_of(self, network: Network) -> list[dict[str, int]]:
        """Return where a network is counted: by its name, and by each of its labels."""
        return [
            self._by_name.setdefault(network.name, {}),
            *(self._by_label.setdefault(label, {}) for label in network.labels.items()),
        ]

    def forget(self, held: HeldNetwork) -> None:
        """Drop a network whose removal an engine has confirmed, for good: workers of a swarm list it a while longer."""
        for engine in held.engines:
            self._drop(engine, held.network)
        if not held.network.is_local:  # whose IDs are never used again
            self._removed[held.network.id] = None
            while len(self._removed) > REMEMBERED:
                del self._removed[next(iter(self._removed))]

    @contextmanager
    def making(self, name: str) -> Iterator[None]:
        """Hold `name` in the whole cluster while a network is made. Raises Conflict in the engine's own words."""
        if name in self._making:
            raise Conflict(f"network with name {name} already exists")
        self._making.add(name)
        try:
            yield
        finally:
            self._making.discard(name)

    def __iter__(self) -> Iterator[HeldNetwork]:
        """All networks, each once, in the order of their IDs."""
        for network_id in self._ids:
            yield from self._held(network_id)

    def named(self, name: str) -> list[HeldNetwork]:
        """The networks with exactly this name, in the order of their IDs."""
        return [held for network_id in sorted(self._by_name.get(name, ())) for held in self._held(network_id)]

    def labelled(self, key: str, value: str) -> list[HeldNetwork]:
        """The networks that have this label with this value, in the order of their IDs."""
        return [held for network_id in sorted(self._by_label.get((key, value), ())) for held in self._held(network_id)]

    def names(self) -> Iterator[str]:
        """Every name, each once."""
        return iter(self._by_name)

    def with_prefix(self, prefix: str) -> list[HeldNetwork]:
        """The networks whose ID begins with `prefix`."""
        found: list[HeldNetwork] = []
        for at in range(bisect.bisect_left(self._ids, prefix), len(self._ids)):
            if not self._ids[at].startswith(prefix):
                break
            found += self._held(self._ids[at])
        return found

    def candidates(self, text: str) -> tuple[list[HeldNetwork], str]:
        """The networks that a client may mean by `text`, and what they were found by.

        In this order, as an engine does: full ID, name (`node/name` counts as one), ID prefix.
        """
        text = text.removeprefix("/")
        if held := list(self._held(text)):
            return held, "ID"
        if held := self.named(text) or self._on_named_node(text):
            return held, "name"
        return (self.with_prefix(text) if text else []), "ID prefix"

    def find(self, text: str) -> HeldNetwork:
        """The one network a client means by `text`; see `candidates`.

        Raises NotFound, and BadRequest for a text that several networks answer to; both in the engine's words.
        """
        found, by = self.candidates(text)
        if not found:
            raise NotFound(f"network {text} not found")
        if len(found) > 1:
            titles = few_of(f"{each.title} ({each.network.id[:12]})" for each in found)
            raise BadRequest(f"network {text} is ambiguous ({len(found)} matches found based on {by}: {titles})")
        return found[0]

    def _held(self, network_id: str) -> Iterator[HeldNetwork]:
        """Yield what has this ID: more than one if machines were copied with their local networks."""
        holders = self._by_id.get(network_id)
        if not holders:
            return
        if len(holders) == 1:
            [(engine, network)] = holders.items()
            yield HeldNetwork(network, (engine,))
            return
        shared = {engine: network for engine, network in holders.items() if not network.is_local}
        if shared:
            # a manager of a swarm knows more of a network than a worker
            yield HeldNetwork(max(shared.values(), key=lambda each: len(each.fields)), tuple(shared))
        for engine, network in holders.items():
            if network.is_local:
                yield HeldNetwork(network, (engine,))

    def _on_named_node(self, text: str) -> list[HeldNetwork]:
        # an engine id with a unix address holds slashes, and so may a network's name: try every cut
        found: dict[tuple[str, str], HeldNetwork] = {}
        cut = text.find("/")
        while cut > 0:
            node, name = text[:cut], text[cut + 1 :]
            for held in self.named(name):
                if any(node in (engine.name, engine.id) for engine in held.engines):
                    found[held.network.id, held.engines[0].id] = held
            cut = text.find("/", cut + 1)
        return list(found.values())
