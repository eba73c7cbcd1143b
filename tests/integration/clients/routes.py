"""Every route of the Docker API, with one small request for each that does what the route is for.

The requests of a `Ground` are made in the order of the table, so that a row may build on those before it.
"""

import base64
import io
import json
import secrets
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Headers = dict[str, str]
UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
UPGRADE_H2C = {"Connection": "Upgrade", "Upgrade": "h2c"}
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Origin": "http://localhost",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
}
TAR = {"Content-Type": "application/x-tar"}
NOBODY = "127.0.0.1:1"  # a registry that is not there


@dataclass(slots=True)
class Ground:
    """What stands on one engine before its requests are made; every name has the engine's in it."""

    node: str
    address: str = ""  # the engine's
    archive: bytes = b""  # an image, as `docker load` takes it
    made: dict[str, Any] = field(default_factory=dict)  # what was answered

    def kept(self, what: str, *members: str) -> Any:
        """Return a member of what was answered, `None` where that was something else."""
        found: Any = self.made
        for member in (what, *members):
            found = found.get(member) if isinstance(found, dict) else None
        return found

    def name(self, what: str) -> str:
        """Return the name of an object of this engine."""
        return f"{what}-{self.node}"


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    target: str
    body: bytes | None = None
    headers: Headers = field(default_factory=dict)
    keep: str = ""  # put the answer, or the first item of a list, into the ground under this name


@dataclass(frozen=True, slots=True)
class Route:
    """One row. `handling` says who answers; `request` makes the call."""

    method: str
    path: str
    since: str
    handling: str
    request: Callable[[Ground], Call]
    unknown: bool = False  # `page not found` is the right answer


def json_call(target: str, body: Any = None, **headers: str) -> Call:
    """Return a call with a JSON body."""
    return Call(target, json.dumps(body or {}).encode(), {"Content-Type": "application/json", **headers})


def _tar(name: str, content: bytes) -> bytes:
    """Return a tar of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _filters(**filters: str) -> str:
    return json.dumps({key: [value] for key, value in filters.items()}, separators=(",", ":"))


def _labelled(ground: Ground) -> str:
    return _filters(label=f"matrix={ground.node}")


def _build(ground: Ground) -> Call:
    arguments = json.dumps({"constraint:node": f"={ground.node}"}, separators=(",", ":"))
    return Call(f"/build?t={ground.name('built')}&buildargs={arguments}", _tar("Dockerfile", b"FROM busybox\n"), TAR)


def _session(_ground: Ground) -> Call:
    return Call("/session", None, UPGRADE_H2C | {"X-Docker-Expose-Session-Uuid": secrets.token_hex(8)})


OWNER, ALL, STATE, ANY, PLACED = "the object's node", "all nodes", "state", "any node", "scheduler"
SWARM, NAMED = "swarm mode", "the node asked for"


def _container(method: str, action: str, since: str = "1.24", query: str = "", **options: Any) -> Route:
    """Return a row about the running container of the ground."""
    headers, body = options.get("headers", {}), options.get("body")

    def request(ground: Ground) -> Call:
        return Call(f"/containers/{ground.name(options.get('on', 'run'))}{action}{query}", body, headers)

    return Route(method, f"/containers/{{id}}{action}", since, options.get("handling", OWNER), request)


def _swarm(kind: str, id_: str = "{id}", *, created: bool = True, updated: bool = True, logs: str = "") -> list[Route]:
    """Return the rows about one kind of object of swarm mode."""
    since = {"nodes": "1.24", "services": "1.24", "tasks": "1.24", "secrets": "1.25", "configs": "1.30"}[kind]
    rows = [("GET", f"/{kind}", since), ("GET", f"/{kind}/{id_}", since)]
    rows += [("POST", f"/{kind}/create", since)] if created else []
    rows += [("DELETE", f"/{kind}/{id_}", since)] if updated else []
    rows += [("POST", f"/{kind}/{id_}/update", since)] if updated else []
    rows += [("GET", f"/{kind}/{id_}/logs", logs)] if logs else []
    return [_swarm_row(*row) for row in rows]


def _swarm_row(method: str, path: str, since: str) -> Route:
    target = path.replace("{id}", "x") + ("?version=1" if path.endswith("/update") else "")
    return Route(method, path, since, SWARM, lambda _: json_call(target) if method == "POST" else Call(target))


def _plain(method: str, path: str, since: str, handling: str, target: str = "", **options: Any) -> Route:
    """Return a row whose call is the same for all engines, but for `{node}` in its target."""

    def request(ground: Ground) -> Call:
        filled = (target or path).replace("{node}", ground.node)
        if "json" in options:
            return json_call(filled, options["json"])
        return Call(filled, options.get("body"), options.get("headers", {}))

    return Route(method, path, since, handling, request, options.get("unknown", False))


SYSTEM = [
    _plain("GET", "/_ping", "1.24", STATE),
    _plain("HEAD", "/_ping", "1.40", STATE),
    _plain("OPTIONS", "/{any}", "1.24", STATE, "/containers/json"),
    _plain("GET", "/version", "1.24", STATE),
    _plain("GET", "/info", "1.24", STATE),
    _plain("GET", "/events", "1.24", STATE, "/events?since=1&until=2"),
    _plain("POST", "/auth", "1.24", ANY, json={"username": "u", "password": "p", "serveraddress": NOBODY}),
    _plain("GET", "/system/df", "1.25", ALL),
    _plain("GET", "/distribution/{name}/json", "1.30", ANY, f"/distribution/{NOBODY}/a/json"),
]

CONTAINERS = [
    Route(
        "POST",
        "/containers/create",
        "1.24",
        PLACED,
        lambda g: json_call(
            f"/containers/create?name={g.name('new')}",
            {"Image": "busybox", "Env": [f"constraint:node=={g.node}"], "Labels": {"matrix": g.node}},
        ),
    ),
    _plain("GET", "/containers/json", "1.24", STATE, "/containers/json?all=1"),
    _container("GET", "/json"),
    _container("POST", "/start"),
    _container("GET", "/top"),
    _container("GET", "/logs", query="?stdout=1"),
    _container("GET", "/stats", query="?stream=0&one-shot=1"),
    _container("GET", "/changes"),
    _container("GET", "/export", on="idle"),
    _container("HEAD", "/archive", query="?path=/etc"),
    _container("GET", "/archive", query="?path=/etc/passwd"),
    _container("PUT", "/archive", query="?path=/tmp", body=_tar("file", b"content"), headers=TAR),
    _container("POST", "/attach", query="?stream=1&stdout=1", headers=UPGRADE),
    _container("GET", "/attach/ws", query="?stream=1&stdout=1", headers=WEBSOCKET),
    _container("POST", "/resize", query="?h=30&w=100"),
    Route(
        "POST",
        "/containers/{id}/exec",
        "1.24",
        OWNER,
        lambda g: Call(
            f"/containers/{g.name('run')}/exec",
            json.dumps({"Cmd": ["sleep", "1d"], "Tty": True}).encode(),
            {"Content-Type": "application/json"},
            keep="exec",
        ),
    ),
    Route("GET", "/exec/{id}/json", "1.24", OWNER, lambda g: Call(f"/exec/{g.kept('exec', 'Id')}/json")),
    Route(
        "POST",
        "/exec/{id}/start",
        "1.24",
        OWNER,
        lambda g: json_call(f"/exec/{g.kept('exec', 'Id')}/start", {"Detach": True, "Tty": True}),
    ),
    Route(
        "POST", "/exec/{id}/resize", "1.24", OWNER, lambda g: Call(f"/exec/{g.kept('exec', 'Id')}/resize?h=30&w=100")
    ),
    Route(
        "POST",
        "/containers/{id}/update",
        "1.24",
        OWNER,
        lambda g: json_call(f"/containers/{g.name('run')}/update", {"CpuShares": 512}),
    ),
    Route(
        "POST",
        "/containers/{id}/rename",
        "1.24",
        OWNER,
        lambda g: Call(f"/containers/{g.name('idle')}/rename?name={g.name('other')}"),
    ),
    Route(
        "POST",
        "/commit",
        "1.24",
        OWNER,
        lambda g: json_call(f"/commit?container={g.name('run')}&repo={g.name('committed')}&pause=0"),
    ),
    _container("POST", "/pause"),
    _container("POST", "/unpause"),
    _container("POST", "/restart", query="?t=1"),
    _container("POST", "/kill"),
    _container("POST", "/wait"),
    _container("POST", "/stop"),
    Route("DELETE", "/containers/{id}", "1.24", OWNER, lambda g: Call(f"/containers/{g.name('run')}")),
    Route("POST", "/containers/prune", "1.25", ALL, lambda g: Call(f"/containers/prune?filters={_labelled(g)}")),
    _container("GET", "/checkpoints", "exp.", on="base"),
    _container(
        "POST",
        "/checkpoints",
        "exp.",
        on="base",
        body=b'{"CheckpointID":"a"}',
        headers={"Content-Type": "application/json"},
    ),
    _container("DELETE", "/checkpoints/{checkpoint}", "exp.", on="base"),
]

IMAGES = [
    _plain("GET", "/images/json", "1.24", STATE),
    Route("POST", "/images/load", "1.24", ALL, lambda g: Call(f"/images/load?quiet=1&node={g.node}", g.archive, TAR)),
    Route("POST", "/images/create", "1.24", ALL, lambda g: Call(f"/images/create?fromImage={NOBODY}/a&node={g.node}")),
    Route("GET", "/images/{name}/json", "1.24", OWNER, lambda g: Call(f"/images/{g.name('own')}/json")),
    Route("GET", "/images/{name}/history", "1.24", OWNER, lambda g: Call(f"/images/{g.name('own')}/history")),
    Route("GET", "/images/{name}/get", "1.24", OWNER, lambda g: Call(f"/images/{g.name('own')}/get")),
    Route("GET", "/images/get", "1.24", OWNER, lambda g: Call(f"/images/get?names={g.name('own')}")),
    Route("GET", "/images/{name}/attestations", "1.55", OWNER, lambda g: Call(f"/images/{g.name('own')}/attestations")),
    Route(
        "POST",
        "/images/{name}/tag",
        "1.24",
        OWNER,
        lambda g: Call(f"/images/{g.name('own')}/tag?repo={NOBODY}/{g.name('own')}"),
    ),
    Route(
        "POST",
        "/images/{name}/push",
        "1.24",
        OWNER,
        lambda g: Call(f"/images/{NOBODY}/{g.name('own')}/push", None, {"X-Registry-Auth": "e30="}),
    ),
    Route("DELETE", "/images/{name}", "1.24", ALL, lambda g: Call(f"/images/{g.name('own')}")),
    Route("POST", "/images/prune", "1.25", ALL, lambda g: Call(f"/images/prune?filters={_labelled(g)}")),
    _plain("GET", "/images/search", "1.24", ANY, "/images/search?term=busybox"),
    Route("POST", "/build", "1.24", PLACED, _build),
    _plain("POST", "/build/cancel", "1.31", OWNER, "/build/cancel?id=none"),
    _plain("POST", "/build/prune", "1.31", ALL),
    Route("POST", "/session", "1.31", PLACED, _session),
    _plain("POST", "/grpc", "1.39", PLACED, headers=UPGRADE_H2C),
]

NETWORKS = [
    _plain("GET", "/networks", "1.24", STATE),
    Route(
        "POST",
        "/networks/create",
        "1.24",
        PLACED,
        lambda g: json_call(
            "/networks/create",
            {"Name": f"{g.node}/{g.name('fresh')}", "Driver": "bridge", "Labels": {"matrix": g.node}},
        ),
    ),
    Route("GET", "/networks/{id}", "1.24", OWNER, lambda g: Call(f"/networks/{g.node}/{g.name('net')}")),
    Route(
        "POST",
        "/networks/{id}/connect",
        "1.24",
        OWNER,
        lambda g: json_call(f"/networks/{g.node}/{g.name('net')}/connect", {"Container": g.name("base")}),
    ),
    Route(
        "POST",
        "/networks/{id}/disconnect",
        "1.24",
        OWNER,
        lambda g: json_call(f"/networks/{g.node}/{g.name('net')}/disconnect", {"Container": g.name("base")}),
    ),
    Route("DELETE", "/networks/{id}", "1.24", OWNER, lambda g: Call(f"/networks/{g.node}/{g.name('net')}")),
    Route("POST", "/networks/prune", "1.25", ALL, lambda g: Call(f"/networks/prune?filters={_labelled(g)}")),
]

VOLUMES = [
    _plain("GET", "/volumes", "1.24", STATE),
    Route(
        "POST",
        "/volumes/create",
        "1.24",
        ALL,
        lambda g: json_call(
            "/volumes/create", {"Name": f"{g.node}/{g.name('fresh')}", "Driver": "local", "Labels": {"matrix": g.node}}
        ),
    ),
    Route("GET", "/volumes/{name}", "1.24", OWNER, lambda g: Call(f"/volumes/{g.node}/{g.name('vol')}")),
    Route(
        "PUT",
        "/volumes/{name}",
        "1.42",
        SWARM,
        lambda g: json_call(f"/volumes/{g.name('vol')}?version=1", {"Spec": {}}),
    ),
    Route("DELETE", "/volumes/{name}", "1.24", OWNER, lambda g: Call(f"/volumes/{g.node}/{g.name('vol')}")),
    Route("POST", "/volumes/prune", "1.25", ALL, lambda g: Call(f"/volumes/prune?filters={_labelled(g)}")),
]

PLUGINS = [
    _plain("GET", "/plugins", "1.24", ALL),
    _plain("GET", "/plugins/privileges", "1.25", NAMED, f"/plugins/privileges?remote={NOBODY}/a&node={{node}}"),
    _plain("POST", "/plugins/pull", "1.25", NAMED, f"/plugins/pull?remote={NOBODY}/a&node={{node}}", json=[]),
    _plain("POST", "/plugins/create", "1.25", NAMED, "/plugins/create?name=a&node={node}", body=b"", headers=TAR),
    _plain("GET", "/plugins/{name}/json", "1.25", NAMED, "/plugins/a/json?node={node}"),
    _plain("POST", "/plugins/{name}/enable", "1.25", NAMED, "/plugins/a/enable?timeout=1&node={node}"),
    _plain("POST", "/plugins/{name}/disable", "1.25", NAMED, "/plugins/a/disable?node={node}"),
    _plain("POST", "/plugins/{name}/set", "1.25", NAMED, "/plugins/a/set?node={node}", json=["A=1"]),
    _plain("POST", "/plugins/{name}/push", "1.25", NAMED, "/plugins/a/push?node={node}"),
    _plain("POST", "/plugins/{name}/upgrade", "1.26", NAMED, f"/plugins/a/upgrade?remote={NOBODY}/a&node={{node}}"),
    _plain("DELETE", "/plugins/{name}", "1.25", NAMED, "/plugins/a?node={node}"),
]

SWARM_MODE = [
    _plain("GET", "/swarm", "1.24", SWARM),
    _plain("POST", "/swarm/init", "1.24", SWARM, json={"ListenAddr": "0.0.0.0:2377"}),
    _plain("POST", "/swarm/join", "1.24", SWARM, json={"ListenAddr": "0.0.0.0:2377", "RemoteAddrs": [NOBODY]}),
    _plain("POST", "/swarm/leave", "1.24", SWARM),
    _plain("POST", "/swarm/update", "1.24", SWARM, "/swarm/update?version=1", json={}),
    _plain("GET", "/swarm/unlockkey", "1.25", SWARM),
    _plain("POST", "/swarm/unlock", "1.25", SWARM, json={"UnlockKey": "x"}),
    *_swarm("nodes", created=False),
    *_swarm("services", logs="1.25"),
    *_swarm("tasks", created=False, updated=False, logs="1.29"),
    *_swarm("secrets"),
    *_swarm("configs"),
]

GONE = [
    _plain("GET", "/debug/pprof/", "-", "never", unknown=True),
    _plain("GET", "/containers/ps", "-", STATE),
    _plain("POST", "/containers/{id}/copy", "-", "gone with 1.24", "/containers/x/copy", json={}, unknown=True),
    _plain("GET", "/images/viz", "-", "gone with 1.6", unknown=True),
    _plain("POST", "/images/{name}/insert", "-", "gone with 1.12", "/images/x/insert", unknown=True),
]

SECTIONS: dict[str, list[Route]] = {
    "System": SYSTEM,
    "Containers": CONTAINERS,
    "Images and builds": IMAGES,
    "Networks": NETWORKS,
    "Volumes": VOLUMES,
    "Plugins": PLUGINS,
    "Swarm mode": SWARM_MODE,
    "Others": GONE,
}
