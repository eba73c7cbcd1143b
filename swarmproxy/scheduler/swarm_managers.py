"""How many members of a pool manage the swarm that they form, and which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SIZES = ((100, 7), (10, 5), (3, 3))  # from so many members on, so many managers


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A member that could manage the swarm, or does."""

    name: str
    zone: str = ""  # what fails together; empty: not said
    memory_bytes: int = 0
    cpus: int = 0


def wanted(members: int) -> int:
    """Return how many of `members` should manage their swarm: 1, 3, 5 or 7.

    Two managers are worse than one, since both have to be there for anything to be decided; and what they decide
    costs more with each of them, so most nodes of a large swarm are workers.
    """
    return next((count for least, count in SIZES if members >= least), 1)


def best(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return `candidates`, the best first: those with the most memory, then with the most CPUs, then by name."""
    return sorted(candidates, key=lambda each: (-each.memory_bytes, -each.cpus, each.name))


def choose(candidates: Sequence[Candidate], *, beside: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return those of `candidates` that should become managers beside those that are, so that there are `count`.

    Zones with the fewest managers come first. There may be fewer, but never an even number where an odd one can be.
    """
    left = best(candidates)
    zones = Counter(each.zone for each in beside)
    room = min(count - len(beside), len(left))
    if room > 0 and (len(beside) + room) % 2 == 0:
        room -= 1
    chosen: list[Candidate] = []
    while len(chosen) < room:
        emptiest = min(zones[each.zone] for each in left)
        each = next(each for each in left if zones[each.zone] == emptiest)
        left.remove(each)
        zones[each.zone] += 1
        chosen.append(each)
    return chosen
