"""Only nodes whose labels are as the user wants: `-e constraint:storage==ssd`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.scheduler.expression import Expression, parse_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec


class ConstraintFilter:
    """Compares with engine labels, a missing one being an empty text; the key `node` with ID and name."""

    name = "constraint"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> list[Node]:
        """Return the nodes that satisfy every constraint, soft ones only if `soft`. Raises BadRequest."""
        kept = list(nodes)
        for expression in parse_all(spec.expressions.constraints, soft=soft):
            known: dict[tuple[str, ...], bool] = {}  # labels take few values
            kept = [node for node in kept if _holds(expression, node, known)]
        return kept

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return all constraints."""
        return [str(expression) for expression in parse_all(spec.expressions.constraints, soft=True)]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:
        """See Filter: the reason is the first constraint that does not hold."""
        wanted: list[tuple[Expression, dict[tuple[str, ...], bool]]]
        wanted = [(each, {}) for each in parse_all(spec.expressions.constraints, soft=soft)]

        def reason(node: Node) -> str:
            broken = next((each for each, known in wanted if not _holds(each, node, known)), None)
            return f"by constraint {broken}" if broken else ""

        return reason


def _holds(expression: Expression, node: Node, known: dict[tuple[str, ...], bool]) -> bool:
    if expression.key == "node":
        return expression.holds((node.id, node.name))
    candidates = (node.labels.get(expression.key, ""),)
    if candidates not in known:
        known[candidates] = expression.holds(candidates)
    return known[candidates]
