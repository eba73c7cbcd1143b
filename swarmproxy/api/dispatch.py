"""The first thing a request meets: forwarded ones go straight to the wire, the rest to the FastAPI application.

This is raw ASGI on purpose. A forwarded request costs a dictionary look-up and the relay; routing it through the
framework would cost more than all the rest together. `/_ping` is answered here too: clients send it before all else.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, cast

from fastapi import FastAPI, Request, Response

from swarmproxy import __version__
from swarmproxy.api.building import Builder
from swarmproxy.api.errors import body_of, status_of
from swarmproxy.api.forwarded import match
from swarmproxy.api.forwarding import Forwarder, exchange_of
from swarmproxy.api.often import Endpoint, at_once_for, endpoint_for
from swarmproxy.api.questions import Question, ask_at_once
from swarmproxy.api.requests import error_reply
from swarmproxy.cluster.asking import unreachable
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.placement import Placement
from swarmproxy.errors import EngineUnreachable, Exhausted, NoNodeFits, NoSwarm, NotSupported, SwarmError, Unavailable
from swarmproxy.leader.replica import Replica
from swarmproxy.model import apiversion
from swarmproxy.model.apiversion import Version
from swarmproxy.wire.fetch import Answer
from swarmproxy.wire.relay import Exchange

log = logging.getLogger("swarmproxy.api")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

SERVER = f"swarmproxy/{__version__} (linux)".encode()
JSON = b"application/json"
PLAIN = b"text/plain; charset=utf-8"
RETRY_AFTER_S = b"5"
USUAL = [b"content-length", b"content-type"]
KEPT_LINES = 64
CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers", b"Origin, X-Requested-With, Content-Type, Accept, X-Registry-Auth"),
    (b"access-control-allow-methods", b"GET, POST, DELETE, PUT, OPTIONS, HEAD"),
)
PING: Headers = [
    (b"cache-control", b"no-cache, no-store, must-revalidate"),
    (b"pragma", b"no-cache"),
]
_OF_NO_MATTER: dict[str, Any] = {"type": "http", "root_path": ""}  # what a scope has of the client's connection


class Dispatch:
    """The ASGI application that the server runs. `inner` answers what is not forwarded."""

    def __init__(
        self,
        cluster: Cluster,
        inner: FastAPI,
        placement: Placement,
        *,
        cors: bool,
        experimental: bool = False,
        replica: Replica | None = None,
    ) -> None:
        self._cluster = cluster
        self._inner = inner
        self._replica = replica
        self._cors = CORS if cors else ()
        self._experimental = b"true" if experimental else b"false"
        self._head_lines: dict[tuple[bytes, Version], bytes] = {}
        self._forwarder = Forwarder(cluster, Builder(cluster, placement, self._cors), self._cors)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        method: str = scope["method"]
        try:
            version, path = apiversion.split_path(scope["path"])
            found = match(method, path)
            if self.passes_on(method, path) and await self.pass_on(scope, method, path):
                return
            asked_in = version or self._cluster.api_version()
            as_it_is = found is not None and (version is None or version >= found[0].as_it_is_from)
            if found is not None and as_it_is and await self._forwarder.forward(scope, asked_in, path, *found):
                return
        except SwarmError as error:
            await self.refuse(scope, error, send)
            return
        if path == "/_ping" and method in ("GET", "HEAD"):
            await self._reply(scope, 200, b"OK", PLAIN, send, self._ping_headers())
        elif method == "OPTIONS":
            await self._reply(scope, 200, b"", JSON, send)
        else:
            scope["path"] = path
            scope["state"] = {"version": version or self._cluster.api_version()}
            if (endpoint := endpoint_for(method, path)) is not None:
                await self._answer_with(endpoint, scope, receive, send)
            else:
                await self._inner(scope, receive, self._with_headers(scope, send))

    def passes_on(self, method: str, path: str) -> bool:
        """Return whether the manager that leads is to answer a request for `path`, which has no version."""
        return self._replica is not None and self._replica.passes_on(path) and method != "OPTIONS"

    async def pass_on(self, scope: Message, method: str, path: str) -> bool:
        """Have the leader answer; return False if this manager has become it meanwhile. Raises SwarmError."""
        if self._replica is None:
            return False
        found = match(method, path)
        upgrade, endless = (found[0].upgrade, found[0].endless) if found is not None else (False, False)
        return await self._replica.pass_on(exchange_of(scope), whole_target(scope), upgrade=upgrade, endless=endless)

    async def refuse(self, scope: Message, error: SwarmError, send: Send) -> None:
        """Answer a request with `error`, of which nothing was done."""
        log_refusal(scope, error)
        later = [(b"retry-after", RETRY_AFTER_S)] if isinstance(error, Unavailable) else None
        await self._reply(scope, status_of(error), body_of(error), JSON, send, later)

    async def _answer_with(self, endpoint: Endpoint, scope: Message, receive: Receive, send: Send) -> None:
        """Have one of our own functions answer, as the application would."""
        scope["app"] = self._inner
        try:
            response = await endpoint(Request(scope, receive, send))
        except SwarmError as error:
            log_refusal(scope, error)
            response = error_reply(error)
        if (lines := self._lines(response, scope["headers"])) is not None:
            await exchange_of(scope).answer(response.status_code, lines, bytes(response.body))
        else:
            await response(scope, receive, self._with_headers(scope, send))

    def _lines(self, response: Response, asked_with: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """Return the headers of an answer of our own as they are sent, None if it has others than most have."""
        headers = response.raw_headers
        if type(response) is not Response or [name for name, _ in headers] != USUAL:
            return None
        content_type = headers[1][1]
        version = self._cluster.api_version(user_agent_in(asked_with))
        kept = self._head_lines.get((content_type, version))
        return kept or self._keep_lines(
            (content_type, version), [(b"content-type", content_type), *self._daemon_headers(version)]
        )

    def at_once(self, exchange: Exchange) -> bool:
        """Answer or forward a request, if there is nothing to wait for; else return False: it is called.

        What is wrong with the request, or with the engine, is left to the call.
        """
        target, method = exchange.request.target, exchange.request.method.decode("ascii")
        if target.endswith(b"/_ping"):
            return self._ping_at_once(exchange, target, method)
        raw_path, _, query = target.partition(b"?")
        if b"%" in raw_path or (self._replica is not None and not self._replica.leadership.leads):
            return False
        try:
            version, path = apiversion.split_path(raw_path.decode("ascii"))
            found = match(method, path)
            if found is None:
                return self._answer_at_once(exchange, method, version, path)
            if exchange.request.has_body or (version is not None and version < found[0].as_it_is_from):
                return False
            return self._forwarder.forward_at_once(exchange, version or self._cluster.api_version(), query, *found)
        except SwarmError:
            return False

    def _answer_at_once(self, exchange: Exchange, method: str, version: Version | None, path: str) -> bool:
        """Have one of our own functions answer, as `_answer_with` does. Whatever it raises is left to the call."""
        find = at_once_for(method, path)
        if find is None or (exchange.request.has_body and method != "POST"):
            return False
        version = version or self._cluster.api_version()
        scope = {**exchange.scope(_OF_NO_MATTER), "path": path, "app": self._inner, "state": {"version": version}}
        try:
            found = find(Request(scope))
        except Exception:  # noqa: BLE001  asked once more, it happens where it is looked after
            return False
        if not isinstance(found, Question):
            return found is not None and self._give_at_once(exchange, found)
        question = found
        exchange.about.node = question.engine.name

        def reply(answer: Answer | EngineUnreachable) -> None:
            if isinstance(answer, EngineUnreachable):
                self._refuse_at_once(exchange, scope, unreachable(question.engine, answer))
                return
            question.engine.note_success()
            try:
                said = question.reply(answer)
            except SwarmError as error:
                self._refuse_at_once(exchange, scope, error)
            except Exception:  # noqa: BLE001  asked once more, it happens where it is looked after
                exchange.connection.ask_application(exchange)
            else:
                self._give_at_once(exchange, said)

        return ask_at_once(question, exchange, version, reply)

    def _give_at_once(self, exchange: Exchange, response: Response) -> bool:
        """Answer with `response`; return False if it is not whole."""
        if type(response) is not Response:
            return False
        asked_with = exchange.request.fields.headers
        lines = self._lines(response, asked_with)
        if lines is None:
            headers = [pair for pair in response.raw_headers if pair[0] != b"content-length"]
            headers += self._daemon_headers(self._cluster.api_version(user_agent_in(asked_with)))
            lines = b"".join(b"%s: %s\r\n" % pair for pair in headers)
        exchange.answer_at_once(response.status_code, lines, bytes(response.body))
        return True

    def _refuse_at_once(self, exchange: Exchange, scope: Message, error: SwarmError) -> None:
        log_refusal(scope, error)
        self._give_at_once(exchange, error_reply(error))

    def _ping_at_once(self, exchange: Exchange, target: bytes, method: str) -> bool:
        try:
            _, path = apiversion.split_path(target.decode("ascii"))
        except SwarmError:
            return False
        if path != "/_ping" or method not in ("GET", "HEAD"):
            return False
        user_agent = user_agent_in(exchange.request.fields.headers)
        version, headers = self._cluster.api_version(user_agent), self._ping_headers()
        key = b" ".join(value for _, value in headers), version
        lines = self._head_lines.get(key)
        if lines is None:
            head = [(b"content-type", PLAIN), *headers, *self._daemon_headers(version)]
            lines = self._keep_lines(key, head)
        exchange.about.route = "ping"
        exchange.answer_at_once(200, lines, b"OK")
        return True

    def _keep_lines(self, key: tuple[bytes, Version], headers: Headers) -> bytes:
        if len(self._head_lines) >= KEPT_LINES:
            self._head_lines.clear()
        lines = self._head_lines[key] = b"".join(b"%s: %s\r\n" % pair for pair in headers)
        return lines

    async def _reply(
        self, scope: Message, status: int, body: bytes, content_type: bytes, send: Send, headers: Headers | None = None
    ) -> None:
        if scope["method"] == "HEAD":
            body = b""
        all_headers = [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            *(headers or ()),
            *self._daemon_headers(self._cluster.api_version(user_agent_in(scope["headers"]))),
        ]
        await send({"type": "http.response.start", "status": status, "headers": all_headers})
        await send({"type": "http.response.body", "body": body})

    def _ping_headers(self) -> Headers:
        builder = b"2" if self._cluster.versions.prefer_buildkit() else b"1"
        return [*PING, (b"swarm", self._cluster.swarms.ping_header), (b"builder-version", builder)]

    def _with_headers(self, scope: Message, send: Send) -> Send:
        """Return `send`, which also tells what Docker's clients look for in every answer of a daemon."""

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                version = self._cluster.api_version(user_agent_in(scope["headers"]))
                cast("Headers", message["headers"]).extend(self._daemon_headers(version))
            await send(message)

        return wrapped

    def _daemon_headers(self, version: Version) -> Headers:
        return [
            (b"api-version", apiversion.text(version).encode()),
            (b"server", SERVER),
            (b"ostype", b"linux"),
            (b"docker-experimental", self._experimental),
            *self._cors,
        ]


def whole_target(scope: Message) -> bytes:
    """Return path and query as the client sent them."""
    query: bytes = scope["query_string"]
    return cast("bytes", scope["raw_path"]) + (b"?" + query if query else b"")


def log_refusal(scope: Message, error: SwarmError) -> None:
    """Log an error that goes to the client: once, by whoever sends it.

    That no node fits is classic's 500, and what we never do is a 501, but nothing is wrong with us. That descriptors
    ran out has been said once.
    """
    status = status_of(error)
    asked_in_vain = isinstance(error, NoNodeFits | NoSwarm | NotSupported | Exhausted)
    log.log(
        logging.ERROR if status >= 500 and not asked_in_vain else logging.INFO,
        "HTTP error",
        extra={
            "status": status,
            "error": str(error),
            "method": scope["method"],
            "path": scope["path"],
            "request_id": exchange_of(scope).request_id,
        },
    )


def user_agent_in(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return what the client calls itself; empty if it does not say."""
    for name, value in headers:
        if name == b"user-agent":
            return value.decode("latin-1")
    return ""
