"""Engines as the scheduler sees them: what they hold, and what is being created there."""

from collections.abc import Sequence

from swarmproxy.cluster.operators import NodeBook
from swarmproxy.cluster.reservations import Reservation
from swarmproxy.engine.engine import Engine
from swarmproxy.model.node import Node, Pending
from swarmproxy.scheduler.resources import claims_of_spec, with_claims

UNKNOWN = -1  # the scheduler then leaves the decision to the engine
_BLANK = NodeBook()


def snapshot(engine: Engine, reserved: Sequence[Reservation] = (), book: NodeBook = _BLANK) -> Node:
    """Return `engine` as a node, with `reserved` counted as if they were there. The engine must have facts.

    What operators said of it is in `book`.
    """
    facts = engine.facts
    assert facts is not None  # noqa: S101  # the caller filters; a type checker cannot see it
    used = engine.usage
    node = Node(
        id=engine.id,
        name=engine.name,
        address=str(engine.address),
        ip=facts.ip,
        healthy=engine.health > 0,
        health=engine.health,
        availability=book.availability_of(engine),
        cpus=facts.cpus,
        memory_bytes=facts.memory_bytes,
        gpus=facts.gpus or UNKNOWN,
        labels=book.labels_of(engine),
        used_memory_bytes=used.claims.memory_bytes,
        used_cpus=used.claims.cpus,
        used_nano_cpus=used.claims.nano_cpus,
        used_gpus=used.claims.gpus,
        containers=used.claims.containers,
        held=engine.containers,  # not copied: most creates never look at them
        pending=tuple(Pending(each.spec, each.name) for each in reserved),
        images=engine.images,
    )
    for each in reserved:
        node = with_claims(node, claims_of_spec(each.spec, engine_gpus=facts.gpus))
    return node
