"""What operators said of the nodes: whether each takes containers, and labels beside those that its engine has."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest, Conflict, NotFound, SwarmError, TooLarge, Unavailable
from swarmproxy.model.labels import OF_EVERY_NODE
from swarmproxy.model.members import NOT_JSON

Availability = Literal["active", "pause", "drain"]
"""`active`: takes containers. `pause`: takes no new ones. `drain`: nor keeps those that may be moved."""

FORMAT = 1
MAX_BYTES = 480 * 1024
"""Of the whole document: consul takes no value over 512 KiB."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9._/-]{1,127}")
_VALUE = re.compile(r"[^\x00-\x1f\x7f]{0,1024}")


class Unreadable(SwarmError):
    """A document that is not one of ours."""


class Agreement(msgspec.Struct, frozen=True):
    """What a node's availability was when the book and the swarm that it is in last said the same."""

    node: str  # its ID in that swarm
    availability: Availability


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """What operators said of one node, known by the ID of its daemon: names and addresses change."""

    id: str
    name: str = ""  # the last that we knew, for who reads the document
    availability: Availability = "active"
    labels: Mapping[str, str] = field(default_factory=dict)  # of the operators', without the engine's own
    agreed: Agreement | None = None  # None: with no swarm

    @property
    def says_nothing(self) -> bool:
        """Whether it is as if nobody had ever said anything of the node."""
        is_agreed = self.agreed is None or self.agreed.availability == "active"
        return self.availability == "active" and not self.labels and is_agreed

    def relabelled(
        self, put: Mapping[str, str], remove: Iterable[str] = (), *, own: Mapping[str, str] | None = None
    ) -> "NodeRecord":
        """Return this record with the labels `put`, and without those that `remove` names; `own` are the engine's.

        Raises BadRequest for a label that cannot be, Conflict for one that only the engine can take away.
        """
        labels = dict(self.labels)
        for key, value in put.items():
            _check(key, value)
            labels[key] = value
        for key in remove:
            if key in put:
                raise BadRequest(f"label {key} cannot be set and removed at once")
            if key in OF_EVERY_NODE:
                raise BadRequest(f"label {key} cannot be removed: it is what the node says of itself")
            if key not in labels and key in (own or {}):
                raise Conflict(f"label {key} is the engine's own: it can be given another value, and not be removed")
            labels.pop(key, None)
        return replace(self, labels=labels)


Change = Callable[[NodeRecord, NodeRecord], None]  # given what was said of a node before, and what is said now


class NodeBook:
    """What was said of every node, ready to be read. Changes on the event loop only.

    `on_change` is called after a change that an operator made, once it will survive this manager. What a manager
    reads when it begins to lead, or from the leader, is no change: who acts on a state looks at it then.
    """

    def __init__(self) -> None:
        self.on_change: list[Change] = []
        self.revision = 0  # rises with every change, also one that was read
        self.serial = 0  # of the document that this is; no two have the same text, even if they say the same
        self._records: dict[str, NodeRecord] = {}
        self._labels: dict[str, tuple[Mapping[str, str], Mapping[str, str]]] = {}  # an engine's own, and all together

    def record_of(self, engine: Engine) -> NodeRecord:
        """Return what was said of `engine`; of one that never said its ID, nothing can be."""
        node_id = engine.facts.id if engine.facts is not None else ""
        return self._records.get(node_id) or NodeRecord(id=node_id, name=engine.name)

    def availability_of(self, engine: Engine) -> Availability:
        """Return whether `engine` takes containers, as far as operators are asked."""
        if not self._records or engine.facts is None:
            return "active"
        record = self._records.get(engine.facts.id)
        return record.availability if record is not None else "active"

    def labels_of(self, engine: Engine) -> Mapping[str, str]:
        """Return all labels of `engine`: its own, and the operators', which win. Only to be read."""
        if engine.facts is None:
            return {}
        own = engine.facts.labels
        record = self._records.get(engine.facts.id) if self._records else None
        if record is None or not record.labels:
            return own
        before, merged = self._labels.get(record.id, (None, own))
        if before is not own:
            merged = {**own, **record.labels}
            self._labels[record.id] = own, merged
        return merged

    def records(self) -> list[NodeRecord]:
        """Return every record that says something."""
        return list(self._records.values())

    def put(self, record: NodeRecord) -> None:
        """Take in what an operator said, and tell of it."""
        before = self._records.get(record.id) or NodeRecord(id=record.id, name=record.name)
        self._replace({**self._records, record.id: record})
        for tell in self.on_change:
            tell(before, record)

    def document(self, record: NodeRecord | None = None) -> bytes:
        """Return the next document: all records, `record` in the place of its former self, as JSON. Raises TooLarge."""
        records = self._records | ({record.id: record} if record is not None else {})
        said = sorted((each for each in records.values() if not each.says_nothing), key=lambda each: each.id)
        nodes = {each.id: _written(each) for each in said}
        document = msgspec.json.format(msgspec.json.encode(_Document(FORMAT, self.serial + 1, nodes)), indent=1) + b"\n"
        if len(document) > MAX_BYTES:
            raise TooLarge(f"what is kept of all nodes and their labels would be over {MAX_BYTES // 1024} KiB")
        return document

    def load(self, document: bytes | None) -> None:
        """Make `document` all that was ever said; None: nothing. Raises Unreadable, and then nothing has changed."""
        found = _read(document) if document is not None else _Document(FORMAT)
        self.serial = found.serial
        self._replace(
            {
                node_id: NodeRecord(
                    id=node_id,
                    name=node.name,
                    availability=node.availability,
                    labels=node.labels,
                    agreed=node.swarm if node.swarm is not msgspec.UNSET else None,
                )
                for node_id, node in found.nodes.items()
            }
        )

    def _replace(self, records: Mapping[str, NodeRecord]) -> None:
        kept = {node_id: record for node_id, record in records.items() if not record.says_nothing}
        if kept != self._records:
            self._records = kept
            self._labels = {}
            self.revision += 1


class _Node(msgspec.Struct, frozen=True):
    name: str = ""
    availability: Availability = "active"
    labels: dict[str, str] = {}
    swarm: Agreement | msgspec.UnsetType = msgspec.UNSET


class _Document(msgspec.Struct, frozen=True):
    version: int
    serial: int = 0
    nodes: dict[str, _Node] = {}


class _Version(msgspec.Struct, frozen=True):
    version: int


def _read(document: bytes) -> _Document:
    try:
        version = msgspec.json.decode(document, type=_Version).version
        if version != FORMAT:
            raise Unreadable(f"it has format {version}, and this version of swarmproxy reads format {FORMAT}")
        return msgspec.json.decode(document, type=_Document)
    except NOT_JSON as error:
        raise Unreadable(str(error)) from error


def _written(record: NodeRecord) -> _Node:
    labels = dict(sorted(record.labels.items()))
    return _Node(record.name, record.availability, labels, record.agreed or msgspec.UNSET)


def _check(key: str, value: str) -> None:
    if not _KEY.fullmatch(key):
        raise BadRequest(
            f"label {key!r} is invalid: a key has 2 to 128 letters, digits, and . _ / - after the first, a letter or _"
        )
    if key in OF_EVERY_NODE:
        raise BadRequest(f"label {key} cannot be set: it is what the node says of itself")
    if not _VALUE.fullmatch(value):
        raise BadRequest(f"the value of label {key} is invalid: it has control characters, or is over 1024 characters")


def find_node(book: NodeBook, engines: Iterable[Engine], text: str) -> tuple[NodeRecord, Engine | None]:
    """Return what was said of the node that `text` means, and its engine, None if that is no member now.

    An ID with or without its address, an address, or a name; that of a member comes before that of a node which has
    left. Raises NotFound, Conflict for a name that several have, Unavailable for a node that has not said its ID yet.
    """
    members = sorted(engines, key=lambda engine: not engine.is_member)  # of one daemon at two addresses, the one in use
    for engine in members:
        if text == str(engine.address):
            return _of_member(book, engine)
    known = [(engine.facts.id, engine) for engine in members if engine.facts is not None]
    for daemon_id, engine in known:
        if text in (daemon_id, engine.id):
            return _of_member(book, engine)
    absent = [record for record in book.records() if all(record.id != daemon_id for daemon_id, _ in known)]
    for record in absent:
        if text == record.id:
            return record, None
    named = {daemon_id: engine for daemon_id, engine in reversed(known) if engine.name == text}
    if len(named) == 1:
        return _of_member(book, *named.values())
    forgotten = [record for record in absent if record.name == text and not named]
    if len(forgotten) == 1:
        return forgotten[0], None
    choices = [str(engine.address) for engine in named.values()] or [record.id for record in forgotten]
    if not choices:
        raise NotFound(f"No such node: {text}")
    raise Conflict(
        f"{len(choices)} nodes are called {text}: name one by its ID or address, {', '.join(sorted(choices))}"
    )


def _of_member(book: NodeBook, engine: Engine) -> tuple[NodeRecord, Engine]:
    if engine.facts is None:
        raise Unavailable(f"the node at {engine.address} has not answered yet, so its ID is not known: {engine.error}")
    return replace(book.record_of(engine), name=engine.name), engine
