"""The policy in front of everything: who asks, whether that is allowed, and what is to be changed in it.

It stands before the dispatch, as the ASGI application and as the shortcut, and is not there at all without a policy.
What it decides on is what the dispatch acts on: the same path, the same match, and a body that is written anew.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl, urlencode

from swarmproxy.api.asked_kinds import certain_kind_of
from swarmproxy.api.dispatch import Dispatch, Message, Receive, Send
from swarmproxy.api.forwarding import exchange_of
from swarmproxy.api.identifying import IDENTITY, holder_of_token, identity_of, of_user
from swarmproxy.api.meant import container_meant, things_meant
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.errors import BadRequest, Forbidden, NotFound, SwarmError
from swarmproxy.leader.replica import CLIENT
from swarmproxy.model import apiversion
from swarmproxy.policy.asked import LOOKED_INTO, WITH_BODY, Asked
from swarmproxy.policy.body import MOST_BYTES, encode
from swarmproxy.policy.decision import OutOfReach, Refused, check_parameters, decide, not_there, permit
from swarmproxy.policy.document import Policy
from swarmproxy.policy.identity import Identity
from swarmproxy.policy.kinds import KINDS, LISTED_BY_LABEL, OF_OBJECTS, OPEN
from swarmproxy.policy.marking import mark, narrowed
from swarmproxy.policy.redaction import REDACTED, redacted
from swarmproxy.policy.role import Role
from swarmproxy.wire.head import changed
from swarmproxy.wire.relay import Exchange

log = logging.getLogger("swarmproxy.policy")

MOST_TOLD = 10_000
_FORMS = (b"application/x-www-form-urlencoded", b"multipart/")
_FOR_US = frozenset((b"authorization", IDENTITY))
_FOR_US_OR_FORGED = _FOR_US | {CLIENT}
_LISTS_BY_NAME = frozenset(("containers/list", "networks/list", "volumes/list"))
_LOOKED_INTO = frozenset(
    kind
    for kind in KINDS
    if kind in LOOKED_INTO or kind.partition("/")[0] in ("images", "plugins", "build") or kind == "commit"
)
_OF_SOMEBODY = frozenset(kind for kind in KINDS if kind.partition("/")[0] in (*OF_OBJECTS, "exec"))


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what role that gives. Kept for a connection, unless each request shows a token."""

    policy: Policy
    identity: Identity
    role: Role | None
    title: str
    rule: str
    is_manager: bool  # and may say for whom it passes a request on
    at_once: frozenset[str]  # kinds of which nothing has to be looked at

    @classmethod
    def of(cls, policy: Policy, identity: Identity) -> "Asker":
        """Return `identity` with the role that it has."""
        role, binding = policy.role_of(identity), policy.binding_of(identity)
        return cls(
            policy,
            identity,
            role,
            title=identity.title,
            rule=f"roles.{role.name}" if role is not None else "default",
            is_manager=binding is not None and binding.manager,
            at_once=allowed_at_once(role) if role is not None else frozenset(),
        )


def allowed_at_once(role: Role) -> frozenset[str]:
    """Return the kinds that `role` may ask for whatever the request says, and whose answer passes as it is."""
    kinds = role.kinds
    if not role.limits.unlimited:
        kinds -= _LOOKED_INTO
    if role.is_narrow:
        kinds -= _LOOKED_INTO | _OF_SOMEBODY | LISTED_BY_LABEL | frozenset(("system/df", "build/prune"))
        kinds -= frozenset(("swarmproxy/rebalance", "swarmproxy/rebalance/plan"))
    if not role.environment:
        kinds -= REDACTED | frozenset(("containers/top",))
    return kinds


class Guard:
    """The application that a manager with a policy serves. `policy` may be replaced while it serves."""

    def __init__(self, dispatch: Dispatch, cluster: Cluster, policy: Policy) -> None:
        self._dispatch = dispatch
        self._cluster = cluster
        self._policy = policy
        self._has_tokens = policy.has_tokens
        self._told: dict[Identity, Asker] = {}  # by token, or by another manager: not kept for a connection

    @property
    def policy(self) -> Policy:
        """What is decided by now."""
        return self._policy

    def obey(self, policy: Policy) -> None:
        """Decide by `policy` from now on, also what comes on connections that are there."""
        self._policy = policy
        self._has_tokens = policy.has_tokens
        self._told.clear()
        of_user.cache_clear()

    # Who asks.

    def _asker(self, exchange: Exchange) -> Asker:
        """Return who asks, once: then what tells it is taken out of the request. Raises Forbidden for a bad token."""
        asker = exchange.asker
        if not isinstance(asker, Asker):
            asker = exchange.asker = self._identified(exchange)
            self._take_out(exchange, asker)
        return asker

    def _identified(self, exchange: Exchange) -> Asker:
        policy, connection = self._policy, exchange.connection
        fields = exchange.request.fields
        if self._has_tokens:
            holder = holder_of_token(policy, fields, connection.transport)
            if holder is not None:
                return self._of_told(holder)
        asker = connection.known
        if not isinstance(asker, Asker) or asker.policy is not policy:
            asker = Asker.of(policy, identity_of(connection.transport))
            connection.known = asker
        if asker.is_manager:
            told = next((value for name, value in fields.headers if name == IDENTITY), None)
            if told is not None:
                return self._of_told(Identity.decode(told))
        return asker

    def _of_told(self, identity: Identity) -> Asker:
        asker = self._told.get(identity)
        if asker is None:
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            asker = self._told[identity] = Asker.of(self._policy, identity)
        return asker

    def _take_out(self, exchange: Exchange, asker: Asker) -> None:
        """Take out of the request what is for us alone, or for managers to say."""
        exchange.about.identity = asker.title
        peer = exchange.connection.known
        without = _FOR_US if isinstance(peer, Asker) and peer.is_manager else _FOR_US_OR_FORGED
        if any(name in without for name, _ in exchange.request.fields.headers):
            fields = changed(exchange.request.fields, without=without)
            exchange.replace_fields(fields)

    # The two ways in.

    def at_once(self, exchange: Exchange) -> bool:
        """See Dispatch.at_once: for what is allowed without looking at more than the kind of the request."""
        target = exchange.request.target
        if target.endswith(b"/_ping"):
            return self._dispatch.at_once(exchange)
        try:
            asker = self._asker(exchange)
        except SwarmError:
            return False
        role = asker.role
        if role is None or b"%" in target:
            return False
        if not role.everything:
            try:
                raw_path, _, query = target.partition(b"?")
                _, path = apiversion.split_path(raw_path.decode("ascii"))
            except SwarmError:
                return False
            if certain_kind_of(exchange.request.method.decode("ascii"), path, query)[0] not in asker.at_once:
                return False
        exchange.about.verdict, exchange.about.rule = "allowed", asker.rule
        return self._dispatch.at_once(exchange)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Decide on one request, and have it answered if it is allowed."""
        exchange = exchange_of(scope)
        about = exchange.about
        try:
            _, path = apiversion.split_path(scope["path"])
            kind, name = certain_kind_of(scope["method"], path, scope["query_string"])
            if kind not in OPEN:
                asker = self._asker(exchange)
                scope["headers"] = list(exchange.request.fields.headers)
                if asker.role is None:
                    raise Refused("default", f"{asker.title} has no role")
                if self._dispatch.passes_on(scope["method"], path):
                    self._tell_leader(exchange, asker)
                    if await self._dispatch.pass_on(scope, scope["method"], path):
                        return
                await self._decide(scope, exchange, asker.identity, asker.role, kind, name, path)
                about.verdict, about.rule = "allowed", asker.rule
        except SwarmError as error:
            if isinstance(error, Forbidden):
                about.verdict, about.rule = "refused", error.rule if isinstance(error, Refused) else ""
                if isinstance(error, OutOfReach) and self._policy.hide:
                    error = not_there(error.use)
            await self._dispatch.refuse(scope, error, send)
            return
        await self._dispatch(scope, receive, send if exchange.adapt is None else collecting(exchange))

    @staticmethod
    def _tell_leader(exchange: Exchange, asker: Asker) -> None:
        """Have the leader know for whom this manager passes the request on: it decides."""
        line = ((IDENTITY, asker.identity.encode()),)
        fields = changed(exchange.request.fields, without=frozenset((IDENTITY,)), more=line)
        exchange.replace_fields(fields)

    # The decision.

    async def _decide(
        self, scope: Message, exchange: Exchange, identity: Identity, role: Role, kind: str | None, name: str, path: str
    ) -> None:
        """Raise Refused, or make the request what is allowed of it."""
        permit(role, kind)
        if kind is None or (role.limits.unlimited and not role.is_narrow and role.environment):
            return
        _refuse_forms(exchange)
        query: bytes = scope["query_string"]
        parameters: dict[str, tuple[str, ...]] = {}
        for key, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            parameters[key] = (*parameters.get(key, ()), value)
        check_parameters(parameters, query)
        body = await exchange.read_body(MOST_BYTES, f"a request of the kind {kind}") if kind in WITH_BODY else None
        asked = Asked.read(kind, name, parameters, body)
        needs, uses = asked.found()
        if not role.is_narrow:
            uses = [use for use in uses if use.shares or use.kind in ("networks", "volumes", "images")]
        things = await things_meant(self._cluster, uses)
        allowed = decide(role, identity, asked, needs, things)
        if role.is_narrow and kind.startswith("containers/") and name:
            _name_by_id(scope, path, name, self._cluster)
        if kind in LISTED_BY_LABEL and (allowed.labels or role.reach.names):
            names = role.reach.names if kind in _LISTS_BY_NAME else ()
            filters = narrowed("".join(parameters.get("filters", ())), allowed.labels, names)
            others = [(key, value) for key, values in parameters.items() if key != "filters" for value in values]
            scope["query_string"] = urlencode([*others, ("filters", filters)]).encode("ascii")
        if kind in WITH_BODY:
            made = mark(asked, allowed.labels) if allowed.labels and asked.makes else asked.body
            exchange.give_back(encode(made) if made is not None else b"")
            scope["headers"] = list(exchange.request.fields.headers)
        if allowed.redact and kind in REDACTED:
            exchange.adapt = _redaction(kind)


def _refuse_forms(exchange: Exchange) -> None:
    """Raise BadRequest for a form: engines take its fields for parameters, before those of the query."""
    if exchange.request.has_body:
        for name, value in exchange.request.fields.headers:
            if name == b"content-type" and value.lower().lstrip().startswith(_FORMS):
                raise BadRequest("parameters belong into the query: forms are not taken")


def _name_by_id(scope: Message, path: str, name: str, cluster: Cluster) -> None:
    """Put the ID of a container in the place of its name: it is this one, whatever is renamed meanwhile."""
    located = container_meant(cluster, name)
    if located is None:
        raise NotFound(f"No such container: {name}")
    prefix: str = scope["path"][: len(scope["path"]) - len(path)]
    rest = path[len("/containers/") + len(name) :]
    scope["path"] = f"{prefix}/containers/{located.container.id}{rest}"
    scope["raw_path"] = scope["path"].encode()


def _redaction(kind: str) -> Callable[[int, bytes], bytes]:
    def adapt(status: int, body: bytes) -> bytes:
        if status >= 400:
            return body
        try:
            return redacted(kind, body)
        except (ValueError, RecursionError):
            log.exception("an answer cannot be looked through, and is not passed on", extra={"kind": kind})
            return b'{"message":"the answer cannot be looked through"}\n'

    return adapt


def collecting(exchange: Exchange) -> Send:
    """Return a `send` that gives the whole answer at once, so that it can be adapted."""
    parts: list[bytes] = []
    head: Message = {}

    async def collect(message: Message) -> None:
        nonlocal head
        if message["type"] == "http.response.start":
            head = message
            return
        parts.append(cast("bytes", message.get("body", b"")))
        if not message.get("more_body"):
            lines = [b"%s: %s\r\n" % pair for pair in head["headers"] if pair[0].lower() != b"content-length"]
            await exchange.answer(head["status"], b"".join(lines), b"".join(parts))

    return collect
