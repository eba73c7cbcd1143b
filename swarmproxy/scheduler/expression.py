"""The expressions of constraints, affinities and whitelists: `storage==ssd`, `node==~/node[12]/`.

Source: classic Swarm 1.2, scheduler/filter/expr.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmproxy.errors import BadRequest
from swarmproxy.model.pattern import Budget, Pattern
from swarmproxy.model.pattern_syntax import PatternError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from swarmproxy.model.node import Node

MAX_LENGTH = 4096
MAX_EXPRESSIONS = 64  # of one kind, each of which is compared with every node

_OPERATORS = ("==", "!=")
_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE | re.ASCII)
_VALUE = re.compile(r"[=!/]?~?[a-z0-9@:\-_\s.*/()?+\[\]\\^$|]+", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Expression:
    """One condition. A soft one is given up if no node can satisfy all."""

    key: str
    operator: str
    value: str  # without the ~ of a soft one
    soft: bool
    pattern: Pattern = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, budget: Budget | None = None) -> Expression:
        """Return the expression that `text` writes. Raises BadRequest.

        The first `==` divides key and value, or else the first `!=`. A value that begins with `~` is soft,
        one between slashes is a regular expression, and any other covers the whole text, where `*` stands for
        any text and all else means what it means in a regular expression, as in classic. Unlike there, `@` may stand
        in a value: image digests have one.
        """
        operator = next((operator for operator in _OPERATORS if operator in text), "")
        if len(text) > MAX_LENGTH:
            raise BadRequest(f"an expression may be {MAX_LENGTH} characters long, not {len(text)}: '{text[:80]}...'")
        if not operator:
            raise BadRequest(f"One of operator ==, != is expected in '{text}'")
        key, _, written = text.partition(operator)
        if not _KEY.fullmatch(key):
            raise BadRequest(f"Key '{key}' is invalid")
        if not _VALUE.fullmatch(written):
            raise BadRequest(f"Value '{written}' is invalid")
        value = written.lstrip("~")
        try:
            pattern = _compile(value, budget)
        except PatternError as error:
            raise BadRequest(f"Value '{written}' is invalid: {error}") from error
        return cls(key, operator, value, value != written, pattern)

    def holds(self, candidates: Iterable[str]) -> bool:
        """Return whether one of `candidates` matches, or for `!=` whether none does."""
        only = self.pattern.only
        found = only in candidates if only is not None else any(map(self.pattern.search, candidates))
        return found is (self.operator == "==")

    def __str__(self) -> str:
        return f"{self.key}{self.operator}{self.value}"


def parse_all(texts: Iterable[str], *, soft: bool) -> list[Expression]:
    """Return the expressions in `texts`, soft ones only if `soft`. Raises BadRequest if one cannot be read.

    Together they may cost no more than one: see `Budget`.
    """
    texts = tuple(texts)
    if len(texts) > MAX_EXPRESSIONS:
        raise BadRequest(f"{len(texts)} expressions of one kind: at most {MAX_EXPRESSIONS} are looked at")
    budget = Budget()
    expressions = [Expression.parse(text, budget) for text in texts]
    return [expression for expression in expressions if soft or not expression.soft]


def first_broken(kind: str, wanted: Sequence[tuple[Expression, Callable[[Node], bool]]]) -> Callable[[Node], str]:
    """Return what says which of the `wanted` a node breaks first, as Filter.judge does. Each comes with its verdict."""

    def reason(node: Node) -> str:
        broken = next((each for each, holds in wanted if not holds(node)), None)
        return f"by {kind} {broken}" if broken else ""

    return reason


def _compile(value: str, budget: Budget | None) -> Pattern:
    if value.startswith("/"):
        if len(value) < 3 or not value.endswith("/"):
            raise PatternError("a regular expression stands between two slashes")
        return Pattern(value[1:-1], budget)
    if not value:
        raise PatternError("it is empty")
    return Pattern(f"^{value.replace('*', '.*')}$", budget)
