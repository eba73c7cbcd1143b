"""What happens in the cluster: an engine's events, dressed for clients, and our own.

Source: moby, daemon/events/filter.go; classic Swarm 1.2, api/events.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from swarmproxy.errors import BadRequest, SwarmError
from swarmproxy.model.filters import labels_match, parse_filters, parse_labels
from swarmproxy.model.image import familiar, split_reference
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.times import NANOSECONDS, parse_moment_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swarmproxy.model.filters import Filters
    from swarmproxy.model.node import Node

SWARM_SCOPE = "swarm"


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One event of one engine, or of the cluster itself (type `swarm`)."""

    type: str = ""  # container, image, network, volume, daemon, plugin, swarm, …
    action: str = ""  # "die", "exec_create: sh"
    actor_id: str = ""
    attributes: dict[str, str] = {}
    scope: str = ""
    time_ns: int = 0
    raw: bytes = b"{}"

    @property
    def mark(self) -> tuple[int, str, str, str]:
        """What tells it from every other event.

        All managers of a swarm tell of what happens to it. The time is the object's own, the same from each of them,
        but when it is removed: then each says when it heard of that.
        """
        moment_ns = 0 if self.is_of_swarm and self.action == "remove" else self.time_ns
        return moment_ns, self.type, self.action, self.actor_id

    @property
    def is_of_swarm(self) -> bool:
        """Whether it happened to a swarm of Docker's swarm mode, and not on one node of it."""
        return self.scope == SWARM_SCOPE

    @property
    def verb(self) -> str:
        """The action without its argument: `exec_create` of `exec_create: sh`."""
        return self.action.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The engine where something happened."""

    id: str
    name: str
    address: str = ""  # host:port
    ip: str = ""


class _Actor(msgspec.Struct, gc=False):
    ID: str | None = None
    Attributes: dict[str, str | None] | None = None


class _Line(msgspec.Struct, gc=False):
    Type: str | None = None
    Action: str | None = None
    Actor: _Actor | None = None
    status: str | None = None
    id: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    scope: str | None = None
    time: int | None = None
    timeNano: int | None = None  # noqa: N815 - Docker's name


_line_decoder = msgspec.json.Decoder(_Line)
_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def from_engine(line: bytes, *, skew_ns: int = 0) -> Event:
    """Return the event in one JSON object of an engine's `/events`. Raises SwarmError if it cannot be read.

    `skew_ns` is added to `time_ns`, but `raw` says what the engine said. An event without a type (engines
    before 1.10) is taken for a container's, or an image's if it names no container.
    """
    try:
        line.isascii() or line.decode()  # also in members that are not read here: they go on to clients
        parsed = _line_decoder.decode(line)
    except NOT_JSON as error:
        raise SwarmError(f"the engine describes an event in a way that cannot be read: {error}") from error
    actor = parsed.Actor or _Actor()
    attributes = {key: value or "" for key, value in (actor.Attributes or {}).items()}
    if parsed.from_ and not parsed.Type:
        attributes.setdefault("image", parsed.from_)
    time_ns = parsed.timeNano or (parsed.time or 0) * NANOSECONDS
    if parsed.scope == SWARM_SCOPE:
        skew_ns = 0  # its time is by the clock of whoever led the swarm then
    return Event(
        type=parsed.Type or ("container" if parsed.from_ else "image"),
        action=parsed.Action or parsed.status or "",
        actor_id=actor.ID or parsed.id or "",
        attributes=attributes,
        scope=parsed.scope or "",
        time_ns=time_ns + skew_ns if time_ns else 0,
        raw=bytes(line),
    )


def swarm_event(
    action: str, node: Origin | Node, *, time_ns: int, attributes: Mapping[str, str] | None = None
) -> Event:
    """Return an event of the cluster itself, such as engine_connect, engine_disconnect, engine_reconnect."""
    raw = {
        "status": action,
        "from": "swarm",
        "Type": "swarm",
        "Action": action,
        "Actor": {"ID": "", "Attributes": dict(attributes or {})},
        "time": time_ns // NANOSECONDS,
        "timeNano": time_ns,
    }
    return Event(
        type="swarm",
        action=action,
        attributes={"name": node.name},
        time_ns=time_ns,
        raw=msgspec.json.encode(raw),
    )


def container_event(action: str, container_id: str, attributes: Mapping[str, str], *, time_ns: int) -> Event:
    """Return an event of ours about a container, in the form of an engine's: `reschedule`, `migrate`."""
    raw = {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": container_id, "Attributes": attributes},
        "scope": "local",
        "time": time_ns // NANOSECONDS,
        "timeNano": time_ns,
    }
    return Event(
        type="container",
        action=action,
        actor_id=container_id,
        attributes=dict(attributes),
        scope="local",
        time_ns=time_ns,
        raw=msgspec.json.encode(raw),
    )


def dress(event: Event, node: Origin | Node) -> bytes:
    """Return the line that clients read: the engine's own object, told apart by its node, and a newline.

    `Actor.Attributes` gains `node.name`, `node.id`, `node.addr` and `node.ip`; `from` says ` node:NAME` after
    what it said; `node` comes last. `status`, `id` and `from`, which engines leave out from API 1.52 on, are
    put back.
    """
    members = _members_decoder.decode(event.raw)
    actor = _members_decoder.decode(members["Actor"]) if _is_object(members.get("Actor")) else {}
    attributes = _members_decoder.decode(actor["Attributes"]) if _is_object(actor.get("Attributes")) else {}
    for key, value in (
        ("node.addr", node.address),
        ("node.id", node.id),
        ("node.ip", node.ip),
        ("node.name", node.name),
    ):
        attributes[key] = _raw(value)
    actor.setdefault("ID", _raw(event.actor_id))
    actor["Attributes"] = _raw(attributes)

    head: dict[str, msgspec.Raw] = {}
    image = ""
    if event.type in ("container", "image"):
        head = {"status": _raw(event.action), "id": _raw(event.actor_id)}
        image = event.attributes.get("image", "") if event.type == "container" else ""
    head |= {key: members.pop(key) for key in ("status", "id") if key in members}
    said = (msgspec.json.decode(members.pop("from")) or "") if "from" in members else image
    head["from"] = _raw(f"{said} node:{node.name}")
    members["Actor"] = _raw(actor)
    members["node"] = _raw({"Name": node.name, "Id": node.id, "Addr": node.address, "Ip": node.ip})
    return msgspec.json.encode(head | members) + b"\n"


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _is_object(raw: msgspec.Raw | None) -> bool:
    return raw is not None and bytes(raw).lstrip()[:1] == b"{"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events a client of `/events` wants, and of what time. None: no bound."""

    since_ns: int | None = None
    until_ns: int | None = None
    tests: tuple[Callable[[Event, str, str], bool], ...] = ()

    @classmethod
    def parse(cls, parameters: Mapping[str, str], *, now_ns: int, version: tuple[int, int] = (1, 46)) -> EventQuery:
        """Return the query in the parameters of `GET /events`. Raises BadRequest.

        Moments are unix seconds with a fraction, RFC 3339, or durations before `now_ns`. An `until` of 0 is
        none. Filters that are not known are not looked at, as in Docker. Clients of an older `version` do not know
        of images that are created.
        """
        since, until = parameters.get("since", ""), parameters.get("until", "")
        since_ns = parse_moment_ns(since, now_ns=now_ns) if since else None
        until_ns = parse_moment_ns(until, now_ns=now_ns) if until else 0
        if since_ns is not None and until_ns > 0 and since_ns > until_ns:
            raise BadRequest(f"`since` time ({since}) cannot be after `until` time ({until})")
        filters = parse_filters(parameters.get("filters", ""))
        tests = tuple(_make_test(key, filters) for key in filters if key in _KEYS)
        return cls(
            since_ns=since_ns,
            until_ns=until_ns if until_ns > 0 else None,
            tests=tests if version >= _IMAGES_ARE_CREATED else (*tests, _is_no_image_made),
        )

    def matches(self, event: Event, node: Origin | Node) -> bool:
        """Return whether the client wants this event of `node`, whatever its time."""
        return all(test(event, node.name, node.id) for test in self.tests)


_NAMED_TYPES = ("container", "daemon", "plugin", "volume", "network", "service", "secret", "config")
_IMAGES_ARE_CREATED = (1, 46)
_KEYS = frozenset({*_NAMED_TYPES, "type", "event", "scope", "label", "image", "node"})


def _is_no_image_made(event: Event, _name: str, _id: str) -> bool:
    return (event.type, event.action) != ("image", "create")


def _make_test(key: str, filters: Filters) -> Callable[[Event, str, str], bool]:
    """Return the test of one filter; it is given the event and the name and ID of its engine."""
    values = filters[key]
    match key:
        case "type":
            return lambda event, _name, _id: event.type in values
        case "scope":
            return lambda event, _name, _id: event.scope in values
        case "event":
            return lambda event, _name, _id: event.action in values or event.verb in values
        case "label":
            wanted = parse_labels(values)
            return lambda event, _name, _id: labels_match(event.attributes, wanted)
        case "image":
            return lambda event, _name, _id: not _image_names(event).isdisjoint(values)
        case "node":
            return lambda event, name, node_id: (
                name in values or node_id.startswith(values) or (event.type == "node" and _named(event, values))
            )
    return lambda event, _name, _id: _named(event, values)


def _named(event: Event, values: tuple[str, ...]) -> bool:
    """Return whether the ID or name of what the event is about begins with one of `values`."""
    return event.actor_id.startswith(values) or event.attributes.get("name", "").startswith(values)


def _image_names(event: Event) -> set[str]:
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    bare = {split_reference(familiar(text))[0] for text in (event.actor_id, name)}
    return ({event.actor_id, name} | bare) - {""}
