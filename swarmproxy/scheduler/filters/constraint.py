"""Only nodes whose labels are as the user wants: `-e constraint:storage==ssd`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.scheduler.crowd import where
from swarmproxy.scheduler.expression import Expression, first_broken, parse_all
from swarmproxy.scheduler.sieve import by_texts, by_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmproxy.model.node import Node
    from swarmproxy.model.spec import ContainerSpec
    from swarmproxy.scheduler.crowd import Sieve


class ConstraintFilter:
    """Compares with engine labels, a missing one being an empty text; the key `node` with ID and name."""

    name = "constraint"

    def keep(self, spec: ContainerSpec, nodes: Sequence[Node], *, soft: bool) -> Sequence[Node]:
        """Return the nodes that satisfy every constraint, soft ones only if `soft`. Raises BadRequest."""
        kept = nodes
        for expression in parse_all(spec.expressions.constraints, soft=soft):
            kept = where(kept, f"constraint {expression}", *_verdict(expression))
        return kept

    def describe(self, spec: ContainerSpec) -> list[str]:
        """Return all constraints."""
        return [str(expression) for expression in parse_all(spec.expressions.constraints, soft=True)]

    def judge(self, spec: ContainerSpec, *, soft: bool) -> Callable[[Node], str]:
        """See Filter: the reason is the first constraint that does not hold."""
        wanted = [(each, _verdict(each)[0]) for each in parse_all(spec.expressions.constraints, soft=soft)]
        return first_broken("constraint", wanted)


def _verdict(expression: Expression) -> tuple[Callable[[Node], bool], Sieve | None]:
    """Return what says whether a node satisfies `expression`, and the same for all nodes together."""
    if expression.key == "node":
        wanted = expression.operator == "=="
        sieve = by_texts("identity", _identity, expression.pattern, wanted=wanted)
        return lambda node: expression.holds(_identity(node)), sieve
    key, verdicts = expression.key, _Verdicts(expression)

    def value_of(node: Node) -> str:
        return node.labels.get(key, "")

    return lambda node: verdicts[value_of(node)], by_value(f"label {key}", value_of, verdicts)


def _identity(node: Node) -> tuple[str, str]:
    return node.id, node.name


class _Verdicts(dict[str, bool]):
    """Whether a value satisfies an expression, worked out once each: labels take few values."""

    def __init__(self, expression: Expression) -> None:
        super().__init__()
        self._expression = expression

    def __missing__(self, value: str) -> bool:
        self[value] = self._expression.holds((value,))
        return self[value]
