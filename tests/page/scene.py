"""A cluster whose engines nobody dials, and a client of its page."""

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Self, TypeVar, cast

import httpx

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.hub import origin_of
from swarmproxy.engine.engine import Engine, Facts, State
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.model.container import Container
from swarmproxy.model.event import container_event
from swarmproxy.page import app as page
from swarmproxy.server import SideServer, beside
from swarmproxy.settings import Listen
from swarmproxy.wire.address import Address

GIB = 1024**3
PATIENCE_S = 60.0
ANYWHERE = Listen("127.0.0.1", 0)
T = TypeVar("T")
BORN_S = 1_767_603_600


def _nobody(_cluster: Cluster, address: Address) -> Engine:
    raise AssertionError(address)


class Scene:
    """A cluster as its engines would have told it."""

    def __init__(self, nodes: int = 0) -> None:
        self.cluster = Cluster(_nobody, lambda: 0.0)
        self.engines: list[Engine] = []
        self._made = 0
        for _ in range(nodes):
            self.join()

    def join(self, name: str = "", *, labels: Mapping[str, str] | None = None, healthy: bool = True) -> Engine:
        """Return a new member with 4 cores and 8 GiB."""
        number = len(self.engines)
        address = Address(f"10.0.{number // 250}.{1 + number % 250}", 2375)
        engine = Engine(address, settings=EngineSettings(), observer=self.cluster)
        engine.facts = Facts(
            id=f"E{number}",
            name=name or f"node-{number}",
            ip=address.host,
            cpus=4,
            memory_bytes=8 * GIB,
            labels=dict(labels or {}),
            server_version="28.5.1",
            os="Debian GNU/Linux 13 (trixie)",
            os_type="linux",
            arch="x86_64",
        )
        self.cluster.membership._present[address] = cast("Any", SimpleNamespace(engine=engine))
        self.cluster.joined(engine)
        if healthy:
            engine._health.enter(State.HEALTHY)
        self.engines.append(engine)
        return engine

    def leave(self, engine: Engine) -> None:
        del self.cluster.membership._present[engine.address]
        self.cluster.left(engine)

    def put(self, engine: Engine, name: str, **fields: Any) -> Container:
        """Return a container that is on `engine` now, as `fields` say."""
        self._made += 1
        made: dict[str, Any] = {
            "id": f"{self._made:04x}".ljust(64, "0"),
            "image": "busybox",
            "state": "running",
            "created": BORN_S + self._made,
            "started_ns": (BORN_S + self._made) * 10**9,
        } | fields
        made |= {"created_ns": made["created"] * 10**9}
        container = Container(name=name, names=(f"/{name}",), **made)
        with engine._inventory.reading() as reading:
            engine._inventory.put(container, hash(container.state), reading)
        return container

    def drop(self, engine: Engine, container: Container) -> None:
        engine._inventory.drop(container.id)

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Return a client of a page over this cluster."""
        transport = httpx.ASGITransport(app=page.build(self.cluster, **options))
        return httpx.AsyncClient(transport=transport, base_url="http://page")


@asynccontextmanager
async def served(app: Any, where: Listen = ANYWHERE) -> AsyncIterator[str]:
    """Serve `app` inside the block, and yield its URL: an ASGI transport would wait for the end of a stream."""
    server = SideServer(app, where)
    with beside([server]):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(server.sockets), name="page")
            try:
                yield "" if where.path else f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            finally:
                server.drain()


class Stage:
    """A scene with its page, in a thread of its own: for tests that wait for a browser."""

    def __init__(self) -> None:
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._begun = threading.Event()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), name="stage")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._begun.wait(PATIENCE_S)
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        self.scene = Scene()
        async with served(page.build(self.scene.cluster)) as self.url:
            self._begun.set()
            await self._end.wait()
            self.scene.cluster.hub.close()

    def do(self, act: Callable[[Scene], T]) -> T:
        """Return what `act` does with the scene, on its own loop."""

        async def acted() -> T:
            return act(self.scene)

        return asyncio.run_coroutine_threadsafe(acted(), self._loop).result(PATIENCE_S)

    def tell(self, action: str, name: str, *, engine: int = 0, number: int = 0, **attributes: str) -> None:
        """Have an event of a container come in."""
        event = container_event(
            action, f"{number:064x}", {"name": name, "image": "busybox", **attributes}, time_ns=time.time_ns()
        )
        self.do(lambda scene: scene.cluster.hub.publish(event, origin_of(scene.engines[engine])))


def names_in(text: str) -> list[str]:
    """Return the names of the containers of a table, in its order."""
    return re.findall(r"<summary>([^<]+)</summary><dl>", text)


def nodes_in(text: str) -> list[str]:
    """Return the names of the nodes that are shown, in their order."""
    return re.findall(r"<h3><a [^>]*>([^<]+)</a>", text)
