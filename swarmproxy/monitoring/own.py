"""This process as metrics: what it is, and how long its loop lets others wait."""

import asyncio
import platform
import time
from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from swarmproxy import __version__

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
EVERY_S = 0.5


class LoopMetrics(Collector):
    """How much later than asked for the loop calls: what a request that comes at that moment waits."""

    def __init__(self) -> None:
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            asked_at = time.monotonic()
            await asyncio.sleep(EVERY_S)
            late_s = max(0.0, time.monotonic() - asked_at - EVERY_S)
            self._sum_s += late_s
            self._buckets[bisect_left(BOUNDS_S, late_s)] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield what was measured, and what this program is."""
        total, buckets = 0, list[tuple[str, float]]()
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._buckets, strict=True):
            total += count
            buckets.append((bound, total))
        late = HistogramMetricFamily(
            "swarmproxy_loop_delay_seconds", f"How late the loop calls back, measured every {EVERY_S} s."
        )
        late.add_metric((), buckets, self._sum_s)
        yield late
        yield GaugeMetricFamily("swarmproxy_tasks", "Tasks of the loop.", len(asyncio.all_tasks()))
        build = GaugeMetricFamily("swarmproxy_build_info", "Always 1.", labels=("version", "python"))
        build.add_metric((__version__, platform.python_version()), 1)
        yield build
