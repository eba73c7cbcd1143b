"""A scripted engine that costs next to nothing: `python -m benchmarks.engine --count 3 --containers 30`.

It speaks just enough HTTP/1.1 and of the Docker API for a manager to take it for dockerd 28.5, keeps what is
created in memory, and answers what it has answered before from a table of ready bytes.
"""

import asyncio
import gc
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

import click
import msgspec
import uvloop

from benchmarks import bodies
from benchmarks.bodies import Container, Json
from benchmarks.certificates import Certificates, server_context
from benchmarks.framing import BUFFER, LAST_CHUNK, VIEW, Chunked, Counted, Head, Pump, as_chunk, parse_head

REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    304: "Not Modified",
    404: "Not Found",
    409: "Conflict",
}
COMMON = (
    f"Api-Version: {bodies.API_VERSION}\r\nDocker-Experimental: false\r\nOstype: linux\r\n"
    f"Server: Docker/{bodies.SERVER_VERSION} (linux)\r\n"
).encode()
PING_HEADERS = b"Builder-Version: 2\r\nCache-Control: no-cache, no-store, must-revalidate\r\nSwarm: inactive\r\n"
JSON_TYPE = b"Content-Type: application/json\r\n"
MOST_READY = 50_000  # replies kept ready, against a client that asks for ever new paths


def reply(status: int, body: bytes = b"", headers: bytes = JSON_TYPE) -> bytes:
    """Return a whole answer with a length."""
    length = b"" if status in {204, 304} else b"Content-Length: %d\r\n" % len(body)
    first = f"HTTP/1.1 {status} {REASONS[status]}\r\n".encode()
    return b"".join((first, COMMON, headers if body else b"", length, b"\r\n", body))


def reply_json(value: object, status: int = 200) -> bytes:
    return reply(status, msgspec.json.encode(value) + b"\n")


def not_found(what: str) -> bytes:
    return reply_json({"message": what}, 404)


def stream_head(content_type: str) -> bytes:
    """Return the head of an answer whose chunks come later."""
    return b"HTTP/1.1 200 OK\r\n%bContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % (
        COMMON,
        content_type.encode(),
    )


UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)
RAW = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"


class Engine:
    """The state of one engine, and its answers. `name` makes its identifiers, so two runs have the same."""

    def __init__(self, name: str, *, containers: int = 30, cpus: int = 8, memory_bytes: int = 16 * bodies.GIB) -> None:
        self.name = name
        self.cpus = cpus
        self.memory_bytes = memory_bytes
        self.export_bytes = bodies.GIB
        self.received_bytes = 0  # of archives put into containers
        self.containers: dict[str, Container] = {}
        self.ids: dict[str, str] = {}  # by name
        self.execs: dict[str, str] = {}  # id of its container by id
        self.followers: set[asyncio.WriteTransport] = set()
        self.ready: dict[bytes, bytes] = {}
        self._made = 0
        for number in range(containers):
            self._add(f"app-{number}", {"com.example.app": f"app-{number % 5}"}).state = "running"

    def _add(self, name: str, labels: dict[str, str], memory_bytes: int = 0, image: str = bodies.IMAGE) -> Container:
        identity = bodies.hex_id("container", self.name, self._made)
        self._made += 1
        container = Container(
            identity,
            name or f"made-{self._made}",
            int(time.time()),
            labels,
            memory_bytes=memory_bytes,
            image=image,
        )
        self.containers[identity] = container
        self.ids[container.name] = identity
        return container

    def find(self, name: str) -> Container | None:
        """Return the container with this id or name."""
        return self.containers.get(name) or self.containers.get(self.ids.get(name, ""))

    def tell(self, container: Container, action: str) -> None:
        """Forget the ready answers and send an event to all who follow."""
        self.ready.clear()
        line = as_chunk(msgspec.json.encode(bodies.event(container, action, time.time_ns())) + b"\n")
        for transport in self.followers:
            transport.write(line)

    def get(self, target: str) -> bytes:
        """Return the answer to a GET that has one at once."""
        url = urlsplit(target)
        match split_path(url.path):
            case ["_ping"]:
                return reply(200, b"OK", PING_HEADERS + b"Content-Type: text/plain; charset=utf-8\r\n")
            case ["info"]:
                running = sum(container.state == "running" for container in self.containers.values())
                counts = {"containers": len(self.containers), "running": running}
                return reply_json(bodies.info(self.name, **counts, cpus=self.cpus, memory_bytes=self.memory_bytes))
            case ["version"]:
                return reply_json(bodies.version())
            case ["images", "json"]:
                return reply_json(bodies.IMAGES)
            case ["images", *_, "json"]:
                return reply_json(bodies.image_inspect())
            case ["networks"]:
                return reply_json(bodies.networks(self.name))
            case ["volumes"]:
                return reply_json(bodies.VOLUMES)
            case ["containers", "json"]:
                return reply_json([bodies.list_item(self.name, item) for item in self.listed(url.query)])
            case ["containers", name, "json"] if container := self.find(name):
                return reply_json(bodies.inspect(self.name, container))
            case ["containers", name, "top"] if self.find(name):
                return reply_json(bodies.TOP)
            case ["containers", name, _]:
                return not_found(f"No such container: {name}")
            case ["exec", identity, "json"] if identity in self.execs:
                return reply_json({"ID": identity, "ContainerID": self.execs[identity], "Running": True})
            case _:
                return not_found("page not found")

    def listed(self, query: str) -> list[Container]:
        """Return the containers that a list shows, newest first; of the filters only `id` and `name`."""
        asked = parse_qs(query)
        filters: Json = msgspec.json.decode(asked["filters"][0]) if "filters" in asked else {}
        wanted = [name.strip("^/$") for key in ("id", "name") for name in filters.get(key, ())]
        if wanted:
            return [container for name in wanted if (container := self.find(name))]
        everything = asked.get("all", ["0"])[0] in {"1", "true"}
        newest = reversed(self.containers.values())
        return [container for container in newest if everything or container.state == "running"]

    def act(self, method: str, target: str, body: bytes) -> bytes:
        """Change something, and return the answer."""
        url = urlsplit(target)
        match method, split_path(url.path):
            case "POST", ["containers", "create"]:
                return self._create(parse_qs(url.query).get("name", [""])[0], body)
            case "POST", ["containers", name, "exec"] if container := self.find(name):
                identity = bodies.hex_id("exec", self.name, len(self.execs))
                self.execs[identity] = container.id
                return reply_json({"Id": identity}, 201)
            case "POST", ["containers", name, "start" | "stop" | "kill" as verb] if container := self.find(name):
                return self._switch(container, verb)
            case "DELETE", ["containers", name] if container := self.find(name):
                del self.containers[container.id], self.ids[container.name]
                self.tell(container, "destroy")
                return reply(204)
            case _, ["containers", name, *_]:
                return not_found(f"No such container: {name}")
            case _:
                return not_found("page not found")

    def _create(self, name: str, body: bytes) -> bytes:
        if name in self.ids:
            return reply_json({"message": f'Conflict. The container name "/{name}" is already in use'}, 409)
        spec: Json = msgspec.json.decode(body)
        memory_bytes = spec.get("HostConfig", {}).get("Memory", 0)
        container = self._add(name, spec.get("Labels") or {}, memory_bytes, spec.get("Image", bodies.IMAGE))
        self.tell(container, "create")
        return reply_json({"Id": container.id, "Warnings": []}, 201)

    def _switch(self, container: Container, verb: str) -> bytes:
        state = "running" if verb == "start" else "exited"
        if container.state == state:
            return reply(304)
        container.state = state
        self.tell(container, "start" if verb == "start" else "die")
        return reply(204)


def split_path(path: str) -> list[str]:
    """Return the parts of a path without its version."""
    parts = unquote(path).strip("/").split("/")
    return parts[1:] if parts[0][:1] == "v" and parts[0][1:2].isdigit() else parts


class Connection(asyncio.BufferedProtocol):
    """One client's connection to a scripted engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.transport: asyncio.Transport
        self._pending = b""
        self._head: Head | None = None  # of the request whose body is coming in
        self._body: Counted | Chunked | None = None
        self._pump: Pump | None = None
        self._echoes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.engine.followers.discard(self.transport)

    def pause_writing(self) -> None:
        if self._pump is not None:
            self._pump.pause()
        elif self._echoes:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._pump is not None:
            self._pump.resume()
        elif self._echoes:
            self.transport.resume_reading()

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self._echoes:
            self.transport.write(bytes(VIEW[:nbytes]))
            return
        start = self._read_body(BUFFER, 0, nbytes) if self._body is not None else 0
        if start == nbytes:
            return
        data = self._pending + bytes(VIEW[start:nbytes])
        self._pending = b""
        self._read_requests(data)

    def _read_requests(self, data: bytes) -> None:
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._pending = data
                return
            known = self.engine.ready.get(data[: data.find(b"\r")])
            if known is not None and data.find(b": close") < 0:
                self.transport.write(known)
                data = data[end + 4 :]
                continue
            self._head = parse_head(data[:end])
            data = data[end + 4 :]
            # Archives are counted and thrown away, all other bodies are small and wanted.
            self._body = self._head.body(keep=not self._head.first.startswith("PUT "))
            if "expect" in self._head.headers:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if self._body is None:
                self._answer(self._head, b"")
            else:
                data = data[self._read_body(data, 0, len(data)) :]
            if self._echoes and data:
                self.transport.write(data)
                return

    def _read_body(self, data: bytes | bytearray, start: int, end: int) -> int:
        assert self._body is not None
        assert self._head is not None
        start = self._body.feed(data, start, end)
        if self._body.done:
            body, self._body = self._body, None
            self.engine.received_bytes += body.total if body.kept is None else 0
            self._answer(self._head, bytes(body.kept or b""))
        return start

    def _answer(self, head: Head, body: bytes) -> None:
        method, target, _ = head.first.split(" ")
        parts = split_path(urlsplit(target).path)
        match method, parts:
            case "POST", ["exec", identity, "start"] if identity in self.engine.execs:
                self._echo(upgrade="upgrade" in head.headers)
            case "POST", ["containers", name, "attach"] if self.engine.find(name):
                self._echo(upgrade="upgrade" in head.headers)
            case "PUT", ["containers", name, "archive"] if self.engine.find(name):
                self.transport.write(reply(200))
            case "GET", ["events"]:
                self._stream("application/json", follow="until=" not in target)
                self.engine.followers.add(self.transport)
            case "GET", ["containers", name, "logs"] if self.engine.find(name):
                self._stream("application/vnd.docker.multiplexed-stream", follow="follow=1" in target)
            case "POST", ["containers", name, "wait"] if self.engine.find(name):
                self._stream("application/json", follow=True)
            case "GET", ["containers", name, "export"] if self.engine.find(name):
                self.transport.write(stream_head("application/octet-stream"))
                self._pump = Pump(self.transport, self.engine.export_bytes, chunked=True)
                self._pump.run()
            case "GET" | "HEAD", _:
                answer = self.engine.get(target)
                if method == "HEAD":
                    answer = answer[: answer.index(b"\r\n\r\n") + 4]
                # What tells the time is never kept: a manager measures clock skew by it.
                if parts != ["info"] and len(self.engine.ready) < MOST_READY:
                    self.engine.ready[head.first.encode("latin-1")] = answer
                self.transport.write(answer)
            case _:
                self.transport.write(self.engine.act(method, target, body))
        if head.headers.get("connection", "").lower() == "close":
            self.transport.close()

    def _echo(self, *, upgrade: bool) -> None:
        self.transport.write(UPGRADED if upgrade else RAW)
        self._echoes = True

    def _stream(self, content_type: str, *, follow: bool) -> None:
        """Send a head at once, and then nothing: the end at once too unless asked to follow."""
        self.transport.write(stream_head(content_type) + (b"" if follow else LAST_CHUNK))


async def serve(
    engines: list[Engine], first_port: int, tls: ssl.SSLContext | None, told: Callable[[str], object]
) -> None:
    """Serve each engine on a port of its own, any free ones for 0, and pass the ports to `told`."""
    loop = asyncio.get_running_loop()
    ports = []
    servers = []
    for number, engine in enumerate(engines):
        port = first_port + number if first_port else 0
        server = await loop.create_server(
            lambda engine=engine: Connection(engine), "127.0.0.1", port, ssl=tls, backlog=4096
        )
        servers.append(server)
        ports.append(server.sockets[0].getsockname()[1])
    gc.freeze()
    told(" ".join(map(str, ports)))
    try:
        await loop.create_future()
    finally:
        for server in servers:
            server.close()


@click.command()
@click.option("--port", default=0, help="Of the first engine, the others follow; 0 takes free ones.")
@click.option("--count", default=1, help="How many engines this process plays.")
@click.option("--containers", default=30, help="How many each holds.")
@click.option("--name", default="node", help="Engines are called NAME-0, NAME-1 and so on.")
@click.option("--export-bytes", default=bodies.GIB, help="Size of an exported container.")
@click.option("--tls", type=click.Path(path_type=Path), help="Directory with the certificates; clients must have one.")
def main(*, port: int, count: int, containers: int, name: str, export_bytes: int, tls: Path | None) -> None:
    """Play COUNT engines; prints their ports in one line when they listen."""
    engines = [Engine(f"{name}-{number}", containers=containers) for number in range(count)]
    for engine in engines:
        engine.export_bytes = export_bytes
    context = server_context(Certificates(tls)) if tls else None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(engines, port, context, lambda ports: print(ports, flush=True)))


if __name__ == "__main__":
    main()
