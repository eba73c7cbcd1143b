"""An answer that is made while it is sent."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Any

from starlette.responses import Response

from swarmproxy.api.forwarding import exchange_of
from swarmproxy.errors import SwarmError

log = logging.getLogger("swarmproxy.api")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class CutWhenItFails(Response):
    """Sends what `source` yields. Raises SwarmError before the first piece; after it, the client's answer is cut.

    So nobody takes what has come for the whole. The client's leaving ends the source.
    """

    def __init__(self, source: AsyncIterator[bytes], media_type: str) -> None:
        super().__init__(media_type=media_type)
        self._source = source

    async def __call__(self, scope: Message, _receive: Receive, send: Send) -> None:
        """Answer the request."""
        exchange = exchange_of(scope)
        async with aclosing(self._source) as source:  # type: ignore[type-var]
            piece = await anext(source, None)
            headers = [(b"content-type", str(self.media_type).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            try:
                while piece is not None and not exchange.gone:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    piece = await anext(source, None)
            except SwarmError as error:
                log.warning("answer cut", extra={"request_id": exchange.request_id, "error": str(error)})
                exchange.cut()
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
