"""The kind of each request, found by the same tables that decide who answers it.

A policy that took paths apart in a way of its own could be talked round it. So here is no parsing: what `match` and the
routes of our own find is what is decided on, and what has no kind is refused.
"""

import re
from collections.abc import Iterator

from starlette.routing import Route as OurRoute

from swarmproxy.api import app as api
from swarmproxy.api.forwarded import Owner, Route, match, rows
from swarmproxy.api.operators import app as operators
from swarmproxy.api.operators import explain, nodes, rebalance
from swarmproxy.model.apiversion import OLDEST

_KINDS = dict(
    line.split(" = ")
    for line in """\
GET /version = version
GET /info = info
GET /events = events
GET /system/df = system/df
POST /auth = auth
POST /commit = commit
POST /build = build
POST /build/cancel = build/cancel
POST /build/prune = build/prune
POST /session = session
POST /grpc = grpc
GET /distribution/{name}/json = distribution/inspect
GET /containers/json = containers/list
GET /containers/ps = containers/list
POST /containers/create = containers/create
POST /containers/prune = containers/prune
GET /containers/{name}/json = containers/inspect
GET /containers/{name}/top = containers/top
GET /containers/{name}/logs = containers/logs
GET /containers/{name}/stats = containers/stats
GET /containers/{name}/changes = containers/changes
GET /containers/{name}/export = containers/export
GET /containers/{name}/archive = containers/archive
HEAD /containers/{name}/archive = containers/archive
PUT /containers/{name}/archive = containers/put-archive
GET /containers/{name}/checkpoints = containers/checkpoints
POST /containers/{name}/checkpoints = containers/checkpoint
DELETE /containers/{name}/checkpoints/{checkpoint} = containers/checkpoint
POST /containers/{name}/attach = containers/attach
GET /containers/{name}/attach/ws = containers/attach
POST /containers/{name}/exec = containers/exec
POST /containers/{name}/resize = containers/resize
POST /containers/{name}/wait = containers/wait
POST /containers/{name}/kill = containers/kill
POST /containers/{name}/pause = containers/pause
POST /containers/{name}/unpause = containers/unpause
POST /containers/{name}/update = containers/update
POST /containers/{name}/rename = containers/rename
POST /containers/{name}/start = containers/start
POST /containers/{name}/stop = containers/stop
POST /containers/{name}/restart = containers/restart
DELETE /containers/{name} = containers/remove
GET /exec/{name}/json = exec/inspect
POST /exec/{name}/start = exec/start
POST /exec/{name}/resize = exec/resize
GET /images/json = images/list
GET /images/get = images/save
GET /images/search = images/search
POST /images/create = images/pull
POST /images/load = images/load
POST /images/prune = images/prune
GET /images/{name}/json = images/inspect
GET /images/{name}/history = images/history
GET /images/{name}/get = images/save
GET /images/{name}/attestations = images/attestations
POST /images/{name}/push = images/push
POST /images/{name}/tag = images/tag
DELETE /images/{name} = images/remove
GET /networks = networks/list
GET /networks/ = networks/list
POST /networks/create = networks/create
POST /networks/prune = networks/prune
GET /networks/{name} = networks/inspect
POST /networks/{name}/connect = networks/connect
POST /networks/{name}/disconnect = networks/disconnect
DELETE /networks/{name} = networks/remove
GET /volumes = volumes/list
GET /volumes/ = volumes/list
POST /volumes/create = volumes/create
POST /volumes/prune = volumes/prune
GET /volumes/{name} = volumes/inspect
PUT /volumes/{name} = volumes/update
DELETE /volumes/{name} = volumes/remove
GET /plugins = plugins/list
GET /plugins/privileges = plugins/privileges
POST /plugins/pull = plugins/pull
POST /plugins/create = plugins/create
GET /plugins/{name}/json = plugins/inspect
POST /plugins/{name}/enable = plugins/enable
POST /plugins/{name}/disable = plugins/disable
POST /plugins/{name}/set = plugins/set
POST /plugins/{name}/push = plugins/push
POST /plugins/{name}/upgrade = plugins/upgrade
DELETE /plugins/{name} = plugins/remove
GET /swarm = swarm/inspect
GET /swarm/unlockkey = swarm/unlockkey
POST /swarm/init = swarm/init
POST /swarm/join = swarm/join
POST /swarm/leave = swarm/leave
POST /swarm/update = swarm/update
POST /swarm/unlock = swarm/unlock
GET /nodes = nodes/list
GET /nodes/{name} = nodes/inspect
DELETE /nodes/{name} = nodes/remove
POST /nodes/{name}/update = nodes/update
GET /services = services/list
POST /services/create = services/create
GET /services/{name} = services/inspect
DELETE /services/{name} = services/remove
POST /services/{name}/update = services/update
GET /services/{name}/logs = services/logs
GET /tasks = tasks/list
GET /tasks/{name} = tasks/inspect
GET /tasks/{name}/logs = tasks/logs
GET /secrets = secrets/list
POST /secrets/create = secrets/create
GET /secrets/{name} = secrets/inspect
DELETE /secrets/{name} = secrets/remove
POST /secrets/{name}/update = secrets/update
GET /configs = configs/list
POST /configs/create = configs/create
GET /configs/{name} = configs/inspect
DELETE /configs/{name} = configs/remove
POST /configs/{name}/update = configs/update
GET /swarmproxy/v1/nodes = swarmproxy/nodes/list
GET /swarmproxy/v1/nodes/{node} = swarmproxy/nodes/inspect
POST /swarmproxy/v1/nodes/{node}/drain = swarmproxy/nodes/drain
POST /swarmproxy/v1/nodes/{node}/pause = swarmproxy/nodes/pause
POST /swarmproxy/v1/nodes/{node}/activate = swarmproxy/nodes/activate
POST /swarmproxy/v1/nodes/{node}/labels = swarmproxy/nodes/label
GET /swarmproxy/v1/rebalance = swarmproxy/rebalance/plan
POST /swarmproxy/v1/rebalance = swarmproxy/rebalance
POST /swarmproxy/v1/containers/create = swarmproxy/explain
GET /swarmproxy/v1/openapi.json = swarmproxy/api
HEAD /swarmproxy/v1/openapi.json = swarmproxy/api
""".splitlines()
)
_CHECKPOINT = "DELETE /containers/{name}/checkpoints/{checkpoint}"
_ODD = re.compile(r"[\x00-\x20\x7f%\\]|//|/\.\.?(?:/|\Z)")
_OPENAPI = f"{operators.PREFIX}/openapi.json"

Template = tuple[str, str]  # method, path


def our_routes() -> Iterator[tuple[Template, OurRoute, str]]:
    """Yield what our own application answers: template, the framework's route, and what stands before its path."""
    routers = [*((module.router, "") for module in api.ROUTES)]
    routers += [(module.router, operators.PREFIX) for module in (nodes, rebalance, explain)]
    for router, prefix in routers:
        for route in router.routes:
            if isinstance(route, OurRoute):
                for method in sorted(route.methods or ()):
                    yield (method, f"{prefix}{route.path.replace(':path', '')}"), route, prefix


def templates() -> Iterator[Template]:
    """Yield all that is answered, but `/_ping` and OPTIONS."""
    yield from ((method, path) for method, path, _ in rows())
    yield "DELETE", "/containers/{name}/checkpoints/{checkpoint}"
    yield from (template for template, _, _ in our_routes())
    yield from (("GET", _OPENAPI), ("HEAD", _OPENAPI))


def kind_of_template(template: Template) -> str | None:
    """Return the kind of what a template answers; None if it has none, and then nobody may ask for it."""
    return _KINDS.get(" ".join(template))


_FORWARDED: dict[Route, tuple[str | None, bool]] = {
    route: (kind_of_template((method, path)), "{name}" in path) for method, path, route in rows()
}
_OURS = [(method, route, prefix, kind_of_template((method, path))) for (method, path), route, prefix in our_routes()]


def kind_of(method: str, path: str) -> tuple[str | None, str]:
    """Return the kind of a request for `path`, which is decoded and has no version, and the object's name in it.

    None is what is not known, or could be taken for something else by an engine: a path with empty parts, `..`, or
    what is still encoded after it was decoded.
    """
    if path == "/_ping" and method in ("GET", "HEAD"):
        return "ping", ""
    if method == "OPTIONS":
        return "options", ""
    if _ODD.search(path) is not None:
        return None, ""
    found = match(method, path)
    if found is None:
        return _kind_of_ours(method, path)
    route, name = found
    if route.owner is Owner.CONTAINER and route.action.startswith("checkpoints/"):
        return _KINDS[_CHECKPOINT], name
    kind, has_name = _FORWARDED.get(route, (None, False))
    name = name if has_name else ""
    may_be_ours = route.owner in (Owner.MANAGER, Owner.SAVED) or route.subject is not None
    if (may_be_ours or route.as_it_is_from > OLDEST) and _kind_of_ours(method, path) not in ((kind, name), (None, "")):
        return None, ""
    return kind, name


def _kind_of_ours(method: str, path: str) -> tuple[str | None, str]:
    for its_method, route, prefix, kind in _OURS:
        if its_method == method and path.startswith(prefix):
            found = route.path_regex.match(path[len(prefix) :])
            if found is not None:
                return kind, found.groupdict().get("name", "")
    return ("swarmproxy/api", "") if path == _OPENAPI and method in ("GET", "HEAD") else (None, "")
