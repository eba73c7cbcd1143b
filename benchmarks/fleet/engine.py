"""The state of one simulated engine, and its answers to what needs no stream."""

import asyncio
import math
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec

from benchmarks.fleet import bodies
from benchmarks.fleet.answers import LAST_CHUNK, as_chunk, json_reply, no_such_container, not_found, reply
from benchmarks.fleet.bodies import Json

EPOCH_S = 1_767_603_600  # when the first container of every engine was made
PER_PROJECT = 10  # containers that share a label
MOST_READY = 64  # answers kept ready, by engine
FILTER_TEXT = re.compile(r"[\^/$]")

_MOMENTS = [
    (
        b"%d" % (EPOCH_S + number),
        datetime.fromtimestamp(EPOCH_S + number, UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z").encode(),
    )
    for number in range(1000)
]
RUNNING = b"running"
_STATUS = {b"created": b"Created", b"exited": b"Exited (137) 1 second ago"}
REMEMBERED = 256  # events. Source: moby, daemon/events/events.go


class Container:
    """A container of a simulated engine. All texts are as JSON has them."""

    __slots__ = ("created", "created_at", "engine", "id", "image", "labels", "memory_bytes", "name", "state")

    def __init__(
        self, engine: "Engine", identity: bytes, name: bytes, moment: tuple[bytes, bytes], labels: bytes
    ) -> None:
        self.engine = engine
        self.id = identity
        self.name = name
        self.created, self.created_at = moment
        self.labels = labels
        self.state = b"created"
        self.image = bodies.IMAGE.encode()
        self.memory_bytes = b"0"

    @property
    def short_id(self) -> bytes:
        return self.id[:12]

    @property
    def status(self) -> bytes:
        return _STATUS[self.state]

    @property
    def item(self) -> bytes:
        """Its element of a list."""
        return (bodies.LIST_ITEM_RUNNING if self.state == RUNNING else bodies.LIST_ITEM).fill(self)

    @property
    def inspect(self) -> bytes:
        return (bodies.INSPECT_RUNNING if self.state == RUNNING else bodies.INSPECT).fill(self)


class Happening:
    """Something that an event tells of."""

    __slots__ = ("action", "container", "time_ns", "time_s")

    def __init__(self, container: Container, action: bytes, moment_ns: int) -> None:
        self.container = container
        self.action = action
        self.time_ns = b"%d" % moment_ns
        self.time_s = b"%d" % (moment_ns // 1_000_000_000)

    @property
    def attributes(self) -> bytes:
        labels = self.container.labels[1:-1]
        more = b'"image":"%b","name":"%b"}' % (self.container.image, self.container.name)
        return b"{" + labels + b"," + more if labels else b"{" + more

    @property
    def line(self) -> bytes:
        template = bodies.NETWORK_EVENT if self.action in {b"connect", b"disconnect"} else bodies.EVENT
        return template.fill(self) + b"\n"


class Engine:
    """One engine, `number` of a fleet: its identifiers follow from its name, so two runs have the same.

    `delay_s` is a fault: how long each answer is held back, `math.inf` for ever. With `refuses`, connections are reset.
    """

    __slots__ = (
        "_made",
        "bridge_id",
        "connections",
        "containers",
        "cpus",
        "delay_s",
        "execs",
        "export_bytes",
        "followers",
        "held",
        "host_id",
        "id",
        "ids",
        "latest",
        "log_readers",
        "memory_bytes",
        "name",
        "none_id",
        "ready",
        "received_bytes",
        "refuses",
        "requests",
        "waiters",
        "zone",
    )

    def __init__(self, name: str, *, number: int = 0, containers: int = 30) -> None:
        self.name = name.encode()
        self.id = bodies.hex_id("engine", name)[:36].encode()
        self.bridge_id, self.host_id, self.none_id = (
            bodies.hex_id("network", name, each).encode() for each in ("bridge", "host", "none")
        )
        self.zone = b"zone-%d" % (number % 20)
        self.cpus = b"8"
        self.memory_bytes = b"%d" % (64 * bodies.GIB)
        self.export_bytes = bodies.GIB
        self.received_bytes = 0  # of archives put into containers
        self.requests = 0
        self.delay_s = 0.0
        self.refuses = False
        self.held: list[tuple[asyncio.WriteTransport, bytes]] = []  # what a hung engine does not say
        self.connections: set[asyncio.Transport] = set()
        self.followers: set[asyncio.WriteTransport] = set()
        self.latest: deque[Happening] = deque(maxlen=REMEMBERED)
        self.log_readers: set[asyncio.WriteTransport] = set()
        self.waiters: dict[bytes, list[asyncio.WriteTransport]] = {}  # by container
        self.ready: dict[bytes, bytes] = {}  # answers by first line of the request
        self.containers: dict[bytes, Container] = {}
        self.ids: dict[bytes, bytes] = {}  # by name
        self.execs: dict[bytes, bytes] = {}  # id of its container by id
        self._made = 0
        for slot in range(containers):
            project = (number * containers + slot) // PER_PROJECT
            labels = b'{"com.example.app":"app-%d","com.example.project":"project-%d"}' % (slot % 5, project)
            container = self._add(b"app-%05d-%02d" % (number, slot), _MOMENTS[slot % len(_MOMENTS)], labels)
            container.state = RUNNING

    def _add(self, name: bytes, moment: tuple[bytes, bytes], labels: bytes) -> Container:
        identity = bodies.hex_id("container", self.name, self._made).encode()
        self._made += 1
        container = Container(self, identity, name or b"made-%d" % self._made, moment, labels)
        self.containers[identity] = container
        self.ids[container.name] = identity
        return container

    @property
    def count(self) -> bytes:
        return b"%d" % len(self.containers)

    @property
    def running(self) -> bytes:
        return b"%d" % self._count_running()

    @property
    def stopped(self) -> bytes:
        return b"%d" % (len(self.containers) - self._count_running())

    @property
    def now(self) -> bytes:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()

    def _count_running(self) -> int:
        return sum(container.state == RUNNING for container in self.containers.values())

    def find(self, name: bytes) -> Container | None:
        """Return the container with this id or name."""
        return self.containers.get(name) or self.containers.get(self.ids.get(name, b""))

    # -- answers

    def say(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write `data` now, or when the faults of this engine allow it."""
        if not self.delay_s:
            transport.write(data)
        elif self.delay_s == math.inf:
            self.held.append((transport, data))
        else:
            asyncio.get_running_loop().call_later(self.delay_s, transport.write, data)

    def tell(self, container: Container, *actions: bytes) -> None:
        """Forget the ready answers and send events to all who follow."""
        self.ready.clear()
        moment_ns = time.time_ns()
        self.happened([Happening(container, action, moment_ns + number) for number, action in enumerate(actions)])

    def happened(self, events: Sequence[Happening]) -> None:
        """Send `events` to all who follow, and remember as many as a daemon does."""
        self.latest.extend(events)
        if self.followers:
            data = as_chunk(b"".join([event.line for event in events]))
            for transport in self.followers:
                self.say(transport, data)

    def since(self, moment_ns: int) -> bytes:
        """Return the lines of those events that are remembered and came after `moment_ns`."""
        return b"".join([event.line for event in self.latest if int(event.time_ns) > moment_ns])

    def get(self, parts: list[bytes], query: bytes) -> bytes:
        """Return the answer to a GET that has one at once."""
        match parts:
            case [b"containers", name, b"json"] if container := self.find(name):
                return json_reply(container.inspect)
            case [b"containers", b"json"]:
                return json_reply(b"[" + b",".join(each.item for each in self.listed(query)) + b"]")
            case [b"containers", name, b"top"] if self.find(name):
                return TOP
            case [b"containers", name, b"stats"] if container := self.find(name):
                return json_reply(bodies.STATS.fill(container))
            case [b"containers", name, _]:
                return no_such_container(name)
            case [b"_ping"]:
                return PING
            case [b"info"]:
                return json_reply(bodies.INFO.fill(self))
            case [b"version"]:
                return VERSION
            case [b"networks"]:
                return json_reply(bodies.NETWORKS.fill(self))
            case [b"volumes"]:
                return VOLUMES
            case [b"images", b"json"]:
                return IMAGES
            case [b"images", *_, b"json"]:
                return IMAGE
            case [b"exec", identity, b"json"] if identity in self.execs:
                return json_reply(b'{"ID":"%b","ContainerID":"%b","Running":true}' % (identity, self.execs[identity]))
            case _:
                return not_found("page not found")

    def listed(self, query: bytes) -> Iterator[Container]:
        """Yield the containers that a list shows, newest first; filters are `id`, `name`, `label` and `status`."""
        asked = parse_qs(query.decode())
        filters: Json = msgspec.json.decode(asked["filters"][0]) if "filters" in asked else {}
        wanted = {key: [str(value).encode() for value in values] for key, values in filters.items()}
        if names := [FILTER_TEXT.sub("", value) for key in ("id", "name") for value in filters.get(key, ())]:
            found: Iterable[Container] = filter(None, (self.find(name.encode()) for name in names))
        else:
            found = reversed(self.containers.values())
        everything = asked.get("all", ["0"])[0] in {"1", "true"} or "status" in filters
        labels = [b'"%b":"%b"' % tuple(label.split(b"=", 1)) for label in wanted.get("label", ()) if b"=" in label]
        for container in found:
            if (
                (everything or container.state == RUNNING)
                and ("status" not in wanted or container.state in wanted["status"])
                and all(label in container.labels for label in labels)
            ):
                yield container

    def act(self, method: bytes, parts: list[bytes], query: bytes, body: bytes) -> bytes:
        """Change something, and return the answer."""
        match method, parts:
            case b"POST", [b"containers", b"create"]:
                return self._create(parse_qs(query.decode()).get("name", [""])[0].encode(), body)
            case b"POST", [b"containers", name, b"exec"] if container := self.find(name):
                identity = bodies.hex_id("exec", self.name, len(self.execs)).encode()
                self.execs[identity] = container.id
                return json_reply(b'{"Id":"%b"}' % identity, 201)
            case b"POST", [b"containers", name, b"start"] if container := self.find(name):
                return self._start(container)
            case b"POST", [b"containers", name, b"stop" | b"kill" as verb] if container := self.find(name):
                return self._end(container, verb)
            case b"POST", [b"containers", name, b"restart"] if container := self.find(name):
                self._end(container, b"kill")
                return self._start(container)
            case b"POST", [b"containers" | b"exec", _, b"resize"]:
                return reply(200)
            case b"DELETE", [b"containers", name] if container := self.find(name):
                if container.state == RUNNING:
                    self._end(container, b"kill")
                del self.containers[container.id], self.ids[container.name]
                self.tell(container, b"destroy")
                return reply(204)
            case _, [b"containers", name, *_]:
                return no_such_container(name)
            case _:
                return not_found("page not found")

    def _create(self, name: bytes, body: bytes) -> bytes:
        if name in self.ids:
            return json_reply(b'{"message":"Conflict. The container name \\"/%b\\" is already in use"}' % name, 409)
        spec: Json = msgspec.json.decode(body)
        now = datetime.now(UTC)
        moment = (b"%d" % now.timestamp(), now.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode())
        container = self._add(name, moment, msgspec.json.encode(spec.get("Labels") or {}))
        container.memory_bytes = b"%d" % spec.get("HostConfig", {}).get("Memory", 0)
        container.image = spec.get("Image", bodies.IMAGE).encode()
        self.tell(container, b"create")
        return json_reply(b'{"Id":"%b","Warnings":[]}' % container.id, 201)

    def _start(self, container: Container) -> bytes:
        if container.state == RUNNING:
            return reply(304)
        container.state = RUNNING
        self.tell(container, b"connect", b"start")
        return reply(204)

    def _end(self, container: Container, verb: bytes) -> bytes:
        if container.state != RUNNING:
            return reply(304)
        container.state = b"exited"
        self.tell(container, b"kill", b"disconnect", b"die", *((b"stop",) if verb == b"stop" else ()))
        for transport in self.waiters.pop(container.id, ()):
            self.say(transport, as_chunk(b'{"StatusCode":137}\n') + LAST_CHUNK)
        return reply(204)


def _fixed(value: object) -> bytes:
    return json_reply(msgspec.json.encode(value))


TOP = _fixed(bodies.TOP)
VERSION = _fixed(bodies.version())
VOLUMES = _fixed(bodies.VOLUMES)
IMAGES = _fixed(bodies.IMAGES)
IMAGE = _fixed(bodies.image_inspect())
PING = reply(
    200,
    b"OK",
    b"Builder-Version: 2\r\nCache-Control: no-cache, no-store, must-revalidate\r\nSwarm: inactive\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n",
)
