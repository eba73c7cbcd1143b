"""Learning mode: nothing is refused, and what is asked for becomes the policy that allows just that."""

import os
from pathlib import Path
from urllib.parse import parse_qsl

from swarmproxy.api.asked_kinds import certain_kind_of
from swarmproxy.api.dispatch import Dispatch, Message, Receive, Send
from swarmproxy.api.forwarding import exchange_of
from swarmproxy.api.identifying import bearer_of, identity_of
from swarmproxy.errors import ConfigError, SwarmError
from swarmproxy.model import apiversion
from swarmproxy.policy.asked import WITH_BODY, Asked
from swarmproxy.policy.body import MOST_BYTES
from swarmproxy.policy.identity import Identity, hash_of
from swarmproxy.policy.learning import Learnt
from swarmproxy.policy.needs import Need
from swarmproxy.wire.relay import Exchange


class Learner:
    """The application that a learning manager serves. `write` puts the policy into `path`."""

    def __init__(self, dispatch: Dispatch, path: Path) -> None:
        self._dispatch = dispatch
        self._path = path
        self._learnt = Learnt()

    def write(self) -> None:
        """Write the policy that all requests so far need. Raises ConfigError."""
        text, draft = self._learnt.text(), self._path.with_name(f"{self._path.name}.new")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            draft.replace(self._path)
        except OSError as error:
            raise ConfigError(f"--policy-learn: {self._path} cannot be written: {error.strerror}") from error

    def at_once(self, exchange: Exchange) -> bool:
        """See Dispatch.at_once: only for pings, of which nothing is learnt."""
        return exchange.request.target.endswith(b"/_ping") and self._dispatch.at_once(exchange)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Note one request, and have it answered."""
        exchange = exchange_of(scope)
        try:
            _, path = apiversion.split_path(scope["path"])
            kind, name = certain_kind_of(scope["method"], path, scope["query_string"])
            identity = _identity(exchange)
            exchange.about.identity = identity.title
            needs = await _needs(exchange, scope, kind, name) if kind is not None else []
            self._learnt.note(identity, kind, needs, what=f"{scope['method']} {path}")
        except SwarmError as error:
            await self._dispatch.refuse(scope, error, send)
            return
        await self._dispatch(scope, receive, send)


def _identity(exchange: Exchange) -> Identity:
    """Return who asks; the holder of a token by the token's hash, which is what a policy has of it."""
    token = bearer_of(exchange.request.fields)
    if token is not None:
        return Identity(kind="token", token=hash_of(token))
    known = exchange.connection.known
    if not isinstance(known, Identity):
        known = exchange.connection.known = identity_of(exchange.connection.transport)
    return known


async def _needs(exchange: Exchange, scope: Message, kind: str, name: str) -> list[Need]:
    """Return what a request needs. Its body is looked at, and goes on as it came."""
    parameters: dict[str, tuple[str, ...]] = {}
    for key, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        parameters[key] = (*parameters.get(key, ()), value)
    body = None
    if kind in WITH_BODY:
        body = await exchange.read_body(MOST_BYTES, f"a request of the kind {kind}")
        exchange.give_back(body)
    return Asked.read(kind, name, parameters, body).found()[0]
