"""What the load generator is told to do, and what it tells back: one line of JSON each."""

from enum import StrEnum

import msgspec

from benchmarks.fleet.control import Burst, Log


class Kind(StrEnum):
    """The kinds of load."""

    REQUESTS = "requests"  # GET `path`, or `paths` by turns, again and again on `clients` kept connections
    CONNECTIONS = "connections"  # the same with a new connection for each request
    DOWNLOAD = "download"  # GET `path` once, throw `size_bytes` away
    UPLOAD = "upload"  # PUT `size_bytes` once, with a length or `chunked`
    ECHO = "echo"  # one byte through an open exec stream and back
    EXEC = "exec"  # from the create of an exec to the first byte that comes back through it
    CREATE = "create"  # create and start containers; they are removed again, outside the clock, unless `keep`
    REMOVE = "remove"  # removes what CREATE kept
    OPEN_STREAMS = "open_streams"  # GET `path` on `clients` connections that then stay open, silent
    CLOSE_STREAMS = "close_streams"  # closes what OPEN_STREAMS opened
    FANOUT = "fanout"  # `tell` the fleet something, `rounds` times, until all of `clients` readers have had `lines`


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of load. `{container}` in a path stands for `container`, by default any that runs."""

    kind: Kind
    path: str = ""
    paths: tuple[str, ...] = ()
    container: str = ""
    clients: int = 1
    seconds: float = 1.0
    size_bytes: int = 0
    chunked: bool = False
    keep: bool = False
    tell: Burst | Log | None = None
    lines: int = 1
    rounds: int = 1


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A job and where to do it. `certificates`: a directory, empty for plain TCP; `control`: the fleet's socket."""

    job: Job
    port: int
    host: str = "127.0.0.1"
    certificates: str = ""
    control: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a job came to; `error` says why it came to nothing."""

    error: str = ""
    operations: int = 0
    warm_up: int = 0  # operations before those
    seconds: float = 0.0
    moved_bytes: int = 0
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    last_ms: float = 0.0  # FANOUT: until the last reader had it, the median of the rounds


def percentile(ordered: list[int], share: float) -> float:
    """Return the value below which `share` (0..1) of `ordered` lies, 0 for an empty list."""
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * share))]) if ordered else 0.0


def outcome_of(latencies_ns: list[int], seconds: float) -> Outcome:
    """Return the figures of operations that took `latencies_ns` each and `seconds` together."""
    ordered = sorted(latencies_ns)
    p50, p90, p99 = (percentile(ordered, share) / 1e6 for share in (0.5, 0.9, 0.99))
    return Outcome(operations=len(ordered), seconds=seconds, p50_ms=p50, p90_ms=p90, p99_ms=p99)
