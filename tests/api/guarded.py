"""A manager's front end behind a policy, at a unix socket: who asks is told by a bearer token, or by a certificate."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from swarmproxy import certificates
from swarmproxy.api import app as api
from swarmproxy.api.dispatch import Dispatch
from swarmproxy.api.guard import Guard
from swarmproxy.api.learning import Learner
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.placement import Placement
from swarmproxy.leader.replica import Replica
from swarmproxy.policy.document import Policy, parse
from swarmproxy.policy.identity import hash_of
from swarmproxy.policy.role import OWNER
from swarmproxy.server import Server, listening
from swarmproxy.settings import Listen, Settings, Tls
from tests.api.image_front import PATIENCE_S, until_it_serves
from tests.cluster.image_daemon import ImageDaemon, clustered
from tests.engine.scripted import ScriptedEngine
from tests.hosts.certificates import Pair

First = Guard | Learner
MINE, OTHERS, EXEC = "a" * 64, "b" * 64, "e" * 64


def with_tokens(text: str, *roles: str) -> Policy:
    """Return the policy in `text`, in which the token `x` gives the role `x`."""
    bindings = [f'[[bind]]\nrole = "{role}"\ntoken = "{hash_of(role)}"\nname = "{role}"\n' for role in roles]
    return parse("\n".join([text, *bindings]))


class Guarded:
    """The front end, and clients of it."""

    def __init__(self, first: First, cluster: Cluster, socket: str, client: httpx.AsyncClient) -> None:
        self.first, self.cluster, self.socket, self.client = first, cluster, socket, client

    def obey(self, policy: Policy) -> None:
        """Replace the policy, as SIGHUP does."""
        assert isinstance(self.first, Guard)
        self.first.obey(policy)

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
async def guarded(
    daemons: Sequence[ScriptedEngine],
    policy: Policy,
    *,
    replica: Replica | None = None,
    learn: Path | None = None,
    tls: Pair | None = None,
) -> AsyncIterator[Guarded]:
    """Serve a cluster of `daemons` under `policy`, or learn one. With `tls`, clients have to show a certificate."""

    def build(cluster: Cluster) -> First:
        placement = Placement(cluster, lambda _spec, nodes: list(nodes), Pulls(), lambda: "f" * 64)
        dispatch: Dispatch = api.build(cluster, placement, Settings(discovery="nodes://"), replica=replica)
        return Guard(dispatch, cluster, policy) if learn is None else Learner(dispatch, learn)

    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(clustered(daemons))
        first = build(cluster)
        files = Tls(cert=tls.cert, key=tls.key, ca=tls.ca, verify=True) if tls is not None else None
        context = certificates.towards_clients(files)
        server = Server(first, tls=context, drain_timeout_s=1.0, shortcut=first.at_once)
        path = f"{stack.enter_context(TemporaryDirectory(prefix='g'))}/front.sock"  # a long path would not be bound
        where = Listen(path=path) if tls is None else Listen("127.0.0.1", 0)
        sockets = stack.enter_context(listening([where]))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(server.serve(sockets), name="server under test")
        stack.callback(server.drain)
        socket = path if tls is None else f"localhost:{sockets[0].getsockname()[1]}"
        client = await stack.enter_async_context(client_of(socket, tls))
        await until_it_serves(client)
        yield Guarded(first, cluster, socket, client)


def client_of(socket: str, pair: Pair | None) -> httpx.AsyncClient:
    """Return a client at the unix socket, or at host and port, to which it shows the certificate of `pair`."""
    if pair is None:
        transport = httpx.AsyncHTTPTransport(uds=socket)
        return httpx.AsyncClient(base_url="http://docker", timeout=PATIENCE_S, transport=transport)
    context = ssl.create_default_context(cafile=str(pair.ca))
    context.load_cert_chain(pair.cert, pair.key)
    return httpx.AsyncClient(base_url=f"https://{socket}", timeout=PATIENCE_S, verify=context, trust_env=False)


def scripted() -> ImageDaemon:
    daemon = ImageDaemon("node-1")
    for container_id, name, owner in ((MINE, "mine", "a"), (OTHERS, "others", "b")):
        labels = {OWNER: owner}
        daemon.containers[container_id] = {"name": name, "state": "running", "host": {}, "labels": labels}
        for path in ("top", "logs", "stop", "start", "export", "exec", "archive", "attach"):
            daemon.answers[f"/containers/{container_id}/{path}"] = 200, b"{}"
        inspect = daemon._inspect(container_id)
        inspect["Config"]["Env"] = ["KEY=secret"]
        inspect["HostConfig"] = {"NetworkMode": "host"}
        inspect["Mounts"] = [{"Type": "bind", "Source": "/etc", "Destination": "/e"}]
        daemon.answers[f"/containers/{container_id}/json"] = 200, json.dumps(inspect).encode()
        daemon.answers[f"/containers/{container_id}/exec"] = 201, b'{"Id":"%s"}' % EXEC.encode()
    daemon.networks = [
        {"Name": name, "Id": name.ljust(64, "0"), "Scope": "local", "Driver": driver, "Labels": labels}
        for name, driver, labels in (
            ("bridge", "bridge", {}),
            ("host", "host", {}),
            ("mine", "bridge", {OWNER: "a"}),
            ("others", "bridge", {OWNER: "b"}),
        )
    ]
    daemon.volumes = [
        {"Name": name, "Driver": "local", "Scope": "local", "Labels": labels}
        for name, labels in (("mine", {OWNER: "a"}), ("others", {OWNER: "b"}), ("nobodys", None))
    ]
    device = {"type": "none", "o": "bind", "device": "/data"}
    daemon.volumes.append({"Name": "root", "Driver": "local", "Scope": "local", "Options": device})
    daemon.answers |= {
        f"/exec/{EXEC}/json": (200, b'{"ID":"%s","ContainerID":"%s"}' % (EXEC.encode(), OTHERS.encode())),
        f"/exec/{EXEC}/start": (200, b"{}"),
        "/networks/create": (201, b'{"Id":"n"}'),
        "/volumes/create": (201, b'{"Name":"v"}'),
        "/plugins": (200, b'[{"Name":"p","Settings":{"Env":["A=b"]}}]'),
        f"/networks/{'mine'.ljust(64, '0')}": (200, b'{"Name":"mine"}'),
        f"/networks/{'bridge'.ljust(64, '0')}": (200, b'{"Name":"bridge"}'),
        "/volumes/mine": (200, b'{"Name":"mine","Scope":"local"}'),
        "/images/busybox/json": (200, b'{"Id":"sha256:aa","Config":{"Env":["PATH=/x"]}}'),
    }
    return daemon


def said(answer: httpx.Response) -> str:
    return str(answer.json()["message"])
