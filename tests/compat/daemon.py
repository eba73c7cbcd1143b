"""A scripted daemon that can be written to: containers are created, started, renamed and removed on it."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from tests.cluster.image_daemon import Asked, ImageDaemon

Answer = tuple[int, Any]


class Daemon(ImageDaemon):
    """Keeps what it is told to make. `answers` overrules what it would say to a path, also to a write."""

    def __init__(self, name: str = "node-1", **fields: Any) -> None:
        super().__init__(name)
        for field, value in fields.items():
            setattr(self, field, value)
        self.written: list[tuple[Asked, bytes]] = []  # each write, with its body

    def put(self, name: str, container_id: str = "", *, created: int = 1_700_000_000, **fields: Any) -> str:
        """Hold a container without telling; `fields` are those of `containers`. Return its id."""
        made = self.add(name, tell=False, state=fields.pop("state", "running"), **fields.pop("host", {}))
        container = self.containers.pop(made) | {"created": created} | fields
        self.containers[container_id or made] = container
        return container_id or made

    def bodies_of(self, request: str) -> list[Any]:
        """Return the JSON bodies of all writes of `METHOD /path`."""
        return [json.loads(body) for asked, body in self.written if f"{asked.method} {asked.path}" == request]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked = Asked(head, reader, writer)
        if asked.method in ("GET", "HEAD") or asked.path.startswith("/images/"):
            return await super()._answer(Unread(head, reader), writer)
        body = await asked.body()
        self.written.append((asked, body))
        self.requests.append(f"{asked.method} {asked.path}")
        await asyncio.sleep(self.slow_s.get(asked.path, 0.0))
        if asked.path in self.answers:
            status, text = self.answers[asked.path]
        else:
            status, said = self._write(asked, body)
            text = b"" if said is None else json.dumps(said).encode()
        length = "" if status in (204, 304) else f"Content-Length: {len(text)}\r\n"
        writer.write(
            f"HTTP/1.1 {status} Status\r\nApi-Version: {self.api}\r\nContent-Type: application/json\r\n"
            f"{length}\r\n".encode()
            + text
        )
        await writer.drain()
        return True

    def _write(self, asked: Asked, body: bytes) -> Answer:
        _, kind, name, *rest = f"{asked.path}///".split("/")
        action = rest[0]
        if asked.path == "/containers/create":
            return self._create(asked.query.get("name", ""), json.loads(body))
        if kind == "exec" and action == "start":
            return 200, None
        if kind != "containers" or name not in self.containers:
            return 404, {"message": f"No such container: {name}"}
        match asked.method, action:
            case "DELETE", _:
                self.remove(name)
            case _, "start":
                self.change(name, state="running", tell="start")
            case _, "stop" | "kill":
                self.change(name, state="exited", started="2026-01-01T00:00:00Z", tell="die")
            case _, "rename":
                self.change(name, name=asked.query["name"], tell="rename")
            case _, "exec":
                return 201, {"Id": f"exec-of-{name[:12]}"}
        return 204, None

    def _create(self, name: str, body: dict[str, Any]) -> Answer:
        tags = {tag for image in self.images for tag in image["RepoTags"]}
        if not tags & {body["Image"], f"{body['Image']}:latest"}:
            return 404, {"message": f"No such image: {body['Image']}"}
        labels = body.get("Labels") or {}
        made = self.put(name or "happy_name", state="created", labels=labels, host=body.get("HostConfig") or {})
        self.emit("container", "create", made, {"name": name})
        return 201, {"Id": made, "Warnings": []}

    def _item(self, container_id: str) -> dict[str, Any]:
        container = self.containers[container_id]
        names = container.get("names", [f"/{container['name']}"])
        given = {"Created": container.get("created", 1_700_000_000), "Names": names}
        own: dict[str, Any] = container.get("item", {})
        return super()._item(container_id) | given | own

    def _inspect(self, container_id: str) -> dict[str, Any]:
        container = self.containers[container_id]
        made = datetime.fromtimestamp(container.get("created", 1_700_000_000), UTC).isoformat().replace("+00:00", "Z")
        inspected = super()._inspect(container_id) | {"Created": made}
        for member, value in container.get("inspect", {}).items():
            before = inspected.get(member)
            inspected[member] = before | value if isinstance(before, dict) else value
        return inspected


class Unread(asyncio.StreamReader):
    """A reader that gives a head once more."""

    def __init__(self, head: str, reader: asyncio.StreamReader) -> None:
        super().__init__()
        self._head, self._reader = head.encode(), reader

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return await self._reader.readuntil(separator)

    async def readexactly(self, n: int) -> bytes:
        return await self._reader.readexactly(n)

    async def read(self, n: int = -1) -> bytes:
        return await self._reader.read(n)
