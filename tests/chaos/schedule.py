"""What goes wrong, and when: all of it follows from the seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

STORES = ("etcd", "consul", "zookeeper")


class Kind(StrEnum):
    """The kinds of faults. What is killed or broken is mended when the fault ends."""

    ENGINE_POWER = "engine without power"
    ENGINE_CRASH = "engine killed (-9)"
    ENGINE_FROZEN = "engine stopped (SIGSTOP)"
    ENGINE_LINK = "engine's link down"
    ENGINE_FULL = "engine's disk full"
    ENGINE_REPLACED = "engine replaced by another"
    MANAGER_KILL = "manager killed (-9)"
    MANAGER_END = "manager told to end (SIGTERM)"
    MANAGER_FROZEN = "manager stopped (SIGSTOP)"
    MANAGER_LINK = "manager's link down"
    MANAGER_CLOCK = "manager's clock jumps"
    MANAGER_FROM_STORE = "manager and store apart"
    MANAGER_FROM_ENGINES = "manager and engines apart"
    STORE_KILL = "store killed (-9)"
    STORE_FROZEN = "store stopped (SIGSTOP)"
    STORE_LOST = "store's data lost"

    @property
    def subject(self) -> str:
        """What it befalls: "engine", "manager" or "store"."""
        return self.name.partition("_")[0].lower()


WEIGHTS = {Kind.STORE_LOST: 1, Kind.ENGINE_REPLACED: 1}
"""How often a kind is in the deck, if not twice: what destroys data would else leave little to look after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong."""

    kind: Kind
    begins_s: float  # after the storm began
    lasts_s: float
    choice: float  # 0..1: which of the subjects
    befalls_leader: bool  # of managers: the one that leads then
    amount: float  # -1..1: of a clock, how far it jumps


Storm = Sequence[Fault]


def store_of(seed: int) -> str:
    """Return which store a run is over."""
    return STORES[seed % len(STORES)]


def storms(seed: int, *, faults: int = 9, gap_s: tuple[float, float] = (3.0, 7.0)) -> Iterator[Storm]:
    """Yield storm after storm, without end. Kinds are dealt from a shuffled deck: each has its turn.

    Faults overlap: one begins each `gap_s` (from, to), and lasts for up to 12 seconds.
    """
    dice = random.Random(seed)
    deck: list[Kind] = []
    while True:
        storm, at_s = [], 0.0
        for _ in range(faults):
            if not deck:
                deck = [kind for kind in Kind for _ in range(WEIGHTS.get(kind, 2))]
                dice.shuffle(deck)
            at_s += dice.uniform(*gap_s)
            storm.append(
                Fault(
                    kind=deck.pop(),
                    begins_s=at_s,
                    lasts_s=dice.choice((dice.uniform(0.2, 3.0), dice.uniform(3.0, 12.0))),
                    choice=dice.random(),
                    befalls_leader=dice.random() < 0.6,
                    amount=dice.choice((-1, 1)) * dice.random(),
                )
            )
        yield storm
