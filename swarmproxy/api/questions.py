"""What one engine is asked for a client, and what is made of its answer: whether a task waits for it or nobody does."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request, Response

from swarmproxy.api.requests import note_node, version_of
from swarmproxy.cluster.asking import ask
from swarmproxy.engine.engine import Engine
from swarmproxy.wire.fetch import Answer


@dataclass(frozen=True, slots=True)
class Question:
    """A GET, whose `path` has no version. `reply` makes the client's answer of the engine's, whatever its status."""

    engine: Engine
    path: str
    reply: Callable[[Answer], Response]


async def reply_to(question: Question, request: Request) -> Response:
    """Ask, and return the client's answer. Raises EngineUnreachable, and what `reply` raises."""
    note_node(request, question.engine)
    return question.reply(await ask(question.engine, version_of(request), "GET", question.path))
