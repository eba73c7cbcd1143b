"""A request of Docker's swarm mode on its way to a manager of the members' swarm: the leader if it is there."""

from contextlib import aclosing, suppress
from dataclasses import replace
from urllib.parse import quote

from swarmproxy.api.forwarded import SOON_S
from swarmproxy.cluster.asking import unreachable, versioned
from swarmproxy.cluster.swarms import READS, Leaderless, Swarms, refused_by_manager
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import EngineUnreachable, SwarmError, Unavailable
from swarmproxy.model.apiversion import Version
from swarmproxy.wire.holding import Held
from swarmproxy.wire.relay import Exchange, RelayOptions

_SHOWN_IN_INFO = ("/swarm/", "/nodes/")
MAX_BODY_BYTES = 8 * 1024 * 1024
"""Swarm mode keeps no object over 1 MiB: configs are the largest, and are sent in base64."""


async def forward_to_manager(
    exchange: Exchange, swarms: Swarms, version: Version, path: str, query: bytes, options: RelayOptions
) -> bool:
    """Have a manager answer. Return False if no swarm is used: the answer is that of an engine in none.

    Another manager is asked if the first has certainly done nothing, or if the request only reads, until there is a
    leader or none is to be expected. Raises as `Swarms.attempts`, Leaderless and EngineError with a manager's own
    words, EngineUnreachable if it is not known what became of the request, TooLarge.
    """
    if not swarms.is_used:
        return False
    request = exchange.request
    reads = request.method.decode("ascii") in READS
    if request.has_body:
        options = replace(options, body=await exchange.read_body(MAX_BODY_BYTES, "a request of swarm mode"))
    options = replace(options, holds=lambda status: status >= 500)
    path = quote(path, safe="/:@")
    failure: SwarmError = Unavailable("no manager of the swarm answers")
    waits = swarms.patience(SOON_S)
    async with aclosing(swarms.attempts()) as attempts:
        async for engine in attempts:
            target = versioned(engine, version, path).encode("ascii") + (b"?" + query if query else b"")
            exchange.about.node = engine.name
            options = replace(options, head_timeout_s=next(waits) if reads else SOON_S)
            try:
                status = await exchange.relay(engine.pool, target, options=options)
            except EngineUnreachable as error:
                failure = unreachable(engine, error)
                if not reads:
                    raise failure from error
            except Held as held:
                failure = refused_by_manager(held.status, held.body, path)
                if not isinstance(failure, Leaderless) or not (reads or failure.is_without_effect):
                    raise failure from held
            else:
                if status:
                    engine.note_success()
                if not reads:
                    swarms.changed()
                    await _read_anew(engine, path)
                return True
    raise swarms.verdict(failure)


async def _read_anew(engine: Engine, path: str) -> None:
    """Have a manager say again what it tells of the swarm in `docker info`, if that may have changed."""
    if path.startswith(_SHOWN_IN_INFO):
        with suppress(SwarmError):  # the next regular look makes up for it
            await engine.refresh_specs()
