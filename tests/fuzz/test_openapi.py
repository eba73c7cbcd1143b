"""The operators' API does what its own description says, whatever it is sent."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from swarmproxy.api.operators.app import PREFIX
from tests.monitoring.conftest import Stand

EXAMPLES = 20  # for each operation


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """Lend a manager of two simulated engines."""
    with ExitStack() as ends:
        stand = Stand(tmp_path)
        stand.start(ends)
        yield stand


def test_every_operation(stand: Stand) -> None:
    """No answer is an error of ours, and each has a status, a type and a shape that the description has."""
    schema: Any = schemathesis.openapi.from_url(f"http://127.0.0.1:{stand.port}{PREFIX}/openapi.json")
    tried = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(excluded_checks=[positive_data_acceptance])  # there are rules beside the schema

        holds()
        tried.add(operation.label)
    assert len(tried) == len([path for path in schema.raw_schema["paths"].values() for _ in path])
    assert "Traceback" not in stand.log
