"""Requests counted on their way, and shown as metrics only when somebody asks."""

import time
import urllib.parse
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from swarmproxy.api.asked_kinds import kind_of
from swarmproxy.errors import BadRequest
from swarmproxy.model.apiversion import split_path
from swarmproxy.monitoring.families import counters, gauges
from swarmproxy.wire.exchange import AsgiExchange
from swarmproxy.wire.head import RequestHead

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
OTHER = "other"  # what nobody answers
MALFORMED = "malformed"  # what could not be read
_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS"))
_NO_ANSWER = "none"


class _Durations:
    """How long the requests of one route took."""

    __slots__ = ("buckets", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0


class RequestMetrics(Collector):
    """A journal that counts. A request costs two look-ups and a few additions; no lock is needed on one loop."""

    def __init__(self) -> None:
        self._open: set[AsgiExchange] = set()
        self._ended: dict[tuple[str, bytes, int], int] = {}  # by route, method and hundreds of the status
        self._durations: dict[str, _Durations] = {}
        self._verdicts: Counter[str] = Counter()
        self._received_bytes = 0
        self._sent_bytes = 0

    def begun(self, exchange: AsgiExchange) -> None:
        """See Journal."""
        self._open.add(exchange)

    def ended(self, exchange: AsgiExchange) -> None:
        """See Journal."""
        self._open.discard(exchange)
        method = exchange.request.method
        route = route_of(exchange)
        key = (route, method if method in _METHODS else b"", exchange.status // 100)
        self._ended[key] = self._ended.get(key, 0) + 1
        durations = self._durations.get(route)
        if durations is None:
            durations = self._durations[route] = _Durations()
        seconds = time.monotonic() - exchange.begun_at
        durations.sum_s += seconds
        durations.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        if verdict := exchange.about.verdict:
            self._verdicts[verdict] += 1
        self._received_bytes += exchange.received_bytes
        self._sent_bytes += exchange.sent_bytes

    def collect(self) -> Iterator[Metric]:
        """Yield what was counted, and what is open now."""
        ended = CounterMetricFamily(
            "swarmproxy_http_requests",
            "Requests that have ended, by kind, method and class of the status; `none`: the client left before it.",
            labels=("route", "method", "status"),
        )
        for (route, method, hundreds), count in self._ended.items():
            status = f"{hundreds}xx" if hundreds else _NO_ANSWER
            ended.add_metric((route, method.decode("ascii") or OTHER, status), count)
        yield ended
        durations = HistogramMetricFamily(
            "swarmproxy_http_request_duration_seconds",
            "From the head of a request to the end of its answer; streams last as long as their clients like.",
            labels=("route",),
        )
        for route, each in self._durations.items():
            durations.add_metric((route,), _cumulated(each.buckets), each.sum_s)
        yield durations
        received_bytes, sent_bytes, streams = self._received_bytes, self._sent_bytes, 0
        by_route: Counter[str] = Counter()
        for exchange in self._open:
            by_route[route_of(exchange)] += 1
            streams += exchange.status != 0
            received_bytes += exchange.received_bytes
            sent_bytes += exchange.sent_bytes
        yield gauges("swarmproxy_http_requests_open", "Requests that have not ended, by kind.", "route", by_route)
        yield GaugeMetricFamily(
            "swarmproxy_streams_open",
            "Requests whose answer has begun and not ended: attached terminals, followed logs, events, transfers.",
            streams,
        )
        verdicts = self._verdicts
        yield counters("swarmproxy_policy_decisions", "Requests by what the policy said of them.", "verdict", verdicts)
        yield counters(
            "swarmproxy_payload_bytes",
            "Bytes of bodies and streams, received from clients and sent to them, those that are open included.",
            "direction",
            {"received": received_bytes, "sent": sent_bytes},
        )


def route_of(exchange: AsgiExchange) -> str:
    """Return the kind of a request: it is found out here, with the object, unless who forwarded it knew."""
    about = exchange.about
    if not about.route:
        about.route, about.object = _found(exchange.request)
    return about.route


def _found(request: RequestHead) -> tuple[str, str]:
    if not request.method:
        return MALFORMED, ""
    raw_path, _, query = request.target.partition(b"?")
    path = raw_path.decode("ascii")
    try:
        _, path = split_path(urllib.parse.unquote(path) if "%" in path else path)
    except BadRequest:
        return OTHER, ""
    kind, name = kind_of(request.method.decode("ascii"), path, query)
    return kind or OTHER, name


def _cumulated(buckets: list[int]) -> list[tuple[str, float]]:
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    total, found = 0, list[tuple[str, float]]()
    for bound, count in zip(bounds, buckets, strict=True):
        total += count
        found.append((bound, total))
    return found
