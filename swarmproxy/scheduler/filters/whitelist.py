"""Only nodes that are named: `-e whitelist:node==a|b`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.scheduler.expression import parse_all

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
            names = set(expression.value.split("|"))
            kept = [node for node in kept if (node.name in names) is (expression.operator == "==")]
        return kept

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return all whitelists."""
        return [f"{each} (soft={str(each.soft).lower()})" for each in parse_all(spec.expressions.whitelists, soft=True)]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:
        """See Filter: the reason is the first whitelist that does not allow the node."""
        wanted = [(each, set(each.value.split("|"))) for each in parse_all(spec.expressions.whitelists, soft=soft)]

        def reason(node: Node) -> str:
            for expression, names in wanted:
                if (node.name in names) is not (expression.operator == "=="):
                    return f"by whitelist {expression}"
            return ""

        return reason
