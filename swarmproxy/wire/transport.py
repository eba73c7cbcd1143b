"""httpx on the pool of an engine, for the control calls: one way to dial, whoever asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire.fetch import Body, Streaming, stream
from swarmproxy.wire.pool import Pool

_WRITTEN_BY_POOL = frozenset((b"host", b"connection", b"transfer-encoding"))


class PoolTransport(httpx.AsyncBaseTransport):
    """Sends the requests of an `httpx.AsyncClient` over the connections of `pool`, which it does not own.

    Bodies stream both ways. Of httpx's timeouts `read` counts: until the head, and then for each block.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer once its head is there. Raises httpx.TransportError."""
        timeout_s = request.extensions.get("timeout", {}).get("read")
        body: Body
        unwanted = _WRITTEN_BY_POOL
        if isinstance(request.stream, httpx.ByteStream):
            body = b"".join(request.stream)
            unwanted |= {b"content-length"}  # the pool counts whole bodies itself
        elif isinstance(request.stream, httpx.AsyncByteStream):
            body = request.stream
        else:
            raise TypeError("the body is not an asynchronous stream")
        headers = [
            (name.decode("ascii"), value.decode("utf-8"))
            for name, value in request.headers.raw
            if name.lower() not in unwanted
        ]
        exit_stack = AsyncExitStack()
        exchange = stream(
            self._pool,
            request.method,
            request.url.raw_path.decode("ascii"),
            headers=headers,
            body=body,
            timeout_s=timeout_s,
        )
        try:
            answer = await exit_stack.enter_async_context(exchange)
        except EngineUnreachable as error:
            late = isinstance(error.__cause__, TimeoutError)
            raise (httpx.ReadTimeout if late else httpx.ConnectError)(str(error), request=request) from error
        head = answer.final_head().fields.headers
        return httpx.Response(answer.status, headers=list(head), stream=_Body(answer, exit_stack, timeout_s))


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as httpx reads it."""

    def __init__(self, answer: Streaming, exit_stack: AsyncExitStack, timeout_s: float | None) -> None:
        self._answer = answer
        self._exit_stack = exit_stack
        self._timeout_s = timeout_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                async with asyncio.timeout(self._timeout_s):
                    block = await self._answer.read()
                if not block:
                    return
                yield block
        except TimeoutError as error:
            raise httpx.ReadTimeout("the engine fell silent in the middle of its answer") from error
        except EngineUnreachable as error:
            raise httpx.ReadError(str(error)) from error

    async def aclose(self) -> None:
        """End the exchange."""
        await self._exit_stack.aclose()
