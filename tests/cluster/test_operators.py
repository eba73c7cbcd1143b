"""What operators say of nodes: who is meant, what is kept of it, and what it does to placement and labels."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.cluster.nodes import snapshot
from swarmproxy.cluster.operators import NodeBook, NodeRecord, Unreadable, find_node
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest, Conflict, NoNodeFits, NotFound, TooLarge, Unavailable
from tests.cluster.creating_daemon import CreatingDaemon, placing
from tests.cluster.members import member
from tests.cluster.test_placement import counts, create


def _drained(engine: Engine) -> NodeRecord:
    return replace(NodeBook().record_of(engine), availability="drain")


def _labelled(engine: Engine, **labels: str) -> NodeRecord:
    return NodeBook().record_of(engine).relabelled(labels)


def test_nothing_said() -> None:
    """A node of which nobody said anything takes containers and has its engine's labels."""
    book, engine = NodeBook(), member(1)
    assert (book.availability_of(engine), book.record_of(engine).says_nothing, book.records()) == ("active", True, [])
    assert engine.facts is not None
    assert book.labels_of(engine) is engine.facts.labels
    assert book.document() == b'{\n "version": 1,\n "serial": 1,\n "nodes": {}\n}\n'


def test_said() -> None:
    """What is said of a node is in its snapshot, and an operator's label wins over the engine's own."""
    book, engine, other = NodeBook(), member(1), member(2)
    assert engine.facts is not None
    engine.facts.labels.update(storage="disk", rack="r1")
    book.put(replace(_labelled(engine, storage="ssd", zone="a"), availability="pause"))
    node = snapshot(engine, book=book)
    assert (node.availability, node.labels) == ("pause", {"storage": "ssd", "rack": "r1", "zone": "a"})
    assert snapshot(other, book=book).availability == "active"
    engine.facts = replace(engine.facts, labels={"rack": "r2"})
    assert book.labels_of(engine) == {"storage": "ssd", "rack": "r2", "zone": "a"}
    book.put(replace(book.record_of(engine), availability="active", labels={}))
    assert (book.labels_of(engine), book.records()) == ({"rack": "r2"}, [])


def test_changes_are_told() -> None:
    """Who wants to know hears what was said before and now; what is read from a document is no news."""
    book, engine = NodeBook(), member(1)
    told: list[tuple[NodeRecord, NodeRecord]] = []
    book.on_change.append(lambda before, after: told.append((before, after)))
    record = _drained(engine)
    book.put(record)
    [(before, after)] = told
    assert (before.availability, after, book.revision) == ("active", record, 1)
    book.load(None)
    assert (len(told), book.availability_of(engine), book.revision) == (1, "active", 2)
    book.load(None)
    assert book.revision == 2


def test_document_of_a_change() -> None:
    """The document of a change that is not made yet says what it will be, and the book is as before."""
    book, engine = NodeBook(), member(1)
    document = book.document(_drained(engine))
    assert book.records() == []
    book.load(document)
    assert book.records() == [_drained(engine)]
    assert msgspec.json.decode(document) == {
        "version": 1,
        "serial": 1,
        "nodes": {"ENGINE-1": {"name": "node-1", "availability": "drain", "labels": {}}},
    }


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.tuples(st.text(), st.sampled_from(["active", "pause", "drain"]), st.dictionaries(st.text(), st.text())),
    )
)
def test_read_again(said: dict[str, tuple[str, str, dict[str, str]]]) -> None:
    """What was written down is read again as it was."""
    book = NodeBook()
    for node_id, (name, availability, labels) in said.items():
        book.put(NodeRecord(id=node_id, name=name, availability=availability, labels=labels))  # type: ignore[arg-type]
    again = NodeBook()
    again.load(book.document())
    assert {each.id: each for each in again.records()} == {each.id: each for each in book.records()}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"version": 2, "nodes": {}}',
        b'{"version": 1, "nodes": {"a": {"availability": "gone"}}}',
        b'{"version": 1, "nodes": {"a": {"labels": {"b": 1}}}}',
        b'{"version": 1, "more": ' + b"[" * 100_000,
    ],
)
def test_unreadable(document: bytes) -> None:
    """A document that is not one of ours is an error, and what was known stays."""
    book = NodeBook()
    book.put(_drained(member(1)))
    with pytest.raises(Unreadable):
        book.load(document)
    assert book.availability_of(member(1)) == "drain"


def test_newer_members() -> None:
    """What a later version may add to the document does not keep this one from reading it."""
    book = NodeBook()
    book.load(b'{"version": 1, "by": "x", "nodes": {"ENGINE-1": {"availability": "pause", "taints": []}}}')
    assert book.availability_of(member(1)) == "pause"


def test_too_much() -> None:
    """A document has a bound, which stores have, too."""
    book = NodeBook()
    labels = {f"key-{number}": "x" * 1000 for number in range(600)}
    with pytest.raises(TooLarge):
        book.document(_labelled(member(1), **labels))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("", "x"),
        ("a", "x"),
        ("1a", "x"),
        ("a b", "x"),
        ("a=b", "x"),
        ("ä.b", "x"),
        ("a" * 129, "x"),
        ("node", "x"),
        ("ostype", "x"),
        ("architecture", "x"),
        ("ok", "a\nb"),
        ("ok", "x" * 1025),
    ],
)
def test_bad_labels(key: str, value: str) -> None:
    """A label that no constraint could ask for, that the node itself has to say, or that breaks lines is refused."""
    with pytest.raises(BadRequest):
        NodeRecord(id="x").relabelled({key: value})


def test_removed_labels() -> None:
    """Removing a label brings the engine's own back, which cannot be removed; one that is not there is no error."""
    record = NodeRecord(id="x").relabelled({"storage": "ssd", "zone": "a"}, own={"storage": "disk"})
    assert record.relabelled({}, ["storage", "none"], own={"storage": "disk"}).labels == {"zone": "a"}
    with pytest.raises(Conflict, match="label rack is the engine's own"):
        record.relabelled({}, ["rack"], own={"rack": "r1"})
    with pytest.raises(BadRequest, match="label zone cannot be set and removed at once"):
        record.relabelled({"zone": "b"}, ["zone"])


def test_found() -> None:
    """A node goes by its name, its ID with or without the address, and its address."""
    book, engines = NodeBook(), [member(1), member(2)]
    for text in ("node-2", "ENGINE-2", "ENGINE-2|127.0.0.1:2377", "127.0.0.1:2377"):
        record, engine = find_node(book, engines, text)
        assert (record.id, record.name, engine) == ("ENGINE-2", "node-2", engines[1])
    with pytest.raises(NotFound, match=r"^No such node: node-3$"):
        find_node(book, engines, "node-3")


def test_two_of_one_name() -> None:
    """A name that several nodes have means none of them, and the error says how to go on."""
    engines = [member(1), member(2)]
    for engine in engines:
        assert engine.facts is not None
        engine.facts = replace(engine.facts, name="twin")
    with pytest.raises(Conflict, match=r"^2 nodes are called twin: .* 127\.0\.0\.1:2376, 127\.0\.0\.1:2377$"):
        find_node(NodeBook(), engines, "twin")
    assert find_node(NodeBook(), engines, "ENGINE-1")[1] is engines[0]


def test_absent() -> None:
    """A node that has left, but of which something was said, goes by its ID and its last name."""
    book, gone = NodeBook(), member(3)
    book.put(_drained(gone))
    for text in ("ENGINE-3", "node-3"):
        assert find_node(book, [member(1)], text) == (_drained(gone), None)
    with pytest.raises(NotFound):
        find_node(book, [member(1)], "127.0.0.1:2378")


def test_made_anew() -> None:
    """A daemon that was made anew, and has another ID, goes by its name; what was said of the old one, by its ID."""
    book, engine = NodeBook(), member(1)
    book.put(NodeRecord(id="FORMER", name="node-1", availability="drain"))
    assert find_node(book, [engine], "node-1")[1] is engine
    assert find_node(book, [engine], "FORMER")[0].availability == "drain"
    book.put(NodeRecord(id="EVEN-EARLIER", name="node-1", availability="drain"))
    with pytest.raises(Conflict, match=r"^2 nodes are called node-1: .* EVEN-EARLIER, FORMER$"):
        find_node(book, [], "node-1")


def test_two_addresses() -> None:
    """A daemon that is listed under two addresses is one node, and its name means the address that is in use."""
    unused, used = member(1), member(2)
    unused.facts, used.is_member = used.facts, True
    assert find_node(NodeBook(), [unused, used], "node-2")[1] is used
    assert find_node(NodeBook(), [unused, used], "ENGINE-2")[1] is used


def test_silent() -> None:
    """Of a node that never answered nothing can be said: its ID is not known."""
    engine = member(1)
    engine.facts = None
    with pytest.raises(Unavailable, match="has not answered yet"):
        find_node(NodeBook(), [engine], "127.0.0.1:2376")
    with pytest.raises(NotFound):
        find_node(NodeBook(), [engine], "")


async def test_placement() -> None:
    """A drained or paused node takes no containers, whatever they ask for, and at once takes them when it is active."""
    daemons = [CreatingDaemon("node-0"), CreatingDaemon("node-1")]
    async with placing(daemons) as (placement, cluster):
        first, second = cluster.engines()
        cluster.book.put(_drained(first))
        for number in range(3):
            await create(placement, f"c{number}")
        assert counts(daemons) == [0, 3]
        cluster.book.put(replace(cluster.book.record_of(second), availability="pause"))
        with pytest.raises(NoNodeFits):
            await create(placement, "d", Env=["constraint:node==node-0"])
        cluster.book.put(replace(cluster.book.record_of(first), availability="active"))
        await create(placement, "d")
        assert counts(daemons) == [1, 3]


async def test_constraint() -> None:
    """A constraint sees an operator's label at once."""
    daemons = [CreatingDaemon("node-0"), CreatingDaemon("node-1")]
    async with placing(daemons) as (placement, cluster):
        second = cluster.engines()[1]
        cluster.book.put(cluster.book.record_of(second).relabelled({"tier": "front"}))
        for number in range(3):
            await create(placement, f"c{number}", Env=["constraint:tier==front"])
        assert counts(daemons) == [0, 3]
