"""The reply to a request that goes to several engines: their progress, merged, while they work."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import Response

from swarmproxy.api.progress import Board
from swarmproxy.cluster.broadcast import Begun, Broadcast, Report
from swarmproxy.cluster.tee import Tee

DECIDE_WITHIN_S = 5.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BroadcastReply(Response):
    """Carries out a broadcast and streams its board to the client; the client's leaving ends it.

    Raises SwarmError, before anything is sent, if all engines refuse at once: then the client gets the status
    and the message that one daemon would have sent. Some refusals take a daemon long: after a few seconds the
    stream begins all the same.
    """

    def __init__(self, broadcast: Broadcast, board: Board, *, tee: Tee | None = None) -> None:
        super().__init__()
        self._broadcast = broadcast
        self._board = board
        self._tee = tee

    async def __call__(self, _scope: Message, receive: Receive, send: Send) -> None:
        """Answer the request."""
        refusal: Exception | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read(receive), name="broadcast body")
                work = tasks.create_task(self._broadcast.run(), name="broadcast")
                refusal = await self._answer(send)
                await work
                reader.cancel()
        except* _ClientGoneError:
            pass
        if refusal is not None:
            raise refusal

    async def _read(self, receive: Receive) -> None:
        """Pass the body on and notice when the client leaves."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGoneError
            if self._tee is not None:
                await self._tee.feed(message.get("body", b""))
                if not message.get("more_body", False):
                    self._tee.complete()

    async def _answer(self, send: Send) -> Exception | None:
        early, is_over = await self._early_reports()
        lines = [self._board.take(report) for report in early]
        if is_over and not any(isinstance(report, Begun) for report in early):
            return self._board.error()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _send_lines(send, self._board.opening() + b"".join(lines))
        while (report := await self._broadcast.next()) is not None:
            reports = [report, *self._broadcast.ready()]
            await _send_lines(send, b"".join(self._board.take(each) for each in reports))
        await send({"type": "http.response.body", "body": self._board.closing(), "more_body": False})
        return None

    async def _early_reports(self) -> tuple[list[Report], bool]:
        """Return what comes until one engine has begun or all have ended, and whether they have."""
        reports: list[Report] = []
        try:
            async with asyncio.timeout(DECIDE_WITHIN_S):
                while (report := await self._broadcast.next()) is not None:
                    reports.append(report)
                    if isinstance(report, Begun):
                        return reports, False
        except TimeoutError:
            return reports, False
        return reports, True


class _ClientGoneError(Exception):
    """The client closed the connection."""


async def _send_lines(send: Send, lines: bytes) -> None:
    if lines:
        await send({"type": "http.response.body", "body": lines, "more_body": True})
