"""One node as the page shows it: how much of it is taken, how it is, and why."""

from dataclasses import dataclass
from typing import Literal

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.nodes import snapshot
from swarmproxy.cluster.swarms import part_of
from swarmproxy.engine.engine import Engine, State
from swarmproxy.model.info import human_size, natural_key
from swarmproxy.scheduler.filters.slots import LABEL as SLOTS
from swarmproxy.scheduler.resources import NANO, used_nano, with_overcommit

Tone = Literal["bad", "warn", "wait", "ok"]
"""How a state is shown, the one that needs somebody first."""

TONES: tuple[Tone, ...] = ("bad", "warn", "wait", "ok")
BUSY, FULL = 75, 95  # percent


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much of something is taken, and the words for it."""

    used: float
    total: float
    text: str

    @property
    def percent(self) -> int:
        """The share in percent; over 100 if more is taken than there is."""
        return round(self.used * 100 / self.total) if self.total > 0 else 0

    @property
    def shown(self) -> int:
        """How long the bar is, in percent."""
        return max(0, min(self.percent, 100))

    @property
    def level(self) -> str:
        """How the bar is coloured."""
        return "full" if self.percent >= FULL else "busy" if self.percent >= BUSY else "calm"


NOTHING = Gauge(0, 0, "nothing")


def cpu_gauge(used_cpus: float, total_cpus: int) -> Gauge:
    """Return a gauge of cores."""
    return Gauge(used_cpus, total_cpus, f"{used_cpus:,.4g} of {total_cpus:,}")


def memory_gauge(used_bytes: int, total_bytes: int) -> Gauge:
    """Return a gauge of memory."""
    return Gauge(used_bytes, total_bytes, f"{human_size(used_bytes)} of {human_size(total_bytes)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What the page says of one node."""

    name: str  # its address until its name is known
    address: str
    tone: Tone = "wait"
    state: str = "Pending"
    why: str = ""  # it is not as it should be
    answered_at: int = (
        0  # unix seconds; said only of a node that does not answer, or the view would never stay the same
    )
    running: int = 0
    paused: int = 0
    stopped: int = 0
    slots: int = 0  # containers that its label lets it take; 0: no limit
    cpus: Gauge = NOTHING
    memory: Gauge = NOTHING
    used_cpus: float = 0.0
    total_cpus: int = 0
    used_memory_bytes: int = 0
    total_memory_bytes: int = 0
    version: str = ""
    system: str = ""
    swarm_role: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def containers(self) -> int:
        """All containers, whatever their state."""
        return self.running + self.paused + self.stopped

    @property
    def answers(self) -> bool:
        """Whether it takes part and can be asked."""
        return self.tone in ("ok", "warn")

    @property
    def is_known(self) -> bool:
        """Whether it has ever said what it is."""
        return bool(self.version)

    @property
    def share_of(self) -> int:
        """What the bar of containers is a share of."""
        return max(self.slots, self.containers, 1)

    @property
    def place(self) -> tuple[object, ...]:
        """What orders nodes: those with trouble first, then as people order names."""
        return TONES.index(self.tone), natural_key(self.name), self.address

    def mentions(self, word: str) -> bool:
        """Return whether `word`, in small letters, is part of what is shown."""
        texts = (self.name, self.address, self.state, self.why, self.version, self.system, self.swarm_role)
        return any(word in text.lower() for text in texts) or any(
            word in f"{key}={value}".lower() for key, value in self.labels
        )


def view_of(cluster: Cluster, engine: Engine, overcommit_percent: int) -> NodeView:
    """Return what the page says of `engine`. Totals are those that placements count with, as in `docker info`."""
    tone, state, why = _standing(cluster, engine)
    answered_at = 0 if engine.state is State.HEALTHY else int(engine.updated_at)
    facts = engine.facts
    if facts is None:
        address = str(engine.address)
        return NodeView(name=address, address=address, tone=tone, state=state, why=why, answered_at=answered_at)
    node = snapshot(engine, cluster.reservations.on(engine), cluster.book, cluster.nodes.of_tasks)
    states = engine.usage.states
    running, paused = states.get("running", 0) + states.get("restarting", 0), states.get("paused", 0)
    used_cpus, total_cpus = used_nano(node) / NANO, with_overcommit(node.cpus, overcommit_percent)
    total_memory_bytes = with_overcommit(node.memory_bytes, overcommit_percent)
    part = part_of(engine)
    return NodeView(
        name=engine.title,
        address=str(engine.address),
        tone=tone,
        state=state,
        why=why,
        answered_at=answered_at,
        running=running,
        paused=paused,
        stopped=sum(states.values()) - running - paused,
        slots=_slots(node.labels.get(SLOTS, "")),
        cpus=cpu_gauge(used_cpus, total_cpus),
        memory=memory_gauge(node.used_memory_bytes, total_memory_bytes),
        used_cpus=used_cpus,
        total_cpus=total_cpus,
        used_memory_bytes=node.used_memory_bytes,
        total_memory_bytes=total_memory_bytes,
        version=facts.server_version,
        system=" · ".join(filter(None, (engine.platform, facts.os))),
        swarm_role="" if part is None else "manager" if part.is_manager else "worker",
        labels=tuple(sorted(node.labels.items())),
    )


def _standing(cluster: Cluster, engine: Engine) -> tuple[Tone, str, str]:
    """Return how an engine is: for the eye, in a word, and why."""
    if engine.state is State.UNHEALTHY:
        return "bad", "Unhealthy", engine.error or "it does not answer"
    if engine.state is not State.HEALTHY:
        return "wait", engine.state.value, engine.error
    availability = cluster.book.availability_of(engine)
    if engine.health < 100:
        return "warn", "Failing", engine.error or f"health {engine.health} of 100"
    if availability == "drain":
        return "warn", "Drained", "an operator has drained it: it takes no containers"
    if availability == "pause":
        return "warn", "Paused", "an operator has paused it: it takes no new containers"
    return "ok", "Healthy", ""


def _slots(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
