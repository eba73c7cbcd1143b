"""Tests of benchmarks/engine.py, with the clients of the load generator."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import quote

import pytest

from benchmarks.client import Client, Echoer, Follower, LoadError, Peer, Repeater, Uploader, request
from benchmarks.engine import Connection, Engine

EXPORT_BYTES = 3 * 1024 * 1024 + 11


@pytest.fixture
def engine() -> Engine:
    engine = Engine("node-0", containers=3)
    engine.export_bytes = EXPORT_BYTES
    return engine


@pytest.fixture
async def peer(engine: Engine) -> AsyncIterator[Peer]:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(engine), "127.0.0.1", 0)
    yield Peer(server.sockets[0].getsockname()[1])
    server.close()
    await asyncio.sleep(0)


@pytest.fixture
async def client(peer: Peer) -> AsyncIterator[Client]:
    client = await peer.connect(Client)
    yield client
    client.transport.close()


async def test_answers_like_an_engine(client: Client) -> None:
    """Version, info, lists, inspect and top agree with each other, with and without a version in the path."""
    info = await client.call_json(request("GET", "/v1.51/info"))
    version = await client.call_json(request("GET", "/version"))
    listed = await client.call_json(request("GET", "/containers/json?all=1"))
    assert (info["Name"], info["Containers"], info["ContainersRunning"]) == ("node-0", 3, 3)
    assert (version["ApiVersion"], version["MinAPIVersion"]) == ("1.51", "1.24")
    assert [item["Names"] for item in listed] == [["/app-2"], ["/app-1"], ["/app-0"]]
    inspected = await client.call_json(request("GET", f"/v1.51/containers/{listed[0]['Id']}/json"))
    assert (inspected["Id"], inspected["Name"]) == (listed[0]["Id"], "/app-2")
    for _ in range(2):  # the second answer comes from the table of ready ones
        assert "Processes" in await client.call_json(request("GET", "/v1.51/containers/app-0/top"))
    assert await client.call(request("GET", "/_ping")) == b"OK"


async def test_list_by_id(client: Client, engine: Engine) -> None:
    """A list with an id filter holds that container only."""
    identity = engine.ids["app-1"]
    filters = quote(json.dumps({"id": [identity]}))
    listed = await client.call_json(request("GET", f"/containers/json?all=1&filters={filters}"))
    assert [item["Id"] for item in listed] == [identity]


async def test_create_start_remove(peer: Peer, client: Client) -> None:
    """What is created can be started, seen and removed; names are taken once; followers get an event of each."""
    follower = await peer.connect(Follower)
    await follower.call(request("GET", "/v1.51/events"))
    create = request("POST", "/v1.51/containers/create?name=web", body=b'{"Image":"busybox"}')
    identity = (await client.call_json(create))["Id"]
    with pytest.raises(LoadError, match="already in use"):
        await client.call(create)
    await client.call(request("POST", f"/v1.51/containers/{identity}/start"))
    listed = await client.call_json(request("GET", "/containers/json"))
    assert listed[0]["Names"] == ["/web"]
    await client.call(request("DELETE", f"/v1.51/containers/{identity}"))
    assert len(await client.call_json(request("GET", "/containers/json"))) == 3
    with pytest.raises(LoadError, match="No such container"):
        await client.call(request("GET", f"/containers/{identity}/top"))
    follower.transport.close()


async def test_events_come(peer: Peer, client: Client) -> None:
    """An event stream answers at once, and brings a line for each change."""
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    writer.write(request("GET", "/v1.51/events"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    await client.call(request("POST", "/containers/create?name=web", body=b'{"Image":"busybox"}'))
    await reader.readline()
    event = json.loads(await reader.readline())
    assert (event["Type"], event["Action"], event["Actor"]["Attributes"]["name"]) == ("container", "create", "web")
    writer.close()
    await writer.wait_closed()


async def test_export(client: Client) -> None:
    """An export has the size that was asked for."""
    client.keep = False
    await client.call(request("GET", "/containers/app-0/export"))
    assert client.body_bytes == EXPORT_BYTES


@pytest.mark.parametrize(
    ("chunked", "framing"), [(True, "Transfer-Encoding: chunked"), (False, f"Content-Length: {EXPORT_BYTES}")]
)
async def test_upload(peer: Peer, engine: Engine, framing: str, *, chunked: bool) -> None:
    """All bytes of an archive arrive, in both framings, and the connection can be used again."""
    uploader = await peer.connect(Uploader)
    for _ in range(2):
        await uploader.put(request("PUT", "/containers/app-0/archive", framing), EXPORT_BYTES, chunked=chunked)
    assert engine.received_bytes == 2 * EXPORT_BYTES
    uploader.transport.close()


async def test_exec_echoes(peer: Peer, client: Client) -> None:
    """An exec that was started with an upgrade sends back what it gets."""
    made = await client.call_json(request("POST", "/containers/app-0/exec", body=b"{}"))
    echoer = await peer.connect(partial(Echoer, b"hello"))
    start = f"/exec/{made['Id']}/start"
    await echoer.call(request("POST", start, "Connection: Upgrade", "Upgrade: tcp", body=b'{"Tty":true}'))
    assert echoer.upgraded
    await echoer.run(0.02)
    assert echoer.latencies_ns
    echoer.transport.close()


async def test_repeater_counts_and_fails_loudly(peer: Peer) -> None:
    """A repeater has one latency for each answer, and an error answer is an error."""
    repeater = await peer.connect(partial(Repeater, request("GET", "/_ping")))
    await repeater.run(0.02)
    assert repeater.latencies_ns
    repeater.transport.close()
    refused = await peer.connect(partial(Repeater, request("GET", "/nothing")))
    with pytest.raises(LoadError, match="status 404"):
        await refused.run(0.02)
    refused.transport.close()
