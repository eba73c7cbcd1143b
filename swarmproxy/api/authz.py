"""Docker's own authorization plugins, asked about every request and about every answer that is no stream.

They stand where a policy would: before the dispatch. What they are told and what their word does is as with dockerd,
but where that would let somebody by: a body that we act on is always shown, whatever its Content-Type says, one that is
too large to be shown is refused, and so is a path that could be read in two ways.
Source: moby, pkg/authorization; docs.docker.com/engine/extend/plugins_authorization.
"""

import ssl
from collections.abc import Iterable, Sequence
from typing import TypeVar
from urllib.parse import quote

import msgspec

from swarmproxy.api.asked_kinds import certain_kind_of
from swarmproxy.api.dispatch import JSON, Dispatch, Message, Receive, Send, log_refusal
from swarmproxy.api.errors import PAGE_NOT_FOUND, body_of, status_of
from swarmproxy.api.forwarding import exchange_of
from swarmproxy.api.guard import collecting
from swarmproxy.api.identifying import identity_of
from swarmproxy.errors import EngineUnreachable, Forbidden, SwarmError
from swarmproxy.model import apiversion
from swarmproxy.policy.identity import Identity
from swarmproxy.settings import AuthzPlugin
from swarmproxy.wire.address import Address
from swarmproxy.wire.clients import encoded_certificate_of
from swarmproxy.wire.fetch import fetch
from swarmproxy.wire.pool import Pool
from swarmproxy.wire.relay import Exchange

TIMEOUT_S = 10.0
SHOWN_BYTES = 1024 * 1024
ACTIVATE, REQUEST, RESPONSE = "Plugin.Activate", "AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes"

Answered = TypeVar("Answered")

_ACCEPT = ("Accept", "application/vnd.docker.plugins.v1.1+json")
_SECRETS = frozenset((b"authorization", b"x-registry-auth", b"x-registry-config"))
_NOT_SHOWN = frozenset(
    {
        *("auth", "build", "images/import", "images/load", "images/pull"),
        *("containers/put-archive", "plugins/create", "session", "grpc"),
    }
)
"""The kinds whose request bodies are credentials, or pass by without being looked at."""
_STREAMED = frozenset(
    {
        *("events", "build", "session", "grpc", "exec/start", "swarmproxy/rebalance", "services/logs", "tasks/logs"),
        *(f"containers/{verb}" for verb in ("logs", "stats", "wait", "attach", "archive", "export")),
        *(f"images/{verb}" for verb in ("save", "load", "import", "pull", "push")),
        *(f"plugins/{verb}" for verb in ("pull", "push", "create", "upgrade")),
    }
)
"""The kinds whose answers come bit by bit: for dockerd, too, there is nothing to be asked of them."""


class Asked(msgspec.Struct, omit_defaults=True, rename="pascal"):
    """What a plugin is told of a request, and later of its answer."""

    user: str = ""
    authenticated_by: str = msgspec.field(default="", name="UserAuthNMethod")
    request_method: str = ""
    request_uri: str = ""
    request_body: bytes = b""  # base64 on the way, as all bytes here
    request_headers: dict[str, str] = msgspec.field(default_factory=dict)
    request_peer_certificates: list[bytes] = msgspec.field(default_factory=list)
    response_status_code: int = 0
    response_body: bytes = b""
    response_headers: dict[str, str] = msgspec.field(default_factory=dict)


class _Word(msgspec.Struct, rename="pascal"):
    allow: bool = False
    msg: str = ""
    err: str = ""


class _Activated(msgspec.Struct, rename="pascal"):
    implements: list[str] = msgspec.field(default_factory=list)


class Plugin:
    """One plugin. What does not come from it, in time and readable, is a refusal."""

    def __init__(self, plugin: AuthzPlugin, *, timeout_s: float = TIMEOUT_S) -> None:
        self.name = plugin.name
        self._pool = Pool(Address.parse(plugin.address), connect_timeout_s=timeout_s)
        self._timeout_s = timeout_s
        self._active = False

    async def ask(self, what: str, asked: Asked) -> None:
        """Return if the plugin allows it. Raises Forbidden, and SwarmError if it does not say."""
        if not self._active:
            activated = await self._call(ACTIVATE, b"", _Activated)
            if "authz" not in activated.implements:
                raise self._failed("it is no authorization plugin")
            self._active = True
        word = await self._call(what, msgspec.json.encode(asked), _Word)
        if word.err:
            raise self._failed(word.err)
        if not word.allow:
            raise Forbidden(f"authorization denied by plugin {self.name}: {word.msg}")

    async def _call(self, what: str, body: bytes, form: type[Answered]) -> Answered:
        headers = (_ACCEPT, ("Content-Type", "application/json"))
        try:
            answer = await fetch(self._pool, "POST", f"/{what}", headers=headers, body=body, timeout_s=self._timeout_s)
        except EngineUnreachable as error:
            self._active = False  # another one may answer there next
            raise self._failed(str(error).removeprefix("engine ")) from error
        if answer.status != 200:
            raise self._failed(f"{what} was answered with {answer.status}")
        try:
            return msgspec.json.decode(answer.body, type=form)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._failed(f"{what} was answered with something unreadable: {error}") from error

    def _failed(self, why: str) -> SwarmError:
        return SwarmError(f"plugin {self.name} failed with error: {why}")

    async def close(self) -> None:
        """End the connections."""
        await self._pool.close()


class Authorizer:
    """The application that a manager with plugins serves. All of them have to allow a request, in their order."""

    def __init__(self, dispatch: Dispatch, plugins: Sequence[Plugin]) -> None:
        self._dispatch = dispatch
        self._plugins = plugins

    def at_once(self, exchange: Exchange) -> bool:  # noqa: ARG002
        """Return False: nothing is answered before the plugins have been asked."""
        return False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Have one request answered if it is allowed."""
        exchange = exchange_of(scope)
        about = exchange.about
        try:
            _, path = apiversion.split_path(scope["path"])
            kind, _ = certain_kind_of(scope["method"], path, scope["query_string"])
            if kind is None:
                raise PAGE_NOT_FOUND
            identity = identity_of(exchange.connection.transport)
            about.identity = identity.title
            asked = _described(exchange, scope, identity)
            if exchange.request.has_body and kind not in _NOT_SHOWN:
                asked.request_body = await exchange.read_body(SHOWN_BYTES, "a request that a plugin has to see")
                exchange.give_back(asked.request_body)
                scope["headers"] = list(exchange.request.fields.headers)
            await self._ask(REQUEST, asked, exchange)
            about.verdict = "allowed"
        except SwarmError as error:
            about.verdict = "refused"
            await self._dispatch.refuse(scope, error, send)
            return
        if exchange.gone:
            return
        if kind in _STREAMED or scope["method"] == "HEAD":
            await self._dispatch(scope, receive, send)
            return

        async def review(status: int, lines: bytes, body: bytes) -> tuple[int, bytes, bytes]:
            asked.response_status_code = status
            asked.response_headers = _shown(line.split(b": ", 1) for line in lines.split(b"\r\n") if b": " in line)
            asked.response_body = body if _is_json(asked.response_headers) and len(body) <= SHOWN_BYTES else b""
            try:
                await self._ask(RESPONSE, asked, exchange)
            except SwarmError as error:
                about.verdict = "refused"
                log_refusal(scope, error)
                return status_of(error), b"content-type: %s\r\n" % JSON, body_of(error)
            return status, lines, body

        exchange.review = review
        await self._dispatch(scope, receive, collecting(exchange))

    async def _ask(self, what: str, asked: Asked, exchange: Exchange) -> None:
        for plugin in self._plugins:
            try:
                await plugin.ask(what, asked)
            except SwarmError:
                exchange.about.rule = f"plugin {plugin.name}"
                raise


def _described(exchange: Exchange, scope: Message, identity: Identity) -> Asked:
    """Return what plugins are told, without the body. The path is in the one form that we act on."""
    query: bytes = scope["query_string"]
    asked = Asked(
        request_method=scope["method"],
        request_uri=quote(scope["path"], safe="/:@!$&'()*+,;=~") + (f"?{query.decode('latin-1')}" if query else ""),
        request_headers=_shown(exchange.request.fields.headers),
    )
    if certificate := encoded_certificate_of(exchange.connection.transport):
        asked.user, asked.authenticated_by = identity.cn, "TLS"
        asked.request_peer_certificates = [ssl.DER_cert_to_PEM_cert(certificate).encode()]
    return asked


def _shown(headers: Iterable[Sequence[bytes]]) -> dict[str, str]:
    """Return headers by their usual names, without credentials; of those that are repeated the last."""
    return {
        "-".join(part.capitalize() for part in name.decode("latin-1").split("-")): value.decode("latin-1")
        for name, value in headers
        if name.lower() not in _SECRETS and name.lower() != b"host"
    }


def _is_json(headers: dict[str, str]) -> bool:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/json"
