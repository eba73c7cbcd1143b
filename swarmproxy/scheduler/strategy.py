"""In which order the nodes that can take a container are preferred.

Source: classic Swarm 1.2, scheduler/strategy.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from enum import Enum
from itertools import compress
from typing import TYPE_CHECKING, overload

from swarmproxy.errors import ConfigError, NoNodeFits
from swarmproxy.scheduler.crowd import Crowd, column, identity, where
from swarmproxy.scheduler.entrants import Asked, Entrants, Weighed
from swarmproxy.scheduler.loads import LOAD_OF_NOTHING, is_countable, loads
from swarmproxy.scheduler.resources import Demand, demand_of, load, shortage

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec
    from swarmproxy.scheduler.crowd import Register

_WEIGHT_SHIFT = 40  # a point of weight outweighs any number of containers
_NO_ROOM = 1 << 80  # the key of a node that will not do

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
    nodes: Sequence[Node],
    strategy: Strategy,
    *,
    overcommit_percent: int,
    shuffle: Callable[[list[Node]], Sequence[Node]] | None = None,
    prefer_holders: bool = False,
) -> Sequence[Node]:
    """Return the nodes with room for `spec`, best first, whatever the order of `nodes`.

    Nodes that are equal to the strategy stand in the order of their names, with `prefer_holders` those first that hold
    the image: so that it is not pulled without need, and the pool stays as even as without. RANDOM takes the order that
    `shuffle` gives to the nodes; unlike classic's it looks at the room, too. Raises NoNodeFits
    if there is no room anywhere.
    """
    demand = demand_of(spec)
    key = functools.partial(_key, demand, strategy, overcommit_percent)
    together = functools.partial(_keys, demand, strategy, overcommit_percent) if is_countable(demand) else None
    weight = Weighed(f"{strategy.value} {demand} {overcommit_percent}", key, together, _NO_ROOM)
    names = spec.image_names if prefer_holders else ()
    holds_image = Asked(f"has image {names}", _has_one_of(names)) if names else None
    if isinstance(nodes, Entrants):
        crowd = nodes.crowd
        if strategy is not Strategy.RANDOM and (best := nodes.best(weight, holds_image)) is not None:
            return Winner(best, lambda: _rank(crowd(), strategy, weight, holds_image, shuffle))
        nodes = crowd()
    return _rank(nodes, strategy, weight, holds_image, shuffle)


def _rank(
    nodes: Sequence[Node],
    strategy: Strategy,
    weight: Weighed,
    preferred: Asked | None,
    shuffle: Callable[[list[Node]], Sequence[Node]] | None,
) -> Sequence[Node]:
    keys = column(nodes, weight.name, weight.read, weight.together)
    fitting = nodes
    if _NO_ROOM in keys:
        fitting = [node for node, each in zip(nodes, keys, strict=True) if each != _NO_ROOM]
        keys = [each for each in keys if each != _NO_ROOM]
    if not keys:
        raise NoNodeFits("no resources available to schedule container")
    if strategy is Strategy.RANDOM:
        return shuffle(list(fitting)) if shuffle else sorted(fitting, key=identity)
    return Preferred(fitting, keys, where(fitting, *preferred) if preferred is not None else ())


def _has_one_of(names: Sequence[str]) -> Callable[[Node], bool]:
    return lambda node: any(name in node.names_of_images for name in names)


def _key(demand: Demand, strategy: Strategy, overcommit_percent: int, node: Node) -> int:
    """Return a number that is the lower the better `node` is: the weight first, then the number of containers."""
    if not demand.is_nothing and shortage(demand, node, overcommit_percent=overcommit_percent):
        return _NO_ROOM
    weight = weight_of(demand, node, strategy, overcommit_percent=overcommit_percent)
    sign = -1 if strategy is Strategy.BINPACK else 1
    return sign * ((weight << _WEIGHT_SHIFT) + node.containers)


def _keys(demand: Demand, strategy: Strategy, overcommit_percent: int, register: Register) -> list[int]:
    """Return the `_key` of every node of `register` for memory and CPU, worked out from columns of numbers."""
    empty = functools.partial(_key, Demand(), strategy, overcommit_percent)
    keys = register.facts(f"{strategy.value} of nothing", empty)
    if demand.is_nothing:
        return list(keys)
    found = loads(demand, register, overcommit_percent=overcommit_percent)
    point = {Strategy.SPREAD: 1, Strategy.BINPACK: -1, Strategy.RANDOM: 0}[strategy] << _WEIGHT_SHIFT
    nothing = LOAD_OF_NOTHING * point
    return [_NO_ROOM if each < 0 else key - nothing + each * point for key, each in zip(keys, found, strict=True)]


class Winner(Sequence["Node"]):
    """The best node, and the others behind it, whom nobody asks for as a rule."""

    def __init__(self, best: Node, rank_all: Callable[[], Sequence[Node]]) -> None:
        self._best = best
        self._rank_all = rank_all

    @functools.cached_property
    def _all(self) -> Sequence[Node]:
        return self._rank_all()

    @overload
    def __getitem__(self, at: int) -> Node: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Node]: ...
    def __getitem__(self, at: int | slice) -> Node | Sequence[Node]:
        return self._best if at == 0 else self._all[at]

    def __len__(self) -> int:
        return len(self._all)


class Preferred(Sequence["Node"]):
    """Nodes, best first: those with the lowest key, of several those that hold the image, of these the first by name.

    The best is found without putting the others in order, which nobody asks for as a rule.
    """

    def __init__(self, nodes: Sequence[Node], keys: Sequence[int], holders: Sequence[Node]) -> None:
        self._nodes = nodes
        self._keys = keys
        self._holders = holders
        least = min(keys)
        chosen = bytes(map(least.__eq__, keys))
        if isinstance(nodes, Crowd):
            self._best = nodes.first(chosen, holders)
        else:
            self._best = min(compress(nodes, chosen), key=self._tie)

    def _tie(self, node: Node) -> tuple[bool, str, str]:
        return node.id not in self._ids_of_holders, node.name, node.id

    @functools.cached_property
    def _ids_of_holders(self) -> frozenset[str]:
        return frozenset(node.id for node in self._holders)

    @functools.cached_property
    def _ordered(self) -> list[Node]:
        ordered = sorted(zip(self._keys, self._nodes, strict=True), key=lambda each: (each[0], self._tie(each[1])))
        return [node for _, node in ordered]

    @overload
    def __getitem__(self, at: int) -> Node: ...
    @overload
    def __getitem__(self, at: slice) -> list[Node]: ...
    def __getitem__(self, at: int | slice) -> Node | list[Node]:
        return self._best if at == 0 else self._ordered[at]

    def __len__(self) -> int:
        return len(self._nodes)


def weight_of(demand: Demand, node: Node, strategy: Strategy, *, overcommit_percent: int) -> int:
    """Return classic's weight of `node`, which has room: spread prefers the lowest, binpack the highest.

    RANDOM weighs nothing.
    """
    if strategy is Strategy.RANDOM:
        return 0
    factor = HEALTH_FACTOR if strategy is Strategy.BINPACK else -HEALTH_FACTOR
    return load(demand, node, overcommit_percent=overcommit_percent) + factor * node.health
