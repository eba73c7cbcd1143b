"""The scheduler as the operator asked for it."""

import functools
import random
from collections.abc import Callable, Sequence
from typing import Any

from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.scheduler.explanation import Explanation
from swarmproxy.scheduler.filters import choose
from swarmproxy.scheduler.resources import percent_of
from swarmproxy.scheduler.scheduler import explain, place
from swarmproxy.scheduler.strategy import Strategy
from swarmproxy.settings import Settings

DRAWN = 32  # nodes that the random strategy puts in order


def ranking(settings: Settings) -> Callable[[ContainerSpec, Sequence[Node]], Sequence[Node]]:
    """Return what orders the nodes for a container, best first."""
    return functools.partial(place, **_scheduling(settings))


def explaining(settings: Settings) -> Callable[[ContainerSpec, Sequence[Node]], Explanation]:
    """Return what says why the scheduler of `ranking` decides as it does."""
    return functools.partial(explain, **_scheduling(settings))


def _scheduling(settings: Settings) -> dict[str, Any]:
    return {
        "strategy": Strategy.parse(settings.strategy),
        "filters": choose(settings.filters),
        "overcommit_percent": percent_of(settings.overcommit),
        "prefer_holders": settings.image_ties,
        "shuffle": shuffle,
    }


def shuffle(nodes: list[Node]) -> list[Node]:
    """Draw the first few of `nodes`, as many as a create may try; what follows them stays as it is."""
    for at in range(min(DRAWN, len(nodes))):
        drawn = random.randrange(at, len(nodes))  # noqa: S311 - which node it is need not be a secret
        nodes[at], nodes[drawn] = nodes[drawn], nodes[at]
    return nodes
