"""The members as one: who owns what, what happened, and who may take part."""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakValueDictionary

from swarmproxy.cluster.builds import Builds
from swarmproxy.cluster.credentials import Credentials
from swarmproxy.cluster.execs import Execs
from swarmproxy.cluster.hub import Hub, Telling, origin_of
from swarmproxy.cluster.image_index import ImageIndex
from swarmproxy.cluster.index import Index, Located
from swarmproxy.cluster.membership import Membership
from swarmproxy.cluster.networks import NetworkIndex
from swarmproxy.cluster.nodes import Nodes
from swarmproxy.cluster.operators import NodeBook
from swarmproxy.cluster.reservations import Reservations
from swarmproxy.cluster.settled import Unsettled, refresh_then
from swarmproxy.cluster.superseded import Superseded
from swarmproxy.cluster.swarms import Swarms
from swarmproxy.cluster.versions import Versions
from swarmproxy.cluster.volumes import VolumeIndex
from swarmproxy.engine.engine import Engine, Facts, State
from swarmproxy.engine.shared import Gate
from swarmproxy.errors import EngineUnreachable, NotFound, SwarmError, Unavailable
from swarmproxy.model.apiversion import Version
from swarmproxy.model.container import Container
from swarmproxy.model.event import Event, swarm_event
from swarmproxy.model.image import Image
from swarmproxy.model.network import Network
from swarmproxy.model.volume import Volume
from swarmproxy.wire.address import Address

log = logging.getLogger("swarmproxy.cluster")

IMAGES = "images"
IMAGES_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where the list of members comes from, and how old it is."""

    url: str
    read_at: float = 0.0  # unix seconds of the last good list; 0: none yet
    entries: int = 0
    error: str = ""


class Watcher(Protocol):
    """Who is told when engines come and go. Both are synchronous, and the containers can still be read."""

    def lost(self, engine: Engine) -> None:
        """An engine that took part does not answer any more, is another one, or is no member any more."""

    def found(self, engine: Engine) -> None:
        """An engine takes part, and all that it holds is known."""


@dataclass(slots=True)
class Cluster:
    """The state that all requests share. Everything in it changes on the event loop only."""

    build: Callable[["Cluster", Address], Engine]
    clock: Callable[[], float]
    index: Index = field(default_factory=Index)
    images: ImageIndex = field(init=False)
    networks: NetworkIndex = field(default_factory=NetworkIndex)
    volumes: VolumeIndex = field(default_factory=VolumeIndex)
    hub: Hub = field(default_factory=Hub)
    telling: Telling = field(default_factory=Telling)
    execs: Execs = field(default_factory=Execs)
    book: NodeBook = field(default_factory=NodeBook)
    unsettled: Unsettled = field(default_factory=Unsettled)
    source: Source = field(default_factory=lambda: Source(""))
    credentials: Credentials = field(default_factory=Credentials)
    watchers: list[Watcher] = field(default_factory=list)
    nodes: Nodes = field(init=False)
    reservations: Reservations = field(init=False)
    builds: Builds = field(init=False)
    superseded: Superseded = field(init=False)
    membership: Membership = field(init=False)
    swarms: Swarms = field(init=False)
    versions: Versions = field(init=False)
    _tasks: asyncio.TaskGroup | None = None
    _present: set[Engine] = field(default_factory=set)
    _by_daemon: WeakValueDictionary[str, Engine] = field(default_factory=WeakValueDictionary)  # who claimed its ID last

    def __post_init__(self) -> None:
        self.images = ImageIndex(self.clock)
        self.nodes = Nodes(lambda engine: self.reservations.on(engine), self.book)
        self.reservations = Reservations(self.index, self.nodes.mark)
        self.builds = Builds(self.reservations)
        self.superseded = Superseded(self.index)
        self.membership = Membership(lambda address: self.build(self, address), self)
        self.swarms = Swarms(self.engines)
        self.versions = Versions(self._present)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Members run inside this block and have ended when it is left."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self._tasks = None
                self.hub.close()
                self.membership.close()

    def follow(self, entries: Sequence[str]) -> None:
        """Make `entries` the members. Called with each list that discovery gives."""
        if self._tasks is not None:
            self.membership.change(entries, self._tasks)

    async def catch_up(self) -> None:
        """Return when every healthy engine has been asked once for all that it holds now, and has answered or failed.

        All are asked for containers first: their names and places matter most if time is short. Only so many are asked
        at once as at a start, those apart that take long.
        """
        healthy = self.healthy()
        reads: list[Callable[[], Coroutine[None, None, None]]] = []
        reads += [functools.partial(engine.refresh_containers, full=False) for engine in healthy]
        reads += [engine.refresh_lists for engine in healthy]
        gate = Gate()
        async with asyncio.TaskGroup() as tasks:
            for read in reads:
                place = await gate.enter()
                tasks.create_task(refresh_then(read, place.leave), name="catch up")

    # -- what engines tell (engine.Observer) and membership tells (membership.Members)

    def joined(self, engine: Engine) -> None:
        """See Members: an engine that comes back brings its containers along."""
        self._present.add(engine)
        self.nodes.add(engine)
        engine.on_change = functools.partial(self._engine_changed, engine, engine.name)
        engine.on_swarm = self.swarms.changed
        self.swarms.changed()
        for container in engine.containers.values():
            self.container_seen(engine, container)
        self.images.replace(engine, {}, engine.images)
        self.networks.replace(engine, {}, engine.networks)
        self.volumes.replace(engine, {}, engine.volumes)
        self.versions.changed()
        if engine.state is State.HEALTHY:
            self._tell("engine_connect", engine)
            self._found(engine)

    def _engine_changed(self, engine: Engine, name: str) -> None:
        """Take note of a change in what placements look at; `name` is what the engine was called before."""
        self.nodes.mark(engine)
        if engine.name != name:
            engine.on_change = functools.partial(self._engine_changed, engine, engine.name)
            self.index.touch(engine)
            self.networks.kept.clear()

    def left(self, engine: Engine) -> None:
        """See Members: nothing of the engine is shown from now on."""
        self._lost(engine)
        self._forget(engine)
        self._present.discard(engine)
        self.nodes.discard(engine)
        self.swarms.changed()
        self.versions.changed()
        if engine.state is State.HEALTHY:
            self._tell("engine_disconnect", engine)

    def claim(self, engine: Engine, facts: Facts) -> str | None:
        """Return why `engine` may not take part with these facts; None if it may.

        One daemon behind two addresses must count once: classic took it for two nodes, and its clean-up of
        duplicates then removed running containers.
        """
        other = self._by_daemon.get(facts.id, engine)
        is_same = other.facts is not None and other.facts.id == facts.id
        if other is not engine and other in self._present and other.is_member and is_same:
            return (
                f"Engine ID {facts.id} of {engine.address} is in the cluster already as {other.name} at "
                f"{other.address}: the same daemon under two addresses, or a copied /etc/docker/key.json"
            )
        self._by_daemon[facts.id] = engine
        return None

    def container_seen(self, engine: Engine, container: Container) -> None:
        """Take in a container that is new or has changed."""
        if engine not in self._present or not self.superseded.arrived(engine, container):
            return
        self.index.put(engine, container)
        if container.swarm_id:
            self.reservations.arrived(container.swarm_id)

    def container_gone(self, engine: Engine, container_id: str) -> None:
        """Forget a container."""
        container = self.index.drop(engine, container_id)
        if container is None:
            container = next((each for each in self.superseded.on(engine) if each.id == container_id), None)
        if container is None or not container.swarm_id:
            return
        self.superseded.gone(engine, container, is_removed=container.started_ns > 0)
        if not self.index.with_swarm_id(container.swarm_id):
            self.credentials.forget(container.swarm_id)

    def images_read(self, engine: Engine, before: Mapping[str, Image]) -> None:
        """Take in the images of an engine."""
        if engine in self._present:
            self.images.replace(engine, before, engine.images)

    def networks_read(self, engine: Engine, before: Mapping[str, Network]) -> None:
        """Take in the networks of an engine."""
        if engine in self._present:
            self.networks.replace(engine, before, engine.networks)

    def volumes_read(self, engine: Engine, before: Mapping[str, Volume]) -> None:
        """Take in the volumes of an engine."""
        if engine in self._present:
            self.volumes.replace(engine, before, engine.volumes)

    def happened(self, engine: Engine, event: Event) -> None:
        """Pass an engine's event on to the readers."""
        if engine in self._present and self.telling.is_new(event):
            self.hub.publish(event, origin_of(engine))
            if event.is_of_swarm:
                self.swarms.happened(event)

    def state_changed(self, engine: Engine, before: State, after: State) -> None:
        """Tell the readers when an engine comes and goes; one that is not accepted takes its containers along."""
        if engine not in self._present:
            return
        if after is not State.HEALTHY and before in (State.HEALTHY, State.UNHEALTHY):
            self._lost(engine)
        if after in (State.PENDING, State.DISCONNECTED):
            self._forget(engine)
        self.swarms.changed()
        self.versions.changed()
        self.index.touch(engine)
        if after is State.HEALTHY:
            self._tell("engine_connect" if before is State.PENDING else "engine_reconnect", engine)
            self._found(engine)
        elif before is State.HEALTHY:
            self._tell("engine_disconnect", engine)

    def _lost(self, engine: Engine) -> None:
        if engine.state is State.UNHEALTHY:
            self.superseded.lost(engine)
        for watcher in self.watchers:
            watcher.lost(engine)

    def _found(self, engine: Engine) -> None:
        for container in engine.containers.values():  # of copies on nodes that do not answer, this one counts
            if self.superseded.arrived(engine, container) and container.id not in self.index.by_id:
                self.index.put(engine, container)
        for watcher in self.watchers:
            watcher.found(engine)

    def _forget(self, engine: Engine) -> None:
        self.superseded.left(engine)
        for container_id in list(engine.containers):
            container = self.index.drop(engine, container_id)
            if container is not None and container.swarm_id:
                self.superseded.gone(engine, container, is_removed=False)
        self.images.replace(engine, engine.images, {})
        self.networks.replace(engine, engine.networks, {})
        self.volumes.replace(engine, engine.volumes, {})
        self.execs.forget(engine)

    def _tell(self, action: str, engine: Engine) -> None:
        node = origin_of(engine)
        self.hub.publish(swarm_event(action, node, time_ns=int(self.clock() * 1e9)), node)

    # -- what requests ask

    def engines(self) -> list[Engine]:
        """Every member, whatever its state."""
        return self.membership.engines()

    def healthy(self) -> list[Engine]:
        """The members that answer."""
        return [engine for engine in self.engines() if engine.state is State.HEALTHY]

    def api_version(self, user_agent: str = "") -> Version:
        """The version that a client with this `user_agent` is told, and that an unversioned request is in."""
        return self.versions.advertised(user_agent)

    def any_healthy(self) -> Engine:
        """The healthy member with the fewest containers. Raises Unavailable."""
        healthy = self.healthy()
        if not healthy:
            raise Unavailable("No healthy node available in the cluster")
        return min(healthy, key=lambda engine: (len(engine.containers), engine.name))

    def engine_named(self, text: str) -> Engine:
        """The member that `text` means: name, id or address. Raises NotFound."""
        for engine in self.engines():
            if text in (engine.name, engine.id, str(engine.address)):
                return engine
        raise NotFound(f"No such node: {text}")

    def find(self, name: str) -> Located:
        """The one container a client means by `name`; see Index.find."""
        return self.index.find(name)

    def copies(self, swarm_id: str) -> list[Located]:
        """The containers with this swarm ID on engines that answer, in the order of their making: one as a rule."""
        found = (*self.index.with_swarm_id(swarm_id), *self.superseded.copies(swarm_id))
        healthy = [each for each in found if each.engine.state is State.HEALTHY]
        return sorted(healthy, key=lambda each: (each.container.created_ns, each.container.id))

    def find_on_healthy(self, name: str) -> Located:
        """As `find`, and its engine answers. Raises SwarmError in classic's words when it does not."""
        located = self.index.find(name)
        if located.engine.state is not State.HEALTHY:
            raise SwarmError(f"Container {name} running on unhealthy node {located.engine.name}")
        return located

    def changed(self, engine: Engine, container_id: str) -> Callable[[], None]:
        """A client is told that this container has changed: lists wait for its new state.

        The function that comes back is called when the exchange is over, and reads the state.
        """
        settle = self.unsettled.expect(engine, container_id)

        def read() -> None:
            try:
                reading = engine.changes.read(container_id)
            except EngineUnreachable:  # which is noticed by the engine's own watch
                settle()
            else:
                reading.add_done_callback(lambda _: settle())

        return read

    def images_changed(self, engine: Engine) -> Callable[[], None]:
        """As `changed`, for the images of `engine`."""
        settle = self.unsettled.expect(engine, IMAGES)

        def read() -> None:
            if self._tasks is None:
                settle()
            else:
                self._tasks.create_task(refresh_then(engine.refresh_images, settle), name="settle images")

        return read

    def removed(self, engine: Engine, container_id: str) -> None:
        """A client was told that this container is no more."""
        engine.forget_container(container_id)

    async def images_settled(self, *, ask: bool = True) -> None:
        """Wait, for a bounded time, until the images are known that were made up to now.

        BuildKit does not say when it has made one: so, unless `ask` is off, engines that are being built on are asked.
        """
        building = [engine for engine in self.builds.engines() if ask and engine.state is State.HEALTHY]
        if building:
            with suppress(TimeoutError):
                async with asyncio.timeout(IMAGES_TIMEOUT_S):
                    reads = (refresh_then(engine.refresh_images, lambda: None) for engine in building)
                    await asyncio.gather(*reads)
        if self.unsettled.concerns(IMAGES):
            await self.unsettled.calm()

    @property
    def is_settled(self) -> bool:
        """Whether `settled` has nothing to wait for."""
        return self.unsettled.is_calm

    async def settled(self) -> None:
        """Wait, for a bounded time, until all changes that clients were told of have been read."""
        await self.unsettled.calm()
