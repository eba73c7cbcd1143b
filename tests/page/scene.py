"""A cluster whose engines nobody dials, and a client of its page."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import httpx
import uvicorn

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.engine.engine import Engine, Facts, State
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.model.container import Container
from swarmproxy.page import app as page
from swarmproxy.wire.address import Address

GIB = 1024**3
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
async def served(app: Any) -> AsyncIterator[str]:
    """Serve `app` inside the block, and yield its URL: an ASGI transport would wait for the end of a stream."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(), name="page")
        while not server.started:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True


def names_in(text: str) -> list[str]:
    """Return the names of the containers of a table, in its order."""
    return re.findall(r"<summary>([^<]+)</summary><dl>", text)


def nodes_in(text: str) -> list[str]:
    """Return the names of the nodes that are shown, in their order."""
    return re.findall(r"<h3><a [^>]*>([^<]+)</a>", text)
