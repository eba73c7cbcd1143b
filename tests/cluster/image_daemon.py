"""A scripted daemon whose pulls, loads and removals do what a test says, byte by byte and at its pace."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine, State
from swarmproxy.wire.address import Address
from tests.engine.harness import QUICK, eventually
from tests.engine.scripted import ScriptedEngine

Script = Callable[["Asked"], Awaitable[None]]


class Asked:
    """One request to `/images/...`, and the means to answer it."""

    def __init__(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *fields = head.strip().split("\r\n")
        self.method, self.target, _ = line.split(" ")
        parts = urlsplit(self.target)
        self.path = "/" + parts.path.split("/", 2)[2] if parts.path.startswith("/v1.") else parts.path
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        self.reader, self.writer = reader, writer

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        if self.headers.get("transfer-encoding") != "chunked":
            yield await self.reader.readexactly(int(self.headers.get("content-length", "0")))
            return
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)

    async def body(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def answer(self, status: int, value: Any) -> None:
        """Give a whole answer."""
        body = json.dumps(value).encode()
        self.writer.write(b"HTTP/1.1 %d Status\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        await self.writer.drain()

    async def begin(self) -> None:
        """Give the head of a stream."""
        self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        await self.writer.drain()

    async def say(self, **line: Any) -> None:
        """Give one line of a stream."""
        text = json.dumps(line).encode() + b"\r\n"
        self.writer.write(b"%x\r\n%s\r\n" % (len(text), text))
        await self.writer.drain()

    async def end(self) -> None:
        """End a stream in order."""
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


class ImageDaemon(ScriptedEngine):
    """Answers requests below `/images/` by its `script`, and everything else as an engine does."""

    def __init__(self, name: str = "node-0") -> None:
        super().__init__()
        self.name, self.id = name, f"ID-{name}"
        self.script: Script | None = None
        self.asked_for: list[Asked] = []
        self.left = asyncio.Event()  # the manager ended an exchange in the middle

    def hold(self, image_id: str, *tags: str, created: int = 1) -> None:
        self.images.append({"Id": f"sha256:{image_id}", "RepoTags": list(tags), "Created": created})

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked = Asked(head, reader, writer)
        if not asked.path.startswith("/images/") or asked.method == "GET":
            return await super()._answer(_Again(head, reader), writer)
        self.asked_for.append(asked)
        assert self.script is not None, asked.target
        try:
            await self.script(asked)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
            raise
        return "close" not in asked.headers.get("connection", "")


class _Again(asyncio.StreamReader):
    """A reader whose head has been read already."""

    def __init__(self, head: str, reader: asyncio.StreamReader) -> None:
        super().__init__()
        self._head, self._reader = head.encode(), reader

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        head, self._head = self._head, b""
        return head or await self._reader.readuntil(separator)

    async def readexactly(self, n: int) -> bytes:
        return await self._reader.readexactly(n)

    async def read(self, n: int = -1) -> bytes:
        return await self._reader.read(n)


@asynccontextmanager
async def clustered(
    daemons: Sequence[ScriptedEngine], *, dead: Sequence[Address] = (), **changes: Any
) -> AsyncIterator[Cluster]:
    """Run a cluster over `daemons`, all of them healthy, and addresses where nobody is."""
    settings = replace(QUICK, **changes)

    def build(cluster: Cluster, address: Address) -> Engine:
        return Engine(address, settings=settings, observer=cluster, claim=cluster.claim)

    async with AsyncExitStack() as stack:
        for daemon in daemons:
            await stack.enter_async_context(daemon.running())
        cluster = Cluster(build, lambda: 0.0)
        await stack.enter_async_context(cluster.running())
        cluster.follow([str(each) for each in (*(daemon.address for daemon in daemons), *dead)])
        await eventually(lambda: len(cluster.healthy()) == len(daemons))
        yield cluster


def engine_of(cluster: Cluster, daemon: ScriptedEngine) -> Engine:
    """Return the member that talks to `daemon`."""
    return next(engine for engine in cluster.engines() if engine.address == daemon.address)


async def lose(cluster: Cluster, daemon: ScriptedEngine) -> None:
    """Make a member refuse connections, and return when the cluster knows."""
    await daemon.stop()
    engine = engine_of(cluster, daemon)
    await eventually(lambda: engine.state is State.UNHEALTHY)
