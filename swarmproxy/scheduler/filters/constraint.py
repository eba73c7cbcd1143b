"""Only nodes whose labels are as the user wants: `-e constraint:storage==ssd`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.scheduler.crowd import where
from swarmproxy.scheduler.expression import Expression, parse_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec


class ConstraintFilter:
    """Compares with engine labels, a missing one being an empty text; the key `node` with ID and name."""

    name = "constraint"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:
        """Return the nodes that satisfy every constraint, soft ones only if `soft`. Raises BadRequest."""
        kept = nodes
        for expression in parse_all(spec.expressions.constraints, soft=soft):
            kept = where(kept, f"constraint {expression}", _verdict(expression))
        return kept

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return all constraints."""
        return [str(expression) for expression in parse_all(spec.expressions.constraints, soft=True)]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:
        """See Filter: the reason is the first constraint that does not hold."""
        wanted = [(each, _verdict(each)) for each in parse_all(spec.expressions.constraints, soft=soft)]

        def reason(node: Node) -> str:
            broken = next((each for each, holds in wanted if not holds(node)), None)
            return f"by constraint {broken}" if broken else ""

        return reason


def _verdict(expression: Expression) -> Callable[[Node], bool]:
    """Return what says whether a node satisfies `expression`."""
    if expression.key == "node":
        return lambda node: expression.holds((node.id, node.name))
    key, verdicts = expression.key, _Verdicts(expression)
    return lambda node: verdicts[node.labels.get(key, "")]


class _Verdicts(dict[str, bool]):
    """Whether a value satisfies an expression, worked out once each: labels take few values."""

    def __init__(self, expression: Expression) -> None:
        super().__init__()
        self._expression = expression

    def __missing__(self, value: str) -> bool:
        self[value] = self._expression.holds((value,))
        return self[value]
