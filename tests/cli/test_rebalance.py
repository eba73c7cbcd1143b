"""`swarmproxy rebalance`, against a scripted manager: what it shows, asks and has done."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from swarmproxy.cli.rebalance import rebalance
from tests.cli.test_client import _serving

MOVE = {
    "container": "ab" * 32,
    "name": "web",
    "from": "node-1",
    "to": "node-2",
    "to_id": "ID-2|10.0.0.2:2375",
    "reason": "node-1 holds more",
}
OTHER = {**MOVE, "container": "cd" * 32, "name": "db"}
LOAD = {"cpu_percent": 10.4, "memory_percent": 80.0, "containers": 4}
PLAN = {
    "moves": [MOVE, OTHER],
    "before": {"node-1": LOAD, "node-2": {**LOAD, "containers": 0}},
    "after": {"node-1": {**LOAD, "containers": 2}, "node-2": {**LOAD, "containers": 2}},
}
DONE = {"status": "done", "moved": 2, "failed": 0}
STEPS = [
    {"status": "moving", **MOVE},
    {"status": "moved", **MOVE, "id": "ef" * 32, "left_behind": ["volume data"]},
    {"status": "moving", **OTHER},
    {"status": "moved", **OTHER, "id": "ff" * 32, "left_behind": []},
]
SHOWN = """\
CONTAINER      NAME   FROM     TO       REASON
abababababab   web    node-1   node-2   node-1 holds more
cdcdcdcdcdcd   db     node-1   node-2   node-1 holds more

NODE     CONTAINERS   CPU          MEMORY
node-1   4 -> 2       10% -> 10%   80% -> 80%
node-2   0 -> 2       10% -> 10%   80% -> 80%
"""


class _Handler(BaseHTTPRequestHandler):
    plan: ClassVar[Any] = PLAN
    steps: ClassVar[list[Any]] = []
    asked: ClassVar[list[str]] = []
    bodies: ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        body = (
            json.dumps(self.plan) if self.command == "GET" else "".join(json.dumps(each) + "\n" for each in self.steps)
        )
        self.asked.append(f"{self.command} {self.path}")
        self.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep silent."""


@pytest.fixture
def manager() -> Iterator[type[_Handler]]:
    """Yield what the manager of `DOCKER_HOST` plans and does, to be changed."""

    class Handler(_Handler):
        steps: ClassVar[list[Any]] = [*STEPS, DONE]
        asked: ClassVar[list[str]] = []
        bodies: ClassVar[list[bytes]] = []

    with _serving(HTTPServer(("127.0.0.1", 0), Handler)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        patch.setenv("DOCKER_TLS_VERIFY", "")
        yield Handler


def _run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(rebalance, args, standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.stdout, result.stderr


def test_plan(manager: type[_Handler]) -> None:
    """--plan shows the moves and how the nodes would be, and moves nothing."""
    assert _run("--plan", "--max-moves", "7") == (0, SHOWN, "")
    assert manager.asked == ["GET /swarmproxy/v1/rebalance?max_moves=7"]
    code, out, _ = _run("--plan", "--format", "json")
    assert (code, json.loads(out)) == (0, PLAN)


def test_done(manager: type[_Handler]) -> None:
    """--yes makes the moves that were shown and no others, and tells of each, with what it leaves behind."""
    code, out, err = _run("--yes")
    assert (code, err) == (0, "")
    said = "web: node-1 -> node-2, without volume data\ndb: node-1 -> node-2\n2 containers moved, 0 failed\n"
    assert out == SHOWN + said
    assert manager.asked == ["GET /swarmproxy/v1/rebalance", "POST /swarmproxy/v1/rebalance"]
    moves = [{"container": each["container"], "to": "ID-2|10.0.0.2:2375"} for each in (MOVE, OTHER)]
    assert json.loads(manager.bodies[-1]) == {"moves": moves}
    assert [json.loads(line) for line in _run("-y", "--format", "json")[1].splitlines()] == [*STEPS, DONE]


def test_failed(manager: type[_Handler]) -> None:
    """A container that cannot be moved is an error on stderr, and in the exit code."""
    manager.steps = [{"status": "failed", **MOVE, "error": "no room"}, {"status": "done", "moved": 0, "failed": 1}]
    code, out, err = _run("--yes")
    assert (code, err) == (1, "Error: web stays on node-1: no room\n")
    assert out.endswith("0 containers moved, 1 failed\n")


def test_cut_off(manager: type[_Handler]) -> None:
    """An answer that ends too early is an error."""
    manager.steps = STEPS[:2]
    code, _, err = _run("--yes")
    assert (code, err) == (
        1,
        "Error: the manager ended its answer before it was done: see `docker ps` for what was moved\n",
    )


def test_nothing_to_do(manager: type[_Handler]) -> None:
    """Without any move nothing is asked or done."""
    manager.plan = {"moves": [], "before": {}, "after": {}}
    assert _run("--yes") == (0, "Nothing to move.\n", "")
    assert manager.asked == ["GET /swarmproxy/v1/rebalance"]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((), "nobody is there to be asked: --plan only shows the moves, --yes makes them"),
        (("x",), "rebalance takes no arguments"),
        (("--format", "xml"), '--format should be text or json, not "xml"'),
        (("--max-moves", "-1"), "--max-moves should not be a negative number, -1 is invalid"),
    ],
)
def test_refused(manager: type[_Handler], args: tuple[str, ...], error: str) -> None:
    """What makes no sense is refused before the manager is asked anything."""
    assert _run(*args) == (1, "", f"Error: {error}\n")
    assert manager.asked == []
