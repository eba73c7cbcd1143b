"""Places that are taken before their engine knows: from the choice of a node until the container is seen there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from swarmproxy.cluster.index import Index
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import Conflict
from swarmproxy.model.spec import ContainerSpec


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """A container that is being created: it counts on its node as if it were there."""

    spec: ContainerSpec
    engine: Engine
    swarm_id: str
    name: str = ""  # without a slash; empty: the engine will choose one


class Reservations:
    """Names and places that creates in flight hold. Taking one is synchronous: nobody runs between look and take."""

    def __init__(self, index: Index, changed: Callable[[Engine], None] = lambda _engine: None) -> None:
        self._index = index
        self._changed = changed  # told of each engine on which a place was taken or given back
        self._names: dict[str, int] = {}
        self._places: dict[Engine, dict[str, Reservation]] = {}

    @contextmanager
    def name(self, name: str, *, besides: str = "") -> Iterator[None]:
        """Hold `name` in the whole cluster; an empty one is the engine's to choose and is not held.

        `besides` is the id of the container that is being renamed. Raises Conflict in the engine's own words.
        """
        name = name.removeprefix("/")
        if not name:
            yield
            return
        holders = [each for each in self._index.holders_of(name) if each.container.id != besides]
        if holders or name in self._names:
            owner = f' by container "{holders[0].container.id}"' if holders else ""
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use{owner}. '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        self._names[name] = 1
        try:
            yield
        finally:
            del self._names[name]

    @contextmanager
    def place(self, spec: ContainerSpec, engine: Engine, swarm_id: str, name: str = "") -> Iterator[Reservation]:
        """Count `spec` on `engine` until the block is left, or the container has been seen there."""
        reservation = Reservation(spec, engine, swarm_id, name.removeprefix("/"))
        self._places.setdefault(engine, {})[swarm_id] = reservation
        self._changed(engine)
        try:
            yield reservation
        finally:
            self._release(engine, swarm_id)

    def arrived(self, swarm_id: str) -> None:
        """The container is in the engine's own list now and must not count twice."""
        for engine in [each for each, places in self._places.items() if swarm_id in places]:
            self._release(engine, swarm_id)

    def on(self, engine: Engine) -> list[Reservation]:
        """What is being created on `engine` now."""
        return list(self._places.get(engine, {}).values())

    def mounting(self, volume: str) -> list[Engine]:
        """The engines on which a container is being created that mounts the volume of this name."""
        return [
            engine
            for engine, places in self._places.items()
            if any(volume in each.spec.volumes for each in places.values())
        ]

    def _release(self, engine: Engine, swarm_id: str) -> None:
        places = self._places.get(engine)
        if places is not None:
            places.pop(swarm_id, None)
            self._changed(engine)
            if not places:
                del self._places[engine]
