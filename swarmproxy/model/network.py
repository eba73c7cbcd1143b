"""One network as an engine lists it."""

from __future__ import annotations

import msgspec

from swarmproxy.errors import SwarmError
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.times import parse_rfc3339_ns

LOCAL = "local"
PREDEFINED = frozenset(("bridge", "host", "none", "default", "nat"))  # exist on every engine


class Network(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One network of one engine: what the cluster acts on, and all the engine said in `fields`."""

    id: str
    name: str
    driver: str = ""  # bridge, overlay, host, null, macvlan, …
    scope: str = LOCAL  # local: of one node; swarm: of all nodes of a swarm; global: of all that share a store
    created_ns: int = 0  # since 1970
    ingress: bool = False
    labels: dict[str, str] = {}
    fields: bytes = b""  # the members of the engine's list item but Name: `"Id":"…","Driver":"…"`

    @property
    def is_local(self) -> bool:
        """Whether it is on one node, where other nodes may have networks of the same name."""
        return self.scope == LOCAL

    @property
    def is_predefined(self) -> bool:
        """Whether the engine itself made it: no user can remove it."""
        return self.ingress or self.name in PREDEFINED


class _Item(msgspec.Struct, gc=False):
    Id: str | None = None
    Name: str | None = None
    Driver: str | None = None
    Scope: str | None = None
    Created: str | None = None
    Ingress: bool | None = None
    Labels: dict[str, str | None] | None = None


_decoder = msgspec.json.Decoder(_Item)
_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw] | None)


def from_engine(item: bytes) -> Network:
    """Return the network that `item` describes: one element of the engine's `/networks`.

    What is missing or null counts as empty. Raises SwarmError if it cannot be read.
    """
    try:
        parsed = _decoder.decode(item)
        members = _members_decoder.decode(item)
        created_ns = parse_rfc3339_ns(parsed.Created) if parsed.Created else 0
    except (*NOT_JSON, ValueError) as error:
        raise SwarmError(f"the engine describes a network in a way that cannot be read: {error}") from error
    if not parsed.Id:
        raise SwarmError("the engine describes a network without an ID")
    members.pop("Name", None)
    return Network(
        id=parsed.Id,
        name=parsed.Name or "",
        driver=parsed.Driver or "",
        scope=parsed.Scope or LOCAL,
        created_ns=created_ns,
        ingress=bool(parsed.Ingress),
        labels={key: value or "" for key, value in (parsed.Labels or {}).items()},
        fields=msgspec.json.encode(members)[1:-1],
    )


def list_from_engine(body: bytes) -> list[Network]:
    """Return the networks in the body of `/networks`, in the engine's order. Raises SwarmError."""
    try:
        items = _list_decoder.decode(body) or ()
    except NOT_JSON as error:
        raise SwarmError(f"the engine lists its networks in a way that cannot be read: {error}") from error
    return [from_engine(bytes(item)) for item in items]


def item_json(network: Network, node_name: str = "") -> bytes:
    """Return the item of a list: the engine's own, named `node/name` if a node is given."""
    name = f"{node_name}/{network.name}" if node_name else network.name
    return b'{"Name":' + msgspec.json.encode(name) + (b"," if network.fields else b"") + network.fields + b"}"
