"""The hub hands each event to each reader that wants it, and a slow one hurts nobody but itself."""

import asyncio
import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.cluster.hub import Hub, Subscription, Telling
from swarmproxy.model.event import Event, EventQuery, Origin

NODE = Origin(id="ID|127.0.0.1:2375", name="node-1", address="127.0.0.1:2375", ip="127.0.0.1")
ALL = EventQuery()
HANG_S = 40.0


def event(number: int, action: str = "start") -> Event:
    """Return the event of the moment `number`."""
    raw = {"Type": "container", "Action": action, "Actor": {"ID": str(number), "Attributes": {}}, "timeNano": number}
    return Event(type="container", action=action, actor_id=str(number), time_ns=number, raw=msgspec.json.encode(raw))


async def read_all(subscription: Subscription) -> list[dict[str, object]]:
    """Return what a closed subscription has."""
    async with asyncio.timeout(HANG_S):
        return [json.loads(line) async for batch in subscription.batches() for _, line in batch]


async def test_published() -> None:
    """Every reader gets every event, in order, one JSON object a line, with the node's name."""
    hub = Hub()
    readers = [hub.subscribe(ALL) for _ in range(3)]
    assert hub.readers == 3
    for number in range(1, 4):
        hub.publish(event(number), NODE)
    hub.close()
    for reader in readers:
        got = await read_all(reader)
        assert [each["timeNano"] for each in got] == [1, 2, 3]
        assert all(each["node"]["Name"] == "node-1" for each in got)  # type: ignore[index]


async def test_filtered() -> None:
    """A reader gets what its query lets through, and nothing else."""
    hub = Hub()
    reader = hub.subscribe(EventQuery.parse({"filters": '{"event":["die"]}'}, now_ns=0))
    hub.publish(event(1, "start"), NODE)
    hub.publish(event(2, "die"), NODE)
    hub.close()
    assert [each["Action"] for each in await read_all(reader)] == ["die"]


async def test_left() -> None:
    """A reader that has left is told nothing any more; leaving twice does no harm."""
    hub = Hub()
    reader = hub.subscribe(ALL)
    hub.unsubscribe(reader)
    hub.unsubscribe(reader)
    hub.publish(event(1), NODE)
    assert hub.readers == 0
    reader.close()
    assert await read_all(reader) == []


async def test_waiting() -> None:
    """A reader that waits is woken by the next event, and again by the one after it."""
    hub = Hub()
    batches = hub.subscribe(ALL).batches()
    async with asyncio.timeout(HANG_S):
        for number in (1, 2):
            asyncio.get_running_loop().call_soon(hub.publish, event(number), NODE)
            [(told, _)] = await anext(batches)
            assert told.time_ns == number


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), max_size=12), st.booleans())
def test_pushed(batches: list[tuple[int, bool, bool]], filtered: bool) -> None:
    """Whether a reader takes what is pushed or has it queued, it gets each event it asked for once, and in order."""
    query = EventQuery.parse({"filters": '{"event":["die"]}'} if filtered else {}, now_ns=0)
    got: list[bytes] = []
    takes = True

    def push(text: bytes) -> bool:
        if takes:
            got.append(text)
        return takes

    async def play() -> list[int]:
        nonlocal takes
        hub, number, expected = Hub(), 0, list[int]()
        reader = hub.subscribe(query)
        reader.push = push

        async def read() -> None:
            async for batch in reader.batches():
                await asyncio.sleep(0)  # being sent: nothing may overtake it
                got.append(b"".join(line for _, line in batch))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            for count, taken, pauses in batches:
                takes = taken
                for _ in range(count):
                    number += 1
                    hub.publish(event(number, "die" if number % 3 else "start"), NODE)
                    if number % 3 or not filtered:
                        expected.append(number)
                if pauses:
                    await asyncio.sleep(0)
            hub.close()
        return expected

    expected = asyncio.run(play())
    assert [json.loads(line)["timeNano"] for line in b"".join(got).splitlines()] == expected


async def test_slow_reader() -> None:
    """A reader that does not keep up loses the oldest events, is told how many, and goes on with the newest."""
    subscription = Subscription(ALL, limit=3)
    for number in range(1, 11):
        subscription.offer(event(number), NODE, event(number).raw)
    subscription.close()
    lost, *kept = await read_all(subscription)
    assert (lost["Type"], lost["Action"], lost["Actor"]) == (
        "swarm",
        "events_lost",
        {"ID": "", "Attributes": {"lost": "7"}},
    )
    assert [each["timeNano"] for each in kept] == [8, 9, 10]
    assert lost["timeNano"] == 8


async def test_closed() -> None:
    """A closed stream still gives what came before, and takes nothing more."""
    subscription = Subscription(ALL)
    subscription.offer(event(1), NODE, event(1).raw)
    subscription.close()
    subscription.offer(event(2), NODE, event(2).raw)
    assert [each["timeNano"] for each in await read_all(subscription)] == [1]


def of_swarm(action: str, time_ns: int, actor_id: str = "web") -> Event:
    return Event(type="service", action=action, actor_id=actor_id, scope="swarm", time_ns=time_ns)


def test_told_once() -> None:
    """What all managers of a swarm tell is told once; a removal, too, whose time each says differently."""
    telling = Telling()
    second = 10**9
    told = [of_swarm("create", 100 * second), of_swarm("update", 101 * second), of_swarm("update", 102 * second)]
    assert [telling.is_new(each) for each in (*told, *told)] == [True] * 3 + [False] * 3
    assert [telling.is_new(of_swarm("remove", 103 * second + number)) for number in range(3)] == [True, False, False]
    assert telling.is_new(of_swarm("create", 90 * second, "late"))
    assert not telling.is_new(of_swarm("create", 10 * second, "as a new manager tells all that ever was"))
    assert [telling.is_new(event(1)) for _ in range(2)] == [True, True]  # of one node: the engine's follower knows
