"""Events of engines and of the cluster."""

import msgspec
import pytest

from swarmproxy.errors import BadRequest, SwarmError
from swarmproxy.model.event import Event, EventQuery, Origin, dress, from_engine, swarm_event

NS = 1_000_000_000
NODE = Origin(id="E1|10.0.0.1:2375", name="node-1", address="10.0.0.1:2375", ip="10.0.0.1")
NODE_ATTRIBUTES = {
    "node.addr": "10.0.0.1:2375",
    "node.id": "E1|10.0.0.1:2375",
    "node.ip": "10.0.0.1",
    "node.name": "node-1",
}
NODE_OBJECT = {"Name": "node-1", "Id": "E1|10.0.0.1:2375", "Addr": "10.0.0.1:2375", "Ip": "10.0.0.1"}
NEW_FORM = {
    "Type": "container",
    "Action": "create",
    "Actor": {"ID": "c1", "Attributes": {"image": "busybox", "name": "e"}, "Extra": 1},
    "scope": "local",
    "time": 5,
    "timeNano": 5_000_000_007,
    "Future": {"a": 1.50},
}
OLD_FORM = {"status": "create", "id": "c1", "from": "busybox", **NEW_FORM}


def decode(line: bytes) -> dict[str, object]:
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    decoded: dict[str, object] = msgspec.json.decode(line)
    return decoded


@pytest.mark.parametrize("form", [NEW_FORM, OLD_FORM])
def test_dress_a_container_event(form: dict[str, object]) -> None:
    """Clients see the node four times over, and the old members even when the engine leaves them out."""
    event = from_engine(msgspec.json.encode(form))
    assert (event.type, event.action, event.actor_id) == ("container", "create", "c1")
    assert event.time_ns == 5_000_000_007
    line = decode(dress(event, NODE))
    assert line == OLD_FORM | {
        "from": "busybox node:node-1",
        "Actor": {
            "ID": "c1",
            "Attributes": {"image": "busybox", "name": "e"} | NODE_ATTRIBUTES,
            "Extra": 1,
        },
        "node": NODE_OBJECT,
    }
    assert list(line)[:3] == ["status", "id", "from"]
    assert list(line)[-1] == "node"


def test_dress_other_events() -> None:
    """An image has status and id and no origin; a network has neither, but all say the node."""
    image = from_engine(b'{"Type":"image","Action":"pull","Actor":{"ID":"a:1","Attributes":{"name":"a"}}}')
    line = decode(dress(image, NODE))
    assert (line["status"], line["id"], line["from"]) == ("pull", "a:1", " node:node-1")
    network = from_engine(b'{"Type":"network","Action":"connect","Actor":null,"from":null,"time":2}')
    line = decode(dress(network, NODE))
    assert "status" not in line
    assert line["from"] == " node:node-1"
    assert line["Actor"] == {"Attributes": NODE_ATTRIBUTES, "ID": ""}
    assert network.time_ns == 2 * NS


def test_swarm_event() -> None:
    """The cluster's own events look as classic's."""
    event = swarm_event("engine_connect", NODE, time_ns=3 * NS + 1)
    assert decode(dress(event, NODE)) == {
        "status": "engine_connect",
        "from": "swarm node:node-1",
        "Type": "swarm",
        "Action": "engine_connect",
        "Actor": {"ID": "", "Attributes": NODE_ATTRIBUTES},
        "time": 3,
        "timeNano": 3 * NS + 1,
        "node": NODE_OBJECT,
    }


def test_very_old_event() -> None:
    """An event without a type is a container's if it says its image."""
    event = from_engine(b'{"status":"die","id":"c1","from":"busybox","time":9}')
    assert (event.type, event.action, event.actor_id) == ("container", "die", "c1")
    assert event.attributes == {"image": "busybox"}


def test_skew() -> None:
    """The engine's clock is corrected in our time and left alone in its words."""
    event = from_engine(b'{"Type":"daemon","time":9}', skew_ns=NS)
    assert event.time_ns == 10 * NS
    assert decode(dress(event, NODE))["time"] == 9
    assert from_engine(b'{"Type":"daemon"}', skew_ns=NS).time_ns == 0


@pytest.mark.parametrize("line", [b"", b"[]", b'{"Type":1}', b'{"Actor":"x"}', b"\xff"])
def test_unreadable(line: bytes) -> None:
    """What is no event is refused with an error of ours."""
    with pytest.raises(SwarmError, match="the engine describes an event"):
        from_engine(line)


DIE = Event(
    type="container",
    action="die",
    actor_id="abc123",
    attributes={"name": "web", "image": "repo/app:1.2", "app": "shop"},
    scope="local",
)
EXEC = Event(type="container", action="exec_create: sh -c x", actor_id="abc123", attributes={"name": "web"})
PULL = Event(type="image", action="pull", actor_id="busybox:latest", attributes={"name": "busybox"})


@pytest.mark.parametrize(
    ("filters", "event", "wanted"),
    [
        ({"type": ["container"]}, DIE, True),
        ({"type": ["image", "network"]}, DIE, False),
        ({"event": ["die"]}, DIE, True),
        ({"event": ["di"]}, DIE, False),
        ({"event": ["exec_create"]}, EXEC, True),
        ({"event": ["exec_create: sh -c x"]}, EXEC, True),
        ({"container": ["web"]}, DIE, True),
        ({"container": ["abc"]}, DIE, True),
        ({"container": ["eb"]}, DIE, False),
        ({"image": ["repo/app"]}, DIE, True),
        ({"image": ["repo/app:1.2"]}, DIE, True),
        ({"image": ["repo"]}, DIE, False),
        ({"image": ["busybox"]}, PULL, True),
        ({"label": ["app=shop"]}, DIE, True),
        ({"label": ["app=shop", "x"]}, DIE, False),
        ({"scope": ["swarm"]}, DIE, False),
        ({"node": ["node-1"]}, DIE, True),
        ({"node": ["E1"]}, DIE, True),
        ({"node": ["node-2"]}, DIE, False),
        ({"network": ["bridge"]}, DIE, False),
        ({"type": ["container"], "event": ["start"]}, DIE, False),
        ({"from-the-future": ["x"]}, DIE, True),
    ],
)
def test_filter(filters: dict[str, list[str]], event: Event, wanted: bool) -> None:
    """The filters of `/events` take what a daemon's take, and `node` the engine."""
    parsed = EventQuery.parse({"filters": msgspec.json.encode(filters).decode()}, now_ns=0)
    assert parsed.matches(event, NODE) is wanted


def test_images_made() -> None:
    """Clients before 1.46 are not told of images that are created, and of all else they are."""
    made = Event(type="image", action="create", actor_id="sha256:aa")
    seen = {
        version: [event.action for event in (made, PULL) if query.matches(event, NODE)]
        for version in ((1, 45), (1, 46))
        for query in [EventQuery.parse({}, now_ns=0, version=version)]
    }
    assert seen == {(1, 45): ["pull"], (1, 46): ["create", "pull"]}


def test_bounds() -> None:
    """Since and until are moments; an `until` of 0 is none."""
    parsed = EventQuery.parse({"since": "10s", "until": "95.5"}, now_ns=100 * NS)
    assert (parsed.since_ns, parsed.until_ns) == (90 * NS, 95 * NS + NS // 2)
    parsed = EventQuery.parse({"since": "0", "until": "0"}, now_ns=0)
    assert (parsed.since_ns, parsed.until_ns) == (0, None)
    assert EventQuery.parse({}, now_ns=0) == EventQuery()


@pytest.mark.parametrize(
    "parameters", [{"since": "x"}, {"until": "1e3"}, {"since": "5", "until": "4"}, {"filters": "x"}]
)
def test_bad_query(parameters: dict[str, str]) -> None:
    """A moment or filter that cannot be read, or an end before the beginning, is refused."""
    with pytest.raises(BadRequest):
        EventQuery.parse(parameters, now_ns=0)
