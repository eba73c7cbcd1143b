"""Builds on their way to an engine: the legacy builder's, and BuildKit's requests and streams.

What belongs together goes to one engine, see `cluster/builds.py`.
Source: docker/cli 20.10, cli/command/image/build_buildkit.go (`/session` and `/build` with its id, side by side);
docker/buildx, driver/docker/driver.go (`/grpc`, then `/session`).
"""

from collections.abc import Callable, MutableMapping
from typing import Any, cast
from urllib.parse import parse_qsl

from swarmproxy.api.forwarded import Owner
from swarmproxy.cluster.asking import unreachable, versioned
from swarmproxy.cluster.builds import Key
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.placement import Placement
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import BadRequest, EngineUnreachable, NotFound, SwarmError, Unavailable
from swarmproxy.leader.replica import CLIENT
from swarmproxy.model.apiversion import Version, parse
from swarmproxy.model.build import BuildRequest
from swarmproxy.model.spec import ContainerSpec
from swarmproxy.wire.relay import Exchange, RelayOptions

BUILD_WAIT_S = 5.0  # a body, or a cancel, for a build that has not come yet
SESSION_WAIT_S = 2.0  # a session before the build, or the control connection, that tells its engine
NODE_HEADER = b"x-swarmproxy-node"
SESSION_HEADER = b"x-docker-expose-session-uuid"
_HAS_BUILDKIT: Version = (1, 39)

Scope = MutableMapping[str, Any]


class Builder:
    """Forwards what builds images. `headers` are added to every answer."""

    def __init__(self, cluster: Cluster, placement: Placement, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self._cluster = cluster
        self._placement = placement
        self._headers = headers

    async def forward(self, exchange: Exchange, scope: Scope, version: Version, owner: Owner) -> None:
        """Let the engine answer. Raises SwarmError while nothing has been answered."""
        query = cast("bytes", scope["query_string"]).decode("latin-1")
        headers = dict(exchange.request.fields.headers)
        asked_for = headers.get(NODE_HEADER, b"").decode("latin-1")
        match owner:
            case Owner.BUILD:
                await self._build(exchange, version, query, asked_for)
            case Owner.CANCELLED:
                await self._cancel(exchange, version, query)
            case Owner.SESSION:
                session = headers.get(SESSION_HEADER, b"").decode("latin-1")
                await self._session(exchange, version, session, asked_for)
            case _:
                keys = (_client_of(exchange),)
                await self._stream(exchange, version, "/grpc", keys, asked_for)

    async def _build(self, exchange: Exchange, version: Version, query: str, asked_for: str) -> None:
        asked_for = dict(parse_qsl(query)).get("node", asked_for)
        request = BuildRequest.parse(query)
        builds = self._cluster.builds
        if request.uploads_for:
            key = Key("build", request.uploads_for)
            await builds.wait_for(lambda: builds.find(key), timeout_s=BUILD_WAIT_S)
            engine = builds.find(key)
            if engine is None:
                raise SwarmError("timeout waiting for build to start")
            await self._relay(exchange, engine, version, f"/build?{_query(request, engine)}")
            return
        named = (("session", request.session), ("build", request.build_id))
        keys = tuple(Key(kind, value) for kind, value in named if value)
        if request.spec.expressions.as_labels() and (engine := builds.find(*keys)):
            self._placement.choose(request.spec, among=[engine])  # its session is there already
        choose = self._chooser(request.spec, asked_for, buildkit=bool(request.session))
        with builds.hold(keys, request.spec, choose) as engine:
            try:
                await self._relay(exchange, engine, version, f"/build?{_query(request, engine)}")
            finally:
                self._cluster.images_changed(engine)()

    async def _cancel(self, exchange: Exchange, version: Version, query: str) -> None:
        build_id = dict(parse_qsl(query)).get("id", "")
        if not build_id:
            raise BadRequest("build ID not provided")
        builds, key = self._cluster.builds, Key("build", build_id)
        await builds.wait_for(lambda: builds.find(key), timeout_s=BUILD_WAIT_S)
        engine = builds.find(key)
        if engine is None:
            raise NotFound(f"No such build: {build_id}")
        await self._relay(exchange, engine, version, f"/build/cancel?{query}")

    async def _session(self, exchange: Exchange, version: Version, session: str, asked_for: str) -> None:
        if not session:
            raise BadRequest("no session ID provided")
        builds, key, client = self._cluster.builds, Key("session", session), _client_of(exchange)
        await builds.wait_for(lambda: builds.find(key) or builds.find(client, open_only=True), timeout_s=SESSION_WAIT_S)
        # with neither, the control connection of this client will follow its session
        keys = (key,) if builds.find(key) else (key, client)
        await self._stream(exchange, version, "/session", keys, asked_for)

    async def _stream(
        self, exchange: Exchange, version: Version, path: str, keys: tuple[Key, ...], asked_for: str
    ) -> None:
        spec = ContainerSpec()
        with self._cluster.builds.hold(keys, spec, self._chooser(spec, asked_for, buildkit=True)) as engine:
            try:
                await self._relay(exchange, engine, version, path, upgrade=True)
            finally:
                self._cluster.images_changed(engine)()  # an engine 20.10 tells of no image that BuildKit made

    def _chooser(self, spec: ContainerSpec, asked_for: str, *, buildkit: bool) -> Callable[[], Engine]:
        """Return what chooses an engine for a build; it raises SwarmError if there is none."""

        def choose() -> Engine:
            if asked_for:
                engine = self._cluster.engine_named(asked_for)
                if engine.state is not State.HEALTHY:
                    raise Unavailable(f"the node {asked_for} is {engine.state.value}")
                return engine
            among = self._cluster.healthy()
            if not among:
                raise Unavailable("No healthy node available in the cluster")
            if buildkit and not (among := [engine for engine in among if _has_buildkit(engine)]):
                raise Unavailable("No healthy node has BuildKit: build with DOCKER_BUILDKIT=0")
            return self._placement.choose(spec, among=among)

        return choose

    async def _relay(
        self, exchange: Exchange, engine: Engine, version: Version, path: str, *, upgrade: bool = False
    ) -> None:
        exchange.about.node = engine.name
        options = RelayOptions(upgrade=upgrade, on_head=lambda _: engine.note_success(), headers=self._headers)
        try:
            await exchange.relay(engine.pool, versioned(engine, version, path).encode("ascii"), options=options)
        except EngineUnreachable as error:
            raise unreachable(engine, error) from error


def _client_of(exchange: Exchange) -> Key:
    """Return who the client is; a manager that passes its request on says that for it."""
    told = dict(exchange.request.fields.headers).get(CLIENT, b"")
    return Key("client", told.decode("latin-1") or exchange.peer)


def _query(request: BuildRequest, engine: Engine) -> str:
    return request.query_for(engine.facts.cpus if engine.facts is not None else 0)


def _has_buildkit(engine: Engine) -> bool:
    return engine.facts is not None and parse(engine.facts.api_max) >= _HAS_BUILDKIT
