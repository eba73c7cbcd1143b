"""What one engine is asked for a client, and what is made of its answer: whether a task waits for it or nobody does."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request, Response

from swarmproxy.api.requests import note_node, version_of
from swarmproxy.cluster.asking import ASK_TIMEOUT_S, ask, json_headers, versioned
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineUnreachable
from swarmproxy.model.apiversion import Version
from swarmproxy.wire.fetch import Answer
from swarmproxy.wire.relay import Exchange


@dataclass(frozen=True, slots=True)
class Question:
    """A request whose `path` has no version. `reply` makes the client's answer of the engine's, whatever its status."""

    engine: Engine
    path: str
    reply: Callable[[Answer], Response]
    method: str = "GET"
    body: bytes = b""  # JSON


async def reply_to(question: Question, request: Request) -> Response:
    """Ask, and return the client's answer. Raises EngineUnreachable, and what `reply` raises."""
    note_node(request, question.engine)
    version = version_of(request)
    return question.reply(await ask(question.engine, version, question.method, question.path, body=question.body))


def ask_at_once(
    question: Question, exchange: Exchange, version: Version, then: Callable[[Answer | EngineUnreachable], None]
) -> bool:
    """Ask for a client while nobody waits; return False if that cannot be, and nothing was asked.

    Raises EngineUnreachable.
    """
    engine = question.engine
    if engine.state is not State.HEALTHY:
        return False
    target = versioned(engine, version, question.path)
    return exchange.ask_at_once(
        engine.pool,
        question.method,
        target,
        then,
        headers=json_headers(question.body),
        body=question.body,
        timeout_s=ASK_TIMEOUT_S,
    )
