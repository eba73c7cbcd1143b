"""What the head of the page says beside the sums: who leads, what swarm there is, and what to be careful about."""

from collections.abc import Sequence
from dataclasses import dataclass

from swarmproxy.cluster.cluster import Cluster, Source
from swarmproxy.cluster.swarms import Swarm
from swarmproxy.engine.engine import State
from swarmproxy.leader.leadership import Leadership

NO_LEADER = "nobody leads"


@dataclass(frozen=True, slots=True)
class ManagerView:
    """One manager that is known of."""

    address: str
    role: str  # leader, replica or a single manager
    is_this: bool = False


SINGLE = ManagerView("", "a single manager")


def managers_of(leadership: Leadership, announced: Sequence[str]) -> list[ManagerView]:
    """Return who leads, this manager, and which others have announced themselves; nobody twice."""
    this = leadership.address
    if leadership.leads:
        leader, views = this, [ManagerView(this, "leader", is_this=True)]
    else:
        leader = leadership.other
        views = [ManagerView(leader, "leader") if leader else ManagerView("", NO_LEADER)]
        views.append(ManagerView(this, "replica", is_this=True))
    return views + [ManagerView(address, "replica") for address in announced if address not in (leader, this)]


@dataclass(frozen=True, slots=True)
class SwarmView:
    """How things stand with Docker's swarm mode."""

    state: str
    managers: int = 0
    answering: int = 0  # of the managers
    workers: int = 0
    outside: int = 0  # nodes that are in none
    leader: str = ""


def swarm_of(cluster: Cluster) -> SwarmView:
    """Return what is known of the swarm that members form."""
    swarms = cluster.swarms
    if swarms.mode == "off":
        return SwarmView("off")
    found = swarms.all()
    if not found:
        return SwarmView("forming" if swarms.mode == "auto" else "none")
    managed = [swarm for swarm in found if swarm.managers] or found
    if len(managed) > 1:
        return SwarmView(f"{len(managed)} different swarms")
    return _view_of(cluster, managed[0])


def _view_of(cluster: Cluster, swarm: Swarm) -> SwarmView:
    return SwarmView(
        "active" if swarm.managers else "no manager is a member",
        managers=len(swarm.managers),
        answering=sum(engine.state is State.HEALTHY for engine in swarm.managers),
        workers=len(swarm.engines) - len(swarm.managers),
        outside=len(cluster.engines()) - len(swarm.engines),
        leader=next((engine.title for engine in swarm.managers if cluster.swarms.is_leader(engine)), ""),
    )


def warnings_of(source: Source, problem: str) -> list[str]:
    """Return what keeps this page from being all that there is to know."""
    return [*([f"Discovery: {source.error}"] if source.error else ()), *([problem] if problem else ())]
