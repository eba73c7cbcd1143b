"""A scripted daemon that makes containers, and fails to when a test says so."""

import asyncio
import functools
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.placement import Placement
from swarmproxy.scheduler.filters import choose
from swarmproxy.scheduler.scheduler import place
from swarmproxy.scheduler.strategy import Strategy
from tests.cluster.image_daemon import Asked, ImageDaemon, _Again, clustered

GIB = 1024**3
CREATE = "/containers/create"
Reply = tuple[int, dict[str, Any]]


class CreatingDaemon(ImageDaemon):
    """Answers `create` as an engine does. `refusals` are used up first, one for each create."""

    def __init__(self, name: str = "node-0") -> None:
        super().__init__(name)
        self.memory_bytes = 8 * GIB
        self.refusals: list[Reply] = []
        self.creates: list[dict[str, Any]] = []  # the bodies
        self.names: list[str] = []
        self.pulled: list[Asked] = []
        self.waiting = 0  # creates at the gate
        self.gate = asyncio.Event()  # creates are answered once it is set
        self.gate.set()
        self.script = self._pull

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if CREATE in head.partition("\r\n")[0]:
            self.waiting += 1
            await self.gate.wait()
            self.waiting -= 1
        return await super()._answer(_Again(head, reader), writer)

    async def _pull(self, asked: Asked) -> None:
        self.pulled.append(asked)
        await asked.begin()
        self.hold("new", asked.query["fromImage"])
        await asked.say(status="Download complete", id="layer")
        await asked.end()

    def _reply(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        if path == CREATE:
            status, answer = self._create(query.get("name", [""])[0], json.loads(self.body))
            return status, json.dumps(answer).encode()
        if path.startswith("/images/") and path.endswith("/json") and path != "/images/json":
            held = self._holds(path.removeprefix("/images/").removesuffix("/json"))
            return (200, b"{}") if held else (404, b'{"message":"No such image"}')
        return super()._reply(path, query)

    def _create(self, name: str, body: dict[str, Any]) -> Reply:
        self.creates.append(body)
        self.names.append(name)
        if self.refusals:
            return self.refusals.pop(0)
        if not self._holds(body["Image"]):
            return 404, {"message": f"No such image: {body['Image']}"}
        if name and name in {each["name"] for each in self.containers.values()}:
            return 409, {"message": f'Conflict. The container name "/{name}" is already in use'}
        container_id = self.add(name or f"some_{len(self.containers)}", state="created", **body.get("HostConfig", {}))
        self.containers[container_id]["labels"] = body["Labels"]
        return 201, {"Id": container_id, "Warnings": ["a warning"]}

    def _holds(self, image: str) -> bool:
        wanted = image if ":" in image else f"{image}:latest"
        return any(wanted in each["RepoTags"] for each in self.images)


@asynccontextmanager
async def placing(
    daemons: Sequence[CreatingDaemon], *, retries: int = 0, strategy: Strategy = Strategy.SPREAD
) -> AsyncIterator[tuple[Placement, Cluster]]:
    """Run a cluster over `daemons`, with what places containers there."""
    numbers = itertools.count(1)
    ranking = functools.partial(place, strategy=strategy, filters=choose(), overcommit_percent=5)
    async with clustered(daemons, control_timeout_s=5.0) as cluster:
        new_swarm_id = lambda: f"{next(numbers):064x}"  # noqa: E731
        yield Placement(cluster, ranking, Pulls(), new_swarm_id, create_retries=retries), cluster
