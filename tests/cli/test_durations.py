"""Durations as Go writes them."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swarmproxy.durations import format_duration, parse_duration
from swarmproxy.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("0s", 0),
        ("10s", 10),
        ("1m30s", 90),
        ("1h", 3600),
        ("-1.5h", -5400),
        ("+5s", 5),
        ("500ms", 0.5),
        (".5s", 0.5),
        ("1.s", 1),
        ("3us", 3e-6),
        ("3\u00b5s", 3e-6),
        ("3\u03bcs", 3e-6),
        ("7ns", 7e-9),
        ("1h0m0.25s", 3600.25),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    """A duration is a signed sum of numbers with units."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("s", 'time: invalid duration "s"'),
        (".s", 'time: invalid duration ".s"'),
        ("10", 'time: missing unit in duration "10"'),
        ("1m30", 'time: missing unit in duration "1m30"'),
        ("10d", 'time: unknown unit "d" in duration "10d"'),
        ("1 s", 'time: unknown unit " s" in duration "1 s"'),
        ("s1", 'time: invalid duration "s1"'),
        ("--1s", 'time: invalid duration "--1s"'),
        ("1.2.3s", 'time: missing unit in duration "1.2.3s"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
        ("\u0663s", 'time: invalid duration "\u0663s"'),
    ],
)
def test_refuse(text: str, error: str) -> None:
    """What is no duration is refused in Go's words."""
    with pytest.raises(ConfigError) as caught:
        parse_duration(text)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (60, "1m0s"),
        (3600, "1h0m0s"),
        (1.5, "1.5s"),
        (0.25, "250ms"),
        (1e-6, "1\u00b5s"),
        (-90, "-1m30s"),
    ],
)
def test_format(seconds: float, text: str) -> None:
    """A duration is printed as Go prints it."""
    assert format_duration(seconds) == text


@given(st.integers(-(10**15), 10**15))
def test_round_trip(microseconds: int) -> None:
    """Every duration is read back from what is printed."""
    assert parse_duration(format_duration(microseconds / 1e6)) == pytest.approx(microseconds / 1e6)


@given(st.text())
@example("1" * 100_000 + "s")
def test_any_text(text: str) -> None:
    """Any text at all is a duration or a ConfigError."""
    with suppress(ConfigError):
        assert abs(parse_duration(text)) < 1e10
