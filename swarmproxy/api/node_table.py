"""The node table of `/info`: the rows of each node are kept as text, until something about it has changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.nodes import snapshot
from swarmproxy.engine.engine import Engine
from swarmproxy.model.info import UPDATED_AT, NodeLine, Totals, node_rows, place_of, totals, updated_text
from swarmproxy.scheduler.resources import NANO, percent_of, used_nano, with_overcommit

_plugins_decoder = msgspec.json.Decoder(dict[str, list[str] | None] | None)
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
class _Kept:
    """What is known of one node, and what it was made of."""

    made_of: tuple[object, ...] | None  # None: not to be used again
    place: tuple[Any, ...]
    counts: Totals
    images: int
    above: bytes  # its rows as JSON, up to the moment of its last answer
    below: bytes


class NodeTable:
    """The table of one cluster."""

    def __init__(self, cluster: Cluster, overcommit: float) -> None:
        self._cluster = cluster
        self._overcommit = overcommit
        self._kept: dict[Engine, _Kept] = {}
        self._ordered: list[tuple[Engine, _Kept]] = []
        self.totals = totals(())
        self.images = 0
        self.plugins = b"{}"

    def look(self) -> None:
        """Take in what has changed since the last look. What the attributes and `rows` say is of that moment."""
        cluster, kept = self._cluster, self._kept
        engines = cluster.engines()
        book, of_tasks, reserved = cluster.book.revision, cluster.nodes.of_tasks, cluster.reservations.on
        changed = len(engines) != len(kept)
        for engine in engines:
            made_of = engine.facts, engine.revision, engine.state, engine.error, book, of_tasks
            is_final = not reserved(engine)  # what is being created comes and goes without a revision
            row = kept.get(engine)
            if row is None or row.made_of != made_of or not is_final:
                kept[engine] = self._make(engine, made_of if is_final else None)
                changed = True
        if changed:
            self._put_together(engines)

    def rows(self) -> bytes:
        """Return the rows of all nodes in the natural order of their names: JSON lists, each behind a comma."""
        parts: list[bytes] = []
        for engine, row in self._ordered:
            parts += (row.above, _moment(int(engine.updated_at)), row.below)
        return b"".join(parts)

    def __len__(self) -> int:
        return len(self._ordered)

    def _make(self, engine: Engine, made_of: tuple[object, ...] | None) -> _Kept:
        line = node_line(self._cluster, engine, self._overcommit)
        above, below = node_rows(line)
        return _Kept(
            made_of=made_of,
            place=place_of(line),
            counts=totals((line,)),
            images=sum(1 for image in engine.images.values() if image.tags or image.digests) if engine.facts else 0,
            above=b"," + msgspec.json.encode(above)[1:-1],
            below=b"," + msgspec.json.encode(below)[1:-1],
        )

    def _put_together(self, engines: list[Engine]) -> None:
        kept = self._kept = {engine: self._kept[engine] for engine in engines}
        self._ordered = sorted(kept.items(), key=lambda each: each[1].place)
        counts = [row.counts for row in kept.values()]
        self.totals = Totals(
            containers=sum([each.containers for each in counts]),
            running=sum([each.running for each in counts]),
            paused=sum([each.paused for each in counts]),
            stopped=sum([each.stopped for each in counts]),
            cpus=sum([each.cpus for each in counts]),
            memory_bytes=sum([each.memory_bytes for each in counts]),
        )
        self.images = sum([row.images for row in kept.values()])
        self.plugins = _merged({engine.facts.plugins for engine in engines if engine.facts is not None})


def _merged(texts: set[bytes]) -> bytes:
    """Return the drivers that any node has, as JSON: a create that asks for one can be placed."""
    merged: dict[str, set[str]] = {"Volume": set(), "Network": set(), "Authorization": set(), "Log": set()}
    for text in texts:
        for kind, names in (_plugins_decoder.decode(text) or {}).items():
            merged.setdefault(kind, set()).update(names or ())
    return msgspec.json.encode({kind: sorted(names) for kind, names in merged.items()})


def _moment(updated_at: int) -> bytes:
    """Return the row that says when a node was heard of last."""
    return _UPDATED_AT % updated_text(updated_at).encode()
