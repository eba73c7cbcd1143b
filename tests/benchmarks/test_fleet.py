"""Tests of benchmarks/fleet/, with the clients of the load generator."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from benchmarks.client import Client, Echoer, Follower, LoadError, Peer, Repeater, Uploader, request
from benchmarks.fleet.__main__ import address_of, choose, listen, number_of
from benchmarks.fleet.connection import Connection
from benchmarks.fleet.control import Ask, Burst, Control, Controller, Fault, Log, select
from benchmarks.fleet.engine import REMEMBERED, Engine
from benchmarks.processes import Child

EXPORT_BYTES = 3 * 1024 * 1024 + 11


def name(slot: int, engine: int = 0) -> str:
    """Return the name of a container that was there from the beginning."""
    return f"app-{engine:05}-{slot:02}"


@pytest.fixture
def engine() -> Engine:
    engine = Engine("node-00000", containers=3)
    engine.export_bytes = EXPORT_BYTES
    return engine


@pytest.fixture
async def peer(engine: Engine) -> AsyncIterator[Peer]:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(lambda _: engine), "127.0.0.1", 0)
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
    assert (info["Name"], info["Containers"], info["ContainersRunning"]) == ("node-00000", 3, 3)
    assert (version["ApiVersion"], version["MinAPIVersion"]) == ("1.51", "1.24")
    assert [item["Names"] for item in listed] == [[f"/{name(slot)}"] for slot in (2, 1, 0)]
    inspected = await client.call_json(request("GET", f"/v1.51/containers/{listed[0]['Id']}/json"))
    assert (inspected["Id"], inspected["Name"]) == (listed[0]["Id"], f"/{name(2)}")
    for _ in range(3):  # the third answer comes from the table of ready ones
        assert "Processes" in await client.call_json(request("GET", f"/v1.51/containers/{name(0)}/top"))
    assert await client.call(request("GET", "/_ping")) == b"OK"


async def test_list_by_id(client: Client, engine: Engine) -> None:
    """A list with an id filter holds that container only."""
    identity = engine.ids[name(1).encode()].decode()
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


async def read_lines(reader: asyncio.StreamReader, count: int) -> list[Any]:
    """Return so many lines of JSON of a chunked body."""
    found: list[Any] = []
    while len(found) < count:
        line = await reader.readline()
        if line.startswith(b"{"):
            found.append(json.loads(line))
    return found


@pytest.fixture
async def events(peer: Peer) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    writer.write(request("GET", "/v1.51/events"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    yield reader
    writer.close()


async def test_events_come(client: Client, events: asyncio.StreamReader) -> None:
    """An event stream answers at once, and brings a line for each change, in dockerd's order."""
    created = request("POST", "/containers/create?name=web", body=b'{"Image":"busybox","Labels":{"a":"b"}}')
    identity = (await client.call_json(created))["Id"]
    await client.call(request("POST", f"/containers/{identity}/start"))
    await client.call(request("DELETE", f"/containers/{identity}?force=1"))
    told = await read_lines(events, 7)
    assert [(each["Type"], each["Action"]) for each in told] == [
        ("container", "create"),
        ("network", "connect"),
        ("container", "start"),
        ("container", "kill"),
        ("network", "disconnect"),
        ("container", "die"),
        ("container", "destroy"),
    ]
    assert told[0]["Actor"] == {"ID": identity, "Attributes": {"a": "b", "image": "busybox", "name": "web"}}


async def test_events_are_remembered(engine: Engine, events: asyncio.StreamReader, peer: Peer) -> None:
    """A stream that is asked for the past begins with it, from behind that moment, as far as it is remembered."""
    Controller([engine]).obey(Burst(count=REMEMBERED + 5))
    moments = [each["timeNano"] for each in await read_lines(events, REMEMBERED + 5)]
    for since, expected in ((moments[0], moments[5:]), (moments[-3], moments[-2:])):
        reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        writer.write(request("GET", f"/v1.51/events?since={since // 10**9}.{since % 10**9:09d}"))
        assert [each["timeNano"] for each in await read_lines(reader, len(expected))] == expected
        writer.close()


async def test_lists_with_filters(client: Client) -> None:
    """Names, labels and states choose what is listed."""
    for asked, slots in [
        ({"name": [f"^/{name(1)}$"]}, [1]),
        ({"label": ["com.example.app=app-2"]}, [2]),
        ({"status": ["exited"]}, []),
        ({"label": ["com.example.project=project-0"], "status": ["running"]}, [2, 1, 0]),
    ]:
        path = f"/containers/json?all=1&filters={quote(json.dumps(asked))}"
        listed = await client.call_json(request("GET", path))
        assert [item["Names"] for item in listed] == [[f"/{name(slot)}"] for slot in slots]


async def test_faults(engine: Engine, peer: Peer, client: Client) -> None:
    """An engine can be late, hang and answer after all, and reset connections."""
    loop = asyncio.get_running_loop()
    ping = request("GET", "/_ping")
    controller = Controller([engine])
    controller.obey(Fault(delay_s=0.05))
    begun = loop.time()
    await client.call(ping)
    assert loop.time() - begun >= 0.05
    controller.obey(Fault(hangs=True))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.call(ping)
    async with asyncio.timeout(30):
        while not engine.held:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    client.waiter = loop.create_future()
    controller.obey(Fault(refuses=True))
    with pytest.raises(ConnectionError):
        await client.waiter
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    controller.obey(Fault())
    well = await peer.connect(Client)
    assert await well.call(ping) == b"OK"
    well.transport.close()


async def test_bursts(engine: Engine, events: asyncio.StreamReader, peer: Peer) -> None:
    """A burst of events comes at once or in steps, and lines of logs reach all who follow one."""
    controller = Controller([engine])
    for rate in (0.0, 200.0):
        controller.obey(Burst(count=5, rate=rate))
        told = await read_lines(events, 5)
        assert {each["Action"] for each in told} == {"exec_start: sh"}
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    writer.write(request("GET", f"/containers/{name(0)}/logs?follow=1&stdout=1"))
    await reader.readuntil(b"\r\n\r\n")
    assert controller.obey(Log(lines=2)).sent == 2
    await reader.readuntil(b"GET / 200\n")
    await reader.readuntil(b"GET / 200\n")
    writer.close()


def test_addresses() -> None:
    """Each engine has an address of its own, by which it is found again."""
    addresses = [address_of(number) for number in range(20_000)]
    assert len(set(addresses)) == len(addresses)
    assert [number_of(address) for address in addresses] == list(range(20_000))
    assert number_of("127.0.0.1") < 0
    engines = [Engine(f"node-{number}", number=number, containers=1) for number in range(3)]
    assert choose(engines, ("127.1.0.3", 2375)) is engines[2]
    assert choose(engines, ("127.1.0.4", 2375)) is None
    assert select(engines, "all") == engines
    assert select(engines, "2,0:1") == [engines[2], engines[0], engines[1]]


async def test_one_socket_plays_many_engines() -> None:
    """The address that is dialled says which engine answers."""
    engines = [Engine(f"node-{number}", number=number, containers=1) for number in range(2)]
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(partial(choose, engines)), sock=listen(0)
    )
    port = server.sockets[0].getsockname()[1]
    for number in range(2):
        reader, writer = await asyncio.open_connection(address_of(number), port)
        writer.write(request("GET", "/info", "Connection: close"))
        answer = await reader.read()
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["Name"] == f"node-{number}"
        writer.close()
    server.close()


async def test_export(client: Client) -> None:
    """An export has the size that was asked for."""
    client.keep = False
    await client.call(request("GET", f"/containers/{name(0)}/export"))
    assert client.body_bytes == EXPORT_BYTES


def test_the_process(tmp_path: Path) -> None:
    """The fleet says its port when it can be asked, writes its addresses, and takes orders on its socket."""
    command = (sys.executable, "-m", "benchmarks.fleet", "--engines", "3", "--containers", "2")
    places = ("--nodes", tmp_path / "nodes", "--control", tmp_path / "control")
    child = Child((*command, *places), tmp_path / "log", piped=True)
    try:
        port = int(child.read_line())
        assert (tmp_path / "nodes").read_text() == "".join(f"127.1.0.{last}:{port}\n" for last in (1, 2, 3))
        with Control(tmp_path / "control") as control:
            assert control.send(Ask()).containers == (2, 2, 2)
            assert control.send(Burst(engines="1", count=2)).sent == 2
            with pytest.raises(RuntimeError, match="index"):
                control.send(Fault(engines="3", hangs=True))
    finally:
        child.stop()


@pytest.mark.parametrize(
    ("chunked", "framing"), [(True, "Transfer-Encoding: chunked"), (False, f"Content-Length: {EXPORT_BYTES}")]
)
async def test_upload(peer: Peer, engine: Engine, framing: str, *, chunked: bool) -> None:
    """All bytes of an archive arrive, in both framings, and the connection can be used again."""
    uploader = await peer.connect(Uploader)
    for _ in range(2):
        await uploader.put(request("PUT", f"/containers/{name(0)}/archive", framing), EXPORT_BYTES, chunked=chunked)
    assert engine.received_bytes == 2 * EXPORT_BYTES
    uploader.transport.close()


async def test_exec_echoes(peer: Peer, client: Client) -> None:
    """An exec that was started with an upgrade sends back what it gets."""
    made = await client.call_json(request("POST", f"/containers/{name(0)}/exec", body=b"{}"))
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
