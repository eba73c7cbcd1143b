"""The STATUS column of `docker ps`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.model.times import NANOSECONDS

if TYPE_CHECKING:
    from swarmproxy.model.container import Container

HOST_DOWN = "Host Down"  # in place of a status when the engine cannot be asked

_MINUTE_S = 60
_HOUR_S = 3600
_YEAR_S = 365 * 24 * _HOUR_S
_UNITS = (  # up to so many hours: how many of them one is, and what it is called
    (48, 1, "hours"),
    (24 * 7 * 2, 24, "days"),
    (24 * 30 * 2, 24 * 7, "weeks"),
    (24 * 365 * 2, 24 * 30, "months"),
)
_HEALTH = {"none": "", "starting": " (health: starting)"}
FOREVER_NS = 1 << 63


def status_text(container: Container, *, now_ns: int) -> str:
    """Return what an engine would say at `now_ns`: `Up 5 minutes (healthy)`, `Exited (0) 2 hours ago`.

    Empty if the container stopped and the engine does not know when. Source: moby, container/state.go.
    """
    return status_until(container, now_ns=now_ns)[0]


def status_until(container: Container, *, now_ns: int) -> tuple[str, int]:
    """Return the `status_text` of `now_ns`, and until when it stays the same, as long as the container does."""
    match container.state:
        case "running":
            up, until_ns = _since(container.started_ns, now_ns)
            health = container.health
            return f"Up {up}" if health == "none" else f"Up {up}{_HEALTH.get(health, f' ({health})')}", until_ns
        case "paused":
            up, until_ns = _since(container.started_ns, now_ns)
            return f"Up {up} (Paused)", until_ns
        case "restarting":
            ago, until_ns = _since(container.finished_ns, now_ns)
            return f"Restarting ({container.exit_code}) {ago} ago", until_ns
        case "removing":
            return "Removal In Progress", FOREVER_NS
        case "dead":
            return "Dead", FOREVER_NS
        case "created":
            return "Created", FOREVER_NS
    if not container.finished_ns:
        return "", FOREVER_NS
    ago, until_ns = _since(container.finished_ns, now_ns)
    return f"Exited ({container.exit_code}) {ago} ago", until_ns


def _since(moment_ns: int, now_ns: int) -> tuple[str, int]:
    """Return how long ago `moment_ns` is, in words, and the moment from which the words are others."""
    words, until_s = _duration(max(now_ns - moment_ns, 0) // NANOSECONDS)
    return words, moment_ns + until_s * NANOSECONDS


def _duration(seconds: int) -> tuple[str, int]:
    """Return a length in words, as Docker says it, and the length in seconds from which the words are others.

    Source: docker/go-units, duration.go; classic said weeks up to 90 days, today's engines up to 60.
    """
    if seconds < 1:
        return "Less than a second", 1
    if seconds < _MINUTE_S:
        return "1 second" if seconds == 1 else f"{seconds} seconds", seconds + 1
    if seconds < 2 * _MINUTE_S:
        return "About a minute", 2 * _MINUTE_S
    if seconds < _HOUR_S:
        minutes = seconds // _MINUTE_S
        return f"{minutes} minutes", (minutes + 1) * _MINUTE_S
    hours = (seconds + _HOUR_S // 2) // _HOUR_S  # rounded, all smaller units are cut off
    if hours <= 1:
        return "About an hour", _begin_of_hour(2)
    for most, length, unit in _UNITS:
        if hours < most:
            count = hours // length
            return f"{count} {unit}", _begin_of_hour(min((count + 1) * length, most))
    years = seconds // _YEAR_S
    return f"{years} years", (years + 1) * _YEAR_S


def _begin_of_hour(hours: int) -> int:
    """Return the length in seconds that is the first to be rounded to so many hours."""
    return hours * _HOUR_S - _HOUR_S // 2
