"""The node table of `docker info`, whose labels and order clients and scripts parse.

Source: classic Swarm 1.2, cluster/swarm/cluster.go and api/handlers.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING

from swarmproxy.model.times import NANOSECONDS, format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_BRANCH = "  └ "
UPDATED_AT = f"{_BRANCH}UpdatedAt"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLine:
    """What `docker info` shows of one engine. Totals include overcommit; an unknown name is empty."""

    name: str
    address: str
    id: str = ""
    status: str = "Pending"  # Healthy, Pending, Unhealthy or Disconnected
    availability: str = "active"  # or pause, drain: what operators said
    running: int = 0
    paused: int = 0
    stopped: int = 0
    reserved_cpus: int = 0
    total_cpus: int = 0
    reserved_memory_bytes: int = 0
    total_memory_bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    updated_at: float = 0.0  # unix seconds
    server_version: str = ""

    @property
    def containers(self) -> int:
        """All containers, whatever their state."""
        return self.running + self.paused + self.stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over all engines for the top of `docker info`."""

    containers: int
    running: int
    paused: int
    stopped: int
    cpus: int
    memory_bytes: int

    def but(self, *, without: Sequence[Totals], plus: Sequence[Totals]) -> Totals:
        """Return these sums with other parts."""

        def summed(name: str) -> int:
            read: Callable[[Totals], int] = attrgetter(name)
            return read(self) - sum(map(read, without)) + sum(map(read, plus))

        return Totals(**{each.name: summed(each.name) for each in fields(self)})


def totals(nodes: Iterable[NodeLine]) -> Totals:
    """Return the sums over `nodes`."""
    lines = list(nodes)
    return Totals(
        containers=sum(line.containers for line in lines),
        running=sum(line.running for line in lines),
        paused=sum(line.paused for line in lines),
        stopped=sum(line.stopped for line in lines),
        cpus=sum(line.total_cpus for line in lines),
        memory_bytes=sum(line.total_memory_bytes for line in lines),
    )


def head_rows(role: str, strategy: str, filters: Sequence[str], nodes: int, *, primary: str = "") -> list[list[str]]:
    """Return the rows above those of the nodes."""
    rows = [["Role", role]]
    if role == "replica":
        rows.append(["Primary", primary])
    return [*rows, ["Strategy", strategy], ["Filters", ", ".join(filters)], ["Nodes", str(nodes)]]


def place_of(line: NodeLine) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return the sort key of a node."""
    return natural_key(line.name), line.address


def updated_text(updated_at: int) -> str:
    """Return what stands beside UPDATED_AT: that changes with each answer of the node, all else hardly ever."""
    return format_rfc3339(updated_at * NANOSECONDS)


def node_rows(line: NodeLine) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of a node above and below that which says when it was heard of last."""
    count = str(line.containers)
    if line.status == "Healthy":
        count += f" ({line.running} Running, {line.paused} Paused, {line.stopped} Stopped)"
    used, total = human_size(line.reserved_memory_bytes), human_size(line.total_memory_bytes)
    rows = [
        [f" {line.name or '(unknown)'}", line.address],
        [f"{_BRANCH}ID", line.id],
        [f"{_BRANCH}Status", line.status],
        *([[f"{_BRANCH}Availability", line.availability]] if line.availability != "active" else ()),
        [f"{_BRANCH}Containers", count],
        [f"{_BRANCH}Reserved CPUs", f"{line.reserved_cpus} / {line.total_cpus}"],
        [f"{_BRANCH}Reserved Memory", f"{used} / {total}"],
        [f"{_BRANCH}Labels", ", ".join(f"{key}={line.labels[key]}" for key in sorted(line.labels))],
    ]
    if line.error:
        rows.append([f"{_BRANCH}Error", line.error])
    return rows, [[f"{_BRANCH}ServerVersion", line.server_version]]


def human_size(size_bytes: int) -> str:
    """Return the size in units of 1024 with 4 significant digits: `0 B`, `20 MiB`, `8.4 GiB`."""
    size, unit = float(size_bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.4g} {_UNITS[unit]}"


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which `node-2` comes before `node-10`. Spaces do not count."""
    parts = re.findall(r"\d+|\D", name.replace(" ", ""), re.ASCII)
    return tuple((0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts)
