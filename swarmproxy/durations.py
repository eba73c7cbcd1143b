"""Durations as Go writes them, `1m30s`: the form of every interval on the command line."""

import re

from swarmproxy.errors import ConfigError

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # the micro sign
    "\u03bcs": 1_000,  # the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_MAX_NS = 2**63 - 1
_MAX_LENGTH = 200  # characters: nobody means more, and int() of very long digits is slow
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")


def parse_duration(text: str) -> float:
    """Return the seconds in `text`, like `-1.5h`, `1m30s`, `500ms` or a bare `0`.

    Raises ConfigError in Go's words.
    Source: Go's time.ParseDuration.
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    invalid = ConfigError(f'time: invalid duration "{text}"')
    if not rest or len(rest) > _MAX_LENGTH:
        raise invalid
    total_ns = 0
    while rest:
        found = _PART.match(rest)
        if found is None or not (found[1] or found[2]):
            raise invalid
        whole, fraction, unit = found[1], found[2] or "", found[3]
        if not unit:
            raise ConfigError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS_NS:
            raise ConfigError(f'time: unknown unit "{unit}" in duration "{text}"')
        total_ns += int(whole + fraction or "0") * _UNITS_NS[unit] // 10 ** len(fraction)
        rest = rest[found.end() :]
    if total_ns > _MAX_NS:
        raise invalid
    return sign * total_ns / 1e9


def format_duration(seconds: float) -> str:
    """Return `seconds` as Go prints a duration: `1m0s`, `1.5s`, `250ms`, `0s`."""
    ns = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and ns else ""
    if ns == 0:
        return "0s"
    for unit in ("ns", "\u00b5s", "ms"):
        if ns < 1000 * _UNITS_NS[unit]:
            return f"{sign}{_decimal(ns, _UNITS_NS[unit])}{unit}"
    minutes, rest_ns = divmod(ns, _UNITS_NS["m"])
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{before}{_decimal(rest_ns, _UNITS_NS['s'])}s"


def _decimal(count: int, unit: int) -> str:
    """Return count / unit without trailing zeros and without rounding; `unit` is a power of ten."""
    whole, rest = divmod(count, unit)
    digits = str(unit + rest)[1:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
