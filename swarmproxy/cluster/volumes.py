"""Every volume of the cluster by what a client may call it: name, `node/name`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import Conflict, NotFound
from swarmproxy.model.names import few_of
from swarmproxy.model.volume import Volume


@dataclass(frozen=True, slots=True)
class HeldVolume:
    """A volume, and the engines that have it: one for a local volume, which is never the same as another's."""

    volume: Volume
    engines: tuple[Engine, ...]

    @property
    def title(self) -> str:
        """How a message names it: `node/name`, or the name alone if it is not of one node."""
        return f"{self.engines[0].name}/{self.volume.name}" if self.volume.is_local else self.volume.name

    @property
    def healthy(self) -> list[Engine]:
        """Those of its engines that answer."""
        return [engine for engine in self.engines if engine.state is State.HEALTHY]


def ambiguous(text: str, found: Sequence[HeldVolume]) -> Conflict:
    """Return the refusal of a name that several volumes have."""
    return Conflict(f"volume name {text} is ambiguous: it may be {few_of(each.title for each in found)}")


class VolumeIndex:
    """Volumes of all engines, kept ready on each change so that a look-up never scans the cluster."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[Engine, Volume]] = {}

    def replace(self, engine: Engine, before: Mapping[str, Volume], after: Mapping[str, Volume]) -> None:
        """Take in that `engine` has the volumes `after`, and no more those of `before`. Both by name."""
        for name in before:
            if name not in after:
                holders = self._by_name.get(name, {})
                holders.pop(engine, None)
                if not holders:
                    self._by_name.pop(name, None)
        for name, volume in after.items():
            self._by_name.setdefault(name, {})[engine] = volume

    def __iter__(self) -> Iterator[HeldVolume]:
        """All volumes, each once, in the order of their names and of the nodes' names."""
        return self.called(lambda _name: True)

    def called(self, test: Callable[[str], bool]) -> Iterator[HeldVolume]:
        """The volumes whose name passes, in the same order; nothing of the others is looked at."""
        for name in sorted(filter(test, self._by_name)):
            yield from self.named(name)

    def named(self, name: str) -> list[HeldVolume]:
        """The volumes with exactly this name: a local one of each node, and one of each driver that all nodes share."""
        found: list[HeldVolume] = []
        shared: dict[str, list[Engine]] = {}  # by driver
        holders = self._by_name.get(name, {})
        for engine in sorted(holders, key=lambda each: (each.name, str(each.address))):
            volume = holders[engine]
            if volume.is_local:
                found.append(HeldVolume(volume, (engine,)))
            else:
                shared.setdefault(volume.driver, []).append(engine)
        found += [HeldVolume(holders[engines[0]], tuple(engines)) for engines in shared.values()]
        return found

    def find(self, text: str) -> HeldVolume:
        """The one volume a client means by `text`: a name or `node/name`.

        Raises NotFound, and Conflict for a name that several volumes have.
        """
        found = self.candidates(text)
        if not found:
            raise NotFound(f"get {text}: no such volume")
        if len(found) > 1:
            raise ambiguous(text, found)
        return found[0]

    def candidates(self, text: str) -> list[HeldVolume]:
        """The volumes that a client may mean by `text`: all of this name, or else the one of `node/name`."""
        return self.named(text) or self._on_named_node(text)

    def _on_named_node(self, text: str) -> list[HeldVolume]:
        # a node's name holds no slash, but an engine id with a unix address does: try every cut
        found: dict[str, HeldVolume] = {}
        cut = text.find("/")
        while cut >= 0:
            node, name = text[:cut], text[cut + 1 :]
            for held in self.named(name):
                if not node or any(node in (engine.name, engine.id) for engine in held.engines):
                    found[held.title] = held
            cut = text.find("/", cut + 1)
        return list(found.values())
