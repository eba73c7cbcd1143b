"""The load generator, a process of its own: orders come on standard input, outcomes go to standard output."""

import asyncio
import contextlib
import gc
import itertools
import math
import os
import sys
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from benchmarks.certificates import Certificates, client_context
from benchmarks.client import Client, Echoer, Follower, LoadError, Peer, Repeater, Uploader, request
from benchmarks.fleet.control import Control
from benchmarks.jobs import Job, Kind, Order, Outcome, outcome_of, percentile
from benchmarks.readers import Readers

WARM_UP_S = 0.1
DEADLINE_S = 60.0  # beyond what a job asks for: a hang is an outcome too
MOST_CREATED = 5_000
CREATE_BODY = msgspec.json.encode(
    {
        "Hostname": "",
        "Image": "busybox:latest",
        "Cmd": ["sleep", "3600"],
        "Labels": {"com.example.app": "bench"},
        "HostConfig": {"NetworkMode": "default", "RestartPolicy": {"Name": "no"}},
        "NetworkingConfig": {"EndpointsConfig": {}},
    }
)
UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")
EXEC_BODY = b'{"AttachStdin":true,"AttachStdout":true,"AttachStderr":true,"Cmd":["cat"]}'
made = itertools.count()
kept: list[str] = []  # ids of containers
open_streams: list[Follower] = []


async def find_container(peer: Peer) -> str:
    """Return the id of the container that has been there longest."""
    client = await peer.connect(Client)
    try:
        found = await client.call_json(request("GET", "/v1.51/containers/json"))
    finally:
        client.transport.close()
    if not found:
        raise LoadError("the peer lists no container")
    return str(found[-1]["Id"])


async def all_of(work: Sequence[Coroutine[object, object, None]]) -> None:
    """Do all of `work` at once. Raises the first error."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for number, piece in enumerate(work):
                tasks.create_task(piece, name=f"client {number}")
    except* (OSError, LoadError) as group:
        error = group.exceptions[0]
        raise LoadError(str(error) or type(error).__name__) from error


async def repeat(clients: Sequence[Repeater], seconds: float) -> Outcome:
    """Let all clients repeat their request, first for a moment that does not count."""
    try:
        await all_of([client.run(WARM_UP_S) for client in clients])
        warm_up = sum(len(client.latencies_ns) for client in clients)
        begun = time.perf_counter()
        await all_of([client.run(seconds) for client in clients])
        took = time.perf_counter() - begun
    finally:
        for client in clients:
            client.transport.close()
    outcome = outcome_of([latency for client in clients for latency in client.latencies_ns], took)
    return msgspec.structs.replace(outcome, warm_up=warm_up)


async def run_requests(peer: Peer, job: Job, path: str) -> Outcome:
    messages = [request("GET", each) for each in job.paths or (path,)]
    clients = []
    for number in range(job.clients):
        turn = number % len(messages)  # so that not all ask the same at the same time
        clients.append(await peer.connect(partial(Repeater, *messages[turn:], *messages[:turn])))
    return await repeat(clients, job.seconds)


async def open_exec(peer: Peer, caller: Client, container: str) -> Echoer:
    """Exec as `docker exec -i` does: create, then start with an upgrade on a connection of its own."""
    made_exec = await caller.call_json(request("POST", f"/v1.51/containers/{container}/exec", body=EXEC_BODY))
    echoer = await peer.connect(partial(Echoer, b"x"))
    start = f"/v1.51/exec/{made_exec['Id']}/start"
    await echoer.call(request("POST", start, *UPGRADE, body=b'{"Detach":false,"Tty":true}'))
    if not echoer.upgraded:
        echoer.transport.close()
        raise LoadError(f"exec start was answered {echoer.status} instead of 101")
    return echoer


async def run_echo(peer: Peer, job: Job, container: str) -> Outcome:
    """One byte at a time through an exec that is open."""
    caller = await peer.connect(Client)
    echoer = await open_exec(peer, caller, container)
    caller.transport.close()
    return await repeat([echoer], job.seconds)


async def run_exec(peer: Peer, job: Job, container: str) -> Outcome:
    """One exec after the other, each until its first byte has come back."""
    caller = await peer.connect(Client)
    latencies_ns: list[int] = []
    begun = time.perf_counter()
    while time.perf_counter() - begun < job.seconds:
        begun_ns = time.perf_counter_ns()
        echoer = await open_exec(peer, caller, container)
        await echoer.run(0)
        latencies_ns.append(time.perf_counter_ns() - begun_ns)
        echoer.transport.close()
    caller.transport.close()
    return outcome_of(latencies_ns, time.perf_counter() - begun)


async def run_connections(peer: Peer, job: Job, path: str) -> Outcome:
    """One request per connection, one after the other on each of the job's clients."""
    message = request("GET", path)
    latencies_ns: list[int] = []
    until = time.perf_counter() + job.seconds

    async def dial_again_and_again() -> None:
        while time.perf_counter() < until:
            begun_ns = time.perf_counter_ns()
            client = await peer.connect(Client)
            await client.call(message)
            latencies_ns.append(time.perf_counter_ns() - begun_ns)
            client.transport.close()

    begun = time.perf_counter()
    await all_of([dial_again_and_again() for _ in range(job.clients)])
    return outcome_of(latencies_ns, time.perf_counter() - begun)


async def run_download(peer: Peer, job: Job, path: str) -> Outcome:
    client = await peer.connect(Client)
    client.keep = False
    begun = time.perf_counter()
    try:
        await client.call(request("GET", path))
    finally:
        client.transport.close()
    took = time.perf_counter() - begun
    if client.body_bytes != job.size_bytes:
        raise LoadError(f"{client.body_bytes} bytes came instead of {job.size_bytes}")
    return Outcome(operations=1, seconds=took, moved_bytes=client.body_bytes)


async def run_upload(peer: Peer, job: Job, path: str) -> Outcome:
    client = await peer.connect(Uploader)
    framing = "Transfer-Encoding: chunked" if job.chunked else f"Content-Length: {job.size_bytes}"
    begun = time.perf_counter()
    try:
        head = request("PUT", path, "Content-Type: application/x-tar", framing)
        await client.put(head, job.size_bytes, chunked=job.chunked)
    finally:
        client.transport.close()
    return Outcome(operations=1, seconds=time.perf_counter() - begun, moved_bytes=job.size_bytes)


async def run_create(peer: Peer, job: Job) -> Outcome:
    """Create and start as `docker run -d` does; what was made is removed after the clock has stopped, or kept."""
    clients = [await peer.connect(Client) for _ in range(job.clients)]
    latencies_ns: list[int] = []
    ids: list[str] = []
    until = time.perf_counter() + job.seconds

    async def create_and_start(client: Client) -> None:
        while time.perf_counter() < until and len(ids) < MOST_CREATED:
            begun_ns = time.perf_counter_ns()
            name = f"bench-{os.getpid()}-{next(made)}"
            reply = await client.call_json(request("POST", f"/v1.51/containers/create?name={name}", body=CREATE_BODY))
            ids.append(reply["Id"])
            await client.call(request("POST", f"/v1.51/containers/{reply['Id']}/start"))
            latencies_ns.append(time.perf_counter_ns() - begun_ns)

    async def remove(client: Client) -> None:
        while ids:
            await client.call(request("DELETE", f"/v1.51/containers/{ids.pop()}?force=1"))

    try:
        begun = time.perf_counter()
        await all_of([create_and_start(client) for client in clients])
        took = time.perf_counter() - begun
        if job.keep:
            kept.extend(ids)
        else:
            await all_of([remove(client) for client in clients])
    finally:
        for client in clients:
            client.transport.close()
    return outcome_of(latencies_ns, took)


async def run_remove(peer: Peer, job: Job) -> Outcome:
    """Remove all that was kept; what `job.seconds` is too short for goes by ten clients, outside the clock."""
    clients = [await peer.connect(Client) for _ in range(max(job.clients, 10))]
    latencies_ns: list[int] = []
    until = time.perf_counter() + job.seconds

    async def remove(client: Client, until: float) -> None:
        while kept and time.perf_counter() < until:
            begun_ns = time.perf_counter_ns()
            await client.call(request("DELETE", f"/v1.51/containers/{kept.pop()}?force=1"))
            latencies_ns.append(time.perf_counter_ns() - begun_ns)

    begun = time.perf_counter()
    try:
        await all_of([remove(client, until) for client in clients[: job.clients]])
        outcome = outcome_of(latencies_ns, time.perf_counter() - begun)
        await all_of([remove(client, math.inf) for client in clients])
    finally:
        for client in clients:
            client.transport.close()
    return outcome


def run_fanout(peer: Peer, job: Job, path: str, control: Path) -> Outcome:
    """Tell the fleet to say something, again and again, and take the times at which each reader has had it all."""
    assert job.tell is not None
    messages = [request("GET", each) for each in job.paths or (path,)]
    latencies_ns: list[int] = []
    last_ns: list[int] = []
    readers = Readers((peer.host, peer.port), messages, job.clients, deadline_s=job.seconds + DEADLINE_S / 2)
    with contextlib.closing(readers), Control(control) as fleet:
        for _ in range(job.rounds):
            before = readers.counts()
            begun_ns = fleet.send(job.tell).at_ns
            taken_ns = [reached_ns - begun_ns for reached_ns in readers.wait(job.lines, before)]
            latencies_ns += taken_ns
            last_ns.append(max(taken_ns))
    outcome = outcome_of(latencies_ns, sum(last_ns) / 1e9)
    return msgspec.structs.replace(
        outcome, operations=len(latencies_ns) * job.lines, last_ms=percentile(sorted(last_ns), 0.5) / 1e6
    )


async def run_open_streams(peer: Peer, job: Job, path: str) -> Outcome:
    message = request("GET", path)
    begun = time.perf_counter()
    for _ in range(job.clients):
        follower = await peer.connect(Follower)
        open_streams.append(follower)
        await follower.call(message)
    return Outcome(operations=job.clients, seconds=time.perf_counter() - begun)


def close_streams() -> Outcome:
    for follower in open_streams:
        follower.transport.abort()
    count = len(open_streams)
    open_streams.clear()
    return Outcome(operations=count)


def needs_container(job: Job) -> bool:
    return job.kind in {Kind.ECHO, Kind.EXEC} or "{container}" in job.path


async def execute(order: Order) -> Outcome:
    """Return what the ordered job came to. Raises OSError, LoadError, TimeoutError."""
    job = order.job
    tls = client_context(Certificates(Path(order.certificates))) if order.certificates else None
    peer = Peer(order.port, tls, order.host)
    container = job.container or (await find_container(peer) if needs_container(job) else "")
    path = job.path.replace("{container}", container)
    async with asyncio.timeout(job.seconds + DEADLINE_S):
        match job.kind:
            case Kind.REQUESTS:
                return await run_requests(peer, job, path)
            case Kind.CONNECTIONS:
                return await run_connections(peer, job, path)
            case Kind.DOWNLOAD:
                return await run_download(peer, job, path)
            case Kind.UPLOAD:
                return await run_upload(peer, job, path)
            case Kind.ECHO:
                return await run_echo(peer, job, container)
            case Kind.EXEC:
                return await run_exec(peer, job, container)
            case Kind.CREATE:
                return await run_create(peer, job)
            case Kind.REMOVE:
                return await run_remove(peer, job)
            case Kind.FANOUT:
                return run_fanout(peer, job, path, Path(order.control))
            case Kind.OPEN_STREAMS:
                return await run_open_streams(peer, job, path)
            case Kind.CLOSE_STREAMS:
                return close_streams()


async def execute_safely(order: Order) -> Outcome:
    """Return what the ordered job came to, a failure as an outcome too."""
    try:
        return await execute(order)
    except (OSError, LoadError, RuntimeError, TimeoutError) as error:
        return Outcome(error=str(error) or type(error).__name__)


def main() -> None:
    """Obey one order a line until the input ends."""
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            outcome = runner.run(execute_safely(msgspec.json.decode(line, type=Order)))
            print(msgspec.json.encode(outcome).decode(), flush=True)


if __name__ == "__main__":
    main()
