"""The STATUS column of `docker ps`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmproxy.model.times import NANOSECONDS

if TYPE_CHECKING:
    from swarmproxy.model.container import Container

HOST_DOWN = "Host Down"  # in place of a status when the engine cannot be asked

_MINUTE_S = 60
_HOUR_S = 3600


def status_text(container: Container, *, now_ns: int) -> str:
    """Return what an engine would say at `now_ns`: `Up 5 minutes (healthy)`, `Exited (0) 2 hours ago`.

    Empty if the container stopped and the engine does not know when. Source: moby, container/state.go.
    """
    up = f"Up {duration_text(now_ns - container.started_ns)}"
    ago = f"({container.exit_code}) {duration_text(now_ns - container.finished_ns)} ago"
    match container.state:
        case "paused":
            return f"{up} (Paused)"
        case "restarting":
            return f"Restarting {ago}"
        case "running":
            health = {"none": "", "starting": " (health: starting)"}.get(container.health, f" ({container.health})")
            return f"{up}{health}"
        case "removing":
            return "Removal In Progress"
        case "dead":
            return "Dead"
        case "created":
            return "Created"
    return f"Exited {ago}" if container.finished_ns else ""


def duration_text(duration_ns: int) -> str:
    """Return the length in words, as Docker says it; a negative one is `Less than a second`.

    Source: docker/go-units, duration.go; classic said weeks up to 90 days, today's engines up to 60.
    """
    seconds = max(duration_ns, 0) // NANOSECONDS
    hours = (seconds + _HOUR_S // 2) // _HOUR_S  # rounded, all smaller units are cut off
    if seconds < 1:
        return "Less than a second"
    if seconds < _MINUTE_S:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if seconds < 2 * _MINUTE_S:
        return "About a minute"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} minutes"
    if hours <= 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{seconds // _HOUR_S // 24 // 365} years"
