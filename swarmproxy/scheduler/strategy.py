"""In which order the nodes that can take a container are preferred.

Source: classic Swarm 1.2, scheduler/strategy.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from swarmproxy.errors import ConfigError, NoNodeFits
from swarmproxy.scheduler.resources import Demand, demand_of, load, shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec

HEALTH_FACTOR = 10  # one point of health outweighs ten per cent of memory or CPU


class Strategy(Enum):
    """How to choose among the nodes that can take a container."""

    SPREAD = "spread"  # the emptiest first
    BINPACK = "binpack"  # the fullest first
    RANDOM = "random"

    @classmethod
    def parse(cls, name: str) -> Strategy:
        """Return the strategy with this name (`binpacking` is binpack). Raises ConfigError."""
        try:
            return cls("binpack" if name == "binpacking" else name)
        except ValueError:
            raise ConfigError("strategy not supported") from None


def rank(
    spec: ContainerSpec,
    nodes: Iterable[Node],
    strategy: Strategy,
    *,
    overcommit_percent: int,
    shuffle: Callable[[list[Node]], Sequence[Node]] | None = None,
) -> list[Node]:
    """Return the nodes with room for `spec`, best first, whatever the order of `nodes`.

    Nodes that are equal to the strategy stand in the order of their names. RANDOM takes the order that
    `shuffle` gives to the nodes sorted by name; unlike classic's it looks at the room, too. Raises NoNodeFits
    if there is no room anywhere.
    """
    demand = demand_of(spec)
    fitting = [node for node in nodes if not shortage(demand, node, overcommit_percent=overcommit_percent)]
    if not fitting:
        raise NoNodeFits("no resources available to schedule container")
    if strategy is Strategy.RANDOM:
        fitting.sort(key=lambda node: (node.name, node.id))
        return list(shuffle(fitting)) if shuffle else fitting
    sign = -1 if strategy is Strategy.BINPACK else 1

    def preference(node: Node) -> tuple[int, int, str, str]:
        weight = weight_of(demand, node, strategy, overcommit_percent=overcommit_percent)
        return sign * weight, sign * node.containers, node.name, node.id

    return sorted(fitting, key=preference)


def weight_of(demand: Demand, node: Node, strategy: Strategy, *, overcommit_percent: int) -> int:
    """Return classic's weight of `node`, which has room: spread prefers the lowest, binpack the highest.

    RANDOM weighs nothing.
    """
    if strategy is Strategy.RANDOM:
        return 0
    factor = HEALTH_FACTOR if strategy is Strategy.BINPACK else -HEALTH_FACTOR
    return load(demand, node, overcommit_percent=overcommit_percent) + factor * node.health
