"""Every route has a kind, every role allows what it should of all routes, and no way of writing a path leads round."""

import pytest
from starlette.routing import Match

from swarmproxy.api import app as api
from swarmproxy.api.asked_kinds import kind_of, kind_of_template, templates
from swarmproxy.api.forwarded import match, rows
from swarmproxy.policy.decision import Refused, permit
from swarmproxy.policy.document import parse
from swarmproxy.policy.kinds import GROUPS, KINDS
from swarmproxy.policy.role import ADMIN, READ_ONLY, Role

ALL = sorted(set(templates()))
BY_QUERY = frozenset(("images/import",))  # told from a pull by its parameters
NAMES = ("web", "node-1/web", "a" * 64, "json", "create", "host:5000/library/web:1", "prune")

# What the ready role for dashboards may ask for, route by route: this list is the promise.
READING = {
    "GET /version",
    "GET /info",
    "GET /events",
    "GET /system/df",
    "GET /containers/json",
    "GET /containers/ps",
    "GET /containers/{name}/json",
    "GET /containers/{name}/top",
    "GET /containers/{name}/logs",
    "GET /containers/{name}/stats",
    "GET /containers/{name}/changes",
    "GET /containers/{name}/checkpoints",
    "POST /containers/{name}/wait",
    "GET /exec/{name}/json",
    "GET /images/json",
    "GET /images/{name}/json",
    "GET /images/{name}/attestations",
    "GET /networks",
    "GET /networks/",
    "GET /networks/{name}",
    "GET /volumes",
    "GET /volumes/",
    "GET /volumes/{name}",
    "GET /plugins",
    "GET /plugins/{name}/json",
    "GET /swarm",
    *(f"GET /{kind}" for kind in ("nodes", "services", "tasks", "secrets", "configs")),
    *(f"GET /{kind}/{{name}}" for kind in ("nodes", "services", "tasks", "secrets", "configs")),
    "GET /services/{name}/logs",
    "GET /tasks/{name}/logs",
    "GET /swarmproxy/v1/nodes",
    "GET /swarmproxy/v1/nodes/{node}",
    "GET /swarmproxy/v1/rebalance",
    "GET /swarmproxy/v1/openapi.json",
    "HEAD /swarmproxy/v1/openapi.json",
}


def role(*allow: str, deny: tuple[str, ...] = ()) -> Role:
    return parse(f"version = 1\n[roles.x]\nallow = {list(allow)}\ndeny = {list(deny)}").roles["x"]


ROLES = {
    "admin": ADMIN,
    "read-only": READ_ONLY,
    "all-kinds": role("*"),
    "nothing": role(),
    **{group: role(group) for group in GROUPS},
    "operator": role("@read", "@run", "@nodes", "@networks", "@volumes", "@swarm"),
    "no-shell": role("*", deny=("@shell", "@files")),
}


def allows(role: Role, kind: str | None) -> bool:
    try:
        permit(role, kind)
    except Refused:
        return False
    return True


def target(path: str, name: str) -> str:
    return path.replace("{name}", name).replace("{node}", name).replace("{checkpoint}", "c1")


@pytest.mark.parametrize(("method", "path"), ALL)
def test_every_route_has_a_kind(method: str, path: str) -> None:
    """A route that nobody has given a kind would be refused to all but the admin: that is for a person to decide."""
    assert kind_of_template((method, path)) in KINDS


def test_every_kind_is_of_a_route() -> None:
    """A kind that no route has could not be asked for."""
    assert {kind_of_template(each) for each in ALL} == KINDS - BY_QUERY


@pytest.mark.parametrize("name", ROLES)
def test_matrix(name: str) -> None:
    """Each role on each route: the kind decides, and read-only may what is listed above and nothing else."""
    allowed = {f"{method} {path}" for method, path in ALL if allows(ROLES[name], kind_of(method, target(path, "w"))[0])}
    expected = {f"{method} {path}" for method, path in ALL if kind_of_template((method, path)) in ROLES[name].kinds}
    assert allowed == expected
    if name == "read-only":
        assert allowed == READING
    if name in ("admin", "all-kinds"):
        assert len(allowed) == len(ALL)


@pytest.mark.parametrize("name", NAMES)
def test_names_do_not_matter(name: str) -> None:
    """Whatever an object is called, the kind is that of the route that answers, and the name is what that finds."""
    of_route = {route: path for _, path, route in rows()}
    for method, path in ALL:
        asked = target(path, name)
        kind, found = kind_of(method, asked)
        if "{" not in path or path.startswith("/swarmproxy") or "{checkpoint}" in path:
            continue
        if (forwarded := match(method, asked)) is not None:
            assert kind == kind_of_template((method, of_route[forwarded[0]]))
            assert found == (forwarded[1] if "{" in of_route[forwarded[0]] else "")
        elif (ours := routed(method, asked)) is not None:
            assert kind == kind_of_template((method, ours))
        else:
            assert kind is None


def routed(method: str, path: str) -> str | None:
    """Return the path of the route that the framework finds."""
    for module in api.ROUTES:
        for route in module.router.routes:
            if route.matches({"type": "http", "method": method, "path": path})[0] is Match.FULL:
                return str(getattr(route, "path", "")).replace(":path", "")
    return None


@pytest.mark.parametrize(("method", "path"), [each for each in ALL if not each[1].startswith("/swarmproxy")])
def test_found_as_answered(method: str, path: str) -> None:
    """Where the application answers, and not an engine, the kind is that of the framework's own match."""
    plain = target(path, "web")
    if (found := routed(method, plain)) is not None and match(method, plain) is None:
        assert kind_of(method, plain)[0] == kind_of_template((method, found))


@pytest.mark.parametrize(
    "path",
    [
        "/containers/x/json/../",
        "/containers/x/json/../../../containers/create",
        "/containers/../containers/x/json",
        "/containers/x/./top",
        "/containers//x/top",
        "//containers/json",
        "/containers/x/top/",
        "/containers/json/",
        "/containers/json/..",
        "/containers/%2e%2e/x/json",
        "/containers/x%2Fjson",
        "/containers/x%252Fjson",
        "/containers/x\x00/json",
        "/containers/x\n/json",
        "/containers/x json",
        "/containers\\x\\json",
        "/v1.24/v1.41/containers/json",
        "/v1.41/containers/x/json",
        "/Containers/json",
        "/containers/x/JSON",
        "/exec/x/../../containers/x/json",
        "/distribution/../containers/x/json",
        "/services/../swarm",
        "/swarmproxy/v1/../v1/nodes",
        "/swarmproxy/v2/nodes",
        "/debug/pprof/",
        "/containers/x/copy",
        "/",
        "",
        "*",
    ],
)
def test_ways_round(path: str) -> None:
    """A path that is not exactly a known one has no kind, so nobody but the admin gets past."""
    assert kind_of("GET", path) == (None, "")
    for each in ROLES.values():
        assert allows(each, None) is each.everything


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/containers/json"),
        ("HEAD", "/containers/x/json"),
        ("HEAD", "/containers/x/export"),
        ("get", "/containers/json"),
        ("PUT", "/containers/create"),
        ("PATCH", "/containers/x"),
        ("TRACE", "/containers/json"),
        ("POST", "/containers/x/json"),
        ("GET", "/containers/x/attach"),
        ("GET", "/session"),
        ("PRI", "*"),
    ],
)
def test_other_methods(method: str, path: str) -> None:
    """A method that a path has not is no other method of it."""
    assert kind_of(method, path)[0] is None


@pytest.mark.parametrize(
    ("method", "path", "kind", "name"),
    [
        ("GET", "/containers/a/b/attach/ws", "containers/attach", "a/b"),
        ("GET", "/containers/ps", "containers/list", ""),
        ("DELETE", "/containers/x/checkpoints/c", "containers/checkpoint", "x"),
        ("DELETE", "/containers/json", "containers/remove", "json"),
        ("GET", "/images/host:5000/a/b:1/get", "images/save", "host:5000/a/b:1"),
        ("GET", "/images/get", "images/save", ""),
        ("PUT", "/volumes/a", "volumes/update", "a"),
        ("POST", "/services/create/update", "services/update", "create"),
        ("GET", "/_ping", "ping", ""),
        ("OPTIONS", "/containers/x/export", "options", ""),
    ],
)
def test_kinds(method: str, path: str, kind: str, name: str) -> None:
    """The name is what the answering route takes for it."""
    assert kind_of(method, path) == (kind, name)
