"""The node table of `/info`: the rows of each node are kept as text, until something about it has changed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.nodes import snapshot
from swarmproxy.engine.engine import Engine
from swarmproxy.model.info import UPDATED_AT, NodeLine, Totals, node_rows, place_of, totals, updated_text
from swarmproxy.scheduler.resources import NANO, percent_of, used_nano, with_overcommit

_plugins_decoder = msgspec.json.Decoder(dict[str, list[str] | None] | None)
_UPDATED = attrgetter("updated_at")
_UPDATED_AT = b",[" + msgspec.json.encode(UPDATED_AT) + b',"%b"]'


def node_line(cluster: Cluster, engine: Engine, overcommit: float) -> NodeLine:
    """Return what the table says of one node."""
    facts = engine.facts
    if facts is None:
        return NodeLine(
            name="",
            address=str(engine.address),
            status=engine.state.value,
            error=engine.error,
            updated_at=engine.updated_at,
        )
    node = snapshot(engine, cluster.reservations.on(engine), cluster.book, cluster.nodes.of_tasks)
    percent = percent_of(overcommit)
    running, paused, stopped = _counts(engine.usage.states)
    return NodeLine(
        name=engine.name,
        id=engine.id,
        address=str(engine.address),
        status=engine.state.value,
        availability=node.availability,
        running=running,
        paused=paused,
        stopped=stopped,
        reserved_cpus=used_nano(node) // NANO,
        total_cpus=with_overcommit(node.cpus, percent),
        reserved_memory_bytes=node.used_memory_bytes,
        total_memory_bytes=with_overcommit(node.memory_bytes, percent),
        labels=node.labels,
        error=engine.error,
        updated_at=engine.updated_at,
        server_version=facts.server_version,
    )


def _counts(states: Mapping[str, int]) -> tuple[int, int, int]:
    """Return how many containers run, are paused, and are neither. One that restarts counts as running."""
    running = states.get("running", 0) + states.get("restarting", 0)
    paused = states.get("paused", 0)
    return running, paused, sum(states.values()) - running - paused


@dataclass(frozen=True, slots=True)
class _Row:
    """What is known of one node."""

    place: tuple[Any, ...]
    counts: Totals
    images: int
    plugins: bytes
    above: bytes  # its rows as JSON, up to the moment of its last answer
    below: bytes


class NodeTable:
    """The table of one cluster."""

    def __init__(self, cluster: Cluster, overcommit: float) -> None:
        self._cluster = cluster
        self._overcommit = overcommit
        self._changed = cluster.nodes.changes()
        self._book_seen = cluster.book.revision
        self._rows: dict[Engine, _Row] = {}
        self._ordered: list[Engine] = []
        self._parts: list[bytes] = []  # three of each engine: above, the moment, below
        self._places: dict[Engine, int] = {}  # of its first part
        self._plugins: Counter[bytes] = Counter()
        self.totals = totals(())
        self.images = 0
        self.plugins = _merged(())

    def look(self) -> None:
        """Take in what has changed since the last look. What the attributes and `rows` say is of that moment."""
        if self._book_seen != self._cluster.book.revision:
            self._book_seen = self._cluster.book.revision
            self._changed.update(self._cluster.engines())
        if not self._changed:
            return
        out: list[_Row] = []
        into: list[_Row] = []
        moved = False
        while self._changed:
            engine = self._changed.pop()
            before, after = self._rows.pop(engine, None), None
            if self._cluster.nodes.has(engine):
                after = self._rows[engine] = self._make(engine)
                into.append(after)
            if before is not None:
                out.append(before)
            if before is None or after is None or before.place != after.place:
                moved = True
            elif not moved:
                at = self._places[engine]
                self._parts[at], self._parts[at + 2] = after.above, after.below
        self._count(out, into)
        if moved:
            self._put_in_order()

    def rows(self) -> bytes:
        """Return the rows of all nodes in the natural order of their names: JSON lists, each behind a comma."""
        self._parts[1::3] = map(_moment, map(int, map(_UPDATED, self._ordered)))
        return b"".join(self._parts)

    def __len__(self) -> int:
        return len(self._ordered)

    def _make(self, engine: Engine) -> _Row:
        line = node_line(self._cluster, engine, self._overcommit)
        above, below = node_rows(line)
        return _Row(
            place=place_of(line),
            counts=totals((line,)),
            images=sum(1 for image in engine.images.values() if image.tags or image.digests) if engine.facts else 0,
            plugins=engine.facts.plugins if engine.facts else b"null",
            above=b"," + msgspec.json.encode(above)[1:-1],
            below=b"," + msgspec.json.encode(below)[1:-1],
        )

    def _count(self, out: Sequence[_Row], into: Sequence[_Row]) -> None:
        """Take in the sums that some rows are no more, and others are there."""
        self.totals = self.totals.but(without=[row.counts for row in out], plus=[row.counts for row in into])
        self.images += sum(row.images for row in into) - sum(row.images for row in out)
        before = set(self._plugins)
        self._plugins.update(row.plugins for row in into)
        self._plugins.subtract(row.plugins for row in out)
        self._plugins = +self._plugins
        if before != set(self._plugins):
            self.plugins = _merged(self._plugins)

    def _put_in_order(self) -> None:
        rows = self._rows
        self._ordered = sorted(rows, key=lambda engine: rows[engine].place)
        self._places = {engine: 3 * number for number, engine in enumerate(self._ordered)}
        self._parts = [part for engine in self._ordered for part in (rows[engine].above, b"", rows[engine].below)]


def _merged(texts: Iterable[bytes]) -> bytes:
    """Return the drivers that any node has, as JSON: a create that asks for one can be placed."""
    merged: dict[str, set[str]] = {"Volume": set(), "Network": set(), "Authorization": set(), "Log": set()}
    for text in texts:
        for kind, names in (_plugins_decoder.decode(text) or {}).items():
            merged.setdefault(kind, set()).update(names or ())
    return msgspec.json.encode({kind: sorted(names) for kind, names in merged.items()})


@lru_cache(maxsize=256)
def _moment(updated_at: int) -> bytes:
    """Return the row that says when a node was heard of last."""
    return _UPDATED_AT % updated_text(updated_at).encode()
