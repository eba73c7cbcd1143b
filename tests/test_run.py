"""The groups of `make test` run every test once."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def collect(*options: str) -> list[str]:
    """Return the tests that pytest would run with `options`."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY)
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_shares() -> None:
    """The shares have no test in common, and none is in no share."""
    places = ("tests/model", "tests/scheduler")
    shares = [collect("--share", f"{number}/2", *places) for number in (1, 2)]
    assert all(shares)
    assert sorted(shares[0] + shares[1]) == sorted(collect(*places))


def test_marks() -> None:
    """What needs engines is known by its fixtures or its place, without a mark in the test."""
    places = ("tests/hosts/test_engines.py", "tests/integration", "tests/test_architecture.py")
    with_engines = collect("-m", "engines", *places)
    assert {name.partition("::")[0] for name in with_engines} >= {places[0]}
    assert any(name.startswith(places[1]) for name in with_engines)
    assert not any(name.startswith(places[2]) for name in with_engines)
