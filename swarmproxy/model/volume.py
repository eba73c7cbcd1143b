"""One volume as an engine lists it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swarmproxy.errors import SwarmError
from swarmproxy.model.members import NOT_JSON

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCAL = "local"


class Volume(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One volume of one engine: what the cluster acts on, and all the engine said in `fields`."""

    name: str
    driver: str = LOCAL
    scope: str = LOCAL  # local: each engine has its own; global: the same one wherever its driver is
    labels: dict[str, str] = {}
    fields: bytes = b""  # the members of the engine's list item but Name: `"Driver":"…","Mountpoint":"…"`

    @property
    def is_local(self) -> bool:
        """Whether it is on one node, where other nodes may have volumes of the same name."""
        return self.scope == LOCAL


class _Item(msgspec.Struct, gc=False):
    Name: str | None = None
    Driver: str | None = None
    Scope: str | None = None
    Labels: dict[str, str | None] | None = None


class _List(msgspec.Struct, gc=False):
    Volumes: list[msgspec.Raw] | None = None


_decoder = msgspec.json.Decoder(_Item)
_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(_List)


def from_engine(item: bytes) -> Volume:
    """Return the volume that `item` describes: one element of `Volumes` in the engine's `/volumes`.

    What is missing or null counts as empty; engines before 1.12 do not tell the scope, and only their driver
    `local` is of one node. Raises SwarmError if it cannot be read.
    """
    try:
        parsed = _decoder.decode(item)
        members = _members_decoder.decode(item)
    except NOT_JSON as error:
        raise SwarmError(f"the engine describes a volume in a way that cannot be read: {error}") from error
    if not parsed.Name:
        raise SwarmError("the engine describes a volume without a name")
    members.pop("Name", None)
    driver = parsed.Driver or LOCAL
    return Volume(
        name=parsed.Name,
        driver=driver,
        scope=parsed.Scope or (LOCAL if driver == LOCAL else "global"),
        labels={key: value or "" for key, value in (parsed.Labels or {}).items()},
        fields=msgspec.json.encode(members)[1:-1],
    )


def list_from_engine(body: bytes) -> list[Volume]:
    """Return the volumes in the body of `/volumes`, in the engine's order. Raises SwarmError."""
    try:
        items = _list_decoder.decode(body).Volumes or ()
    except NOT_JSON as error:
        raise SwarmError(f"the engine lists its volumes in a way that cannot be read: {error}") from error
    return [from_engine(bytes(item)) for item in items]


def alike(volumes: Sequence[Volume]) -> bool:
    """Return whether these are as if made by one command: they differ in nothing that a user gave."""
    return len({(each.driver, *sorted(each.labels.items()), *_options(each)) for each in volumes}) == 1


def _options(volume: Volume) -> tuple[tuple[str, str], ...]:
    members = _members_decoder.decode(b"{" + volume.fields + b"}")
    options = msgspec.json.decode(members.get("Options", b"null"), type=dict[str, str] | None)
    return tuple(sorted((options or {}).items()))


def item_json(volume: Volume, node_name: str = "") -> bytes:
    """Return the item of a list: the engine's own, named `node/name` if a node is given."""
    name = f"{node_name}/{volume.name}" if node_name else volume.name
    return b'{"Name":' + msgspec.json.encode(name) + (b"," if volume.fields else b"") + volume.fields + b"}"
