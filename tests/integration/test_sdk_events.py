"""docker-py's events: the merged stream of all nodes, filtered, from the past and as things happen."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker

from tests.hosts.fleet import Fleet
from tests.hosts.manager import Manager
from tests.integration.sdk import connected, forgets_sockets, node_of, sleeper
from tests.waiting import wait_until

pytestmark = forgets_sockets

LIFE = ["create", "start", "kill", "die", "destroy"]


class Reader:
    """What an open stream of events has told."""

    def __init__(self, stream: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self._stream = stream
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for event in self._stream:
            self.events.append(event)

    def actions(self, kind: str = "container") -> list[str]:
        return [event["Action"] for event in self.events if event["Type"] == kind]

    def close(self) -> None:
        self._stream.close()
        self._thread.join()


@contextmanager
def reading(manager: Manager, **options: Any) -> Iterator[Reader]:
    """Lend a reader of the events, which is heard by the manager when the block begins."""
    before = manager.get_json("/info")["NEventsListener"]
    with connected(manager) as client:
        reader = Reader(client.events(decode=True, **options))
        try:
            wait_until(lambda: manager.get_json("/info")["NEventsListener"] > before, "the stream to open")
            yield reader
        finally:
            reader.close()


def test_live(front: Manager, sdk: docker.DockerClient, fleet: Fleet) -> None:
    """What happens on any node is told once, in order, with the node's name, id, address and IP."""
    with reading(front) as reader:
        containers = [sleeper(sdk, name) for name in ("one", "two")]
        nodes = {node_of(each) for each in containers}
        for each in containers:
            each.remove(force=True)
        wait_until(lambda: reader.actions().count("destroy") == 2, "the last event")
        assert nodes == {engine.name for engine in fleet.engines}
        for name in ("one", "two"):
            mine = [each for each in reader.events if each["Actor"]["Attributes"].get("name") == name]
            assert [each["Action"] for each in mine if each["Type"] == "container"] == LIFE
        for event in reader.events:
            attributes = event["Actor"]["Attributes"]
            [engine] = [each for each in fleet.engines if each.name == attributes["node.name"]]
            assert (attributes["node.addr"], attributes["node.ip"]) == (engine.own_address, engine.cable.ip)
            assert event["node"]["Name"] == engine.name
            assert event["from"].endswith(f" node:{engine.name}")


def test_filters(front: Manager, sdk: docker.DockerClient) -> None:
    """A stream with filters tells only what they let through; several values of one are alternatives."""
    with (
        reading(front, filters={"event": ["start", "die"], "container": "wanted"}) as narrow,
        reading(front, filters={"type": "network"}) as networks,
        reading(front, filters={"label": "color=red"}) as red,
    ):
        for name, color in (("other", "blue"), ("wanted", "red")):
            sleeper(sdk, name, labels={"color": color}).remove(force=True)
        wait_until(
            lambda: "die" in narrow.actions() and "destroy" in red.actions() and networks.events, "the last event"
        )
        assert narrow.actions() == ["start", "die"]
        assert red.actions() == LIFE
        assert {event["Type"] for event in networks.events} == {"network"}


def test_past(sdk: docker.DockerClient) -> None:
    """`since` and `until` replay what the engines remember, in order over all nodes, and the stream then ends."""
    since = time.time()
    for name in ("one", "two"):
        sleeper(sdk, name).remove(force=True)
    events = list(sdk.events(decode=True, since=since, until=time.time(), filters={"type": "container"}))
    for name in ("one", "two"):
        mine = [each["Action"] for each in events if each["Actor"]["Attributes"]["name"] == name]
        assert mine == LIFE
    times = [event["timeNano"] for event in events]
    assert times == sorted(times)
    assert times[0] >= since * 1e9


def test_past_and_live(front: Manager, sdk: docker.DockerClient) -> None:
    """`since` alone replays the past and goes on with the present, nothing missing and nothing twice."""
    since = time.time()
    container = sleeper(sdk, "one")
    with reading(front, since=since, filters={"type": "container"}) as reader:
        container.remove(force=True)
        wait_until(lambda: "destroy" in reader.actions(), "the last event")
        assert reader.actions() == LIFE


def test_future(sdk: docker.DockerClient) -> None:
    """A stream until a moment to come tells what happens until then, and ends."""
    stream = sdk.events(decode=True, until=time.time() + 6, filters={"type": "container"})
    container = sleeper(sdk, "one")
    actions = [event["Action"] for event in stream]
    assert actions[:2] == ["create", "start"]
    container.remove(force=True)
