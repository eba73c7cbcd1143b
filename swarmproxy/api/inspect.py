"""`docker inspect`: the engine's own answer, with what a cluster has to add."""

import msgspec

from swarmproxy.cluster.operators import NodeBook
from swarmproxy.engine.engine import Engine
from swarmproxy.model.members import NOT_JSON

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_bindings = msgspec.json.Decoder(dict[str, list[dict[str, str]] | None])
_UNSPECIFIED = ("", "0.0.0.0", "::")  # noqa: S104  # what an engine says, not where we listen


def with_node(body: bytes, engine: Engine, book: NodeBook) -> bytes:
    """Return an engine's inspect answer with `Node`, and the node's address where a port is bound to every address.

    All other members stay as the engine sent them, also those we do not know.
    Source: classic Swarm 1.2, api/handlers.go; `Node` has classic's members.
    """
    node = msgspec.json.encode(node_of(engine, book))
    text = body.strip()
    if text.startswith(b'{"') and text.endswith(b"}") and b'"HostIp"' not in text and b'"Node"' not in text:
        return b'%b,"Node":%b}\n' % (text[:-1], node)  # as a rule: there is nothing to be replaced
    members = _members.decode(body)
    settings = members.get("NetworkSettings")
    if settings is not None:
        members["NetworkSettings"] = _with_address(settings, engine)
    members["Node"] = msgspec.Raw(node)
    return msgspec.json.encode(members) + b"\n"


def node_of(engine: Engine, book: NodeBook) -> dict[str, object]:
    """Return `Node` as classic had it: capacities are the engine's own, without overcommit."""
    facts = engine.facts
    return {
        "ID": engine.id,
        "IP": facts.ip if facts else "",
        "Addr": str(engine.address),
        "Name": engine.name,
        "Cpus": facts.cpus if facts else 0,
        "Memory": facts.memory_bytes if facts else 0,
        "Labels": dict(book.labels_of(engine)),
    }


def _with_address(settings: msgspec.Raw, engine: Engine) -> msgspec.Raw:
    if engine.facts is None or not engine.facts.ip:
        return settings
    try:
        members = _members.decode(settings)
        ports = _bindings.decode(members["Ports"])
    except (*NOT_JSON, KeyError):
        return settings
    for bindings in ports.values():
        for binding in bindings or ():
            if binding.get("HostIp") in _UNSPECIFIED:
                binding["HostIp"] = engine.facts.ip
    members["Ports"] = msgspec.Raw(msgspec.json.encode(ports))
    return msgspec.Raw(msgspec.json.encode(members))
