"""Members from the node list of a swarm; with real engines in `integration/test_swarm_forming.py`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from discovery import Backend, DiscoveryError, open_backend
from tests.discovery.readers import watching


class ScriptedManager:
    """The API of a manager that lists `nodes`, or refuses with `status`."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.status = 200
        self.port = 0
        self._changed = asyncio.Event()
        self._server: asyncio.Server

    def tell(self) -> None:
        """Send an event to whoever listens."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.status = 503
        self._server.close()
        self.tell()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if head.startswith("GET /events"):
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                await writer.drain()
                while self.status == 200:
                    await self._changed.wait()
                    writer.write(b"3\r\n{}\n\r\n")
                    await writer.drain()
                return
            body = json.dumps(self.nodes if self.status == 200 else {"message": "a worker"}).encode()
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (self.status, len(body)))
            writer.write(body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def managers(count: int = 1) -> AsyncIterator[list[ScriptedManager]]:
    found = [ScriptedManager() for _ in range(count)]
    for each in found:
        await each.start()
    yield found
    for each in found:
        await each.stop()


def backend_at(*asked: ScriptedManager, **options: str) -> Backend:
    places = ",".join(f"127.0.0.1:{each.port}" for each in asked)
    return open_backend(
        f"swarm://{places}", heartbeat_s=30, options={f"swarm.{key}": text for key, text in options.items()}
    )


def node(number: int, address: str, *, state: str = "ready", manager: str = "", **more: Any) -> dict[str, Any]:
    found = {"ID": f"n{number}", "Status": {"State": state, "Addr": address}, **more}
    return {**found, "ManagerStatus": {"Addr": manager, "Reachability": "reachable"}} if manager else found


async def test_entries() -> None:
    """Every node is listed once, whatever its state, where its label or else its address says; one without is not."""
    label = {"Labels": {"swarmproxy.engine": "2400"}}
    async with managers() as [manager]:
        manager.nodes = [
            node(1, "0.0.0.0", manager="10.0.0.1:2377"),
            node(2, "127.0.0.1", manager="[fd00::2]:2377"),
            node(3, "10.0.0.3", state="down"),
            node(4, "10.0.0.4", state="down"),
            node(5, "10.0.0.4"),
            node(6, "10.0.0.6", Description={"Engine": label}),
            node(7, "10.0.0.7", Spec={"Labels": {"swarmproxy.engine": "seven:2376"}}, Description={"Engine": label}),
            node(8, "10.0.0.8", Description={"Engine": {"Labels": {"swarmproxy.engine": "unix:///run/docker.sock"}}}),
            node(9, ""),
        ]
        entries = await backend_at(manager, port="99").fetch()
        assert sorted(map(str, entries)) == [
            *("10.0.0.1:99", "10.0.0.3:99", "10.0.0.4:99", "10.0.0.6:2400", "[fd00::2]:99", "seven:2376")
        ]


async def test_watch() -> None:
    """A change is seen when a manager tells of it, another one takes over, and an error comes when none is left."""
    async with managers(3) as [first, second, worker]:
        worker.status = 503
        third = {"Labels": {"swarmproxy.engine": f"127.0.0.1:{second.port}"}}
        first.nodes = [node(1, "10.0.0.1"), node(2, "10.0.0.2", manager="10.0.0.2:2377", Spec=third)]
        found = f"127.0.0.1:{second.port}"
        async with watching(backend_at(worker, first)) as watched:  # the second is known by the first only
            await watched.until("10.0.0.1:2375", found)
            first.nodes = [*first.nodes, node(3, "10.0.0.3")]
            first.tell()
            await watched.until("10.0.0.1:2375", "10.0.0.3:2375", found)
            second.nodes = first.nodes[1:]
            await first.stop()
            await watched.until("10.0.0.3:2375", found)
            await second.stop()
            listing = await watched.error()
            assert "a worker" in listing.error
            assert len(listing.entries) == 2


@pytest.mark.parametrize(
    ("url", "options", "error"),
    [
        ("swarm://", {}, "needs the address of a host"),
        ("swarm://a:2377/prefix", {}, "takes addresses of managers only"),
        ("swarm://a", {"swarm.port": "x"}, "swarm.port should be a port, not x"),
        ("swarm://a", {"swarm.prot": "1"}, "unknown discovery option swarm.prot"),
        ("swarm://a", {"swarm.certfile": "x"}, "TLS to managers of the swarm needs swarm.cacertfile"),
    ],
)
def test_refused(url: str, options: dict[str, str], error: str) -> None:
    """What cannot be right is said before anything is asked."""
    with pytest.raises(DiscoveryError, match=error):
        open_backend(url, heartbeat_s=1, options=options)
