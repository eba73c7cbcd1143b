"""Members of a cluster that do not run, and containers on them: for what needs no daemon."""

from swarmproxy.engine.engine import Engine, Facts
from swarmproxy.model.container import Container
from swarmproxy.model.labels import ID
from swarmproxy.model.times import NANOSECONDS
from swarmproxy.wire.address import Address
from tests.engine.harness import QUICK, Recorder


def member(number: int) -> Engine:
    """Return the engine `node-<number>`, which says what it is and is never dialled."""
    engine = Engine(Address(host="127.0.0.1", port=2375 + number), settings=QUICK, observer=Recorder())
    engine.facts = Facts(id=f"ENGINE-{number}", name=f"node-{number}", ip="127.0.0.1", cpus=4, memory_bytes=8 * 1024**3)
    return engine


def container(container_id: str, *names: str, created: int = 0, swarm_id: str = "") -> Container:
    """Return a container with an id that begins with `container_id`, and names without a slash in front."""
    return Container(
        id=container_id.ljust(64, "0"),
        name=names[0] if names else "",
        names=tuple(f"/{name}" for name in names),
        created=created,
        created_ns=created * NANOSECONDS,
        labels={ID: swarm_id} if swarm_id else {},
    )
