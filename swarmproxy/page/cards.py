"""The cards of all nodes, kept ready as HTML: one is made anew when something about its node has changed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine
from swarmproxy.page.node_view import NOTHING, Gauge, NodeView, cpu_gauge, memory_gauge, view_of
from swarmproxy.scheduler.resources import percent_of

SLICE, MAKING, LOOKING = 512, 32, 1
"""How much work is done in one piece, and what each card is of it: then requests to the cluster have their turn."""

FRESH_S = 0.25
"""A look that is younger than this is not repeated, however many readers there are."""


@dataclass(frozen=True, slots=True)
class Card:
    """One node, drawn."""

    made_of: tuple[object, ...]
    revision: int  # of all cards, when this one came to look as it does
    view: NodeView
    place: tuple[object, ...]  # among all
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over all nodes."""

    nodes: int = 0
    healthy: int = 0
    running: int = 0
    paused: int = 0
    stopped: int = 0
    cpus: Gauge = NOTHING
    memory: Gauge = NOTHING

    @property
    def containers(self) -> int:
        """All containers, whatever their state."""
        return self.running + self.paused + self.stopped


class Cards:
    """The cards of one cluster. `draw` makes HTML of a view."""

    def __init__(self, cluster: Cluster, overcommit: float, draw: Callable[[NodeView], str]) -> None:
        self._cluster = cluster
        self._percent = percent_of(overcommit)
        self._draw = draw
        self._kept: dict[Engine, Card] = {}
        self._lock = asyncio.Lock()
        self._looked_at = float("-inf")
        self.revision = 0  # rises with every change of any card
        self.gathering = 0  # rises when nodes come or go
        self.totals = Totals()

    async def look(self) -> None:
        """Take in what has changed since the last look. Requests to the cluster are answered meanwhile."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._looked_at < FRESH_S:
                return
            before, revision = set(self._kept), self.revision
            work = 0
            for engine in self._cluster.engines():
                work += MAKING if self._take(engine) else LOOKING
                if work >= SLICE:
                    work = 0
                    await asyncio.sleep(0)
            present = set(self._cluster.engines())
            if present != before:
                self._kept = {engine: card for engine, card in self._kept.items() if engine in present}
                self.gathering += 1
            if present != before or self.revision != revision:
                self.totals = _sum([card.view for card in self._kept.values()])
            self._looked_at = asyncio.get_running_loop().time()

    def all(self) -> list[Card]:
        """Return the cards as of the last look, those with trouble first."""
        return sorted(self._kept.values(), key=lambda card: card.place)

    def since(self, revision: int) -> list[Card]:
        """Return the cards that have changed after `revision`."""
        return [card for card in self._kept.values() if card.revision > revision]

    def _take(self, engine: Engine) -> bool:
        """Return whether the card of `engine` had to be made."""
        cluster = self._cluster
        made_of = (
            engine.facts,
            engine.revision,
            engine.state,
            engine.error,
            engine.health,
            cluster.book.revision,
            cluster.nodes.of_tasks,
            *[each.swarm_id for each in cluster.reservations.on(engine)],
        )
        before = self._kept.get(engine)
        if before is not None and before.made_of == made_of:
            return False
        view = view_of(cluster, engine, self._percent)
        if before is not None and before.view == view:
            self._kept[engine] = Card(made_of, before.revision, view, before.place, before.html)
            return False
        self.revision += 1
        self._kept[engine] = Card(made_of, self.revision, view, view.place, self._draw(view))
        return True


def _sum(views: Sequence[NodeView]) -> Totals:
    return Totals(
        nodes=len(views),
        healthy=sum(view.answers for view in views),
        running=sum(view.running for view in views),
        paused=sum(view.paused for view in views),
        stopped=sum(view.stopped for view in views),
        cpus=cpu_gauge(sum(view.used_cpus for view in views), sum(view.total_cpus for view in views)),
        memory=memory_gauge(
            sum(view.used_memory_bytes for view in views), sum(view.total_memory_bytes for view in views)
        ),
    )
