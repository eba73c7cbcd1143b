"""Builds: where they run, and what the engine is asked."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.api.image_front import Front
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import message, swarm

table = Table("Builds")
BUILT = b'{"stream":"Successfully built 123\\n"}\r\n'


def _two() -> tuple[Daemon, Daemon]:
    daemons = Daemon("node-1"), Daemon("node-2")
    for daemon in daemons:
        daemon.answers["/build"] = (200, BUILT)
        daemon.answers["/build/cancel"] = (200, b"")
    return daemons


async def _build(manager: Front, **parameters: Any) -> Any:
    return await manager.post("/build", params=parameters, content=b"tar", headers={"X-Registry-Config": "e30="})


def _asked(daemon: Daemon) -> list[dict[str, str]]:
    """Return the queries of all builds on a daemon."""
    queries = (parse_qs(urlsplit(asked.target).query) for asked, _ in daemon.written if asked.path == "/build")
    return [{name: values[0] for name, values in query.items()} for query in queries]


@table.kept("placed", "`docker build --build-arg constraint:node==x`")
async def placed() -> None:
    """Built on one node that the scheduler chooses; expressions are taken out of the build arguments."""
    first, second = _two()
    async with swarm(first, second) as manager:
        for node in ("node-2", "node-1", "node-2"):
            arguments = {"constraint:node": f"={node}", "VERSION": "1"}
            assert (await _build(manager, buildargs=json.dumps(arguments), t="a:1")).status_code == 200
        assert [len(_asked(first)), len(_asked(second))] == [1, 2]
        assert json.loads(_asked(first)[0]["buildargs"]) == {"VERSION": "1"}
        assert second.written[0][1] == b"tar"
        assert second.written[0][0].headers["x-registry-config"] == "e30="
        refused = await _build(manager, buildargs='{"constraint:node":"=x"}')
        assert "node==x" in message(refused)[1]


@table.changed(
    "asked-node",
    "`POST /build` with the header `X-Swarmproxy-Node`",
    classic="No such header.",
    why="For clients that cannot say it by a build argument; load, import and pull obey it as well.",
)
async def asked_node() -> None:
    """Built there, or refused if that node does not answer."""
    first, second = _two()
    async with swarm(first, second) as manager:
        for _ in range(2):
            assert (await manager.post("/build", headers={"X-Swarmproxy-Node": "node-2"})).status_code == 200
        assert [len(_asked(first)), len(_asked(second))] == [0, 2]
        assert message(await manager.post("/build?node=node-3")) == (404, "No such node: node-3")


@table.changed(
    "labels",
    "`docker build --label com.docker.swarm.constraints=[…]`",
    classic="Read, and left on the image: each of its containers seemed to have the constraint of its build.",
    why="Where an image is built says nothing of where it runs.",
)
async def labels() -> None:
    """Read, and taken out; other labels stay."""
    first, second = _two()
    async with swarm(first, second) as manager:
        await _build(manager, labels='{"com.docker.swarm.constraints":"[\\"node==node-2\\"]","kept":"yes"}')
        assert json.loads(_asked(second)[0]["labels"]) == {"kept": "yes"}


@table.mended(
    "no-value",
    "a build argument without a value",
    classic="Turned into an empty one.",
    why="The Dockerfile's own default was lost.",
)
async def no_value() -> None:
    """Goes on without a value."""
    daemon = _two()[0]
    async with swarm(daemon) as manager:
        await _build(manager, buildargs='{"constraint:node":"=node-1","HTTP_PROXY":null}')
        assert json.loads(_asked(daemon)[0]["buildargs"]) == {"HTTP_PROXY": None}


@table.changed(
    "limits",
    "`docker build --memory`, `--cpu-shares`",
    classic="Shares counted as cores, and were passed on unscaled: a build with 2 had next to no CPU.",
    why="One meaning for containers and builds.",
)
async def limits() -> None:
    """Both count while the build runs; shares are whole cores, scaled for the engine as in a create."""
    daemon = _two()[0]
    async with swarm(daemon) as manager:
        facts = manager.cluster.healthy()[0].facts
        assert facts is not None
        await _build(manager, cpushares="1", memory="1024")
        assert _asked(daemon)[0]["cpushares"] == str(-(-1024 // facts.cpus))
        assert "no resources" in message(await _build(manager, cpushares="512"))[1]


@table.changed(
    "output",
    "what `docker build` shows",
    classic="The engine's lines with `id` set to the node's name, and one more at the end.",
    why="Clients read these lines: what they get from us is what the engine says, `-q` included.",
)
async def output() -> None:
    """The engine's answer, unchanged."""
    daemon = _two()[0]
    async with swarm(daemon) as manager:
        assert (await _build(manager)).content == BUILT


@table.mended(
    "all-options",
    "options that classic did not know: `extrahosts`, `securityopt`, and what comes in future",
    classic="Dropped.",
    why="`--add-host` did nothing, without a word.",
)
async def all_options() -> None:
    """Passed on."""
    daemon = _two()[0]
    async with swarm(daemon) as manager:
        await _build(manager, extrahosts="a:1.2.3.4", future="x")
        assert _asked(daemon) == [{"extrahosts": "a:1.2.3.4", "future": "x"}]


@table.mended(
    "sessions",
    "the engine of a BuildKit session, and of its build's upload and cancel",
    classic="Sessions were looked up by the ID of the build; a second waiter was refused.",
    why="A build that does not find its session waits for ever.",
)
async def sessions() -> None:
    """By session, by build, or by the client that has a control connection; without an ID 400."""
    first, second = _two()
    async with swarm(first, second) as manager:
        for daemon in (first, second):
            node = json.dumps({"constraint:node": f"={daemon.name}"})
            await _build(manager, version="2", session="s" + daemon.name, buildid=daemon.name, buildargs=node)
            await _build(manager, version="2", buildid=f"upload-request:{daemon.name}")
            assert (await manager.post(f"/build/cancel?id={daemon.name}")).status_code == 200
            said = [(asked.path, asked.query.get("buildid") or asked.query["id"]) for asked, _ in daemon.written]
            assert said == [
                ("/build", daemon.name),
                ("/build", f"upload-request:{daemon.name}"),
                ("/build/cancel", daemon.name),
            ]
        assert message(await manager.post("/build/cancel")) == (400, "build ID not provided")
        assert message(await manager.post("/session")) == (400, "no session ID provided")


table.elsewhere(
    "buildx",
    "`docker build` of newer clients, `docker buildx build`: `/grpc` and `/session`",
    classic="Never worked.",
    why="tests/integration/test_build.py shows it with real clients and engines.",
)
