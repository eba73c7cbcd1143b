"""Shell patterns of references."""

import time

import pytest

from swarmproxy.errors import BadRequest
from swarmproxy.model.glob import Glob


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("busybox", "busybox", True),
        ("busybox", "busybox:latest", False),
        ("busy*", "busybox:latest", True),
        ("*box*", "busybox", True),
        ("*", "host/busybox", False),
        ("*/*", "host/busybox", True),
        ("*/busy*", "host/busybox:1", True),
        ("b?sybox", "busybox", True),
        ("a?b", "a/b", False),
        ("[a-c]usybox", "busybox", True),
        ("[^a-c]usybox", "busybox", False),
        ("[^a-c]usybox", "dusybox", True),
        ("[]a]", "a", None),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        (r"[\]]", "]", True),
        ("a*b*c", "aXbXbXc", True),
        ("a*b*c", "aXbX", False),
        ("", "", True),
        ("*", "", True),
        ("[", "a", None),
        ("[a", "a", None),
        ("[a-", "a", None),
        ("a\\", "a", None),
    ],
)
def test_pattern_covers_a_text(pattern: str, text: str, matches: bool | None) -> None:
    """A pattern covers the whole text, its stars stop at slashes, and a malformed one (None) is refused."""
    if matches is None:
        with pytest.raises(BadRequest, match="syntax error in pattern"):
            Glob(pattern)
    else:
        assert Glob(pattern).matches(text) is matches


def test_costly_pattern_is_cheap() -> None:
    """A pattern with many stars costs the product of the lengths at most."""
    glob = Glob("*a" * 500)
    begun = time.process_time()
    assert not glob.matches("a" * 499 + "b" * 500)
    assert time.process_time() - begun < 5


def test_long_pattern_is_refused() -> None:
    """A pattern is bounded."""
    with pytest.raises(BadRequest, match="1024 characters"):
        Glob("a" * 1025)
