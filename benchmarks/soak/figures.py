"""What a manager used at the end of each round, and whether that grows."""

import contextlib
import http.client
import re
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.plot import draw_linear
from benchmarks.processes import Child

STEADY_S = 0.3
STEADY_DEADLINE_S = 30.0
ANSWER_DEADLINE_S = 30.0
_PLAIN = re.compile(rb"^(swarmproxy_\w+) ([0-9.e+-]+)$", re.MULTILINE)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What the manager used when a round was over, and so many requests were answered."""

    requests: int
    memory_mib: float
    descriptors: int
    tasks: int
    threads: int
    cpu_s: float


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """The straight line through the second half of the samples: `growth` is from its one end to the other."""

    mean: float
    growth: float
    allowed: float

    @property
    def flat(self) -> bool:
        """Whether it does not rise by more than is allowed."""
        return self.growth <= self.allowed


def take(child: Child, metrics_port: int, requests: int) -> Sample:
    """Return a sample, once no stream is open and nothing changes: what is closed takes a moment to be gone."""
    end = time.monotonic() + STEADY_DEADLINE_S
    directory = Path(f"/proc/{child.process.pid}")
    before = None
    while True:
        metrics = read_metrics(metrics_port)
        now = (count(directory / "fd"), int(metrics["swarmproxy_tasks"]))
        if (now == before and not metrics["swarmproxy_streams_open"]) or time.monotonic() > end:
            break
        before = now
        time.sleep(STEADY_S)
    return Sample(
        requests=requests,
        memory_mib=child.memory_kib() / 1024,
        descriptors=now[0],
        tasks=now[1],
        threads=count(directory / "task"),
        cpu_s=child.cpu_s(),
    )


def read_metrics(port: int) -> dict[str, float]:
    """Return those of the manager's metrics that have no labels. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_DEADLINE_S)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        found = _PLAIN.findall(connection.getresponse().read())
    return {name.decode(): float(value) for name, value in found}


def count(directory: Path) -> int:
    return len(list(directory.iterdir()))


def trend(points: Sequence[tuple[float, float]], *, allowed: float) -> Trend:
    """Return the line of least squares through the second half of `points`: at first caches and pools fill."""
    half = points[len(points) // 2 :]
    middle_x = sum(x for x, _ in half) / len(half)
    middle_y = sum(y for _, y in half) / len(half)
    spread = sum((x - middle_x) ** 2 for x, _ in half)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in half) / spread if spread else 0.0
    return Trend(mean=middle_y, growth=slope * (half[-1][0] - half[0][0]), allowed=allowed)


def plot(samples: Sequence[Sample]) -> str:
    """Return the drawing of memory and descriptors over the requests."""
    lines = {
        "memory, MiB": [(each.requests, each.memory_mib) for each in samples],
        "descriptors": [(each.requests, float(each.descriptors)) for each in samples],
        "tasks": [(each.requests, float(each.tasks)) for each in samples],
        "threads": [(each.requests, float(each.threads)) for each in samples],
    }
    return draw_linear("What a manager uses between rounds of load", lines, x_label="requests answered", y_label="")
