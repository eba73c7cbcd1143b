"""Where the tests are that `make test` looks for by a mark: to look through all others for them takes long."""

from pathlib import Path

TESTS = Path(__file__).parent
PLACES = {
    "chaos": ("tests/chaos",),
    "image": ("tests/deploy", "tests/integration/test_image.py"),
    "engines": ("tests/api", "tests/engine", "tests/hosts", "tests/integration"),
    "stores": ("tests/cli", "tests/discovery", "tests/hub", "tests/leader"),
}
"""By mark; of several that a test has, the first one counts."""


def is_in_place(path: Path, mark: str) -> bool:
    """Say whether the tests with `mark` in a file would be found."""
    places = [TESTS.parent / place for place in PLACES[mark]]
    return any(path == place or place in path.parents for place in places)
