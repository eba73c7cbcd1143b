"""Each request has a kind of which there are few, whatever is in its path."""

import re
from pathlib import Path

import pytest

from swarmproxy.api.forwarded import match
from swarmproxy.api.kinds import OTHER, kind_of, kinds

ROUTES = Path(__file__).parents[2] / "docs" / "routes.md"
ROW = re.compile(r"^\| (?P<method>[A-Z]+) \| `(?P<path>[^`]+)` \|", re.MULTILINE)

GONE = [  # classic's and the daemon's of old: not found
    ("GET", "/debug/pprof/"),
    ("POST", "/containers/node-1/web/copy"),
    ("GET", "/images/viz"),
    ("POST", "/images/node-1/web/insert"),
]


def all_routes() -> list[tuple[str, str]]:
    """Return every route of Docker's API, names in it filled in."""
    rows = ROW.findall(ROUTES.read_text(encoding="utf-8"))
    return [(method, re.sub(r"\{[a-z]+\}", "node-1/web", path)) for method, path in rows]


@pytest.mark.parametrize(("method", "path"), all_routes())
def test_every_route(method: str, path: str) -> None:
    """What the table of routes lists has a kind of its own, and a forwarded one says the same of itself."""
    kind, name = kind_of(method, path)
    assert kind in kinds()
    if kind == OTHER:
        assert (method, path) in GONE
        return
    assert name == ("node-1/web" if "node-1/web" in path and method != "OPTIONS" else "")
    found = match(method, path)
    if found is not None:
        assert (found[0].kind, found[1]) == (kind, name)


def test_kinds_differ() -> None:
    """Two routes are of one kind only where they do the same."""
    by_kind: dict[str, list[str]] = {}
    for method, path in set(all_routes()) - set(GONE):
        by_kind.setdefault(kind_of(method, path)[0], []).append(f"{method} {path}")
    assert {kind: sorted(routes) for kind, routes in by_kind.items() if len(routes) > 1} == {
        "ping": ["GET /_ping", "HEAD /_ping"],
        "containers/list": ["GET /containers/json", "GET /containers/ps"],
        "containers/archive": [f"{method} /containers/node-1/web/archive" for method in ("GET", "HEAD", "PUT")],
        "containers/attach": ["GET /containers/node-1/web/attach/ws", "POST /containers/node-1/web/attach"],
        "containers/checkpoints": [
            "DELETE /containers/node-1/web/checkpoints/node-1/web",
            "GET /containers/node-1/web/checkpoints",
            "POST /containers/node-1/web/checkpoints",
        ],
        "images/save": ["GET /images/get", "GET /images/node-1/web/get"],
    }


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/", OTHER),
        ("GET", "/x" * 1000, OTHER),
        ("PATCH", "/containers/web/start", OTHER),
        ("GET", "/containers//json", OTHER),
        ("GET", "/containers/json/json", "containers/inspect"),
        ("GET", "/swarmproxy/v1/nodes", "swarmproxy/nodes/list"),
        ("POST", "/swarmproxy/v1/nodes/node-1/drain", "swarmproxy/nodes/drain"),
        ("GET", "/swarmproxy/v1/nodes/node-1", "swarmproxy/nodes/inspect"),
        ("POST", "/swarmproxy/v1/rebalance", "swarmproxy/rebalance"),
        ("GET", "/swarmproxy/v1/else", OTHER),
    ],
)
def test_odd_paths(method: str, path: str, kind: str) -> None:
    """What we do not know is one kind, and our own API has kinds too."""
    assert kind_of(method, path)[0] == kind
    assert kind in kinds()
