"""Every route has a kind, every role allows what it should of all, and no way of writing a path leads round."""

import re
from pathlib import Path

import pytest
from starlette.routing import Match

from swarmproxy.api import app as api
from swarmproxy.api.asked_kinds import certain_kind_of, kind_of, templates
from swarmproxy.api.forwarded import match, rows
from swarmproxy.api.kinds import KIND_OF
from swarmproxy.policy.decision import Refused, permit
from swarmproxy.policy.document import parse
from swarmproxy.policy.kinds import GROUPS, KINDS, OPEN
from swarmproxy.policy.role import ADMIN, READ_ONLY, Role

ALL = sorted(each for each in set(templates()) if each[1] != "/_ping")
BY_QUERY = frozenset(("images/import",))  # told from a pull by its parameters
PULL = b"fromImage=busybox"
ROUTES = Path(__file__).parents[2] / "docs" / "routes.md"
ROW = re.compile(r"^\| (?P<method>[A-Z]+) \| `(?P<path>[^`]+)` \|", re.MULTILINE)
GONE = [  # classic's and the daemon's of old: not found
    ("GET", "/debug/pprof/"),
    ("POST", "/containers/web/copy"),
    ("GET", "/images/viz"),
    ("POST", "/images/web/insert"),
]
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


def of_template(template: tuple[str, str]) -> str:
    return KIND_OF[" ".join(template)]


def target(path: str, name: str) -> str:
    return path.replace("{name}", name).replace("{node}", name).replace("{checkpoint}", "c1")


def test_every_route_has_a_kind() -> None:
    """A route that nobody has given a kind would be refused to all but the admin, and a kind without one is nothing."""
    assert set(KIND_OF) == {f"{method} {path}" for method, path in templates()}
    assert set(KIND_OF.values()) == (KINDS - BY_QUERY) | (OPEN - {"options"})
    assert all(route.kind == of_template((method, path)) for method, path, route in rows())


@pytest.mark.parametrize(("method", "path"), [each for each in ALL if "{" not in each[1]])
def test_fixed_paths(method: str, path: str) -> None:
    """A path that is a route's as it stands is not forwarded as a name in another one."""
    found = match(method, path)
    assert found is None or (found[0].kind, found[1]) == (of_template((method, path)), "")


def of_docker() -> list[tuple[str, str]]:
    """Return every route of Docker's API, names in it filled in."""
    rows = ROW.findall(ROUTES.read_text(encoding="utf-8"))
    return sorted({(method, re.sub(r"\{[a-z.]+\}", "web", path)) for method, path in rows})


@pytest.mark.parametrize(("method", "path"), of_docker())
def test_every_route_of_docker(method: str, path: str) -> None:
    """What the table of routes lists has a kind, and the name in it is found."""
    kind, name = kind_of(method, path, PULL)
    assert (kind is None) == ((method, path) in GONE)
    if kind is not None:
        assert name == ("web" if "/web" in path and method != "OPTIONS" else "")


def test_kinds_differ() -> None:
    """Two routes are of one kind only where they do the same."""
    by_kind: dict[str | None, list[str]] = {}
    for method, path in set(of_docker()) - set(GONE):
        by_kind.setdefault(kind_of(method, path, PULL)[0], []).append(f"{method} {path}")
    assert {kind: sorted(routes) for kind, routes in by_kind.items() if len(routes) > 1} == {
        "ping": ["GET /_ping", "HEAD /_ping"],
        "containers/list": ["GET /containers/json", "GET /containers/ps"],
        "containers/archive": [f"{method} /containers/web/archive" for method in ("GET", "HEAD")],
        "containers/attach": ["GET /containers/web/attach/ws", "POST /containers/web/attach"],
        "containers/checkpoint": [
            "DELETE /containers/web/checkpoints/web",
            "POST /containers/web/checkpoints",
        ],
        "images/save": ["GET /images/get", "GET /images/web/get"],
    }


@pytest.mark.parametrize("name", ROLES)
def test_matrix(name: str) -> None:
    """Each role on each route: the kind decides, and read-only may what is listed above and nothing else."""
    kinds = {each: certain_kind_of(each[0], target(each[1], "w"), PULL)[0] for each in ALL}
    allowed = {f"{method} {path}" for (method, path), kind in kinds.items() if allows(ROLES[name], kind)}
    expected = {f"{method} {path}" for method, path in ALL if of_template((method, path)) in ROLES[name].kinds}
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
        kind, found = certain_kind_of(method, asked, PULL)
        if "{" not in path or path.startswith("/swarmproxy") or "{checkpoint}" in path:
            continue
        if (forwarded := match(method, asked)) is not None:
            assert kind == of_template((method, of_route[forwarded[0]]))
            assert found == (forwarded[1] if "{" in of_route[forwarded[0]] else "")
        elif (ours := routed(method, asked)) is not None:
            assert kind == of_template((method, ours))
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
        assert certain_kind_of(method, plain, PULL)[0] == of_template((method, found))


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
    """A path that is not exactly a known one has no kind for certain, so nobody but the admin gets past."""
    assert certain_kind_of("GET", path) == (None, "")
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
    assert certain_kind_of(method, path)[0] is None


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
    assert certain_kind_of(method, path) == (kind, name)


@pytest.mark.parametrize(
    ("query", "kind", "certain"),
    [
        (b"fromImage=busybox&tag=1", "images/pull", "images/pull"),
        (b"fromSrc=-&repo=app", "images/import", "images/import"),
        (b"fromImage=&fromSrc=-", "images/import", "images/import"),
        (b"from%49mage=busybox", "images/pull", "images/pull"),
        (b"fromimage=busybox&fromSrc=-", "images/import", "images/import"),
        (b"fromImage=&fromImage=busybox&fromSrc=-", "images/pull", None),
        (b"", "images/import", "images/import"),
    ],
)
def test_imports(query: bytes, kind: str, certain: str | None) -> None:
    """An import is told from a pull by the query; what two readers take for two things is neither."""
    assert kind_of("POST", "/images/create", query)[0] == kind
    assert certain_kind_of("POST", "/images/create", query)[0] == certain


@pytest.mark.parametrize(
    ("method", "path", "kind", "name"),
    [
        ("GET", "/networks/my net", "networks/inspect", "my net"),
        ("GET", "/containers/json/json", "containers/inspect", "json"),
        ("POST", "/swarmproxy/v1/nodes/node-1/drain", "swarmproxy/nodes/drain", "node-1"),
        ("GET", "/", None, ""),
        ("GET", "/x" * 1000, None, ""),
        ("PATCH", "/containers/web/start", None, ""),
        ("GET", "/containers//json", "containers/inspect", ""),
        ("GET", "/swarmproxy/v1/else", None, ""),
    ],
)
def test_as_it_is_counted(method: str, path: str, kind: str | None, name: str) -> None:
    """For those that only keep account, what answers decides, however odd the path."""
    assert kind_of(method, path) == (kind, name)
