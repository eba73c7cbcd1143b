"""Where a container goes: filters turn nodes away, then a strategy orders the rest.

Source: classic Swarm 1.2, scheduler/scheduler.go and scheduler/filter/filter.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.errors import BadRequest, NoNodeFits, NotSupported
from swarmproxy.scheduler.strategy import rank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec
    from swarmproxy.scheduler.filters.filter import Filter
    from swarmproxy.scheduler.strategy import Strategy


_FILTER_OF_EXPRESSIONS = {"affinities": "affinity", "constraints": "constraint", "whitelists": "whitelist"}


def place(
    spec: ContainerSpec,
    nodes: Sequence[Node],
    *,
    strategy: Strategy,
    filters: Sequence[Filter],
    overcommit_percent: int,
    shuffle: Callable[[list[Node]], Sequence[Node]] | None = None,
) -> list[Node]:
    """Return the nodes that can take `spec`, best first, whatever the order of `nodes`.

    Nodes that are paused or drained are left out, whatever the filters. Soft expressions are given up, all
    together, only when keeping them leaves no node. `shuffle` is the dice of the random strategy. Raises
    NoNodeFits with classic's words, BadRequest for an expression that cannot be read, NotSupported for one whose
    filter is not among `filters`: what a user demands is never passed over.
    """
    active = {each.name for each in filters}
    for kind, needed in _FILTER_OF_EXPRESSIONS.items():
        if (expressions := getattr(spec.expressions, kind)) and needed not in active:
            raise NotSupported(f"the {needed} filter is not active, so '{expressions[0]}' cannot be honoured")

    def attempt(*, soft: bool) -> list[Node]:
        kept = _filtered(spec, nodes, filters, soft=soft)
        return rank(spec, kept, strategy, overcommit_percent=overcommit_percent, shuffle=shuffle)

    try:
        return attempt(soft=True)
    except NoNodeFits:
        if not any("~" in text for kind in _FILTER_OF_EXPRESSIONS for text in getattr(spec.expressions, kind)):
            raise  # nothing is soft: a second look would cost as much and find the same
        return attempt(soft=False)


def _filtered(spec: ContainerSpec, nodes: Sequence[Node], filters: Sequence[Filter], *, soft: bool) -> Sequence[Node]:
    kept: Sequence[Node] = [node for node in nodes if node.availability == "active"]
    if nodes and not kept:
        raise NoNodeFits("No nodes available in the cluster")
    for index, each in enumerate(filters):
        try:
            kept = each.keep(spec, kept, soft=soft)
        except BadRequest as error:
            raise BadRequest(f"error from {each.name} filter: {error}") from error
        if not kept:
            raise NoNodeFits(_refusal(spec, filters[: index + 1]))
    if not kept:
        raise NoNodeFits("No nodes available in the cluster")
    return kept


def _refusal(spec: ContainerSpec, filters: Sequence[Filter]) -> str:
    """Return classic's text: one line of conditions for each filter up to the one that left no node."""
    lines = [items for each in filters if (items := each.describe(spec))]
    return "Unable to find a node that satisfies the following conditions " + "".join(
        f"\n[{' '.join(items)}]" for items in lines
    )
