"""Where a new container goes: a name and a place are taken at once, then the engine makes it there."""

import functools
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from swarmproxy.cluster.asking import ask, refusal, version_for
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.image_facts import ImageFacts
from swarmproxy.cluster.image_moves import ImageMover
from swarmproxy.cluster.images import Pulls, has_image
from swarmproxy.cluster.references import own_network, own_volume, resolve
from swarmproxy.cluster.settled import reread
from swarmproxy.engine.client import Created
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import EngineError, EngineUnreachable, NoNodeFits, SwarmError, Unavailable
from swarmproxy.model.apiversion import Version
from swarmproxy.model.labels import ID, is_rescheduled
from swarmproxy.model.node import Node
from swarmproxy.model.spec import ContainerSpec, body_for_engine
from swarmproxy.model.versions import adapt_create

log = logging.getLogger("swarmproxy.cluster")

CREATE_TIMEOUT_S = 120.0
PLACED, NO_NODE, ENGINE, REFUSED = "placed", "no_node_fits", "engine_failed", "refused"
LEAD_LOST = "another cluster manager has taken the lead: the container was not made"
NOT_RESCHEDULED = (
    "a container that its engine removes when it ends (--rm) is not rescheduled: if its node fails, it has ended"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """What a client asks for. `body` is its own JSON; `registry_auth` is passed on and never logged."""

    body: bytes
    version: Version
    name: str = ""
    platform: str = ""
    registry_auth: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocation:
    """How the create of a container that moves differs from a client's."""

    replaces: str  # the ID of the container whose name it takes over
    among: Callable[[], Sequence[Engine]]  # where it may go, asked for each attempt; raises SwarmError to give up
    avoiding: frozenset[Engine] = frozenset()  # where it goes only if no other node will do


@dataclass(frozen=True, slots=True)
class Placed:
    """What was made, and where."""

    created: Created
    engine: Engine


@dataclass(slots=True)
class Placement:
    """Creates containers.

    `rank` orders the nodes that can take a container, best first, and raises NoNodeFits. `new_swarm_id` makes an
    identity that survives rescheduling, 64 hexadecimal digits. `leads` says whether this manager still answers for the
    cluster: another does not know of the names and places that are held here.
    """

    cluster: Cluster
    rank: Callable[[ContainerSpec, Sequence[Node]], Sequence[Node]]
    pulls: Pulls
    new_swarm_id: Callable[[], str]
    create_retries: int = 0
    leads: Callable[[], bool] = lambda: True
    image_facts: ImageFacts | None = None  # None: any node may run any image
    image_moves: ImageMover | None = None  # None: a container goes where its image is
    outcomes: Counter[str] = field(default_factory=Counter)  # how many were placed, and why the others were not
    refused: Counter[str] = field(default_factory=Counter)  # nodes that filters turned away where none was left

    async def place(self, request: CreateRequest, relocation: Relocation | None = None) -> Placed:
        """Make a container on the best node; what its engine said has our own warnings after its own.

        The name is held in the whole cluster until the container is in the state. If the image is missing there and
        cannot be pulled, it is moved there, or else a node that holds it is tried. Fails over to other nodes as often
        as the operator asked for.
        Raises BadRequest, Conflict, NoNodeFits, EngineError, EngineUnreachable, and Unavailable if this manager has
        ceased to lead: nothing has been made then.
        """
        try:
            placed = await self._place(request, relocation)
        except NoNodeFits as error:
            self.outcomes[NO_NODE] += 1
            self.refused.update(error.refused)
            raise
        except SwarmError as error:
            self.outcomes[ENGINE if isinstance(error, EngineError | EngineUnreachable) else REFUSED] += 1
            raise
        self.outcomes[PLACED] += 1
        return placed

    async def _place(self, request: CreateRequest, relocation: Relocation | None) -> Placed:
        await self.cluster.images_settled(ask=False)
        spec = await self.read(request)
        replaces = relocation.replaces if relocation is not None else ""
        with self.cluster.reservations.name(request.name, besides=replaces):
            retries = self.create_retries
            tried: set[Engine] = set(relocation.avoiding) if relocation is not None else set()
            while True:
                try:
                    among = relocation.among() if relocation is not None else None
                    return await self._create(request, spec, tried, among=among, relocated=relocation is not None)
                except _ImageMissing as missing:
                    await self.cluster.images_settled()
                    among = relocation.among() if relocation is not None else self.cluster.healthy()
                    holders = [each for each in among if has_image(each, spec.image)]
                    if not holders:
                        raise missing.reason from missing
                    return await self._create(request, spec, tried, among=holders, relocated=relocation is not None)
                except (EngineError, EngineUnreachable) as error:
                    if not retries or (isinstance(error, EngineError) and error.status < 500):
                        raise
                    retries -= 1
                    log.warning("Failed to create container, retrying", extra={"error": str(error)})

    async def read(self, request: CreateRequest) -> ContainerSpec:
        """Return what `request` asks for, with what is known of its image. Raises BadRequest."""
        spec = ContainerSpec.parse(request.body)
        if self.image_facts is None:
            return spec
        return await self.image_facts.with_platforms(
            spec, platform=request.platform, auth=request.registry_auth, version=request.version
        )

    async def _create(
        self,
        request: CreateRequest,
        spec: ContainerSpec,
        tried: set[Engine],
        *,
        among: Sequence[Engine] | None = None,
        relocated: bool = False,
    ) -> Placed:
        swarm_id = spec.labels.get(ID) or self.new_swarm_id()
        with ExitStack() as held:
            wanted = resolve(spec, self.cluster, among)
            engine = self.choose(wanted, tried, among=among)
            tried.add(engine)
            held.enter_context(self.cluster.reservations.place(wanted, engine, swarm_id, request.name))
            # up to here nobody else ran since the look: the place is ours
            facts = engine.facts
            if facts is None:
                raise EngineUnreachable(f"engine {engine.address} has left")
            # without the dependency filter it may be another engine, whose container of that name is not meant
            linked = {link.partition(":")[0] for link in spec.network_links}  # which may be on any node
            found = {
                name: each for name, each in wanted.found.items() if each.id in engine.containers or name in linked
            }
            body = body_for_engine(
                replace(spec, found=found),
                swarm_id=swarm_id,
                engine_cpus=facts.cpus,
                rename_network=functools.partial(own_network, cluster=self.cluster),
                rename_volume=functools.partial(own_volume, cluster=self.cluster),
            )
            body, joins = adapt_create(
                body,
                client=request.version,
                engine=version_for(engine, request.version),
                cgroup_v1=facts.cgroup_version == "1",
            )
            created = await self._create_or_pull(engine, request, spec, body)
            if joins:
                await connect(engine, request.version, created, joins)
            if not self.leads():
                await self._after_the_lead(engine, created, request.name, is_moved=relocated)
            if request.registry_auth and is_rescheduled(spec.labels):
                self.cluster.credentials.keep(swarm_id, request.registry_auth)
            if any(name not in engine.volumes for name in wanted.volumes):
                await reread(engine, "volumes")  # before the place is given back: the next one must find them
            try:
                await engine.refresh_container(created.id, begun_will_do=True)  # by the event of it
            except SwarmError as error:  # it exists: the next look at the engine will find it
                log.warning("a new container could not be read", extra={"id": created.id, "error": str(error)})
            return Placed(_with_warnings(created, spec), engine)

    async def _after_the_lead(self, engine: Engine, created: Created, name: str, *, is_moved: bool) -> None:
        """See to a container that was being made while another manager took the lead, which did not know of its name.

        It stays if nobody else was given the name meanwhile, and goes again otherwise. One that moves always goes:
        the other manager moves it. Raises Unavailable if it went.
        """
        await self.cluster.catch_up()
        others = [each for each in self.cluster.index.holders_of(name) if each.container.id != created.id]
        if not others and not is_moved:
            return
        try:  # not by force: the next leader may have started what moves
            await engine.client.remove_container(created.id, volumes=True)
        except SwarmError as error:
            extra = {"id": created.id, "engine": engine.name, "error": str(error)}
            log.warning("a container is left that was made while the lead was lost", extra=extra)
        raise Unavailable(LEAD_LOST)

    async def _create_or_pull(
        self, engine: Engine, request: CreateRequest, spec: ContainerSpec, body: bytes
    ) -> Created:
        async def create() -> Created:
            if not self.leads():  # a pull may have taken minutes
                raise Unavailable(LEAD_LOST)
            wanted = {"name": request.name, "platform": request.platform}
            query = urlencode({key: value for key, value in wanted.items() if value})
            answer = await ask(
                engine,
                request.version,
                "POST",
                f"/containers/create?{query}",
                body=body,
                timeout_s=CREATE_TIMEOUT_S,
            )
            if answer.status >= 400:
                raise refusal(answer, "/containers/create")
            return engine.client.decode(answer.body, Created, "/containers/create")

        try:
            return await create()
        except EngineError as error:
            if error.status != 404 or not spec.image or await self._holds(engine, request.version, spec.image):
                raise  # something else is missing, such as a network
        try:
            await self.pulls.pull_on(
                engine,
                spec.image,
                auth=request.registry_auth,
                platform=request.platform,
                version=request.version,
            )
        except EngineError as error:
            await self._move_image(engine, request, spec.image, error)
        return await create()

    async def _move_image(self, engine: Engine, request: CreateRequest, image: str, reason: EngineError) -> None:
        """Have another node's image moved to `engine`, which cannot pull it. Raises _ImageMissing if that fails."""
        if self.image_moves is None:
            raise _ImageMissing(reason) from reason
        try:
            await self.cluster.images_settled()
            await self.image_moves.bring(image, engine, request.version)
        except SwarmError as error:
            raise _ImageMissing(reason) from error

    async def _holds(self, engine: Engine, version: Version, image: str) -> bool:
        """Ask `engine` whether it has `image`: its 404 to a create may be about something else."""
        answer = await ask(engine, version, "GET", f"/images/{quote(image, safe='/:@')}/json")
        return answer.status == 200

    def choose(
        self, spec: ContainerSpec, tried: Collection[Engine] = (), *, among: Sequence[Engine] | None = None
    ) -> Engine:
        """Return the best healthy engine for `spec`, one of `tried` only if no other will do.

        Raises NoNodeFits. Synchronous: take the place before any await.
        """
        nodes = self.cluster.nodes
        ranked = self.rank(spec, nodes.all() if among is None else nodes.of(among))
        return next((engine for engine in map(nodes.engine, ranked) if engine not in tried), nodes.engine(ranked[0]))


async def connect(engine: Engine, version: Version, created: Created, joins: Mapping[str, dict[str, Any]]) -> None:
    """Connect a new container to more networks of its engine; if one of them fails, the container is removed again.

    Raises EngineError, EngineUnreachable.
    """
    for network, settings in joins.items():
        body = msgspec.json.encode({"Container": created.id, "EndpointConfig": settings})
        path = f"/networks/{quote(network, safe='')}/connect"
        answer = await ask(engine, version, "POST", path, body=body)
        if answer.status >= 400:
            await ask(engine, version, "DELETE", f"/containers/{created.id}?force=1&v=1")
            raise refusal(answer, path)


def _with_warnings(created: Created, spec: ContainerSpec) -> Created:
    if not (spec.auto_remove and is_rescheduled(spec.labels)):
        return created
    return Created(created.id, [*(created.warnings or ()), NOT_RESCHEDULED])


class _ImageMissing(SwarmError):
    """The image is not on the chosen node and cannot be pulled there."""

    def __init__(self, reason: EngineError) -> None:
        super().__init__(str(reason))
        self.reason = SwarmError(str(reason))
