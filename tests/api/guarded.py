"""A manager's front end behind a policy, at a unix socket: who asks is told by a bearer token."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from swarmproxy.api import app as api
from swarmproxy.api.guard import Guard
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.placement import Placement
from swarmproxy.policy.document import Policy, parse
from swarmproxy.policy.identity import hash_of
from swarmproxy.server import Server, listening
from swarmproxy.settings import Listen, Settings
from tests.api.image_front import PATIENCE_S
from tests.cluster.image_daemon import clustered
from tests.engine.scripted import ScriptedEngine


def with_tokens(text: str, *roles: str) -> Policy:
    """Return the policy in `text`, in which the token `x` gives the role `x`."""
    bindings = [f'[[bind]]\nrole = "{role}"\ntoken = "{hash_of(role)}"\nname = "{role}"\n' for role in roles]
    return parse("\n".join([text, *bindings]))


class Guarded:
    """The front end, and clients of it."""

    def __init__(self, guard: Guard, cluster: Cluster, socket: str, client: httpx.AsyncClient) -> None:
        self.guard, self.cluster, self.socket, self.client = guard, cluster, socket, client

    async def ask(self, who: str, method: str, target: str, body: Any = None, **headers: str) -> httpx.Response:
        """Ask as the holder of the token `who`; nobody without one."""
        if who:
            headers["Authorization"] = f"Bearer {who}"
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return await self.client.request(method, target, content=content, headers=headers)

    async def raw(self, *lines: str, body: bytes = b"") -> bytes:
        """Send a head as it is, and return the whole answer."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        writer.write("".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode() + body)
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
        writer.close()
        return answer


@asynccontextmanager
async def guarded(daemons: Sequence[ScriptedEngine], policy: Policy) -> AsyncIterator[Guarded]:
    """Serve a cluster of `daemons` under `policy`."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(clustered(daemons))
        placement = Placement(cluster, lambda _spec, nodes: list(nodes), Pulls(), lambda: "f" * 64)
        guard = Guard(api.build(cluster, placement, Settings(discovery="nodes://")), cluster, policy)
        server = Server(guard, tls=None, drain_timeout_s=1.0, shortcut=guard.at_once)
        path = f"{stack.enter_context(TemporaryDirectory(prefix='g'))}/front.sock"  # a long path would not be bound
        sockets = stack.enter_context(listening([Listen(path=path)]))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(server.serve(sockets), name="server under test")
        stack.callback(server.drain)
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url="http://docker", timeout=PATIENCE_S, transport=httpx.AsyncHTTPTransport(uds=path)
            )
        )
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await client.get("/_ping")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.01)
        yield Guarded(guard, cluster, path, client)
