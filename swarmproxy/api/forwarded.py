"""The routes that go to the engine that owns the object, and what each of them needs of the relay."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from urllib.parse import quote

from swarmproxy.api.kinds import KIND_OF
from swarmproxy.model.apiversion import OLDEST, Version
from swarmproxy.model.versions import Subject


class Owner(Enum):
    """Whose engine a request belongs to."""

    CONTAINER = "containers"
    EXEC = "exec"
    IMAGE = "images"
    SAVED = "images/get"  # all images that the query names
    COMMITTED = "commit"  # the container that the query names
    BUILD = "build"  # the one that the scheduler chooses, or that its session has
    CANCELLED = "build/cancel"  # the build that the query names
    SESSION = "session"  # BuildKit's: where the build is that it belongs to
    CONTROL = "grpc"  # BuildKit's: one for each client
    PLUGIN = "plugins"
    NEW_PLUGIN = "plugins/pull"  # the node that the query names, also for what a client asks before it installs
    MANAGER = "swarm"  # a manager of the swarm that members form among themselves
    ANYONE = ""  # any healthy member will do


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """How one kind of request is forwarded."""

    owner: Owner
    kind: str  # see `kinds`
    action: str = ""
    upgrade: bool = False  # may become a raw stream
    endless: bool = False  # lasts as long as the client likes: ended at once when the manager drains
    finish: bool = False  # what the engine has begun is not undone because the client went away
    changes: bool = False  # the container is another one afterwards
    removes: bool = False
    makes_image: bool = False
    as_it_is_from: Version = OLDEST  # for older clients one of our own routes adapts the answer
    subject: Subject | None = None  # a signal in the query may be for one of our own routes to send
    since: Version | None = None  # the first version of the API that has it, where a member may be older
    needs_healthy: bool = True  # else it is tried, and the engine's silence is the answer
    answers_within_s: float | None = None  # until the engine's head; None: it may take for ever


SOON_S = 60.0
_Table = dict[tuple[str, str], Route]


def _rows(
    owner: Owner, soon: str = "", streams: str = "", endless: str = "", upgrades: str = "", changes: str = ""
) -> _Table:
    """Return the routes of one kind of object. Each word is `METHOD:action`."""
    table: _Table = {}
    for words, how in (
        (soon, {"answers_within_s": SOON_S}),
        (streams, {}),
        (endless, {"endless": True}),
        (upgrades, {"upgrade": True}),
        (changes, {"finish": True, "changes": True}),
    ):
        for word in words.split():
            method, _, action = word.partition(":")
            kind = KIND_OF[f"{method} /{owner.value or 'distribution'}/{{name}}/{action}"]
            table[method, action] = Route(owner=owner, kind=kind, action=action, **how)
    return table


# By method and what follows the object's name in the path. Source: classic Swarm 1.2, api/primary.go.
_CONTAINERS = _rows(
    Owner.CONTAINER,
    soon="GET:top HEAD:archive POST:resize",
    streams="GET:changes GET:export GET:archive PUT:archive GET:checkpoints",
    endless="GET:logs GET:stats POST:wait",
    upgrades="POST:attach GET:attach/ws",
    changes="POST:kill POST:pause POST:unpause POST:update POST:checkpoints",
) | {
    **{
        ("POST", action): Route(
            owner=Owner.CONTAINER,
            kind=KIND_OF[f"POST /containers/{{name}}/{action}"],
            action=action,
            finish=True,
            changes=True,
            subject=Subject.STOP,
        )
        for action in ("stop", "restart")
    },
    ("POST", "start"): Route(
        owner=Owner.CONTAINER,
        kind=KIND_OF["POST /containers/{name}/start"],
        action="start",
        finish=True,
        changes=True,
        needs_healthy=False,
    ),
    ("DELETE", ""): Route(
        owner=Owner.CONTAINER,
        kind=KIND_OF["DELETE /containers/{name}"],
        finish=True,
        removes=True,
        needs_healthy=False,
    ),
}
_CHECKPOINT = Route(  # its action ends with what the checkpoint is called
    owner=Owner.CONTAINER,
    kind=KIND_OF["DELETE /containers/{name}/checkpoints/{checkpoint}"],
    action="checkpoints/",
    finish=True,
    changes=True,
)
_EXECS = _rows(Owner.EXEC, soon="GET:json POST:resize", upgrades="POST:start")
_IMAGES = _rows(Owner.IMAGE, soon="GET:history", streams="GET:get POST:push") | {
    ("GET", "json"): Route(
        owner=Owner.IMAGE,
        kind=KIND_OF["GET /images/{name}/json"],
        action="json",
        answers_within_s=SOON_S,
        as_it_is_from=(1, 44),
    ),
    ("GET", "attestations"): Route(
        owner=Owner.IMAGE,
        kind=KIND_OF["GET /images/{name}/attestations"],
        action="attestations",
        answers_within_s=SOON_S,
        since=(1, 55),
    ),
}
_COMMIT = Route(owner=Owner.COMMITTED, kind=KIND_OF["POST /commit"], finish=True, makes_image=True)
_SAVE = Route(owner=Owner.SAVED, kind=KIND_OF["GET /images/get"])
_DISTRIBUTION = _rows(Owner.ANYONE, soon="GET:json")
_BUILDS = {
    ("POST", "/build"): Route(owner=Owner.BUILD, kind=KIND_OF["POST /build"]),
    ("POST", "/build/cancel"): Route(owner=Owner.CANCELLED, kind=KIND_OF["POST /build/cancel"]),
    ("POST", "/session"): Route(owner=Owner.SESSION, kind=KIND_OF["POST /session"], upgrade=True),
    ("POST", "/grpc"): Route(owner=Owner.CONTROL, kind=KIND_OF["POST /grpc"], upgrade=True),
}
BUILDS = frozenset(route.owner for route in _BUILDS.values())
_PLUGINS = {
    ("POST", action): Route(
        owner=Owner.PLUGIN, kind=KIND_OF[f"POST /plugins/{{name}}/{action}"], action=action, finish=action != "push"
    )
    for action in ("enable", "disable", "set", "upgrade", "push")
} | {("DELETE", ""): Route(owner=Owner.PLUGIN, kind=KIND_OF["DELETE /plugins/{name}"], finish=True)}
_NEW_PLUGINS = {
    ("GET", "privileges"): Route(
        owner=Owner.NEW_PLUGIN,
        kind=KIND_OF["GET /plugins/privileges"],
        action="privileges",
        answers_within_s=SOON_S,
    ),
    ("POST", "pull"): Route(owner=Owner.NEW_PLUGIN, kind=KIND_OF["POST /plugins/pull"], action="pull"),
    ("POST", "create"): Route(owner=Owner.NEW_PLUGIN, kind=KIND_OF["POST /plugins/create"], action="create"),
}
# Swarm mode's: by method and path, `*` for a name. Source: moby, api/server/router/swarm/cluster.go.
_OF_SWARM: _Table = {}
for _path, _methods in {
    "/swarm": "GET",
    "/swarm/unlockkey": "GET",
    "/swarm/update": "POST",
    "/volumes/*": "PUT",
    **dict.fromkeys(("/nodes", "/services", "/tasks", "/secrets", "/configs", "/tasks/*"), "GET"),
    **dict.fromkeys(("/nodes/*", "/services/*", "/secrets/*", "/configs/*"), "GET DELETE"),
    **dict.fromkeys(("/services/create", "/secrets/create", "/configs/create"), "POST"),
    **dict.fromkeys(("/nodes/*/update", "/services/*/update", "/secrets/*/update", "/configs/*/update"), "POST"),
    **dict.fromkeys(("/services/*/logs", "/tasks/*/logs"), "GET"),
}.items():
    for _method in _methods.split():
        _OF_SWARM[_method, _path] = Route(
            owner=Owner.MANAGER,
            kind=KIND_OF[f"{_method} {_path.replace('*', '{name}')}"],
            finish=_method != "GET",
            answers_within_s=SOON_S,
            endless=_path.endswith("/logs"),
        )
_KINDS_OF_SWARM = frozenset(path.split("/")[1] for _, path in _OF_SWARM)
_ANYONE = {
    ("POST", "/auth"): Route(owner=Owner.ANYONE, kind=KIND_OF["POST /auth"], answers_within_s=SOON_S),
    ("GET", "/images/search"): Route(owner=Owner.ANYONE, kind=KIND_OF["GET /images/search"], answers_within_s=SOON_S),
}


def rows() -> Iterator[tuple[str, str, Route]]:
    """Yield method, path and route of all that `match` finds; `{name}` stands for a name."""
    yield "POST", "/commit", _COMMIT
    yield "GET", "/images/get", _SAVE
    yield "DELETE", "/containers/{name}/checkpoints/{checkpoint}", _CHECKPOINT
    for table in (_ANYONE, _BUILDS, _OF_SWARM):
        for (method, path), route in table.items():
            yield method, path.replace("*", "{name}"), route
    for kind, table in (
        ("containers", _CONTAINERS),
        ("exec", _EXECS),
        ("images", _IMAGES),
        ("distribution", _DISTRIBUTION),
        ("plugins", _PLUGINS),
    ):
        for (method, action), route in table.items():
            yield method, f"/{kind}/{{name}}/{action}".rstrip("/"), route
    for (method, action), route in _NEW_PLUGINS.items():
        yield method, f"/plugins/{action}", route


def match(method: str, path: str) -> tuple[Route, str] | None:
    """Return the route of a path without its version, and the object's name in it; None if it is not forwarded.

    Names may hold slashes (`node/name`, `registry/name`), so an action is what stands last.
    """
    if path.startswith("/containers/"):
        if method == "DELETE" and "/checkpoints/" in path:
            name, _, checkpoint = path[12:].rpartition("/checkpoints/")
            return replace(_CHECKPOINT, action=f"checkpoints/{quote(checkpoint)}"), name
        return _match(_CONTAINERS, method, path[12:])
    if path.startswith("/exec/"):
        return _match(_EXECS, method, path[6:])
    if path == "/commit" and method == "POST":
        return _COMMIT, ""
    if path == "/images/get" and method == "GET":
        return _SAVE, ""
    if route := _ANYONE.get((method, path)) or _BUILDS.get((method, path)):
        return route, ""
    kind, _, rest = path[1:].partition("/")
    if kind in _KINDS_OF_SWARM:
        if found := _OF_SWARM.get((method, path)):
            return found, ""
        name, _, action = rest.partition("/")
        found = _OF_SWARM.get((method, f"/{kind}/*/{action}" if action else f"/{kind}/*")) if name else None
        return (found, name) if found is not None else None
    if path.startswith("/distribution/"):
        return _match(_DISTRIBUTION, method, path[14:])
    if path.startswith("/images/"):
        return _match(_IMAGES, method, path[8:])
    if path.startswith("/plugins/"):
        new = _NEW_PLUGINS.get((method, path[9:]))
        return (new, "") if new is not None else _match(_PLUGINS, method, path[9:])
    return None


def _match(table: _Table, method: str, rest: str) -> tuple[Route, str] | None:
    name, slash, action = rest.rpartition("/")
    if action == "ws" and name.endswith("/attach"):
        name, action = name[: -len("/attach")], "attach/ws"
    if slash and name and (route := table.get((method, action))):
        return route, name
    if rest and (route := table.get((method, ""))):
        return route, rest
    return None
