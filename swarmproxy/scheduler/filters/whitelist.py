"""Only nodes that are named: `-e whitelist:node==a|b`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.scheduler.crowd import where
from swarmproxy.scheduler.expression import Expression, first_broken, parse_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec


class WhitelistFilter:
    """Keeps the nodes that every whitelist names, letter for letter; with `!=` those that it does not.

    Classic read `!=` as `==`, which put containers on the very nodes to be avoided.
    """

    name = "whitelist"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:
        """Return the nodes that every whitelist allows, soft ones only if `soft`. Raises BadRequest."""
        kept = nodes
        for expression in parse_all(spec.expressions.whitelists, soft=soft):
            kept = where(kept, f"whitelist {expression}", _verdict(expression))
        return kept

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return all whitelists."""
        return [f"{each} (soft={str(each.soft).lower()})" for each in parse_all(spec.expressions.whitelists, soft=True)]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:
        """See Filter: the reason is the first whitelist that does not allow the node."""
        wanted = [(each, _verdict(each)) for each in parse_all(spec.expressions.whitelists, soft=soft)]
        return first_broken("whitelist", wanted)


def _verdict(expression: Expression) -> Callable[[Node], bool]:
    """Return what says whether a node satisfies `expression`."""
    names, wanted = frozenset(expression.value.split("|")), expression.operator == "=="
    return lambda node: (node.name in names) is wanted
