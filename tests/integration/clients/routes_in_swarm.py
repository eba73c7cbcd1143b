"""The routes that a swarm changes, as a story: a swarm of all nodes comes to be, is used, and is taken apart.

Each request is made about the swarm that the engine of the `Ground` leads, and may build on those before it.
"""

from collections.abc import Callable
from typing import Any

from tests.integration.clients.routes import ALL, OWNER, STATE, Call, Ground, Route, json_call

LEADER, FORMS, TASK = "the leader", "swarmproxy", "the task's node"
NETWORK, SERVICE, SECRET, CONFIG, VOLUME, TASK_1 = "mesh", "web", "key", "conf", "cluster", "web.1"
LABELS = {"Labels": {"matrix": "2"}}

Target = Callable[[Ground], str]
Body = Callable[[Ground], Any]


def _row(
    method: str,
    path: str,
    since: str,
    handling: str,
    target: Target | None = None,
    *,
    body: Body | None = None,
    keep: str = "",
    unknown: bool = False,
) -> Route:
    def request(ground: Ground) -> Call:
        filled = path if target is None else target(ground)
        call = json_call(filled, body(ground)) if body is not None else Call(filled)
        return Call(call.target, call.body, call.headers, keep)

    return Route(method, path, since, handling, request, unknown)


def _changed(kind: str) -> Body:
    """Return what makes the specification that was answered another one, by its labels."""
    return lambda ground: {**(ground.kept(kind, "Spec") or {}), **LABELS}


def _versioned(kind: str, path: str) -> Target:
    """Return the path with the object's ID and version as they were answered."""
    return lambda ground: f"{path.format(id=ground.kept(kind, 'ID'))}?version={ground.kept(kind, 'Version', 'Index')}"


def _objects(kind: str, since: str, name: str, made: Body, *, between: tuple[Route, ...] = ()) -> list[Route]:
    """Return the rows about one kind of object: it is made, looked at, changed and removed."""
    one = kind.rstrip("s")

    def named(action: str = "") -> Target:
        return lambda ground: f"/{kind}/{ground.name(name)}{action}"

    return [
        _row("POST", f"/{kind}/create", since, LEADER, body=made),
        _row("GET", f"/{kind}", since, LEADER),
        _row("GET", f"/{kind}/{{id}}", since, LEADER, named(), keep=one),
        _row(
            "POST",
            f"/{kind}/{{id}}/update",
            since,
            LEADER,
            _versioned(one, f"/{kind}/{{id}}/update"),
            body=_changed(one),
        ),
        *between,
        _row("DELETE", f"/{kind}/{{id}}", since, LEADER, named()),
    ]


def _service(ground: Ground) -> Any:
    """Return a service of one task on another node than the leader's."""
    command = ["sh", "-c", "echo here; trap exit TERM; while :; do sleep 0.1; done"]
    return {
        "Name": ground.name(SERVICE),
        "TaskTemplate": {
            "ContainerSpec": {"Image": "busybox", "Command": command},
            "Placement": {"Constraints": ["node.role==worker"]},
        },
    }


def _cluster_volume(ground: Ground) -> Any:
    access = {"Scope": "single", "Sharing": "none", "BlockVolume": {}}
    return {"Name": ground.name(VOLUME), "Driver": "csi", "ClusterVolumeSpec": {"Group": "g", "AccessMode": access}}


def _container(method: str, action: str, since: str = "1.24", query: str = "", body: Body | None = None) -> Route:
    """Return a row about the container of the service's task, by the name that it has here."""

    def target(ground: Ground) -> str:
        return f"/containers/{ground.name(SERVICE)}.1{action}{query}"

    return _row(method, f"/containers/{{service.slot}}{action}", since, TASK, target, body=body)


FORMING = [
    _row(
        "POST",
        "/swarm/init",
        "1.24",
        FORMS,
        body=lambda g: {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": g.address},
    ),
    _row("POST", "/swarm/init", "1.24", FORMS, body=lambda _: {"ListenAddr": "0.0.0.0:2377"}),
    _row("POST", "/swarm/join", "1.24", FORMS, body=lambda _: {"RemoteAddrs": ["10.0.0.1:2377"]}),
    _row("GET", "/_ping", "1.24", STATE),
    _row("GET", "/info", "1.24", STATE),
    _row("GET", "/swarm", "1.24", LEADER, keep="swarm"),
    _row("POST", "/swarm/update", "1.24", LEADER, _versioned("swarm", "/swarm/update"), body=_changed("swarm")),
    _row("GET", "/swarm/unlockkey", "1.25", LEADER),
    _row("POST", "/swarm/unlock", "1.25", ALL, body=lambda _: {"UnlockKey": "x"}),
]

TASKS = (
    _row("GET", "/services/{id}/logs", "1.25", LEADER, lambda g: f"/services/{g.name(SERVICE)}/logs?stdout=1"),
    _row("GET", "/tasks", "1.24", LEADER, keep="task"),
    _row("GET", "/tasks/{id}", "1.24", LEADER, lambda g: f"/tasks/{g.kept('task', 'ID')}"),
    _row("GET", "/tasks/{id}/logs", "1.29", LEADER, lambda g: f"/tasks/{g.kept('task', 'ID')}/logs?stdout=1"),
    _row(
        "GET", "/containers/json", "1.24", STATE, lambda g: f'/containers/json?filters={{"name":["{g.name(SERVICE)}"]}}'
    ),
    _container("GET", "/json"),
    _container("GET", "/logs", query="?stdout=1"),
    _container("GET", "/top"),
    _container("GET", "/stats", query="?stream=0&one-shot=1"),
    _container("GET", "/archive", query="?path=/etc/passwd"),
    _container("POST", "/exec", body=lambda _: {"Cmd": ["true"]}),
    _row("GET", "/events", "1.24", STATE, lambda _: '/events?since=1&until=2&filters={"type":["service"]}'),
)

OBJECTS = [
    *_objects("secrets", "1.25", SECRET, lambda g: {"Name": g.name(SECRET), "Data": "YQ=="}),
    *_objects("configs", "1.30", CONFIG, lambda g: {"Name": g.name(CONFIG), "Data": "YQ=="}),
    *_objects("services", "1.24", SERVICE, _service, between=TASKS),
]

NETWORKS = [
    _row(
        "POST",
        "/networks/create",
        "1.24",
        LEADER,
        body=lambda g: {"Name": g.name(NETWORK), "Driver": "overlay", "Attachable": True},
    ),
    _row("GET", "/networks", "1.24", STATE),
    _row("GET", "/networks/{id}", "1.24", OWNER, lambda g: f"/networks/{g.name(NETWORK)}"),
    *(
        _row(
            "POST",
            f"/networks/{{id}}/{action}",
            "1.24",
            OWNER,
            lambda g, action=action: f"/networks/{g.name(NETWORK)}/{action}",  # type: ignore[misc]
            body=lambda g: {"Container": g.name("base")},
        )
        for action in ("connect", "disconnect")
    ),
    _row("DELETE", "/networks/{id}", "1.24", LEADER, lambda g: f"/networks/{g.name(NETWORK)}"),
]

VOLUMES = [
    _row("POST", "/volumes/create", "1.42", LEADER, lambda _: "/v1.42/volumes/create", body=_cluster_volume),
    _row("GET", "/volumes", "1.24", STATE),
    _row("GET", "/volumes/{name}", "1.42", LEADER, lambda g: f"/v1.42/volumes/{g.name(VOLUME)}", keep="volume"),
    _row(
        "PUT",
        "/volumes/{name}",
        "1.42",
        LEADER,
        lambda g: (
            f"/v1.42/volumes/{g.kept('volume', 'ClusterVolume', 'ID')}"
            f"?version={g.kept('volume', 'ClusterVolume', 'Version', 'Index')}"
        ),
        body=lambda g: {"Spec": {**(g.kept("volume", "ClusterVolume", "Spec") or {}), "Availability": "drain"}},
        unknown=True,  # to 20.10
    ),
    _row("DELETE", "/volumes/{name}", "1.42", LEADER, lambda g: f"/v1.42/volumes/{g.name(VOLUME)}"),
]

NODES = [
    _row("GET", "/nodes", "1.24", LEADER, lambda _: '/nodes?filters={"role":["worker"]}', keep="node"),
    _row("GET", "/nodes/{id}", "1.24", LEADER, lambda g: f"/nodes/{g.kept('node', 'ID')}", keep="node"),
    _row("POST", "/nodes/{id}/update", "1.24", LEADER, _versioned("node", "/nodes/{id}/update"), body=_changed("node")),
    _row("DELETE", "/nodes/{id}", "1.24", LEADER, lambda g: f"/nodes/{g.kept('node', 'ID')}"),
]

PARTING = [
    _row("POST", "/swarm/leave", "1.24", FORMS),
    _row("POST", "/swarm/leave", "1.24", FORMS, lambda _: "/swarm/leave?force=1"),
]

IN_SWARM: list[Route] = [*FORMING, *OBJECTS, *NETWORKS, *VOLUMES, *NODES, *PARTING]
