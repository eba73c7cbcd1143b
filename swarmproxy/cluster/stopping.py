"""A stop or a restart with a signal that the client chose, on an engine that knows only the container's own."""

import asyncio
from contextlib import suppress
from urllib.parse import urlencode

import msgspec

from swarmproxy.cluster.asking import ask, refusal
from swarmproxy.cluster.index import Located
from swarmproxy.errors import BadRequest
from swarmproxy.model.apiversion import Version
from swarmproxy.wire.fetch import Answer

GRACE_S = 10  # for a container that has no time of its own to end
FOREVER_S = 30 * 86400.0


class _Config(msgspec.Struct):
    StopTimeout: int | None = None


class _State(msgspec.Struct):
    Running: bool | None = None


class _Inspected(msgspec.Struct):
    Config: _Config | None = None
    State: _State | None = None


_decoder = msgspec.json.Decoder(_Inspected)


async def signal_and(action: str, located: Located, signal: str, grace: str, version: Version) -> Answer:
    """Send `signal`, give the container its time to end, then have the engine do `action`: `stop` or `restart`.

    `grace` is the client's parameter `t`. What is left of the container when its time is over the engine kills, as it
    does by itself; and one that it would start again, as it has ended by another signal than its own, stays stopped.
    Returns what the engine says, as if it had done all of it. Raises BadRequest, EngineUnreachable.
    """
    engine, path = located.engine, f"/containers/{located.container.id}"
    inspected = await ask(engine, version, "GET", f"{path}/json")
    if inspected.status != 200:
        return inspected
    seen = _decoder.decode(inspected.body)
    was_running = bool((seen.State or _State()).Running)
    if was_running:
        killed = await ask(engine, version, "POST", f"{path}/kill?{urlencode({'signal': signal})}")
        if killed.status >= 400 and killed.status != 409:  # 409: it has ended meanwhile
            raise refusal(killed, path)
        with suppress(TimeoutError):
            async with asyncio.timeout(_seconds(grace, seen.Config or _Config())):
                await ask(engine, version, "POST", f"{path}/wait?condition=not-running", timeout_s=FOREVER_S)
    answer = await ask(engine, version, "POST", f"{path}/{action}?t=0")
    return Answer(204, {}, b"") if was_running and answer.status == 304 else answer


def _seconds(grace: str, config: _Config) -> float | None:
    """Return how long to wait; None for as long as it takes."""
    try:
        seconds = int(grace) if grace else GRACE_S if config.StopTimeout is None else config.StopTimeout
    except ValueError as error:
        raise BadRequest(f"invalid value for parameter t: {grace}") from error
    return None if seconds < 0 else float(seconds)
