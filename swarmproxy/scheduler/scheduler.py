"""Where a container goes: filters turn nodes away, then a strategy orders the rest.

Source: classic Swarm 1.2, scheduler/scheduler.go and scheduler/filter/filter.go.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from swarmproxy.errors import BadRequest, NoNodeFits, NotSupported, SwarmError
from swarmproxy.scheduler.crowd import Crowd, where
from swarmproxy.scheduler.entrants import Entrants
from swarmproxy.scheduler.explanation import Explanation, Ranked, is_made_for, refused_nodes, standing_of, tally
from swarmproxy.scheduler.resources import demand_of
from swarmproxy.scheduler.strategy import rank, weight_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec
    from swarmproxy.scheduler.filters.filter import Filter
    from swarmproxy.scheduler.strategy import Strategy


_NO_NODES = "No nodes available in the cluster"
_FILTER_OF_EXPRESSIONS = {"affinities": "affinity", "constraints": "constraint", "whitelists": "whitelist"}


def place(
    spec: ContainerSpec,
    nodes: Sequence[Node],
    *,
    strategy: Strategy,
    filters: Sequence[Filter],
    overcommit_percent: int,
    shuffle: Callable[[list[Node]], Sequence[Node]] | None = None,
    prefer_holders: bool = False,
) -> Sequence[Node]:
    """Return the nodes that can take `spec`, best first, whatever the order of `nodes`.

    Nodes that do not answer, are paused or drained, or cannot run the image are left out whatever the filters; of equal
    ones those that hold the image come first with `prefer_holders`. Soft expressions are
    given up, all together, only when keeping them leaves no node. `shuffle` is the dice of the random strategy.
    Raises NoNodeFits with classic's words and a last line of our own that counts the nodes for each reason,
    BadRequest for an expression that cannot be read, NotSupported for one whose filter is not among `filters`:
    what a user demands is never passed over.
    """
    active = {each.name for each in filters}
    for kind, needed in _FILTER_OF_EXPRESSIONS.items():
        if (expressions := getattr(spec.expressions, kind)) and needed not in active:
            raise NotSupported(f"the {needed} filter is not active, so '{expressions[0]}' cannot be honoured")

    def attempt(nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:
        kept = _filtered(spec, nodes, filters, soft=soft)
        return rank(
            spec,
            kept,
            strategy,
            overcommit_percent=overcommit_percent,
            shuffle=shuffle,
            prefer_holders=prefer_holders,
        )

    if isinstance(nodes, Crowd) and nodes.is_everyone:
        with suppress(SwarmError):  # what is wrong is found out below, and said as it is said there
            return attempt(Entrants(nodes.register), soft=True)
    try:
        try:
            return attempt(nodes, soft=True)
        except NoNodeFits:
            if not _soft_expressions(spec):
                raise  # nothing is soft: a second look would cost as much and find the same
            return attempt(nodes, soft=False)
    except NoNodeFits as refusal:
        if not nodes:
            raise
        refused = list(refused_nodes(spec, nodes, filters, overcommit_percent=overcommit_percent, soft=False))
        raise NoNodeFits(f"{refusal}\n{tally(refused)}", Counter(each.by for each in refused)) from None


def explain(
    spec: ContainerSpec,
    nodes: Sequence[Node],
    *,
    strategy: Strategy,
    filters: Sequence[Filter],
    overcommit_percent: int,
    shuffle: Callable[[list[Node]], Sequence[Node]] | None = None,
    prefer_holders: bool = False,
) -> Explanation:
    """Return what `place` does with the same arguments, and what it thinks of every node.

    Raises BadRequest and NotSupported as `place`; instead of NoNodeFits its text is returned.
    """
    soft, refusal, ranked = True, "", list[Ranked]()
    demand = demand_of(spec)
    try:
        best = place(
            spec,
            nodes,
            strategy=strategy,
            filters=filters,
            overcommit_percent=overcommit_percent,
            shuffle=shuffle,
            prefer_holders=prefer_holders,
        )
        ranked = [
            Ranked(node, number, weight_of(demand, node, strategy, overcommit_percent=overcommit_percent))
            for number, node in enumerate(best, start=1)
        ]
    except NoNodeFits as error:
        refusal, soft = str(error), False
    refused = list(refused_nodes(spec, nodes, filters, overcommit_percent=overcommit_percent, soft=soft))
    if soft and len(refused) + len(ranked) != len(nodes):  # the soft expressions had to be given up
        soft = False
        refused = list(refused_nodes(spec, nodes, filters, overcommit_percent=overcommit_percent, soft=False))
    return Explanation(
        ranked=tuple(ranked),
        refused=tuple(refused),
        refusal=refusal,
        given_up=() if soft else _soft_expressions(spec),
    )


def _soft_expressions(spec: ContainerSpec) -> tuple[str, ...]:
    return tuple(text for kind in _FILTER_OF_EXPRESSIONS for text in getattr(spec.expressions, kind) if "~" in text)


def _filtered(spec: ContainerSpec, nodes: Sequence[Node], filters: Sequence[Filter], *, soft: bool) -> Sequence[Node]:
    kept = where(nodes, "standing", _has_standing)
    if not kept and any(node.healthy for node in nodes):
        raise NoNodeFits(_NO_NODES)
    if spec.platforms and kept:
        kept = where(kept, f"platform {spec.platforms}", lambda node: is_made_for(spec, node))
        if not kept:
            raise NoNodeFits(_refusal(spec, ()))
    for index, each in enumerate(filters):
        try:
            kept = each.keep(spec, kept, soft=soft)
        except BadRequest as error:
            raise BadRequest(f"error from {each.name} filter: {error}") from error
        if not kept:
            raise NoNodeFits(_refusal(spec, filters[: index + 1]))
    if not kept:
        raise NoNodeFits(_NO_NODES)
    return kept


def _has_standing(node: Node) -> bool:
    return not standing_of(node)


def _refusal(spec: ContainerSpec, filters: Sequence[Filter]) -> str:
    """Return classic's text: one line of conditions for each filter up to the one that left no node."""
    lines = [items for each in filters if (items := each.describe(spec))]
    if spec.platforms and not filters:
        lines = [[f"platform=={platform}" for platform in spec.platforms]]
    return "Unable to find a node that satisfies the following conditions " + "".join(
        f"\n[{' '.join(items)}]" for items in lines
    )
