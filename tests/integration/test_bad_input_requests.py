"""Requests that are good HTTP and bad Docker are refused in Docker's form, with the status of a daemon."""

import json
from urllib.parse import quote

import pytest

from tests.hosts.manager import Manager
from tests.integration.faults import create, run
from tests.integration.rawhttp import ask

BAD_BODIES = {
    "nothing": b"",
    "blank": b" \r\n ",
    "cut": b'{"Image": "busybox"',
    "no JSON": b"Image=busybox",
    "trailing": b'{"Image": "busybox"} x',
    "not UTF-8": b'{"Image": "\xff\xfe"}',
    "a list": b"[]",
    "null": b"null",
    "a number": b"17",
    "deep": b"[" * 100_000,
    "deep and closed": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "image": b'{"Image": 5}',
    "labels": b'{"Image": "busybox", "Labels": ["a"]}',
    "environment": b'{"Image": "busybox", "Env": "A=1"}',
    "host": b'{"Image": "busybox", "HostConfig": "none"}',
    "memory": b'{"Image": "busybox", "HostConfig": {"Memory": "64m"}}',
    "negative memory": b'{"Image": "busybox", "HostConfig": {"Memory": -1}}',
    "huge memory": b'{"Image": "busybox", "HostConfig": {"Memory": 1e400}}',
    "ports": b'{"Image": "busybox", "HostConfig": {"PortBindings": {"80/tcp": "80"}}}',
    "constraint": b'{"Image": "busybox", "Env": ["constraint:a=b"]}',
    "reschedule": b'{"Image": "busybox", "Env": ["reschedule:sometimes"]}',
}


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_create(front: Manager, kind: str) -> None:
    """A create whose body is not what the API says is refused with 400, and nothing is made."""
    answer = ask(front, "POST", "/containers/create?name=bad", BAD_BODIES[kind])
    assert answer.status == 400, answer
    assert answer.message
    assert front.get_json("/containers/json?all=1") == []


BAD_QUERIES = [
    *(
        f"{path}?filters={quote(text)}"
        for path in ("/containers/json", "/images/json", "/events")
        for text in ("{", "[]", "5", '{"label": 5}', '{"label": {"a": 5}}', '"label"', "\x00")
    ),
    *(f"{path}?filters={quote(json.dumps({'colour': ['red']}))}" for path in ("/containers/json", "/images/json")),
    f"/containers/json?filters={quote(json.dumps({'status': ['asleep']}))}",
    f"/containers/json?filters={quote(json.dumps({'exited': ['soon']}))}",
    f"/images/json?filters={quote(json.dumps({'dangling': ['perhaps']}))}",
    "/containers/json?limit=few",
    "/events?since=yesterday",
    "/events?until=99999999999999999999999999999999999999",
    "/events?since=20&until=10",
]


@pytest.mark.parametrize("target", BAD_QUERIES)
def test_query(front: Manager, target: str) -> None:
    """A parameter that cannot be understood is refused with 400 by lists and events."""
    answer = ask(front, "GET", target)
    assert answer.status == 400, answer
    assert answer.message


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "//"),
        ("GET", "/containers"),
        ("GET", "/containers/"),
        ("POST", "/info"),
        ("DELETE", "/version"),
        ("PATCH", "/containers/json"),
        ("POST", "/containers/some/nothing"),
        ("PUT", "/containers/create"),
        ("GET", "/v1.41"),
        ("GET", "/v1.41/"),
        ("GET", "/v1/info"),
        ("GET", "/vX.Y/info"),
        ("GET", "/v1.41.1/info"),
        ("GET", "/v1.41/v1.41/info"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("FOO", "/info"),
        ("GET", "/info/"),
        ("GET", "/_ping/more"),
        ("POST", "/exec"),
        ("GET", "/exec/some"),
    ],
)
def test_unknown_page(front: Manager, method: str, target: str) -> None:
    """A route or a method that is not known is answered as a daemon does: 404, page not found."""
    answer = ask(front, method, target)
    assert (answer.status, answer.message) == (404, "page not found")


@pytest.mark.parametrize("target", ["/nothing", "/v1.99/_ping", "/containers/some/json"])
def test_head(front: Manager, target: str) -> None:
    """A HEAD is refused without a body."""
    answer = ask(front, "HEAD", target)
    assert answer.status in (400, 404)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("%00", "\x00"),
        ("a%2Fb", "a/b"),
        ("a/b", "a/b"),
        ("%2e%2e", ".."),
        ("..", ".."),
        ("../../etc", "../../etc"),
        ("%C3%A9", "é"),
        ("%zz", "%zz"),
        ("%", "%"),
        ("x" * 100_000, "x" * 100_000),
        ("json", "json"),
        ("%3Fall=1", "?all=1"),
        ("%23", "#"),
    ],
)
@pytest.mark.parametrize(("method", "action"), [("GET", "/json"), ("GET", "/top"), ("POST", "/start"), ("DELETE", "")])
def test_strange_names(front: Manager, method: str, action: str, name: str, shown: str) -> None:
    """A name that nothing has is not found, whatever is in it, and does no harm on the way."""
    answer = ask(front, method, f"/containers/{name}{action}")
    assert (answer.status, answer.message) == (404, f"No such container: {shown}")


@pytest.mark.parametrize(
    "target", ["/containers/a%0d%0aX-Evil:%201/json", "/a%0d%0aX-Evil:%201", "/v1.99%0d%0aX-Evil:%201/info"]
)
def test_line_ends(front: Manager, target: str) -> None:
    """The end of a line in a path does not become one in the answer or in the log."""
    answer = ask(front, "GET", target)
    assert answer.status == 404
    assert "x-evil" not in answer.headers
    assert not [line for line in front.log.splitlines() if line.startswith("X-Evil")]


@pytest.mark.parametrize("name", ["json", "create", "prune", "containers", "v1.41", "exec", "logs"])
def test_names_of_routes(front: Manager, name: str) -> None:
    """A container may be called as a route is, and is found."""
    container_id = run(front, name)
    inspected = ask(front, "GET", f"/v1.41/containers/{name}/json")
    assert json.loads(inspected.body)["Id"] == container_id
    assert ask(front, "GET", f"/containers/{name}/top").status == 200
    assert ask(front, "GET", f"/v1.41/containers/{name}/logs?stdout=1").status == 200
    assert ask(front, "DELETE", f"/containers/{name}?force=1").status == 204


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            "1.20",
            "client version 1.20 is too old. Minimum supported API version is 1.21, "
            "please upgrade your client to a newer version",
        ),
        ("1.0", None),
        ("0.9", None),
        ("1.99", "client version 1.99 is too new. Maximum supported API version is 1.55"),
        ("2.0", None),
    ],
)
@pytest.mark.parametrize("path", ["/info", "/_ping", "/containers/some/top", "/containers/json", "/nothing"])
def test_versions(front: Manager, version: str, message: str | None, path: str) -> None:
    """A version that nobody speaks is refused with 400 in the daemon's words, on every route."""
    answer = ask(front, "GET", f"/v{version}{path}")
    assert answer.status == 400
    assert answer.message == (message or answer.message)
    assert f"client version {version} is too " in answer.message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"Cmd": "ls"', b'{"Cmd": []}', b'{"Cmd": 5}'])
def test_exec(front: Manager, body: bytes) -> None:
    """A bad exec is refused by the engine, and its words pass through."""
    name = run(front, "web")
    answer = ask(front, "POST", f"/containers/{name}/exec", body)
    assert answer.status in (400, 500), answer
    assert answer.message
    assert ask(front, "POST", "/containers/nobody/exec", body).status == 404


def test_rename(front: Manager) -> None:
    """A rename to nothing, or to what is no name, is refused."""
    created = create(front, "web")
    assert ask(front, "POST", f"/containers/{created}/rename").status == 400
    answer = ask(front, "POST", f"/containers/{created}/rename?name={quote('no/name é')}")
    assert answer.status in (400, 500)
    assert "Invalid container name" in answer.message
    assert ask(front, "GET", "/containers/web/json").status == 200


def test_engine_s_own_refusals(front: Manager) -> None:
    """What the engine refuses keeps its status and its words."""
    web = run(front, "web")
    for method, path, status, words in (
        ("POST", "start?x=1", 304, ""),
        ("GET", "logs", 400, "you must choose at least one stream"),
        ("POST", "kill?signal=NOTHING", 400, "invalid signal"),
        ("POST", "resize?h=a&w=b", 400, "invalid syntax"),
        ("GET", "archive", 400, "bad parameter"),
        ("GET", "archive?path=/nowhere", 404, "Could not find the file"),
        ("POST", "unpause", 500, "is not paused"),
        ("DELETE", "?force=0", 409, "You cannot remove a running container"),
    ):
        target = f"/v1.41/containers/{web}{'' if path.startswith('?') else '/'}{path}"
        answer = ask(front, method, target)
        assert answer.status == status, answer
        if words:
            assert words.lower() in answer.message.lower()
