"""What must hold whatever the bytes are: one function for each parser.

Each takes any bytes. It returns if the parser refuses them in its own way, or reads them and the law holds; an
assertion that fails, and an error of any other kind, is a find. No target opens a socket or a file that is not its own.
"""

import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

import h11
import msgspec

from discovery.entry import parse_entries, parse_entry
from discovery.errors import DiscoveryError
from swarmproxy.api.forwarded import match
from swarmproxy.errors import BadRequest, NotSupported, ProtocolViolation, SwarmError, TooLarge
from swarmproxy.model import apiversion
from swarmproxy.model.archive import Merger
from swarmproxy.model.container import from_engine as container_from_engine
from swarmproxy.model.event import EventQuery, Origin, dress, from_engine
from swarmproxy.model.filters import parse_filters
from swarmproxy.model.image import list_from_engine as images_from_engine
from swarmproxy.model.network import from_engine as network_from_engine
from swarmproxy.model.network_spec import NetworkSpec
from swarmproxy.model.spec import ContainerSpec, body_for_engine
from swarmproxy.model.volume import list_from_engine as volumes_from_engine
from swarmproxy.scheduler.expression import parse_all
from swarmproxy.wire.framing import Chunked, Piece
from swarmproxy.wire.head import RequestHead, parse_answer, parse_request

Target = Callable[[bytes], None]

NODE = Origin(name="node-1", id="ID", address="10.0.0.1:2375", ip="10.0.0.1")
CANDIDATES = ("", "node-1", "eu-west-3", "a" * 200, "ü\n", "1.2.3")
SWARM_ID = "com.docker.swarm.id"
END = b"\r\n\r\n"


def request(data: bytes) -> None:
    """A head that we take for a request has one meaning, which is that of a strict reader of another hand."""
    try:
        head = parse_request(data[: data.find(END) + 4] if END in data else data + END)
    except (BadRequest, TooLarge):
        return
    assert not any(byte in head.target for byte in b"\r\n\0 #")
    assert not (head.fields.chunked and head.fields.length >= 0)
    agrees_with_h11(data[: data.find(END) + 4] if END in data else data + END, head)


def agrees_with_h11(raw: bytes, head: RequestHead) -> None:
    """Compare what h11 makes of `raw`, if it takes it, with what we do."""
    other = h11.Connection(h11.SERVER, max_incomplete_event_size=len(raw) + 1)
    other.receive_data(raw)
    try:
        event = other.next_event()
    except h11.RemoteProtocolError:
        return
    assert isinstance(event, h11.Request)
    assert event.method == head.method
    lengths = {value for name, value in event.headers if name == b"content-length"}
    chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
    assert chunked == head.fields.chunked
    if not chunked:
        assert {b"%d" % head.fields.length} == {b"%d" % int(value) for value in lengths} or head.fields.length < 0
        assert bool(lengths) == (head.fields.length >= 0)


def answer(data: bytes) -> None:
    """What goes on of an engine's answer is read again as it was."""
    try:
        head = parse_answer(data + END)
    except ProtocolViolation:
        return
    again = parse_answer(head.whole)
    assert (again.status, again.fields.length, again.fields.chunked) == (
        head.status,
        head.fields.length,
        head.fields.chunked,
    )


def chunked(data: bytes) -> None:
    """A body in chunks means the same however it is cut into blocks: the first byte says where."""
    if not data:
        return
    step, body = data[0] % 7 + 1, data[1:]
    whole = scan([body])
    assert scan([body[at : at + step] for at in range(0, len(body), step)]) == whole


def scan(blocks: list[bytes]) -> tuple[bytes, int] | None:
    """Return the payload and where the body ends in all blocks together, -1 if it does not; None if malformed."""
    scanner, payload, before = Chunked(), b"", 0
    for block in blocks:
        pieces: list[Piece] = []
        try:
            end = scanner.scan(block, 0, pieces)
        except ProtocolViolation:
            return None
        payload += b"".join(pieces)
        if end >= 0:
            return payload, before + end
        before += len(block)
    return payload, -1


def path(data: bytes) -> None:
    """A path is forwarded by a route of the table, with the object's name as the client wrote it."""
    method, _, text = data.decode("latin-1").partition(" ")
    try:
        _, rest = apiversion.split_path(text)
    except BadRequest:
        return
    if (found := match(method, rest)) is not None:
        assert found[1] in rest


def filters(data: bytes) -> None:
    """Filters are read as strings, and those of events say yes or no."""
    text = data.decode("utf-8", "replace")
    try:
        parsed = parse_filters(text)
        query = EventQuery.parse({"filters": text}, now_ns=10**18)
    except BadRequest:
        return
    assert all(isinstance(value, str) for values in parsed.values() for value in values)
    line = b'{"Type":"container","Action":"start","Actor":{"ID":"1","Attributes":{"name":"a"}},"timeNano":1}'
    assert query.matches(from_engine(line), NODE) in (True, False)


def expressions(data: bytes) -> None:
    """No expression costs more than its budget, and `!=` is the opposite of `==`."""
    texts = data.decode("utf-8", "replace").split("\0")
    try:
        parsed = parse_all(texts, soft=True)
        held = [each.holds(CANDIDATES) for each in parsed]
        opposite = [text.replace("==", "!=", 1) for text in texts]
        if all("==" in text and "!=" not in text for text in texts):
            assert [not each.holds(CANDIDATES) for each in parse_all(opposite, soft=True)] == held
    except BadRequest:
        return


def entries(data: bytes) -> None:
    """An address that discovery takes is written so that it reads the same again."""
    try:
        found = parse_entries(data.decode("utf-8", "replace"))
    except DiscoveryError:
        return
    for entry in found[:100]:
        assert parse_entry(str(entry)) == entry


def event(data: bytes) -> None:
    """An engine's event goes on as JSON that names its node."""
    try:
        read = from_engine(data)
    except SwarmError:
        return
    line = dress(read, NODE)
    assert line.endswith(b"}\n")
    said = json.loads(line)
    assert said["node"]["Name"] == "node-1"
    assert said["Actor"]["Attributes"]["node.name"] == "node-1"


def lists(data: bytes) -> None:
    """What an engine lists is read or refused, whatever it is taken for.

    A zero byte stands between how a container is listed and how it is inspected.
    """
    item, _, inspect = data.partition(b"\0")
    for read in (images_from_engine, volumes_from_engine, network_from_engine):
        with contextlib.suppress(SwarmError):
            read(data)
    with contextlib.suppress(SwarmError):
        listed = container_from_engine(item, inspect, skew_ns=10**9, ip="10.0.0.1")
        assert listed.id


def create(data: bytes) -> None:
    """What we send to an engine is JSON, keeps the image, and is read by us as it was."""
    try:
        spec = ContainerSpec.parse(data)
        body = body_for_engine(spec, swarm_id="s" * 64, engine_cpus=4)
    except (BadRequest, NotSupported):
        return
    again = ContainerSpec.parse(body)
    for member in ("image", "env", "memory_bytes", "published", "network_mode", "volumes", "exposed"):
        assert getattr(again, member) == getattr(spec, member), member
    named = spec.labels if spec.labels.get(SWARM_ID) else {**spec.labels, SWARM_ID: "s" * 64}
    assert again.labels == named


def network(data: bytes) -> None:
    """A network that we have made is asked for in JSON."""
    try:
        spec = NetworkSpec.parse(data)
    except BadRequest:
        return
    assert isinstance(msgspec.json.decode(spec.body()), dict)


def archive(data: bytes) -> None:
    """An archive of images means the same however it is cut into blocks."""
    outcomes: list[Any] = []
    for step in (len(data) or 1, 517):
        merger, out = Merger(), io.BytesIO()
        try:
            for at in range(0, len(data), step):
                for part in merger.feed(data[at : at + step]):
                    out.write(part)
            out.write(merger.finish())
        except ProtocolViolation:
            outcomes.append(None)
        else:
            outcomes.append(out.getvalue())
    assert outcomes[0] == outcomes[1]


TARGETS: dict[str, Target] = {
    each.__name__: each
    for each in (request, answer, chunked, path, filters, expressions, entries, event, lists, create, network, archive)
}
