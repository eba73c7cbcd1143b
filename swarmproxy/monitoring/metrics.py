"""All metrics of a manager, and what shows them."""

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.registry import Collector

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.moves import Mover
from swarmproxy.cluster.placement import Placement
from swarmproxy.engine.shared import Tally
from swarmproxy.leader.replica import Replica
from swarmproxy.monitoring import app
from swarmproxy.monitoring.members import EngineMetrics, ManagerMetrics
from swarmproxy.monitoring.own import LoopMetrics
from swarmproxy.monitoring.readiness import Readiness
from swarmproxy.monitoring.requests import RequestMetrics
from swarmproxy.wire.admission import Admission


class Metrics:
    """`requests` is the journal that counts them, `app` what is to be served; `run` measures what nobody tells."""

    def __init__(
        self,
        cluster: Cluster,
        placement: Placement,
        mover: Mover,
        replica: Replica | None,
        *,
        tally: Tally,
        strategy: str,
        admission: Admission,
    ) -> None:
        self.requests = RequestMetrics()
        self.readiness = Readiness(cluster, replica)
        leadership = replica.leadership if replica is not None else None
        self._loop = LoopMetrics()
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        for each in (
            self.requests,
            EngineMetrics(cluster, tally),
            ManagerMetrics(cluster, placement, mover, leadership, strategy, admission),
            self._loop,
        ):
            self.add(each)
        self.app = app.build(self._registry, self.readiness)

    def add(self, collector: Collector) -> None:
        """Show what `collector` has, too."""
        self._registry.register(collector)

    async def run(self) -> None:
        """Measure until cancelled."""
        await self._loop.run()
