"""What changed its meaning between two versions of the Docker API, and how it is said in the other one.

A request may reach its engine in another version than its client wrote it in, see `apiversion.spoken`. Most of it
means the same there: engines leave out of account what they do not know, and what is missing has its default. The
rows of `CHANGES` are the rest. Only the requests that have a row here are ever looked into for this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.members import NOT_JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swarmproxy.model.apiversion import Version


class Subject(Enum):
    """Which request or answer a row is about."""

    CREATE = "POST /containers/create"
    IMAGE = "GET /images/{name}/json"
    VOLUMES_PRUNE = "POST /volumes/prune"
    BUILD_PRUNE = "POST /build/prune"
    STOP = "POST /containers/{id}/stop, restart"
    NETWORKS = "GET /networks"
    IMAGES = "GET /images/json"
    EVENTS = "GET /events"
    DISK_USAGE = "GET /system/df"


@dataclass(slots=True, kw_only=True)
class Case:
    """One request, or one answer, that is being told in another version. The rows change it."""

    members: dict[str, Any]  # of the body; for a prune, the parameters of the query
    cgroup_v1: bool = False  # what the engine's kernel uses
    joins: dict[str, Any] = field(default_factory=dict)  # network -> settings: to be connected after the create
    only_anonymous: bool = False  # volumes with a name of their own must stay
    signal: str = ""  # to be sent before the request
    attached: Mapping[str, Any] = field(default_factory=dict)  # of a network: what is known of its containers

    @property
    def host(self) -> dict[str, Any]:
        """The members of HostConfig, which may be written to."""
        return _inner(self.members, "HostConfig")

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """The mounts of HostConfig."""
        return [each for each in self.host.get("Mounts") or () if isinstance(each, dict)]

    @property
    def endpoints(self) -> dict[str, Any]:
        """Network -> settings, which may be written to."""
        return _inner(_inner(self.members, "NetworkingConfig"), "EndpointsConfig")

    @property
    def network(self) -> str:
        """The network that a container begins its life in, by the name that the request has for it."""
        return self.host.get("NetworkMode") or "default"


def _inner(members: dict[str, Any], name: str) -> dict[str, Any]:
    inner = members.get(name)
    if inner is None:
        inner = members[name] = {}
    if not isinstance(inner, dict):
        raise BadRequest(f"invalid {name}: not an object")
    return inner


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the API in the version `since`.

    `to_newer` is for a client older than that before an engine that is not, `to_older` for the opposite. What we
    answer ourselves, of many nodes, is made in the client's version at once: `made_for` names those who are told
    otherwise, and `source` begins with the module that does it.
    """

    since: Version
    subject: Subject
    what: str
    source: str
    to_newer: Callable[[Case], None] | None = None
    to_older: Callable[[Case], None] | None = None
    made_for: tuple[str, ...] = ()

    @property
    def whom(self) -> tuple[str, ...]:
        """Who is told something else than a client of the engine's own version."""
        older = ("older clients",) if self.to_newer is not None else ()
        newer = ("newer clients",) if self.to_older is not None else ()
        return (*older, *newer, *self.made_for)


def _client_removes(case: Case) -> None:
    case.host["AutoRemove"] = False


def _share_ipc(case: Case) -> None:
    if not case.host.get("IpcMode"):
        case.host["IpcMode"] = "shareable"


def _share_cgroups(case: Case) -> None:
    if case.cgroup_v1 and not case.host.get("CgroupnsMode"):
        case.host["CgroupnsMode"] = "host"


def _drop_idle_options(case: Case) -> None:
    for mount in case.mounts:
        for kind in ("volume", "tmpfs"):
            if mount.get("Type") != kind:
                mount.pop(f"{kind.capitalize()}Options", None)


def _drop_console_size(case: Case) -> None:
    case.host.pop("ConsoleSize", None)


def _read_only_at_the_top(case: Case) -> None:
    for mount in case.mounts:
        if mount.get("Type") == "bind" and mount.get("ReadOnly"):
            _inner(mount, "BindOptions").setdefault("ReadOnlyNonRecursive", True)


def _mac_to_endpoint(case: Case) -> None:
    mac = case.members.get("MacAddress")
    if not mac or case.network in ("host", "none") or case.network.startswith("container:"):
        return  # an engine refuses or ignores it, as it is
    name = next(iter(case.endpoints), case.network)  # the older API has one endpoint, whatever its name
    _inner(case.endpoints, name)["MacAddress"] = mac
    del case.members["MacAddress"]


def _mac_to_container(case: Case) -> None:
    for name in case.endpoints:
        mac = _inner(case.endpoints, name).get("MacAddress")
        if mac and _is_first(case, name):
            case.members["MacAddress"] = mac


def _join_one_by_one(case: Case) -> None:
    if len(case.endpoints) < 2:
        return
    first = next((name for name in case.endpoints if _is_first(case, name)), next(iter(case.endpoints)))
    for name in [name for name in case.endpoints if name != first]:
        case.joins[name] = case.endpoints.pop(name)


def _is_first(case: Case, name: str) -> bool:
    return name == case.network or len(case.endpoints) == 1 or (name, case.network) == ("bridge", "default")


def _all_volumes(case: Case) -> None:
    filters = _filters(case)
    filters["all"] = ["true"]
    case.members["filters"] = msgspec.json.encode(filters).decode()


def _no_all_filter(case: Case) -> None:
    filters = _filters(case)
    asked = filters.pop("all", None) or ["false"]
    case.only_anonymous = next(iter(asked)).lower() not in ("1", "t", "true")
    case.members["filters"] = msgspec.json.encode(filters).decode()


def _filters(case: Case) -> dict[str, Any]:
    try:
        return msgspec.json.decode(case.members.get("filters") or "{}", type=dict[str, Any])
    except NOT_JSON as error:
        raise BadRequest(f"invalid filters: {error}") from error


def _keep_storage(case: Case) -> None:
    if reserved := case.members.pop("reserved-space", ""):
        case.members["keep-storage"] = reserved


def _reserved_space(case: Case) -> None:
    if kept := case.members.pop("keep-storage", ""):
        case.members["reserved-space"] = kept


def _virtual_size(case: Case) -> None:
    if "Size" in case.members:
        case.members.setdefault("VirtualSize", case.members["Size"])


def _signal_apart(case: Case) -> None:
    case.signal = case.members.pop("signal", "")


def _with_attached(case: Case) -> None:
    case.members["Containers"] = dict(case.attached)


_OLDER = ("older clients",)
_BOTH = ("older clients", "newer clients")
_EVENTS = "model/event.py; moby, daemon/server/router/system/system_routes.go"
_IMAGE_LISTING = "model/image_listing.py; moby, daemon/server/router/image/image_routes.go"
_DISK_USAGE = "model/disk_usage.py; moby, daemon/server/router/system/system_routes.go"


def _made(since: Version, subject: Subject, what: str, source: str, whom: tuple[str, ...] = _OLDER) -> Change:
    return Change(since=since, subject=subject, what=what, source=source, made_for=whom)


_CREATE = "moby, daemon/server/router/container/container_routes.go"

CHANGES: tuple[Change, ...] = (
    Change(
        since=(1, 25),
        subject=Subject.CREATE,
        what="`HostConfig.AutoRemove`: before, the client removed the container itself, and would not find it",
        source=_CREATE,
        to_newer=_client_removes,
    ),
    Change(
        since=(1, 40),
        subject=Subject.CREATE,
        what="`HostConfig.IpcMode` left empty: before, other containers could join it",
        source=_CREATE,
        to_newer=_share_ipc,
    ),
    Change(
        since=(1, 41),
        subject=Subject.CREATE,
        what="`HostConfig.CgroupnsMode` left empty: before, the host's, where cgroups are of version 1",
        source=_CREATE,
        to_newer=_share_cgroups,
    ),
    Change(
        since=(1, 42),
        subject=Subject.CREATE,
        what="`HostConfig.Mounts`: options of another type of mount are refused, where they were ignored",
        source=_CREATE,
        to_newer=_drop_idle_options,
    ),
    Change(
        since=(1, 42),
        subject=Subject.CREATE,
        what="`HostConfig.ConsoleSize` is obeyed, where it was ignored",
        source=_CREATE,
        to_newer=_drop_console_size,
    ),
    Change(
        since=(1, 44),
        subject=Subject.CREATE,
        what="`HostConfig.Mounts`: a bind that is read-only is so with all that is mounted below it",
        source=_CREATE,
        to_newer=_read_only_at_the_top,
    ),
    Change(
        since=(1, 44),
        subject=Subject.CREATE,
        what="`MacAddress` moved from the container to `NetworkingConfig.EndpointsConfig`",
        source=_CREATE,
        to_newer=_mac_to_endpoint,
        to_older=_mac_to_container,
    ),
    Change(
        since=(1, 44),
        subject=Subject.CREATE,
        what="several networks in `NetworkingConfig.EndpointsConfig`: before, each was connected after the create",
        source=_CREATE,
        to_older=_join_one_by_one,
    ),
    Change(
        since=(1, 44),
        subject=Subject.IMAGE,
        what="`VirtualSize` was left out: it had become the same as `Size`",
        source="moby, api/docs/CHANGELOG.md, v1.44",
        to_newer=_virtual_size,
    ),
    Change(
        since=(1, 42),
        subject=Subject.VOLUMES_PRUNE,
        what="only anonymous volumes go, unless the filter `all` says otherwise: before, all that are not used went",
        source="moby, daemon/server/router/volume/volume_routes.go",
        to_newer=_all_volumes,
        to_older=_no_all_filter,
    ),
    Change(
        since=(1, 48),
        subject=Subject.BUILD_PRUNE,
        what="`keep-storage` is called `reserved-space`",
        source="moby, daemon/server/router/build/build_routes.go",
        to_newer=_reserved_space,
        to_older=_keep_storage,
    ),
    Change(
        since=(1, 42),
        subject=Subject.STOP,
        what="`signal` is sent instead of the container's own: before, it was ignored",
        source="moby, daemon/server/router/container/container_routes.go",
        to_older=_signal_apart,
    ),
    Change(
        since=(1, 28),
        subject=Subject.NETWORKS,
        what="`Containers` is left empty: before, a list named the containers that run",
        source="moby, daemon/server/router/network/network_routes.go",
        to_newer=_with_attached,
    ),
    _made((1, 41), Subject.IMAGES, "the parameter `filter` is no reference any more", _IMAGE_LISTING),
    _made((1, 43), Subject.IMAGES, "an image without a name has empty lists: before, `<none>:<none>`", _IMAGE_LISTING),
    _made((1, 44), Subject.IMAGES, "`VirtualSize` was left out: it had become the same as `Size`", _IMAGE_LISTING),
    _made((1, 46), Subject.EVENTS, "images have the event `create`", _EVENTS),
    _made((1, 42), Subject.DISK_USAGE, "the parameter `type`: before, it was ignored", _DISK_USAGE),
    _made((1, 52), Subject.DISK_USAGE, "each kind has a sum of its own (`ImageUsage`, ...)", _DISK_USAGE, _BOTH),
    _made((1, 53), Subject.DISK_USAGE, "the lists beside the sums were left out", _DISK_USAGE, _BOTH),
)

ANONYMOUS_VOLUME = re.compile(r"[0-9a-f]{64}", re.ASCII)  # the names that engines give


@lru_cache(maxsize=4096)
def between(subject: Subject, client: Version, engine: Version) -> tuple[Callable[[Case], None], ...]:
    """Return what has to be done, in order, to tell what a client of one version says to an engine in another."""
    changes = [each for each in CHANGES if each.subject is subject]
    if client < engine:
        steps = [each.to_newer for each in changes if client < each.since <= engine]
    else:
        steps = [each.to_older for each in reversed(changes) if engine < each.since <= client]
    return tuple(step for step in steps if step is not None)


def adapt_create(
    body: bytes, *, client: Version, engine: Version, cgroup_v1: bool
) -> tuple[bytes, Mapping[str, dict[str, Any]]]:
    """Return the body of a create in the engine's version, and the networks to connect afterwards, by name.

    Raises BadRequest if the body has not the form of one.
    """
    steps = between(Subject.CREATE, client, engine)
    if not steps:
        return body, {}
    case = Case(members=msgspec.json.decode(body, type=dict[str, Any]), cgroup_v1=cgroup_v1)
    for step in steps:
        step(case)
    return msgspec.json.encode(case.members), case.joins


def adapt_query(subject: Subject, parameters: Mapping[str, str], *, client: Version, engine: Version) -> Case:
    """Return the parameters of a query in the engine's version, and what else has to be minded. Raises BadRequest."""
    case = Case(members=dict(parameters))
    for step in between(subject, client, engine):
        step(case)
    return case


def adapt_answer(
    subject: Subject, body: bytes, *, client: Version, engine: Version, attached: Mapping[str, Any] | None = None
) -> bytes:
    """Return an engine's answer, one JSON object, in the client's version."""
    steps = between(subject, client, engine)
    if not steps:
        return body
    case = Case(members=msgspec.json.decode(body, type=dict[str, Any]), attached=attached or {})
    for step in steps:
        step(case)
    return msgspec.json.encode(case.members)
