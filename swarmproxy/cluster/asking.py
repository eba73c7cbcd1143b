"""One request to one engine, in the API version that it speaks."""

from collections.abc import Sequence
from contextlib import suppress

from swarmproxy.engine.client import engine_error
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineError, EngineUnreachable, Exhausted
from swarmproxy.model.apiversion import Version, nearest, spoken
from swarmproxy.wire.fetch import Answer, fetch

ASK_TIMEOUT_S = 60.0

Headers = Sequence[tuple[str, str]]
_JSON = (("Content-Type", "application/json"),)


def versioned(engine: Engine, version: Version, path: str) -> str:
    """Return `path` in the version that `engine` speaks and that is nearest to `version`.

    Raises EngineUnreachable if it is not known what it speaks.
    """
    facts = engine.facts
    if facts is None:
        raise EngineUnreachable(f"engine {engine.address} has not been validated yet")
    return f"/v{spoken(version, facts.api_min, facts.api_max)}{path}"


def version_for(engine: Engine, version: Version) -> Version:
    """Return the version that `engine` speaks and that is nearest to `version`, as `versioned` puts it in the path.

    Raises EngineUnreachable if it is not known what it speaks.
    """
    if (facts := engine.facts) is None:
        raise EngineUnreachable(f"engine {engine.address} has not been validated yet")
    return nearest(version, facts.api_min, facts.api_max)


async def reach(engine: Engine) -> None:
    """Return at once, unless `engine` is Unhealthy: then when it has answered a ping, and is Healthy by that.

    So a request to an engine that is known to be silent is tried, and refused without waiting for a deadline of its
    own. Raises EngineUnreachable.
    """
    if engine.state is State.UNHEALTHY:
        with suppress(EngineError):  # which is an answer
            await engine.client.ping()


def json_headers(body: bytes) -> Headers:
    """Return what tells of a body that is JSON, if there is one."""
    return _JSON if body else ()


async def ask(
    engine: Engine,
    version: Version,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    timeout_s: float = ASK_TIMEOUT_S,
) -> Answer:
    """Return the engine's answer, whatever its status, and count it for the engine's health. A `body` is JSON.

    Raises EngineUnreachable, soon if the engine is known to be silent.
    """
    await reach(engine)
    target = versioned(engine, version, path)
    try:
        answer = await fetch(engine.pool, method, target, headers=json_headers(body), body=body, timeout_s=timeout_s)
    except EngineUnreachable as error:
        raise unreachable(engine, error) from error
    engine.note_success()
    return answer


def unreachable(engine: Engine, cause: EngineUnreachable) -> EngineUnreachable:
    """Count a failure to reach `engine`, and return it in the words that users of Docker know."""
    if isinstance(cause, Exhausted):
        return Exhausted(str(cause))
    engine.note_failure(cause)
    return EngineUnreachable(
        f"Cannot connect to the Docker daemon at {engine.client.url}. Is the docker daemon running? ({cause})"
    )


def refusal(answer: Answer, path: str) -> EngineError:
    """Return the engine's refusal as an error: its status and its message."""
    return engine_error(answer.status, answer.body, path)


async def ask_and_check(
    engine: Engine, version: Version, method: str, path: str, *, timeout_s: float = ASK_TIMEOUT_S
) -> bytes:
    """Return the body of the engine's answer. Raises EngineError if it refuses, EngineUnreachable."""
    answer = await ask(engine, version, method, path, timeout_s=timeout_s)
    if answer.status >= 400:
        raise refusal(answer, path.partition("?")[0])
    return answer.body
