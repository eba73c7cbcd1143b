"""The second table: how soon nodes and leaders come and go, in each kind of store. It has no peer to compare with."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

FILE, ETCD, CONSUL, ZOOKEEPER = "file", "etcd v3", "consul", "zookeeper"
PLACES = (FILE, ETCD, CONSUL, ZOOKEEPER)
STORES = PLACES[1:]  # have a TTL and a lock
TTL_S = 3  # of entries and of the leader's lock: the least that all stores take, in whole seconds
ENTRIES = 1000
CAPTION = (
    f"TTL {TTL_S} s, in consul with `session_ttl_min = 1s`. CPU is what an entry that comes or goes costs the manager,"
    " with dialling an empty node."
)

Samples = dict[str, dict[str, list[float]]]
"""What was measured: by row, then by place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipRow:
    """A line of the table. Its goal is reached when `judge` of its samples is at most `at_most`."""

    key: str
    title: str
    unit: str
    at_most: float
    judge: Callable[[Iterable[float]], float] = statistics.median
    over_ttl: bool = False  # seconds are counted from the end of the TTL
    places: Sequence[str] = STORES

    @property
    def goal(self) -> str:
        what = "max" if self.judge is max else "p50"
        return f"{what} ≤ {'TTL + ' if self.over_ttl else ''}{self.at_most:g} {self.unit}"

    def format(self, samples: Sequence[float]) -> str:
        """Return median and worst of the samples."""
        width = "+.2f" if self.over_ttl else ".1f" if self.unit == "ms" else ".2f"
        return " / ".join(format(value, width) for value in (statistics.median(samples), max(samples)))


ADDED = MembershipRow(
    key="membership-added", title="node registered, until shown as healthy", unit="ms", at_most=100, places=PLACES
)
KILLED = MembershipRow(
    key="membership-killed", title="agent killed, until its node is gone", unit="s", at_most=1, judge=max, over_ttl=True
)
LEADER_KILLED = MembershipRow(
    key="membership-leader-killed",
    title="leader killed, until another leads",
    unit="s",
    at_most=2,
    judge=max,
    over_ttl=True,
)
LEADER_RESIGNED = MembershipRow(
    key="membership-leader-resigned", title="leader told to end, until another leads", unit="s", at_most=1, judge=max
)
CPU = MembershipRow(
    key="membership-cpu",
    title=f"one change of {ENTRIES:,} entries, manager's CPU",
    unit="ms",
    at_most=5,
    places=PLACES,
)
MEMBERSHIP_ROWS = (ADDED, KILLED, LEADER_KILLED, LEADER_RESIGNED, CPU)


def select_membership_rows(patterns: str) -> list[MembershipRow]:
    """Return the rows whose keys match one of the comma-separated patterns, all for an empty text."""
    wanted = [pattern.strip() for pattern in patterns.split(",")] if patterns else ["*"]
    return [row for row in MEMBERSHIP_ROWS if any(fnmatch(row.key, pattern) for pattern in wanted)]


def membership_table(rows: Iterable[MembershipRow], samples: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return the samples as a Markdown table: median and worst for each place, and whether all reach the goal."""
    lines = [
        ["Membership", "unit", *PLACES, "goal", ""],
        ["---", "---", *["---:"] * len(PLACES), "---", "---"],
    ]
    for row in rows:
        measured = samples.get(row.key, {})
        cells = [row.format(measured[place]) if measured.get(place) else "" for place in PLACES]
        met = all(measured.get(place) and row.judge(measured[place]) <= row.at_most for place in row.places)
        unit = f"{row.unit}{' over the TTL' if row.over_ttl else ''}, p50 / max"
        lines.append([row.title, unit, *cells, row.goal, "ok" if met else "MISS"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n\n{CAPTION}"
