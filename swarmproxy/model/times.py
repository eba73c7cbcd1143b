"""Moments and durations as Docker writes them, in nanoseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from swarmproxy.errors import BadRequest

NANOSECONDS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,18}))?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
_AS_DOCKER = re.compile(r"(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)\.(\d{1,9})Z", re.ASCII)  # nearly all
_UNIX = re.compile(r"(-?\d{1,12})(?:\.(\d{1,18}))?", re.ASCII)
_DURATION_PART = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "h": 3600 * NANOSECONDS,
}


def parse_rfc3339_ns(text: str) -> int:
    """Return the moment `text` names. Go's zero time (year 1) and an empty text are 0. Raises ValueError.

    A missing zone means UTC, a missing time of day midnight.
    """
    if not text or text.startswith("0001-"):
        return 0
    parts = _AS_DOCKER.fullmatch(text)
    if parts is not None:
        date, hours, minutes, seconds, fraction = parts.groups()
        since_midnight_s = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
        return (_midnight_s(date) + since_midnight_s) * NANOSECONDS + int(fraction.ljust(9, "0"))
    parts = _RFC3339.fullmatch(text)
    if parts is None:
        raise ValueError(f"not a time: {text!r}")
    date, time, fraction, zone = parts.groups()
    moment = datetime.fromisoformat(f"{date}T{time or '00:00'}{(zone or 'Z').upper()}")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * NANOSECONDS + _fraction_ns(fraction)


@lru_cache(maxsize=1024)
def _midnight_s(date: str) -> int:
    return (datetime.fromisoformat(date).replace(tzinfo=UTC) - _EPOCH).days * 86_400


def format_rfc3339(time_ns: int) -> str:
    """Return the moment in UTC to the second: `2026-11-21T07:55:07Z`."""
    return datetime.fromtimestamp(time_ns // NANOSECONDS, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_duration_ns(text: str) -> int:
    """Return the length of a Go duration such as `1h30m`, `-1.5s` or `0`. Raises ValueError."""
    sign = -1 if text.startswith("-") else 1
    unsigned = text[1:] if text[:1] in ("-", "+") else text
    if unsigned == "0":
        return 0
    if not unsigned or len(unsigned) > 100:
        raise ValueError(f"not a duration: {text!r}")
    total_ns, end = 0, 0
    for part in _DURATION_PART.finditer(unsigned):
        whole, fraction, unit = part.groups()
        if part.start() != end or not (whole or fraction):
            break
        unit_ns = _UNIT_NS[unit]
        total_ns += int(whole or 0) * unit_ns + _fraction_ns(fraction) * unit_ns // NANOSECONDS
        end = part.end()
    if end != len(unsigned):
        raise ValueError(f"not a duration: {text!r}")
    return sign * total_ns


def parse_moment_ns(text: str, *, now_ns: int) -> int:
    """Return the moment of a `since` or `until`: unix seconds with a fraction, RFC 3339, or a time ago.

    Raises BadRequest.
    """
    if unix := _UNIX.fullmatch(text):
        seconds, fraction = unix.groups()
        return int(seconds) * NANOSECONDS + _fraction_ns(fraction)
    for parse in (parse_rfc3339_ns, lambda text: now_ns - parse_duration_ns(text)):
        try:
            return parse(text)
        except ValueError:
            continue
    raise BadRequest(f"invalid time value: {text!r}: expected unix seconds, RFC 3339 or a duration such as 10m")


def _fraction_ns(digits: str | None) -> int:
    return int((digits or "0")[:9].ljust(9, "0"))
