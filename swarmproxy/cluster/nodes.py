"""Engines as the scheduler sees them: what they hold, and what is being created there."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from swarmproxy.cluster.operators import NodeBook
from swarmproxy.cluster.reservations import Reservation
from swarmproxy.engine.engine import Engine, State
from swarmproxy.model.generic import declared_in, gpus_among
from swarmproxy.model.node import Node, Pending
from swarmproxy.model.swarm import Reserved
from swarmproxy.scheduler.crowd import Register
from swarmproxy.scheduler.resources import claims_of_spec, claims_of_tasks, with_claims

_ACCEPTED = (State.HEALTHY, State.UNHEALTHY)
UNKNOWN = -1  # the scheduler then leaves the decision to the engine
_BLANK = NodeBook()
_NOTHING: Mapping[str, Reserved] = MappingProxyType({})


def snapshot(
    engine: Engine,
    reserved: Sequence[Reservation] = (),
    book: NodeBook = _BLANK,
    of_tasks: Mapping[str, Reserved] = _NOTHING,
) -> Node:
    """Return `engine` as a node, with `reserved` counted as if they were there. The engine must have facts.

    What operators said of it is in `book`, and in `of_tasks` what each task of a swarm's service reserves.
    """
    facts = engine.facts
    assert facts is not None  # noqa: S101  # the caller filters; a type checker cannot see it
    used = engine.usage
    labels = book.labels_of(engine)
    resources = {**facts.resources, **declared_in(labels)}
    node = Node(
        id=engine.id,
        name=engine.name,
        address=str(engine.address),
        ip=facts.ip,
        healthy=engine.state is State.HEALTHY,
        health=engine.health,
        availability=book.availability_of(engine),
        platform=engine.platform,
        cpus=facts.cpus,
        memory_bytes=facts.memory_bytes,
        gpus=gpus_among(resources) or UNKNOWN,
        labels=labels,
        resources=resources,
        used_memory_bytes=used.claims.memory_bytes,
        used_cpus=used.claims.cpus,
        used_nano_cpus=used.claims.nano_cpus,
        used_cores=used.claims.pinned,
        used_gpus=used.claims.gpus,
        used_all_gpus=used.claims.all_gpus,
        used_resources=used.claims.resources,
        containers=used.claims.containers,
        held=engine.containers,  # not copied: most creates never look at them
        pending=tuple(Pending(each.spec, each.name) for each in reserved),
        images=engine.images,
        holdings=engine.holdings,
        image_names=engine.image_names,
    )
    if of_tasks:
        node = with_claims(node, claims_of_tasks(engine.containers.values(), of_tasks))
    for each in reserved:
        node = with_claims(node, claims_of_spec(each.spec))
    return node


class Nodes:
    """The accepted members as nodes, kept ready: a look makes anew those that have changed since the last one.

    Those that do not answer are among them: the scheduler turns them away, and counts them when it says why.
    With a thousand engines, to make all for each create would cost more than the choice among them.
    """

    def __init__(self, reserved: Callable[[Engine], Sequence[Reservation]], book: NodeBook) -> None:
        self._reserved = reserved
        self.of_tasks: Mapping[str, Reserved] = _NOTHING  # what each reserves, by ID of its service in a swarm
        self._book = book
        self._book_seen = book.revision
        self._members: set[Engine] = set()
        self._stale: set[Engine] = set()
        self._readers: list[set[Engine]] = []  # what each has still to look at
        self._register = Register()
        self._engines: list[Engine] = []  # place by place
        self._places: dict[Engine, int] = {}
        self._by_id: dict[str, Engine] = {}
        self._platforms: dict[str, int] = {}  # of nodes that answer, and how many run each

    def add(self, engine: Engine) -> None:
        """Count `engine` from now on, whenever it is accepted."""
        self._members.add(engine)
        self.mark(engine)

    def discard(self, engine: Engine) -> None:
        """Leave `engine` out from now on."""
        self._members.discard(engine)
        self.mark(engine)

    def has(self, engine: Engine) -> bool:
        """Return whether `engine` counts, accepted or not."""
        return engine in self._members

    def mark(self, engine: Engine) -> None:
        """Take note that something about `engine` has changed."""
        self._stale.add(engine)
        for changed in self._readers:
            changed.add(engine)

    def changes(self) -> set[Engine]:
        """Return a set in which there is from now on what has joined, changed and left, until the reader takes it out.

        Not for a change of the book, which has a revision.
        """
        changed = set(self._members)
        self._readers.append(changed)
        return changed

    def take_reservations(self, of_tasks: Mapping[str, Reserved]) -> None:
        """Take in what each task of a swarm's service reserves."""
        if of_tasks != self.of_tasks:
            self.of_tasks = of_tasks
            for engine in self._members:
                self.mark(engine)

    def all(self) -> Sequence[Node]:
        """Return a node for each accepted member, in no order. Good until the next await; only to be read."""
        if self._book_seen != self._book.revision:
            self._book_seen = self._book.revision
            self._stale |= self._members
        if self._stale:
            stale, self._stale = self._stale, set()
            for engine in stale:
                self._renew(engine)
        return self._register.all()

    def platforms(self) -> Collection[str]:
        """Return what the nodes that answer run, as far as that is known."""
        self.all()
        return self._platforms.keys()

    def of(self, engines: Iterable[Engine]) -> list[Node]:
        """Return the nodes of those of `engines` that are accepted members."""
        self.all()
        return [self._register.nodes[self._places[engine]] for engine in engines if engine in self._places]

    def engine(self, node: Node) -> Engine:
        """Return the engine that `node` is made from."""
        return self._by_id[node.id]

    def _renew(self, engine: Engine) -> None:
        at = self._places.get(engine)
        if engine not in self._members or engine.state not in _ACCEPTED or engine.facts is None:
            if at is not None:
                self._take_out(at)
            return
        node = snapshot(engine, self._reserved(engine), self._book, self.of_tasks)
        if at is None:
            self._places[engine] = len(self._engines)
            self._register.add(node)
            self._engines.append(engine)
        else:
            self._count(self._register.nodes[at], -1)
            self._by_id.pop(self._register.nodes[at].id, None)
            self._register.replace(at, node)
        self._count(node, 1)
        self._by_id[node.id] = engine

    def _count(self, node: Node, sign: int) -> None:
        """Count the platform of `node` in or out."""
        if node.healthy and node.platform:
            left = self._platforms.pop(node.platform, 0) + sign
            if left:
                self._platforms[node.platform] = left

    def _take_out(self, at: int) -> None:
        """Forget the node at this place, which the last one takes."""
        node, engine = self._register.nodes[at], self._engines[at]
        self._count(node, -1)
        self._register.take_out(at)
        last = self._engines.pop()
        if last is not engine:
            self._engines[at] = last
            self._places[last] = at
        del self._places[engine]
        if self._by_id.get(node.id) is engine:
            del self._by_id[node.id]
