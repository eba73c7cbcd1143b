"""What clients asked for and were answered, and what must be true of the engines because of that."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.stand import SHARES, Listed

OVERCOMMIT = 0.05  # a manager's default


class Fate(StrEnum):
    """What became of something that a client asked for, as far as it was told."""

    DONE = "done"
    REFUSED = "refused"  # with a 4xx: it was not done
    UNKNOWN = "unknown"  # a 5xx, or no answer


@dataclass(slots=True)
class Record:
    """One container that a client asked for, once."""

    key: str
    name: str  # empty: the engine chooses one
    moves: bool  # has a reschedule policy
    id: str = ""
    created: Fate = Fate.UNKNOWN
    removed: Fate | None = None
    execs: dict[str, Fate] = field(default_factory=dict)  # by the word that each writes down in the container
    destroyed: bool = False  # with the data of an engine that held it

    @property
    def is_there(self) -> bool:
        """Whether a client may count on it."""
        return self.created is Fate.DONE and self.removed is None and not self.destroyed

    def problem(self, held: Sequence[str]) -> str:
        """Return what is wrong when the engines in `held` have it; empty if nothing is."""
        if len(held) > 1:
            return f"doubled: {self.key} is on {', '.join(held)}"
        if held and self.created is Fate.REFUSED:
            return f"{self.key} is on {held[0]}, though its create was refused"
        if held and self.removed is Fate.DONE:
            return f"{self.key} is on {held[0]}, though it was removed"
        if not held and self.is_there:
            return f"lost: {self.key} was created and is nowhere"
        return ""


class Ledger:
    """The records of all clients, counts, and what was found to be wrong. It may be used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self.operations: Counter[tuple[str, str]] = Counter()
        """How often an operation had a result."""
        self.violations: list[str] = []

    def enter(self, key: str, *, name: str = "", moves: bool = False) -> Record:
        """Return a new record: what is entered may have happened from now on."""
        with self._lock:
            record = self._records[key] = Record(key, name, moves)
            return record

    def count(self, operation: str, result: str) -> None:
        with self._lock:
            self.operations[operation, result] += 1

    def violate(self, text: str) -> None:
        """Note that a promise was broken."""
        with self._lock:
            if text not in self.violations:
                self.violations.append(text)
                print(f"{time.strftime('%H:%M:%S')} BROKEN: {text}", flush=True)

    def destroy(self, keys: Collection[str]) -> None:
        """Note that an engine with these containers has lost its data."""
        with self._lock:
            for key in keys:
                self._records[key].destroyed = True

    def records(self) -> list[Record]:
        with self._lock:
            return list(self._records.values())

    def problems(self, truth: Mapping[str, Sequence[Listed]]) -> list[str]:
        """Return what is wrong with what the engines hold, by their names, when all is quiet."""
        held = holders(truth)
        found = [record.problem(held.get(record.key, [])) for record in self.records()]
        return [each for each in found if each] + overbooked(truth)

    def always_wrong(self, truth: Mapping[str, Sequence[Listed]]) -> list[str]:
        """Return what is wrong at any time, also while a copy of what moves may run on a node that is cut off."""
        held = holders(truth)
        doubled = [
            record.problem(held[record.key])
            for record in self.records()
            if not record.moves and len(held.get(record.key, [])) > 1
        ]
        return doubled + overbooked(truth)


def holders(truth: Mapping[str, Sequence[Listed]]) -> dict[str, list[str]]:
    """Return the engines that hold each key, as often as they do."""
    found: dict[str, list[str]] = defaultdict(list)
    for engine, containers in truth.items():
        for each in containers:
            found[each.key].append(engine)
    return found


def overbooked(truth: Mapping[str, Sequence[Listed]]) -> list[str]:
    """Return which engines hold more than they have memory for. Each container has asked for 1/SHARES of one's."""
    most = int(SHARES * (1 + OVERCOMMIT))
    return [
        f"overbooked: {engine} holds {len(containers)} containers and has room for {most}"
        for engine, containers in truth.items()
        if len(containers) > most
    ]
