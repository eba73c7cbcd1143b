"""What `GET /system/df` says: each engine's answer read in any version, and the sum of them in the client's.

Up to API 1.51 an answer is lists of items. API 1.52 adds sums for each kind, 1.53 drops the lists that stood beside
them. Source: moby, api/docs/CHANGELOG.md and daemon/server/router/system; moby/client, system_disk_usage.go for the
sums of an engine that gives lists only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from swarmproxy.errors import BadRequest, ProtocolViolation
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.names import NameStyle, styled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swarmproxy.model.apiversion import Version

IMAGE, CONTAINER, VOLUME, BUILD_CACHE = "image", "container", "volume", "build-cache"
KINDS = (IMAGE, CONTAINER, VOLUME, BUILD_CACHE)
TYPES_SINCE: Version = (1, 42)
SUMS_SINCE: Version = (1, 52)
NO_LISTS_SINCE: Version = (1, 53)
_LISTS = {IMAGE: "Images", CONTAINER: "Containers", VOLUME: "Volumes", BUILD_CACHE: "BuildCache"}
_SUMS = {IMAGE: "ImageUsage", CONTAINER: "ContainerUsage", VOLUME: "VolumeUsage", BUILD_CACHE: "BuildCacheUsage"}
_RUNNING = frozenset(("running", "paused", "restarting"))
UNKNOWN = -1  # a size that the engine did not measure

_Items = list[msgspec.Raw] | None


class _Sums(msgspec.Struct):
    ActiveCount: int = 0
    TotalCount: int = 0
    Reclaimable: int = 0
    TotalSize: int = 0
    Items: _Items = None


class _Answer(msgspec.Struct):
    LayersSize: int = 0
    BuilderSize: int = 0
    Images: _Items = None
    Containers: _Items = None
    Volumes: _Items = None
    BuildCache: _Items = None
    ImageUsage: _Sums | None = None
    ContainerUsage: _Sums | None = None
    VolumeUsage: _Sums | None = None
    BuildCacheUsage: _Sums | None = None


class _UsageData(msgspec.Struct):
    Size: int = 0
    RefCount: int = 0


class _Item(msgspec.Struct):
    """What is read of an item, of whatever kind it is."""

    Size: int = 0
    SharedSize: int = 0
    SizeRw: int = 0
    Containers: int = 0
    State: str = ""
    InUse: bool = False
    Shared: bool = False
    UsageData: _UsageData | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parsed request."""

    kinds: tuple[str, ...] = KINDS
    version: Version
    verbose: bool | None = None  # None: not said, which in API 1.52 asks for the old lists too

    @classmethod
    def parse(cls, types: Sequence[str], verbose: str, version: Version) -> Query:
        """Return what the parameters `type`, which may be repeated, and `verbose` ask for. Raises BadRequest."""
        kinds: tuple[str, ...] = KINDS
        if types and version >= TYPES_SINCE:
            for each in types:
                if each not in KINDS:
                    raise BadRequest(f"unknown object type: {each}")
            kinds = tuple(kind for kind in KINDS if kind in types)
        said: bool | None = None
        if verbose and version >= SUMS_SINCE:
            said = _FLAGS.get(verbose)
            if said is None:
                raise BadRequest(f"invalid value for verbose: {verbose}")
        return cls(kinds=kinds, version=version, verbose=said)

    @property
    def has_sums(self) -> bool:
        """Whether the answer is to have a sum for each kind."""
        return self.version >= SUMS_SINCE

    @property
    def has_lists(self) -> bool:
        """Whether the answer is to have lists beside the sums, as all had before."""
        return not self.has_sums or (self.version < NO_LISTS_SINCE and self.verbose is None)

    @property
    def needs_items(self) -> bool:
        """Whether single items are shown."""
        return self.has_lists or bool(self.verbose)

    def parameters(self, spoken: Version) -> list[tuple[str, str]]:
        """Return what to ask of an engine that is spoken to in this version."""
        asked: list[tuple[str, str]] = []
        if spoken >= TYPES_SINCE and self.kinds != KINDS:
            asked += [("type", kind) for kind in self.kinds]
        if spoken >= SUMS_SINCE:
            asked.append(("verbose", "1" if self.needs_items else "0"))
        return asked


_FLAGS = {  # as Go reads a boolean
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


@dataclass(slots=True)
class Usage:
    """What the objects of one kind take, on one engine or on all."""

    active: int = 0
    total: int = 0
    reclaimable_bytes: int = 0
    size_bytes: int = 0
    items: list[msgspec.Raw] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """What one engine said. Items have the node's name in theirs."""

    usages: dict[str, Usage]  # by kind
    builder_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How the items of a node are named to the client."""

    node: str
    style: NameStyle
    volumes: bool = True  # local volumes too, as `node/name`
    tags: bool = False  # tags of images too, as `node/image:tag`: a CLI shows nothing else that could tell the node


_answers = msgspec.json.Decoder(_Answer)
_item = msgspec.json.Decoder(_Item)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_texts = msgspec.json.Decoder(list[str] | None)
_text = msgspec.json.Decoder(str)


def read(body: bytes, query: Query, naming: Naming) -> NodeUsage:
    """Return what an engine's answer says of the kinds asked for. Raises ProtocolViolation."""
    try:
        answer = _answers.decode(body)
        usages = {kind: _usage(kind, answer, query, naming) for kind in query.kinds}
    except NOT_JSON as error:
        raise ProtocolViolation(f"the engine tells its disk usage in a way that cannot be read: {error}") from error
    return NodeUsage(usages, answer.BuilderSize)


def _usage(kind: str, answer: _Answer, query: Query, naming: Naming) -> Usage:
    sums: _Sums | None = getattr(answer, _SUMS[kind])
    listed: _Items = getattr(answer, _LISTS[kind])
    raw = (sums.Items if sums is not None and sums.Items else listed) or []
    if sums is not None:
        usage = Usage(sums.ActiveCount, sums.TotalCount, sums.Reclaimable, sums.TotalSize)
    else:
        usage = _summed(kind, [_item.decode(each) for each in raw])
        if kind == IMAGE:
            usage.size_bytes = answer.LayersSize
    if query.needs_items:
        usage.items = [_named(kind, each, naming) for each in raw]
    return usage


def _summed(kind: str, items: Iterable[_Item]) -> Usage:
    """Return the sums as a client makes them of an old answer's items."""
    usage = Usage()
    for item in items:
        usage.total += 1
        match kind:
            case "image":
                active, size = item.Containers > 0, 0  # layers are shared: the engine itself gives their sum
                measured = UNKNOWN not in (item.Size, item.SharedSize)
                reclaimable = item.Size - item.SharedSize if measured else 0
            case "container":
                active, size = item.State in _RUNNING, item.SizeRw
                reclaimable = size
            case "volume":
                data = item.UsageData or _UsageData()
                active, size = data.RefCount > 0, max(data.Size, 0)
                reclaimable = size
            case _:
                active, size = item.InUse, 0 if item.Shared else item.Size
                reclaimable = size
        usage.active += active
        usage.size_bytes += size
        usage.reclaimable_bytes += 0 if active else reclaimable
    return usage


def _named(kind: str, raw: msgspec.Raw, naming: Naming) -> msgspec.Raw:
    """Return an item with the name of its node."""
    members = _members.decode(raw)
    members["Node"] = _encoded(naming.node)
    if kind == CONTAINER and "Names" in members:
        names = _texts.decode(members["Names"]) or []
        members["Names"] = _encoded(styled(names, naming.node, naming.style))
    elif kind == IMAGE and naming.tags and "RepoTags" in members:
        tags = _texts.decode(members["RepoTags"]) or []
        members["RepoTags"] = _encoded([_tag_of_node(tag, naming.node) for tag in tags])
    elif kind == VOLUME and naming.volumes and is_local(members):
        members["Name"] = _encoded(f"{naming.node}/{_text.decode(members['Name'])}")
    return _encoded(members)


def is_local(members: dict[str, msgspec.Raw]) -> bool:
    """Return whether a volume is one of its engine only: one that says nothing of it is."""
    scope = members.get("Scope")
    return scope is None or _text.decode(scope) in ("", "local")


def _tag_of_node(tag: str, node: str) -> str:
    """Return `node/tag`, but a tag with a port as it is: with a node in front a CLI could not read it."""
    registry, slash, _ = tag.partition("/")
    return tag if tag == "<none>:<none>" or (slash and ":" in registry) else f"{node}/{tag}"


def _encoded(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def merge(nodes: Iterable[NodeUsage], query: Query) -> bytes:
    """Return the answer to `query` for all `nodes`: sums added, items one after the other.

    A volume that every node shows is one volume.
    """
    total = {kind: Usage() for kind in query.kinds}
    shown: set[bytes] = set()
    builder_bytes = 0
    for node in nodes:
        builder_bytes += node.builder_bytes
        for kind, usage in node.usages.items():
            into = total[kind]
            into.active += usage.active
            into.total += usage.total
            into.reclaimable_bytes += usage.reclaimable_bytes
            into.size_bytes += usage.size_bytes
            into.items += usage.items if kind != VOLUME else _not_shown_yet(usage.items, shown)
    if query.needs_items and VOLUME in total:
        total[VOLUME].total = len(total[VOLUME].items)
    answer: dict[str, Any] = {}
    if query.has_lists:
        if IMAGE in total:
            answer["LayersSize"] = total[IMAGE].size_bytes
        for kind, name in _LISTS.items():
            if kind in total:
                answer[name] = total[kind].items
            elif not query.has_sums:
                answer[name] = None
        if query.version < TYPES_SINCE:
            answer["BuilderSize"] = builder_bytes
    if query.has_sums:
        for kind, usage in total.items():
            answer[_SUMS[kind]] = _sums(usage, items=bool(query.verbose))
    return msgspec.json.encode(answer) + b"\n"


def _not_shown_yet(items: Iterable[msgspec.Raw], shown: set[bytes]) -> list[msgspec.Raw]:
    """Return the volumes of `items` that only their node has, and of the others those that come for the first time."""
    kept: list[msgspec.Raw] = []
    for item in items:
        members = _members.decode(item)
        if not is_local(members):
            name = bytes(members["Name"])
            if name in shown:
                continue
            shown.add(name)
        kept.append(item)
    return kept


def _sums(usage: Usage, *, items: bool) -> dict[str, Any]:
    sums: dict[str, Any] = {
        "ActiveCount": usage.active,
        "TotalCount": usage.total,
        "Reclaimable": usage.reclaimable_bytes,
        "TotalSize": usage.size_bytes,
    }
    return sums | ({"Items": usage.items} if items else {})
