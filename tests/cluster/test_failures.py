"""Several engines' failures as one."""

import pytest

from swarmproxy.cluster.failures import combined
from swarmproxy.errors import EngineError, EngineUnreachable, SwarmError


@pytest.mark.parametrize(
    ("failures", "asked", "status", "text"),
    [
        ([("a", EngineError(404, "no"))], 1, 404, "no"),
        ([("a", EngineError(404, "no")), ("b", EngineError(404, "no"))], 2, 404, "no"),
        ([("a", EngineError(404, "no")), ("b", EngineError(404, "no"))], 3, 404, "a: no\nb: no"),
        ([("a", EngineError(404, "no")), ("b", EngineError(404, "not"))], 2, 404, "a: no\nb: not"),
        ([("a", EngineError(404, "no")), ("b", EngineError(409, "no"))], 2, None, "no"),
        ([("a", EngineError(404, "no")), ("b", EngineUnreachable("gone"))], 2, None, "a: no\nb: gone"),
    ],
)
def test_one_error_for_all(failures: list[tuple[str, SwarmError]], asked: int, status: int | None, text: str) -> None:
    """Engines that fail alike speak as one daemon; otherwise each node is named. A common status is kept."""
    error = combined(failures, asked=asked)
    assert str(error) == text
    assert (error.status if isinstance(error, EngineError) else None) == status


def test_a_lone_failure_keeps_its_kind() -> None:
    """If all that were asked failed in one way, it is their own error."""
    failure = EngineUnreachable("gone")
    assert combined([("a", failure)], asked=1) is failure
