"""A daemon that misbehaves on demand: what a real one will not do when a test asks for it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.processes import free_port
from swarmproxy.wire.address import Address

NANOSECONDS = 1_000_000_000


class ScriptedEngine:
    """Answers what an engine is asked by a manager. Tests change its fields at any moment."""

    def __init__(self) -> None:
        self.id, self.name = "ENGINE-ID", "node-0"
        self.cpus, self.memory_bytes = 4, 8 * 1024**3
        self.labels: list[str] = ["storage=ssd"]
        self.version, self.api, self.min_api = "28.5.2", "1.51", "1.24"
        self.clock_ahead_s = 0.0
        self.info_fields: dict[str, Any] = {}  # of its info, besides or instead
        self.system_status: list[list[str]] | None = None
        self.containers: dict[str, dict[str, Any]] = {}
        self.inspected_as: dict[str, str] = {}  # containers whose state is another one than the list says
        self.images: list[dict[str, Any]] = [{"Id": "sha256:aa", "RepoTags": ["busybox:latest"], "Created": 1}]
        self.networks: list[dict[str, Any]] = [{"Name": "bridge", "Id": f"b{id(self):x}", "Scope": "local"}]
        self.volumes: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.hangs: set[str] = set()  # paths, without version, that are never answered
        self.answers: dict[str, tuple[int, bytes]] = {}  # paths that are answered otherwise
        self.slow_s: dict[str, float] = {}  # paths that are answered late
        self.cut: set[str] = set()  # paths whose answer ends in the middle
        self.stalls: set[str] = set()  # paths whose answer begins and does not go on
        self.hanging = 0  # requests of which somebody waits for the answer in vain
        self.frozen = False  # takes connections and says nothing, and its streams fall silent
        self.hangs_up = False  # behind each event stream, without a word
        self.remembers = True  # its events can be replayed
        self.requests: list[str] = []  # "GET /info", without version
        self.targets: list[str] = []  # as they came
        self.bodies: list[bytes] = []
        self.method, self.body = "", b""  # of the request that `_reply` answers: meanwhile others have come in
        self.headers: list[dict[str, str]] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._streams: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> Address:
        return Address(host="127.0.0.1", port=self.port)

    @property
    def streams(self) -> int:
        """How many event streams are open."""
        return len(self._streams)

    @property
    def connections(self) -> int:
        return len(self._open)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedEngine"]:
        await self.listen()
        try:
            yield self
        finally:
            await self.stop()

    async def listen(self) -> None:
        """Take connections, at the same port as before."""
        self.port = self.port or free_port()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Refuse connections and end those that are open, with a reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()
        await asyncio.sleep(0)

    def reset(self) -> None:
        """End all connections at once."""
        for writer in list(self._open):
            writer.transport.abort()

    def end_streams(self) -> None:
        """End the event streams in order."""
        for writer in list(self._streams):
            writer.write(b"0\r\n\r\n")
            writer.close()

    # -- what it holds

    def add(self, name: str, *, state: str = "running", tell: bool = True, **host: Any) -> str:
        """Create a container; return its ID."""
        container_id = f"{len(self.requests):x}{time.time_ns():x}".ljust(64, "0")[:64]
        self.containers[container_id] = {"name": name, "state": state, "host": host, "labels": {}}
        if tell:
            self.emit("container", "create", container_id, {"name": name})
        return container_id

    def change(self, container_id: str, *, tell: str = "", **changes: Any) -> None:
        self.containers[container_id].update(changes)
        if tell:
            self.emit("container", tell, container_id)

    def remove(self, container_id: str, *, tell: bool = True) -> None:
        del self.containers[container_id]
        if tell:
            self.emit("container", "destroy", container_id)

    def emit(
        self,
        kind: str,
        action: str,
        actor: str,
        attributes: dict[str, str] | None = None,
        *,
        at_ns: int = 0,
        scope: str = "local",
    ) -> None:
        """Tell of an event, and remember it for those who ask since when."""
        now_ns = at_ns or self.now_ns()
        event = {
            "Type": kind,
            "Action": action,
            "Actor": {"ID": actor, "Attributes": attributes or {}},
            "scope": scope,
            "time": now_ns // NANOSECONDS,
            "timeNano": now_ns,
        }
        if self.remembers:
            self.history.append(event)
        if not self.frozen:
            for writer in self._streams:
                _write_chunk(writer, json.dumps(event).encode() + b"\n")

    def say(self, text: bytes) -> None:
        """Write `text` into the event streams."""
        for writer in self._streams:
            _write_chunk(writer, text)

    def now_ns(self) -> int:
        return time.time_ns() + int(self.clock_ahead_s * NANOSECONDS)

    def asked(self, request: str) -> int:
        return self.requests.count(request)

    # -- HTTP

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            self._streams.discard(writer)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = line.split(" ")
        parts = urlsplit(target)
        path = parts.path
        if path.startswith("/v1."):
            path = "/" + path.split("/", 2)[2]
        self.targets.append(target)
        self.requests.append(f"{method} {path}")
        self.bodies.append(body)
        self.headers.append(headers)
        if self.frozen or path in self.hangs or path in self.stalls:
            if path in self.stalls:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.hanging += 1
            try:
                await reader.read()
            finally:
                self.hanging -= 1
            return False
        await asyncio.sleep(self.slow_s.get(path, 0.0))
        if path == "/events" and path not in self.answers:
            return await self._stream(reader, writer, parse_qs(parts.query))
        self.method, self.body = method, body
        status, answer = self.answers.get(path) or self._reply(path, parse_qs(parts.query))
        closes = headers.get("connection") == "close"
        length = len(answer) + (10 if path in self.cut else 0)
        writer.write(
            f"HTTP/1.1 {status} Status\r\nApi-Version: {self.api}\r\nContent-Type: application/json\r\n"
            f"{'Connection: close' + chr(13) + chr(10) if closes else ''}"
            f"Content-Length: {length}\r\n\r\n".encode()
            + answer
        )
        await writer.drain()
        return not closes and path not in self.cut

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, query: dict[str, list[str]]
    ) -> bool:
        """Tell of what happens until the moment that was asked for; return whether that came."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        if "since" in query:
            seconds, _, fraction = query["since"][0].partition(".")
            since_ns = int(seconds) * NANOSECONDS + int((fraction or "0").ljust(9, "0"))
            for event in self.history:
                if event["timeNano"] >= since_ns:
                    _write_chunk(writer, json.dumps(event).encode() + b"\n")
        self._streams.add(writer)
        until_s = float(query["until"][0]) if "until" in query else float("inf")
        try:
            async with asyncio.timeout(min(until_s - self.now_ns() / NANOSECONDS, 600.0)):
                await reader.read(1)
                return False
        except TimeoutError:
            if self.frozen:
                await reader.read()
                return False
        self._streams.discard(writer)
        writer.write(b"0\r\n\r\n")
        return not self.hangs_up

    def _reply(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        answer: Any
        if path == "/_ping":
            return 200, b"OK"
        if path == "/version":
            answer = {"Version": self.version, "ApiVersion": self.api, "MinAPIVersion": self.min_api}
        elif path == "/info":
            answer = self._info()
        elif path == "/containers/json":
            wanted = json.loads(query["filters"][0])["id"] if "filters" in query else list(self.containers)
            answer = [self._item(each) for each in self.containers if each in wanted]
        elif path == "/images/json":
            answer = self.images
        elif path == "/networks":
            answer = self.networks
        elif path == "/volumes":
            answer = {"Volumes": self.volumes, "Warnings": None}
        elif path.startswith("/containers/") and path.endswith("/json"):
            container_id = path.split("/")[2]
            if container_id not in self.containers:
                return 404, b'{"message":"No such container"}'
            answer = self._inspect(container_id)
        else:
            return 404, b'{"message":"page not found"}'
        return 200, json.dumps(answer).encode()

    def _info(self) -> dict[str, Any]:
        moment = datetime.fromtimestamp(self.now_ns() / NANOSECONDS, tz=UTC)
        return {
            "ID": self.id,
            "Name": self.name,
            "NCPU": self.cpus,
            "MemTotal": self.memory_bytes,
            "Labels": self.labels,
            "ServerVersion": self.version,
            "Driver": "overlay2",
            "KernelVersion": "6.1.0",
            "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
            "OSType": "linux",
            "Architecture": "x86_64",
            "SystemTime": moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
            "Plugins": {"Volume": ["local"]},
            **self.info_fields,
            **({"SystemStatus": self.system_status} if self.system_status is not None else {}),
        }

    def _item(self, container_id: str) -> dict[str, Any]:
        container = self.containers[container_id]
        return {
            "Id": container_id,
            "Names": [f"/{container['name']}"],
            "Image": "busybox",
            "ImageID": "sha256:aa",
            "Created": 1_700_000_000,
            "Ports": container.get("ports", []),
            "Labels": container["labels"],
            "State": container["state"],
            "Status": container.get("status", f"Up {len(self.requests)} seconds"),
            "NetworkSettings": {"Networks": {}},
            "Mounts": [],
        }

    def _inspect(self, container_id: str) -> dict[str, Any]:
        container = self.containers[container_id]
        if container_id in self.inspected_as:
            container = {**container, "state": self.inspected_as[container_id]}
        never = "0001-01-01T00:00:00Z"
        began = never if container["state"] == "created" else "2026-01-01T00:00:00Z"
        running = container["state"] in ("running", "paused", "restarting")
        return {
            "Id": container_id,
            "Name": f"/{container['name']}",
            "Created": "2023-11-14T22:13:20Z",
            "State": {
                "Status": container["state"],
                "Running": running,
                "StartedAt": container.get("started", began),
                "FinishedAt": never,
            },
            "Config": {"Image": "busybox", "Labels": container["labels"]},
            "HostConfig": container["host"],
        }


def _write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))
