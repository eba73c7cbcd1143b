"""The lines of the table, what must be reached at each size, and what classic Swarm reached."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class _Figure(NamedTuple):
    key: str  # of a sample
    unit: str
    decimals: int
    higher_is_better: bool = False


class Figure(Enum):
    """What a row shows. Of latencies all three percentiles are shown, and the first is compared."""

    LATENCY = _Figure("p50_ms", "ms", 3)
    LAST = _Figure("last_ms", "ms", 1)
    RATE = _Figure("rate", "/s", 0, higher_is_better=True)
    READY = _Figure("ready_s", "s", 2)
    CPU = _Figure("cpu_s", "s of CPU", 2)
    MEMORY = _Figure("memory_mib", "MiB", 0)
    IDLE = _Figure("idle_percent", "% of a core", 2)
    UNEVEN = _Figure("uneven", "containers", 0)
    FLAGGED = _Figure("flagged_s", "s", 1)

    @property
    def is_time(self) -> bool:
        """Whether it can be compared with how long a direct ping takes."""
        return self in {Figure.LATENCY, Figure.LAST, Figure.RATE, Figure.CPU}


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound of one figure of the row's sample."""

    key: str
    at_most: float | None = None
    at_least: float | None = None

    def is_met(self, sample: Mapping[str, float]) -> bool:
        value = sample.get(self.key)
        if value is None:
            return False
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def __str__(self) -> str:
        name = {"p50_ms": "", "p99_ms": "p99 ", "rate": "", "last_ms": ""}.get(self.key, "")
        unit = " /s" if self.key == "rate" else ""
        return f"{name}≤ {self.at_most:g}" if self.at_most is not None else f"{name}≥ {self.at_least:,g}{unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table, at each size. `bench` names the measurement, and `goals` and `classic` go by size.

    `limit` says what stands in the way where a goal is missed.
    """

    key: str
    title: str
    figure: Figure = Figure.LATENCY
    bench: str = ""
    goals: Mapping[int, tuple[Goal, ...]] = field(default_factory=dict)
    classic: Mapping[int, float] = field(default_factory=dict)
    limit: str = ""

    @property
    def measured_by(self) -> str:
        return self.bench or self.key


Sizes = Mapping[int, float]


def _p50(at_most: Sizes) -> dict[int, tuple[Goal, ...]]:
    return {size: (Goal("p50_ms", at_most=value),) for size, value in at_most.items()}


def _rate(at_least: Sizes) -> dict[int, tuple[Goal, ...]]:
    return {size: (Goal("rate", at_least=value),) for size, value in at_least.items()}


def _most(figure: Figure, at_most: Sizes) -> dict[int, tuple[Goal, ...]]:
    return {size: (Goal(figure.value.key, at_most=value),) for size, value in at_most.items()}


ALL = (10, 1000, 10_000)
DIALOGUE = "four round trips to the engine, two to do it and two to read what became of it, in one Python process"
SHORT_LIST = "one Python process reads the request and its filters, finds ten containers, says how long each is up"
WAKE_UPS = "each hop wakes an idle core, and one Python process parses, decides and relays"
READING = (
    "37 requests to each engine, whose answers one Python process reads, checks and indexes, after it has loaded its"
    " modules, which takes what reading 350 engines does"
)
WATCHING = (
    "each engine ends its event stream every 8 s, which is how one that hangs is known in 15 s, and is asked for its"
    " lists once or twice a minute: two thirds and one third of it"
)
# Classic's figures: 2 shared x86-64 cores, loopback, engines like ours. Its goals at 10 engines are its own figures.
ROWS = (
    Row(
        key="ready",
        title="start, until all is healthy and listed",
        figure=Figure.READY,
        goals=_most(Figure.READY, {1000: 1.5, 10_000: 15}),
        classic={10: 0.08, 100: 0.64, 1000: 5.6, 3000: 13},
        limit=READING,
    ),
    Row(key="ready-cpu", title="what that costs", figure=Figure.CPU, bench="ready"),
    Row(
        key="memory",
        title="memory then",
        figure=Figure.MEMORY,
        bench="ready",
        goals=_most(Figure.MEMORY, {1000: 180, 10_000: 1228}),
        classic={10: 24, 100: 92, 1000: 814, 3000: 2386},
        limit="Python's modules, then the JSON of each container",
    ),
    Row(
        key="idle",
        title="CPU, idle",
        figure=Figure.IDLE,
        goals=_most(Figure.IDLE, {1000: 1.5, 10_000: 12}),
        classic={10: 0.03, 100: 0.25, 1000: 2.5, 3000: 5.5},
        limit=WATCHING,
    ),
    Row(key="idle-memory", title="memory after that", figure=Figure.MEMORY, bench="idle"),
    Row(
        key="ping",
        title="`/_ping`",
        goals=_p50({10: 0.023}),
        classic={10: 0.023, 100: 0.022, 1000: 0.018, 3000: 0.018},
        limit="a Python protocol takes 20 µs to read a request and write its answer",
    ),
    Row(
        key="info",
        title="`info`",
        goals={
            **_p50({10: 0.135, 1000: 4}),
            10_000: (Goal("p99_ms", at_most=60),),
        },
        classic={10: 0.135, 100: 1.58, 1000: 31, 3000: 96},
        limit="eight lines of text for each engine: half of the time is the write of the answer",
    ),
    Row(
        key="ps",
        title="`ps -a`, all containers",
        goals=_p50({10: 1.15, 1000: 30}),
        classic={10: 1.15, 100: 15, 1000: 257, 3000: 1185},
        limit="the answer has 28 MB at 1,000 engines: what joins and sends it",
    ),
    Row(
        key="ps-limit",
        title="`ps`, limit of 10",
        goals=_p50({10: 0.21, 1000: 1}),
        classic={10: 0.21, 100: 2.4, 1000: 56, 3000: 754},
        limit=SHORT_LIST,
    ),
    Row(
        key="ps-label",
        title="`ps`, label filter, 10 found",
        goals=_p50({10: 0.12, 1000: 1}),
        classic={10: 0.12, 100: 1.7, 1000: 48, 3000: 245},
        limit=SHORT_LIST,
    ),
    Row(key="ps-name", title="`ps`, name filter, 10 found", goals=_p50({1000: 1}), limit="a search in all names"),
    Row(
        key="ps-id",
        title="`ps`, id filter",
        goals=_p50({10: 2.2, 1000: 1}),
        classic={10: 2.2, 100: 38, 1000: 412, 3000: 555},
        limit=SHORT_LIST,
    ),
    Row(
        key="inspect",
        title="inspect by ID",
        goals=_p50({10: 0.18, 1000: 0.12}),
        classic={10: 0.18, 100: 0.46, 1000: 2.6, 3000: 8},
        limit=WAKE_UPS,
    ),
    Row(
        key="inspect-name",
        title="inspect by name",
        goals=_p50({10: 0.23, 1000: 0.12}),
        classic={10: 0.23, 100: 0.96, 1000: 22, 3000: 66},
        limit=WAKE_UPS,
    ),
    Row(
        key="top-1",
        title="`top`",
        goals=_p50({10: 0.10, 1000: 0.12}),
        classic={10: 0.10, 100: 0.28, 1000: 2.6, 3000: 48},
        limit=WAKE_UPS,
    ),
    Row(
        key="top-10",
        title="`top`, 10 clients",
        figure=Figure.RATE,
        goals=_rate({10: 10_073, 1000: 20_000}),
        classic={10: 10_073, 100: 3229, 1000: 288, 3000: 27},
        limit="manager, load generator and engines share two cores",
    ),
    Row(key="networks", title="`network ls`"),
    Row(
        key="exec",
        title="exec, until the first echo",
        goals=_p50({10: 0.79, 1000: 0.7}),
        classic={10: 0.79, 100: 1.17, 1000: 4.8},
        limit="two requests and two new connections: one of the client's, and one to the engine for its stream",
    ),
    Row(
        key="create-1",
        title="create + start, 1 client",
        goals={**_p50({10: 1.24, 1000: 1.5}), 10_000: (Goal("p99_ms", at_most=20),)},
        classic={10: 1.24, 100: 3.4, 1000: 34, 3000: 186},
        limit=DIALOGUE,
    ),
    Row(key="create-10", title="create + start, 10 clients", figure=Figure.RATE, limit=DIALOGUE),
    Row(
        key="create-50",
        title="create + start, 50 clients",
        figure=Figure.RATE,
        goals=_rate({10: 649, 1000: 700}),
        classic={10: 649, 100: 208, 1000: 24, 3000: 2.8},
        limit=DIALOGUE,
    ),
    Row(
        key="spread",
        title="most less fewest created on a node",
        figure=Figure.UNEVEN,
        goals=_most(Figure.UNEVEN, dict.fromkeys(ALL, 1.0)),
    ),
    Row(key="remove", title="remove a running container"),
    Row(
        key="event",
        title="event to 1,000 readers",
        goals=_p50({10: 8, 1000: 8}),
        classic={10: 8, 100: 10, 1000: 8},
        limit="a thousand writes to sockets",
    ),
    Row(
        key="event-last",
        title="the same, until the last has it",
        figure=Figure.LAST,
        bench="event",
        goals=_most(Figure.LAST, {10: 12, 1000: 26}),
        classic={10: 12, 100: 12, 1000: 26},
        limit="a thousand writes to sockets",
    ),
    Row(
        key="events-to-many",
        title="100,000 events delivered to 1,000 readers",
        figure=Figure.RATE,
        goals=_rate({10: 81_000, 1000: 150_000}),
        classic={10: 81_000, 100: 73_000, 1000: 61_000},
        limit="the load generator reads as slowly as the manager writes: a write and a read for each piece",
    ),
    Row(key="events-of-many", title="100,000 events of all engines to 1 reader, 1,000 at once", figure=Figure.RATE),
    Row(key="log", title="line of a log to 1,000 followers"),
    Row(key="log-burst", title="100,000 lines to 1,000 followers", figure=Figure.RATE),
    Row(
        key="refusing",
        title="engine refuses, until it is flagged",
        figure=Figure.FLAGGED,
        goals=_most(Figure.FLAGGED, dict.fromkeys(ALL, 5.0)),
        classic={1000: 167},
    ),
    Row(
        key="hung",
        title="engine hangs, until it is flagged",
        figure=Figure.FLAGGED,
        goals=_most(Figure.FLAGGED, dict.fromkeys(ALL, 15.0)),
        classic={1000: 150},
    ),
    Row(
        key="top-beside",
        title="`top` on another engine meanwhile",
        goals={size: (Goal("p99_ms", at_most=1.0),) for size in ALL},
        limit="all is done in one event loop: what else it does at the worst moment",
    ),
    Row(key="loaded-memory", title="memory after all of this", figure=Figure.MEMORY, bench="top-beside"),
)
