"""A request on its way to the engine that it belongs to: found, its path rewritten, handed to the wire."""

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import replace
from typing import Any, cast
from urllib.parse import parse_qsl, quote

from swarmproxy.api.building import Builder
from swarmproxy.api.forwarded import BUILDS, Owner, Route
from swarmproxy.api.orchestration import forward_to_manager
from swarmproxy.api.plugin_requests import plugin_request
from swarmproxy.api.requests import flag
from swarmproxy.cluster.asking import reach, unreachable, version_for, versioned
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import owner as image_owner
from swarmproxy.cluster.made import made_last
from swarmproxy.cluster.saving import parts_for
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineUnreachable, NotSupported
from swarmproxy.model.apiversion import Version, text
from swarmproxy.model.versions import Subject, adapt_query
from swarmproxy.wire.relay import Exchange, RelayOptions

Scope = MutableMapping[str, Any]
Effect = Callable[[], None]
_NO_EFFECTS: Sequence[Effect] = ()


def exchange_of(scope: Scope) -> Exchange:
    """Return what the wire offers beside ASGI for this request."""
    return cast("Exchange", scope["extensions"]["swarmproxy.exchange"])


class Forwarder:
    """Forwards requests of one cluster. `headers` are added to every answer."""

    def __init__(self, cluster: Cluster, builder: Builder, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self._cluster = cluster
        self._builder = builder
        self._headers = headers
        self._options: dict[Route, RelayOptions] = {}  # of routes without effect, made once

    async def forward(self, scope: Scope, version: Version, path: str, route: Route, name: str) -> bool:
        """Let the engine answer. `path` has no version. Raises SwarmError while nothing has been answered.

        Returns False if no one request to one engine would do: one of our own routes is to answer.
        """
        if route.owner in BUILDS:
            await self._builder.forward(exchange_of(scope), scope, version, route.owner)
            return True
        query: bytes = scope["query_string"]
        if route.owner is Owner.MANAGER:
            swarms = self._cluster.swarms
            return await forward_to_manager(exchange_of(scope), swarms, version, path, query, self._options_of(route))
        container_id = ""
        takes_input = True
        headers: tuple[tuple[bytes, bytes], ...] = ()
        match route.owner:
            case Owner.CONTAINER | Owner.COMMITTED:
                if route.owner is Owner.COMMITTED:
                    name = dict(parse_qsl(query.decode("latin-1"))).get("container", "")
                engine, container_id = self._find(route, name)
                if route.subject is not None and query and _signal(route.subject, query, engine, version):
                    return False
                if route.owner is Owner.COMMITTED:
                    query = replace_parameter(query, b"container", container_id.encode())
                else:
                    path = _path(route, container_id)
                if route.action == "attach":
                    takes_input = _attaches_input(exchange_of(scope), query)
            case Owner.EXEC:
                engine = await self._cluster.execs.find(name, self._cluster.healthy)
                path = f"/exec/{quote(name)}/{route.action}"
                takes_input = self._cluster.execs.takes_input(name)
            case Owner.IMAGE:
                await self._cluster.images_settled()
                if route.action == "push":
                    tag = dict(parse_qsl(query.decode("latin-1"))).get("tag", "")
                    engine = await made_last(self._cluster, name, tag, version)
                else:
                    engine = image_owner(self._cluster, name)
                path = f"/images/{quote(name, safe='/:@')}/{route.action}"
            case Owner.SAVED:
                await self._cluster.images_settled()
                names = [value for key, value in parse_qsl(query.decode("latin-1")) if key == "names"]
                parts = parts_for(self._cluster, names)
                if len(parts) > 1:
                    return False
                engine = parts[0].engine
            case Owner.ANYONE:
                engine = self._cluster.any_healthy()
                path = quote(path, safe="/:@")
            case Owner.PLUGIN | Owner.NEW_PLUGIN:
                asked = await plugin_request(self._cluster, scope, version, route, name)
                engine, path, query, headers = asked.engine, asked.path, asked.query, asked.headers
        if route.since is not None:
            _demand(engine, version, route.since, route.action)
        exchange = exchange_of(scope)
        exchange.about.node = engine.name
        await reach(engine)
        target = versioned(engine, version, path).encode("ascii")
        if query:
            target += b"?" + query
        options, effects = self._how(route, engine, container_id)
        if not takes_input:
            options = replace(options, takes_input=False)
        if headers:
            options = replace(options, headers=(*self._headers, *headers))
        try:
            status = await exchange.relay(engine.pool, target, options=options)
        except EngineUnreachable as error:
            raise unreachable(engine, error) from error
        finally:
            for effect in effects:
                effect()
        if status and route.answers_within_s is not None:
            engine.note_success()  # the end of a stream says nothing of the engine: its answer came long ago
        return True

    def forward_at_once(self, exchange: Exchange, version: Version, query: bytes, route: Route, name: str) -> bool:
        """Let the engine of a container answer, if nothing has to be waited for; return whether it will.

        Raises SwarmError, as `forward` would.
        """
        if route.owner is not Owner.CONTAINER or route.upgrade or (route.subject is not None and query):
            return False
        engine, container_id = self._find(route, name)
        if not route.needs_healthy and engine.state is not State.HEALTHY:
            return False
        target = versioned(engine, version, _path(route, container_id)).encode("ascii")
        if query:
            target += b"?" + query
        options, effects = self._options.get(route), _NO_EFFECTS
        if options is None:
            options, effects = self._how(route, engine, container_id)
        about = exchange.about
        about.route, about.object, about.node = route.kind, name, engine.name

        def ended(status: int) -> None:
            for effect in effects:
                effect()
            if status and route.answers_within_s is not None:
                engine.note_success()

        if exchange.relay_at_once(engine.pool, target, options, ended):
            return True
        for effect in effects:
            effect()
        return False

    def _find(self, route: Route, name: str) -> tuple[Engine, str]:
        """Return where the container is that a client calls `name`, and its ID."""
        located = (self._cluster.find_on_healthy if route.needs_healthy else self._cluster.find)(name)
        return located.engine, located.container.id

    def _how(self, route: Route, engine: Engine, container_id: str) -> tuple[RelayOptions, Sequence[Effect]]:
        """Return how to relay, and the list in which what is to be done afterwards stands, however it ends."""
        effects: list[Effect] = []
        if not (route.removes or route.changes or route.makes_image):
            return self._options_of(route), effects
        if route.changes or route.removes:
            engine.changes.begin(container_id)
            effects.append(lambda: engine.changes.end(container_id))

        def on_head(status: int) -> None:
            engine.note_success()
            # before the client hears of it: its next request must find the new state, or wait for it
            if route.removes and status in (204, 404):
                self._cluster.removed(engine, container_id)
            elif route.changes and status < 400:
                effects.append(self._cluster.changed(engine, container_id))
            elif route.makes_image and status == 201:
                effects.append(self._cluster.images_changed(engine))

        return self._options_for(route, on_head), effects

    def _options_of(self, route: Route) -> RelayOptions:
        options = self._options.get(route)
        if options is None:
            options = self._options[route] = self._options_for(route, None)
        return options

    def _options_for(self, route: Route, on_head: Callable[[int], None] | None) -> RelayOptions:
        return RelayOptions(
            upgrade=route.upgrade,
            finish=route.finish,
            endless=route.endless,
            head_timeout_s=route.answers_within_s,
            on_head=on_head,
            headers=self._headers,
        )


def _path(route: Route, container_id: str) -> str:
    # by position, never by searching the client's text: a container may be called `containers`
    return f"/containers/{container_id}/{route.action}" if route.action else f"/containers/{container_id}"


def _attaches_input(exchange: Exchange, query: bytes) -> bool:
    """Say whether a container's engine will read what the client says behind this request to attach, or might."""
    asked = (value for key, value in parse_qsl(query.decode("latin-1")) if key == "stdin")
    return exchange.request.has_body or any(flag({"stdin": value}, "stdin") for value in asked)


def _signal(subject: Subject, query: bytes, engine: Engine, version: Version) -> str:
    """Return the signal in a query that an engine would leave out of account."""
    parameters = dict(parse_qsl(query.decode("latin-1")))
    return adapt_query(subject, parameters, client=version, engine=version_for(engine, version)).signal


def _demand(engine: Engine, version: Version, since: Version, what: str) -> None:
    """Raise NotSupported if an engine would not know the route: its `page not found` says nothing to anybody."""
    spoken = version_for(engine, version)
    if spoken < since:
        raise NotSupported(
            f"{what} needs version {text(since)} of the Docker API, and {text(spoken)} is spoken with {engine.name}"
        )


def replace_parameter(query: bytes, name: bytes, value: bytes) -> bytes:
    """Return `query` with the parameter `name` set to `value`, and all else as it came."""
    parts = [part for part in query.split(b"&") if part.partition(b"=")[0] != name]
    return b"&".join([name + b"=" + value, *parts])
