"""What is measured, and what must be reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from benchmarks.jobs import Job, Kind

DIRECT, HAPROXY, OURS, OTHER = "direct", "haproxy", "swarmproxy", "other"
MIB = 1 << 20
EXPORT_BYTES = 1024 * MIB
PUT_BYTES = 512 * MIB
STREAMS = 1000

TOP = "/v1.51/containers/{container}/top"
EXPORT = "/v1.51/containers/{container}/export"
ARCHIVE = "/v1.51/containers/{container}/archive?path=%2Ftmp"
LOGS = "/v1.51/containers/{container}/logs?follow=1&stdout=1&stderr=1"


class _Figure(NamedTuple):
    key: str  # of a sample
    unit: str
    higher_is_better: bool
    decimals: int


class Figure(Enum):
    """A kind of result that a row can show."""

    P50 = _Figure("p50_ms", "ms", higher_is_better=False, decimals=3)
    RATE = _Figure("rate", "/s", higher_is_better=True, decimals=0)
    THROUGHPUT = _Figure("mb_s", "MB/s", higher_is_better=True, decimals=0)
    GROWTH = _Figure("growth_mib", "MiB", higher_is_better=False, decimals=1)
    PER_STREAM = _Figure("stream_kib", "KiB each", higher_is_better=False, decimals=1)

    @property
    def is_memory(self) -> bool:
        """Whether the worst of several runs counts: memory freed by one run hides what the next one takes."""
        return self in {Figure.GROWTH, Figure.PER_STREAM}

    def format(self, value: float) -> str:
        return f"{value:,.{self.value.decimals}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a row must reach; every bound that is given counts."""

    at_least: float | None = None
    at_most: float | None = None
    over_direct: float | None = None  # at most this much more than direct
    of_haproxy: float | None = None  # at least this share of HAProxy's figure

    def __str__(self) -> str:
        bounds = []
        if self.at_least is not None:
            bounds.append(f"≥ {self.at_least:,g}")
        if self.at_most is not None:
            bounds.append(f"≤ {self.at_most:g}")
        if self.over_direct is not None:
            bounds.append(f"≤ direct + {self.over_direct:g}")
        if self.of_haproxy is not None:
            bounds.append("≥ HAProxy" if self.of_haproxy == 1 else f"≥ {self.of_haproxy:.2g} × HAProxy")
        return ", ".join(bounds)

    def is_met(self, value: float, others: Mapping[str, float]) -> bool:
        """Say whether `value` reaches the goal; a bound whose peer was not measured is passed over."""
        direct, haproxy = others.get(DIRECT), others.get(HAPROXY)
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.over_direct is None or direct is None or value - direct <= self.over_direct)
            and (self.of_haproxy is None or haproxy is None or value >= self.of_haproxy * haproxy)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A job and against what it is run. The order of `BENCHES` is the order of running."""

    key: str
    job: Job
    tls: bool = False
    except_for: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table: one figure of one bench."""

    key: str
    title: str
    bench: str
    figure: Figure
    goal: Goal | None = None
    except_for: frozenset[str] = frozenset()


def _requests(key: str, path: str, clients: int, *, tls: bool = False) -> Bench:
    return Bench(key=key, job=Job(kind=Kind.REQUESTS, path=path, clients=clients), tls=tls)


_EXPORT = Job(kind=Kind.DOWNLOAD, path=EXPORT, size_bytes=EXPORT_BYTES)
_PUT = Job(kind=Kind.UPLOAD, path=ARCHIVE, size_bytes=PUT_BYTES)
_PUT_CHUNKED = Job(kind=Kind.UPLOAD, path=ARCHIVE, size_bytes=PUT_BYTES, chunked=True)
_NEW = Job(kind=Kind.CONNECTIONS, path=TOP)
_ECHO = Job(kind=Kind.ECHO)
# HAProxy takes the Upgrade header off a request with a body, so an exec never becomes a stream behind it.
_NOT_HAPROXY = frozenset({HAPROXY})
# The engine's memory is not what the table is about.
_NOT_DIRECT = frozenset({DIRECT})

BENCHES = (
    # Memory first, while no other row has made and freed any.
    Bench(key="logs", job=Job(kind=Kind.OPEN_STREAMS, path=LOGS, clients=STREAMS)),
    Bench(key="export", job=_EXPORT),
    Bench(key="put", job=_PUT),
    Bench(key="put-chunked", job=_PUT_CHUNKED),
    _requests("ping-1", "/_ping", 1),
    _requests("ping-10", "/_ping", 10),
    _requests("top-1", TOP, 1),
    _requests("top-10", TOP, 10),
    Bench(key="top-new", job=_NEW),
    Bench(key="exec-byte", job=_ECHO, except_for=_NOT_HAPROXY),
    _requests("info-1", "/v1.51/info", 1),
    _requests("info-10", "/v1.51/info", 10),
    _requests("ps-1", "/v1.51/containers/json", 1),
    _requests("ps-10", "/v1.51/containers/json", 10),
    Bench(key="create-1", job=Job(kind=Kind.CREATE)),
    Bench(key="create-50", job=Job(kind=Kind.CREATE, clients=50)),
    Bench(key="tls-export", job=_EXPORT, tls=True),
    Bench(key="tls-put", job=_PUT, tls=True),
    _requests("tls-top-1", TOP, 1, tls=True),
    _requests("tls-top-10", TOP, 10, tls=True),
    Bench(key="tls-top-new", job=_NEW, tls=True),
    Bench(key="tls-exec-byte", job=_ECHO, tls=True, except_for=_NOT_HAPROXY),
)


def _row(
    key: str,
    title: str,
    figure: Figure,
    goal: Goal | None = None,
    *,
    bench: str = "",
    without: frozenset[str] = frozenset(),
) -> Row:
    return Row(key=key, title=title, bench=bench or key, figure=figure, goal=goal, except_for=without)


def _grows(key: str, title: str, bench: str) -> Row:
    return _row(key, title, Figure.GROWTH, Goal(at_most=20), bench=bench, without=_NOT_DIRECT)


ROWS = (
    _row("ping-1", "`/_ping`, 1 client", Figure.P50),
    _row("ping-10", "`/_ping`, 10 clients", Figure.RATE, Goal(at_least=20_000)),
    _row("top-1", "`top`, 1 client", Figure.P50, Goal(over_direct=0.08)),
    _row("top-10", "`top`, 10 clients", Figure.RATE, Goal(at_least=25_000, of_haproxy=1 / 3)),
    _row("top-new", "`top`, new connection each", Figure.P50),
    _row("info-1", "`info`, 1 client", Figure.P50),
    _row("info-10", "`info`, 10 clients", Figure.RATE),
    _row("ps-1", "`ps`, 1 client", Figure.P50),
    _row("ps-10", "`ps`, 10 clients", Figure.RATE),
    _row("create-1", "create + start, 1 client", Figure.P50),
    _row("create-50", "create + start, 50 clients", Figure.RATE),
    _row("exec-byte", "byte through an exec and back", Figure.P50, Goal(over_direct=0.1)),
    _row("export", "export", Figure.THROUGHPUT, Goal(of_haproxy=1)),
    _grows("export-memory", "export, memory growth", "export"),
    _row("put", "`PUT archive`", Figure.THROUGHPUT, Goal(of_haproxy=1)),
    _grows("put-memory", "`PUT archive`, memory growth", "put"),
    _row("put-chunked", "`PUT archive`, chunked", Figure.THROUGHPUT, Goal(of_haproxy=1)),
    _grows("put-chunked-memory", "`PUT archive`, chunked, memory growth", "put-chunked"),
    _row(
        "logs",
        f"{STREAMS:,} idle `logs -f`, memory",
        Figure.PER_STREAM,
        Goal(at_most=40),
        without=_NOT_DIRECT,
    ),
    _row("tls-top-1", "TLS: `top`, 1 client", Figure.P50),
    _row("tls-top-10", "TLS: `top`, 10 clients", Figure.RATE, Goal(at_least=18_000)),
    _row("tls-top-new", "TLS: `top`, new connection each", Figure.P50),
    _row("tls-exec-byte", "TLS: byte through an exec and back", Figure.P50),
    _row("tls-export", "TLS: export", Figure.THROUGHPUT, Goal(at_least=700)),
    _row("tls-put", "TLS: `PUT archive`", Figure.THROUGHPUT, Goal(at_least=700)),
)
