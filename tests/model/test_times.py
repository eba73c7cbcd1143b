"""Moments and durations."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest
from swarmproxy.model.times import format_rfc3339, parse_duration_ns, parse_moment_ns, parse_rfc3339_ns

NS = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("", 0),
        ("0001-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01Z", NS),
        ("2023-11-14T22:13:20.000000005Z", 1_700_000_000 * NS + 5),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000 * NS + NS // 2),
        ("2023-11-14T22:13", 1_699_999_980 * NS),
        ("2023-11-14", 1_699_920_000 * NS),
    ],
)
def test_rfc3339(text: str, time_ns: int) -> None:
    """Docker's moments are read to the nanosecond, and Go's zero time is 0."""
    assert parse_rfc3339_ns(text) == time_ns


@given(st.integers(0, 7_000_000_000))
def test_round_trip(seconds: int) -> None:
    """A moment that is written and read again is the same to the second."""
    assert parse_rfc3339_ns(format_rfc3339(seconds * NS)) == seconds * NS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10m", 600), ("1h30m", 5400), ("1.5s", 1.5), (".5s", 0.5), ("-2s", -2), ("0", 0), ("100ms", 0.1)],
)
def test_duration(text: str, seconds: float) -> None:
    """Go's durations are read."""
    assert parse_duration_ns(text) == seconds * NS


@pytest.mark.parametrize("text", ["", "m", "10", "1x", "1h 2m", "--1s", ".s", "1s" * 100])
def test_bad_duration(text: str) -> None:
    """What is no duration is refused."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration_ns(text)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("5", 5 * NS),
        ("5.25", 5 * NS + NS // 4),
        ("0", 0),
        ("-1", -NS),
        ("1970-01-01T00:00:05Z", 5 * NS),
        ("10s", 90 * NS),
    ],
)
def test_moment(text: str, time_ns: int) -> None:
    """`since` and `until` take unix seconds, RFC 3339 and durations before now."""
    assert parse_moment_ns(text, now_ns=100 * NS) == time_ns


@pytest.mark.parametrize("text", ["yesterday", "1e9", "٥", "2023-13-01", "2023-11-14T25:00:00Z", "5,5"])
def test_bad_moment(text: str) -> None:
    """What names no moment is the client's mistake."""
    with pytest.raises(BadRequest, match="invalid time value"):
        parse_moment_ns(text, now_ns=0)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser fail in another way."""
    with suppress(BadRequest):
        parse_moment_ns(text, now_ns=0)
