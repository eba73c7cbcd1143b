"""How full all nodes would be with one more container, worked out together: see `resources.load` for one node."""

from __future__ import annotations

import functools
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING

from swarmproxy.scheduler.resources import NANO, Demand, used_nano, with_overcommit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmproxy.model.node import Node
    from swarmproxy.scheduler.crowd import Register

NO_ROOM = -1
LOAD_OF_NOTHING = 200  # two resources that are not asked for count 100 each


def is_countable(demand: Demand) -> bool:
    """Return whether `demand` is for nothing but memory and CPU time."""
    return demand == Demand(memory_bytes=demand.memory_bytes, nano_cpus=demand.nano_cpus)


def loads(demand: Demand, register: Register, *, overcommit_percent: int) -> list[int]:
    """Return the load of each node of `register`, NO_ROOM for those short of memory or CPU."""
    cpu: Iterable[int] = repeat(100, len(register))
    memory: Iterable[int] = repeat(100, len(register))
    if wanted := demand.nano_cpus:
        used = register.facts("used CPU", used_nano)
        total = register.facts(f"CPU, {overcommit_percent}", functools.partial(_nano_of, overcommit_percent))
        cpu = [(u + wanted) * 100 // t if u + wanted <= t else NO_ROOM for u, t in zip(used, total, strict=True)]
    if wanted := demand.memory_bytes:
        used = register.facts("used memory", attrgetter("used_memory_bytes"))
        total = register.facts(f"memory, {overcommit_percent}", functools.partial(_memory_of, overcommit_percent))
        memory = [(u + wanted) * 100 // t if u + wanted <= t else NO_ROOM for u, t in zip(used, total, strict=True)]
    return [c + m if c >= 0 and m >= 0 else NO_ROOM for c, m in zip(cpu, memory, strict=False)]


def _nano_of(overcommit_percent: int, node: Node) -> int:
    return with_overcommit(node.cpus, overcommit_percent) * NANO


def _memory_of(overcommit_percent: int, node: Node) -> int:
    return with_overcommit(node.memory_bytes, overcommit_percent)
