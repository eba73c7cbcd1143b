"""The load, in rounds that are all alike: requests, streams, events, and engines that go and come back."""

import asyncio
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass

import msgspec

from benchmarks.client import Client, Follower, LoadError, Peer, request
from benchmarks.fleet.control import Burst, Fault
from benchmarks.fleet.engine import Engine
from benchmarks.large.stand import FRAGILE, Fleet, kill, look
from benchmarks.load import CREATE_BODY, open_exec

API = "/v1.51"
CLIENTS = 10
GOING = 1  # engines of the fleet's process that fail and come back, besides the fragile ones
MIX = {"top": 45, "inspect": 20, "ping": 18, "ps": 7, "info": 6, "create": 4}
"""In a hundred. A create is three requests: create, start and remove."""
HEALTHY_DEADLINE_S = 90.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much, in all rounds together."""

    requests: int
    events: int
    streams: int
    rounds: int


class Stream(Follower):
    """A stream of which nothing is wanted but that it is open."""

    def __init__(self) -> None:
        super().__init__()
        self._open = False

    def head_came(self, data: bytes, start: int) -> None:
        self._open = True
        super().head_came(data, start)

    def buffer_updated(self, nbytes: int) -> None:
        if not self._open:
            super().buffer_updated(nbytes)


class Work:
    """Does round after round through the manager at `peer`, on connections that stay. Raises LoadError, OSError."""

    def __init__(self, peer: Peer, fleet: Fleet, plan: Plan) -> None:
        self._peer = peer
        self._fleet = fleet
        self._plan = plan
        self._dice = random.Random(1)
        self._made = itertools.count()
        self._stable = fleet.in_one_process - GOING
        engines = [Engine(f"node-{number:05}", number=number) for number in range(self._stable)]
        self._ids = [each.decode() for engine in engines for each in list(engine.containers)[: fleet.containers]]
        going = [*range(self._stable, fleet.in_one_process), *range(fleet.size, fleet.size + FRAGILE)]
        spec = msgspec.json.decode(CREATE_BODY)
        # Not on one that may be about to go: what is asked for here has to succeed.
        spec["Env"] = [f"constraint:node!=node-{number:05}" for number in going]
        self._create_body = msgspec.json.encode(spec)
        self._clients: list[Client] = []
        self._nodes = fleet.nodes.read_text()
        self.done: Counter[str] = Counter()

    async def open(self) -> None:
        """Connect."""
        self._clients = [await self._peer.connect(Client) for _ in range(CLIENTS)]

    def close(self) -> None:
        """Disconnect."""
        for client in self._clients:
            client.transport.close()

    async def round(self, number: int) -> None:
        """Do one round, and return when all that was opened is closed and every engine is back."""
        plan = self._plan
        self._fail(number)
        streams = await self._open_streams(plan.streams // plan.rounds)
        count = plan.events // plan.rounds
        self._fleet.control.send(Burst(engines=f"0:{self._stable - 1}", count=count, rate=2 * count))
        self.done["events"] += count
        left = itertools.repeat(None, plan.requests // plan.rounds)
        await in_parallel([self._ask(client, left) for client in self._clients])
        for stream in streams:
            stream.transport.abort()
        self._come_back(number)
        await self._until_healthy()

    # -- requests

    async def _ask(self, client: Client, left: "itertools.repeat[None]") -> None:
        names, weights = list(MIX), list(MIX.values())
        for _ in left:
            [name] = self._dice.choices(names, weights)
            self.done[name] += 1
            match name:
                case "top":
                    await client.call(request("GET", f"{API}/containers/{self._dice.choice(self._ids)}/top"))
                case "inspect":
                    await client.call(request("GET", f"{API}/containers/{self._dice.choice(self._ids)}/json"))
                case "ping":
                    await client.call(request("GET", "/_ping"))
                case "ps":
                    await client.call(request("GET", f"{API}/containers/json?limit=20"))
                case "info":
                    await client.call(request("GET", f"{API}/info"))
                case _:
                    await self._create(client)
                    for _ in range(2):  # the start and the remove are requests, too
                        next(left, None)

    async def _create(self, client: Client) -> None:
        name = f"soak-{next(self._made)}"
        path = f"{API}/containers/create?name={name}"
        made = await client.call_json(request("POST", path, body=self._create_body))
        await client.call(request("POST", f"{API}/containers/{made['Id']}/start"))
        await client.call(request("DELETE", f"{API}/containers/{made['Id']}?force=1"))

    # -- streams

    async def _open_streams(self, count: int) -> list[Client]:
        """Return streams that stay open: of events, of logs, and of execs that have echoed a byte."""
        opened: list[Client] = []
        numbers = iter(range(count))

        async def open_some(client: Client) -> None:
            for number in numbers:
                opened.append(await self._open_stream(number, client))

        await in_parallel([open_some(client) for client in self._clients])
        return opened

    async def _open_stream(self, number: int, client: Client) -> Client:
        container = self._ids[number % len(self._ids)]
        kind = ("logs", "events", "exec")[number % 3]
        self.done["event readers" if kind == "events" else kind] += 1
        if kind == "exec":
            echoer = await open_exec(self._peer, client, container)
            await echoer.run(0)
            return echoer
        path = "/events" if kind == "events" else f"/containers/{container}/logs?stdout=1&follow=1"
        follower = await self._peer.connect(Stream)
        await follower.call(request("GET", f"{API}{path}"))
        return follower

    # -- engines

    def _fail(self, number: int) -> None:
        """Have engines fail, in another way each time."""
        going = f"{self._stable}:{self._fleet.in_one_process - 1}"
        match number % 5:
            case 0:
                self._fleet.control.send(Fault(engines=going, refuses=True))
            case 1:
                self._fleet.control.send(Fault(engines=going, resets=True))
            case 2:
                self._fleet.control.send(Fault(engines=going, hangs=True))
            case 3:
                kill(self._fleet.hung, signal.SIGSTOP)
            case _:  # the fragile ones are the last
                *stay, _, _ = self._nodes.splitlines(keepends=True)
                self._fleet.nodes.write_text("".join(stay))
        self.done["engines gone and back"] += 1

    def _come_back(self, number: int) -> None:
        match number % 5:
            case 0 | 1 | 2:
                self._fleet.control.send(Fault())
            case 3:
                kill(self._fleet.hung, signal.SIGCONT)
            case _:
                self._fleet.nodes.write_text(self._nodes)

    async def _until_healthy(self) -> None:
        """Return when the manager knows all engines and containers. Raises LoadError."""
        end = time.monotonic() + HEALTHY_DEADLINE_S
        wanted = (self._fleet.size, self._fleet.size * self._fleet.containers)
        while True:
            state = await asyncio.to_thread(look, self._peer.port)
            if (state.healthy, state.containers) == wanted:
                return
            if time.monotonic() > end:
                raise LoadError(f"{state.healthy} healthy engines, {state.containers} containers")
            await asyncio.sleep(POLL_S)


async def in_parallel(work: "list[Coroutine[object, object, None]]") -> None:
    """Do all of `work` at once. Raises the first error."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for number, piece in enumerate(work):
                tasks.create_task(piece, name=f"client {number}")
    except* (OSError, LoadError) as group:
        raise LoadError(str(group.exceptions[0])) from group.exceptions[0]
