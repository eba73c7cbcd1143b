"""What a manager knows of its engines and of itself, as metrics. Everything is read when somebody asks."""

import time
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.moves import Mover, Reason
from swarmproxy.cluster.placement import ENGINE, NO_NODE, PLACED, REFUSED, Placement
from swarmproxy.engine.engine import Engine, State
from swarmproxy.engine.shared import Tally
from swarmproxy.leader.leadership import Leadership
from swarmproxy.monitoring.families import counters, gauges
from swarmproxy.wire.admission import Admission

MAX_NAMED = 100
"""So many engines are named at most, those that are not healthy: a scrape costs the same however many there are."""

_STATES = (State.PENDING, State.HEALTHY, State.UNHEALTHY)
_QUANTILES = (0.5, 0.9, 1.0)


class EngineMetrics(Collector):
    """The engines: how many, how well, how much of them is taken."""

    def __init__(self, cluster: Cluster, tally: Tally) -> None:
        self._cluster = cluster
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """Yield them in one pass over the engines."""
        engines = self._cluster.engines()
        states: Counter[State] = Counter(each.state for each in engines)
        yield gauges("swarmproxy_engines", "Members, by state.", "state", {s.value.lower(): states[s] for s in _STATES})
        yield _engines_down([each for each in engines if each.state is not State.HEALTHY])
        yield from self._resources([each for each in engines if each.state is State.HEALTHY])
        now = time.monotonic()
        ages = sorted(now - each.refreshed_at for each in engines if each.is_member and each.refreshed_at)
        yield gauges(
            "swarmproxy_engine_refresh_age_seconds",
            "How long ago engines were asked last for all their containers, over all of them.",
            "quantile",
            {str(each): ages[min(len(ages) - 1, int(len(ages) * each))] for each in _QUANTILES} if ages else {},
        )
        connections = {"busy": sum(e.pool.busy for e in engines), "idle": sum(e.pool.idle for e in engines)}
        yield gauges("swarmproxy_engine_connections", "Connections to engines, by use.", "use", connections)
        tally, hub = self._tally, self._cluster.hub
        refreshes = {"good": tally.refreshes, "failed": tally.failed_refreshes}
        yield counters("swarmproxy_engine_refreshes", "Regular readings of engines, by result.", "result", refreshes)
        yield CounterMetricFamily("swarmproxy_engine_events", "Events that engines told of.", tally.events)
        yield CounterMetricFamily(
            "swarmproxy_engine_event_gaps",
            "Event streams opened again after some events may have been lost: the engine was read anew.",
            tally.gaps,
        )
        yield GaugeMetricFamily("swarmproxy_event_readers", "Clients that follow the events.", hub.readers)
        yield CounterMetricFamily(
            "swarmproxy_client_events_lost", "Events that clients were too slow to take.", hub.lost
        )

    def _resources(self, healthy: list[Engine]) -> Iterator[Metric]:
        """Yield what healthy engines have, and what is given out of it."""
        containers: dict[str, int] = {}
        cpus = memory_bytes = taken_bytes = 0
        taken_cpus = 0.0
        for engine in healthy:
            usage = engine.usage
            for state, count in usage.states.items():
                containers[state] = containers.get(state, 0) + count
            claims = usage.claims
            taken_cpus += claims.cpus + claims.nano_cpus / 1e9 + len(claims.pinned)
            taken_bytes += claims.memory_bytes
            if engine.facts is not None:
                cpus += engine.facts.cpus
                memory_bytes += engine.facts.memory_bytes
        yield gauges("swarmproxy_containers", "Containers on healthy engines, by state.", "state", containers)
        yield GaugeMetricFamily("swarmproxy_cpus", "Cores of healthy engines.", cpus)
        yield GaugeMetricFamily("swarmproxy_cpus_reserved", "Cores that their containers ask for.", taken_cpus)
        yield GaugeMetricFamily("swarmproxy_memory_bytes", "Memory of healthy engines.", memory_bytes)
        yield GaugeMetricFamily(
            "swarmproxy_memory_reserved_bytes", "Memory that their containers ask for.", taken_bytes
        )


class ManagerMetrics(Collector):
    """What this manager did, and what it is among managers. `strategy` is the operator's choice."""

    def __init__(
        self,
        cluster: Cluster,
        placement: Placement,
        mover: Mover,
        leadership: Leadership | None,
        strategy: str,
        admission: Admission,
    ) -> None:
        self._cluster = cluster
        self._placement = placement
        self._mover = mover
        self._leadership = leadership
        self._strategy = strategy
        self._admission = admission

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield GaugeMetricFamily("swarmproxy_client_connections", "Connections of clients.", self._admission.open)
        yield CounterMetricFamily(
            "swarmproxy_client_connections_refused",
            "Connections that were refused because there were too many, told why or not.",
            self._admission.refused_in_all,
        )
        placements = CounterMetricFamily(
            "swarmproxy_placements", "Containers to be placed, by what became of them.", labels=("strategy", "result")
        )
        for result in (PLACED, NO_NODE, ENGINE, REFUSED):
            placements.add_metric((self._strategy, result), self._placement.outcomes[result])
        yield placements
        yield counters(
            "swarmproxy_placement_refused_nodes",
            "Nodes that were turned away where none was left, by the filter that did it.",
            "filter",
            self._placement.refused,
        )
        moves = CounterMetricFamily(
            "swarmproxy_moves", "Containers moved to other nodes, by reason and result.", labels=("reason", "result")
        )
        for reason in Reason:
            moves.add_metric((_label(reason), "moved"), self._mover.made[reason])
            moves.add_metric((_label(reason), "failed"), self._mover.failed[reason])
        yield moves
        leadership, source = self._leadership, self._cluster.source
        leads = leadership is None or leadership.leads
        yield GaugeMetricFamily("swarmproxy_leader", "1 if this manager leads; one that is alone does.", leads)
        elections = leadership.elections if leadership is not None else 0
        yield CounterMetricFamily("swarmproxy_leader_elections", "Leaders that this manager has seen.", elections)
        yield GaugeMetricFamily("swarmproxy_discovery_entries", "Addresses in the list of members.", source.entries)
        up = bool(source.read_at and not source.error)
        yield GaugeMetricFamily("swarmproxy_discovery_up", "1 while the list of members can be read.", up)
        yield GaugeMetricFamily(
            "swarmproxy_discovery_lag_seconds",
            "Age of the list of members while it cannot be read anew; 0 while it can.",
            time.time() - source.read_at if source.error and source.read_at else 0.0,
        )


def _engines_down(engines: list[Engine]) -> Metric:
    metric = GaugeMetricFamily(
        "swarmproxy_engine_down",
        f"1 for each engine that is not healthy, the first {MAX_NAMED} by name.",
        labels=("node", "address", "state"),
    )
    for each in sorted(engines, key=lambda each: (each.name, str(each.address)))[:MAX_NAMED]:
        metric.add_metric((each.name, str(each.address), each.state.value.lower()), 1)
    return metric


def _label(reason: Reason) -> str:
    return reason.value.replace(" ", "_")
