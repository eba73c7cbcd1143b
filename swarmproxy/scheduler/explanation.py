"""Why nodes will not do: worked out only when somebody asks, so that a placement which succeeds pays nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmproxy.model.platform import runs_on
from swarmproxy.scheduler.resources import demand_of, shortage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec
    from swarmproxy.scheduler.filters.filter import Filter

STANDING = "availability"  # what turns nodes away before the first filter; cannot be switched off
IMAGE = "image"  # what turns nodes away next: those that its image is not made for
RESOURCES = "resources"  # what turns nodes away after the last one


@dataclass(frozen=True, slots=True)
class Refused:
    """A node that will not do, what turned it away first, and the reason as refusals count it."""

    node: Node
    by: str  # a filter's name, or STANDING, IMAGE or RESOURCES
    reason: str  # "by constraint storage==ssd", "unhealthy", "out of memory"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A node that will do. The weight is the strategy's; where it is the same, the number of containers counts."""

    node: Node
    rank: int  # from 1, the one that is chosen
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where a container would go, and why no place else."""

    ranked: tuple[Ranked, ...] = ()
    refused: tuple[Refused, ...] = ()
    refusal: str = ""  # what a create would be told; empty if any node will do
    given_up: tuple[str, ...] = ()  # soft expressions that no node could satisfy, so that they do not count


def standing_of(node: Node) -> str:
    """Return why `node` takes no new containers whatever they ask for; "" if it does."""
    match node.availability:
        case "drain":
            return "drained"
        case "pause":
            return "paused"
    return "" if node.healthy else "unhealthy"


def is_made_for(spec: ContainerSpec, node: Node) -> bool:
    """Return whether `node` runs the image, as far as is known."""
    return not spec.platforms or any(runs_on(platform, node.platform) for platform in spec.platforms)


def refused_nodes(
    spec: ContainerSpec,
    nodes: Iterable[Node],
    filters: Sequence[Filter],
    *,
    overcommit_percent: int,
    soft: bool,
) -> Iterator[Refused]:
    """Yield those of `nodes` that will not do for `spec`. Raises BadRequest for an expression that cannot be read."""
    demand = demand_of(spec)
    judges = [(each.name, each.judge(spec, soft=soft)) for each in filters]
    for node in nodes:
        if reason := standing_of(node):
            yield Refused(node, STANDING, reason)
            continue
        if not is_made_for(spec, node):
            yield Refused(node, IMAGE, f"by platform {' or '.join(spec.platforms)}")
            continue
        for name, judge in judges:
            if reason := judge(node):
                yield Refused(node, name, reason)
                break
        else:
            if lacking := shortage(demand, node, overcommit_percent=overcommit_percent):
                yield Refused(node, RESOURCES, f"out of {lacking}")


def tally(refused: Sequence[Refused]) -> str:
    """Return one line that counts the nodes turned away for each reason, the most frequent one first."""
    counts = Counter(each.reason for each in refused)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"0 of {len(refused)} nodes: " + ", ".join(f"{count} {reason}" for reason, count in ordered)
