"""How requests and answers look, whatever they are about."""

import json

import httpx

from tests.api.image_front import Front
from tests.cluster.image_daemon import ImageDaemon
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import WEB, create, message, names, swarm

table = Table("Requests and answers")


@table.changed(
    "errors",
    "the body of an error",
    classic="The message and a newline as text/plain.",
    why="Docker's clients show `message` and treat everything else as noise; daemons answer so since API 1.24.",
)
async def errors(standing: Front) -> None:
    """`{"message": ...}`, and a Content-Type of exactly application/json."""
    answer = await standing.client.get("/containers/nope/json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"message": "No such container: nope"}


@table.kept("wrong-method", "a known path with another method")
async def wrong_method(standing: Front) -> None:
    """404, never 405."""
    for method, path in (("DELETE", "/info"), ("PUT", "/containers/json"), ("GET", "/containers/create")):
        answer = await standing.client.request(method, path)
        assert answer.status_code == 404, path


@table.changed(
    "unknown-path",
    "an unknown path",
    classic="404 with the text `404 page not found` and without an Api-Version header.",
    why="A daemon's own words, and clients look for the header in every answer.",
)
async def unknown_path(standing: Front) -> None:
    """404 with the message `page not found` and the headers of a daemon."""
    answer = await standing.client.get("/v1.40/nope")
    assert message(answer) == (404, "page not found")
    assert {"api-version", "server", "ostype", "docker-experimental"} <= set(answer.headers)


@table.kept("versions", "paths with and without a version")
async def versions(standing: Front) -> None:
    """Both are served, and any version that Docker has had since 1.21 is taken."""
    for prefix in ("", "/v1.24", "/v1.40", "/v1.51"):
        assert names(await standing.client.get(f"{prefix}/containers/json")), prefix


@table.changed(
    "version-bounds",
    "a version nobody speaks",
    classic="Taken as it is: the engine then refuses it, or misreads the request.",
    why="Said at once and in a daemon's words, so that clients negotiate.",
)
async def version_bounds(standing: Front) -> None:
    """400 below 1.21 and above the newest version there is."""
    status, text = message(await standing.client.get("/v1.18/containers/json"))
    assert (status, text.partition(".")[0]) == (400, "client version 1")
    assert message(await standing.client.get("/v1.999/info"))[0] == 400


@table.mended(
    "version-dot",
    "`/v1x24/_ping`",
    classic="Any character did for the dot of a version.",
    why="Such a path went on to engines, which do not know it.",
)
async def version_dot(standing: Front) -> None:
    """404, as on a daemon."""
    assert message(await standing.client.get("/v1x24/_ping"))[0] == 404


@table.changed(
    "api-version",
    "the version that negotiating clients are told",
    classic="Always 1.40, so that newer clients spoke an old version and older engines refused it.",
    why="Clients get what the cluster can do, and no engine a version it refuses.",
)
async def api_version() -> None:
    """The newest that all members have; each engine is asked in the version nearest to the client's that it speaks."""
    old, new = Daemon("old", api="1.41"), Daemon("new", api="1.54", min_api="1.44")
    container = new.put("c")
    new.answers[f"/containers/{container}/top"] = (200, b"{}")
    async with swarm(old, new) as manager:
        assert (await manager.client.get("/_ping")).headers["api-version"] == "1.41"
        assert (await manager.client.get("/version")).json()["ApiVersion"] == "1.41"
        assert (await manager.client.get("/v1.30/containers/c/top")).status_code == 200
        assert new.targets[-1] == f"/v1.44/containers/{container}/top"


@table.mended(
    "version-bridge",
    "a client older or newer than an engine",
    classic="Passed on in the client's own version: the engine refused it, or gave what is new another meaning.",
    why="docker-compose 1.29 asks for 1.38 and engines 29 for 1.44: the one could not be used with the other.",
)
async def version_bridge() -> None:
    """What changed its meaning is told in the engine's version: an old client's containers share their IPC."""
    daemon = Daemon(api="1.52", min_api="1.44")
    async with swarm(daemon) as manager:
        await create(manager, "a")
        assert (await manager.post("/v1.38/containers/create?name=bb", json={"Image": "busybox"})).status_code == 201
        now, old = daemon.bodies_of("POST /containers/create")
        assert "IpcMode" not in now.get("HostConfig", {})
        assert old["HostConfig"]["IpcMode"] == "shareable"


@table.mended(
    "headers-once",
    "headers of a forwarded answer",
    classic="Api-Version and Server stood there twice, classic's and the engine's.",
    why="Clients join doubled headers to `1.40, 1.41`, which is no version.",
)
async def headers_once() -> None:
    """Each header stands there once."""
    daemon = Daemon()
    daemon.answers[f"/containers/{daemon.put('c')}/top"] = (200, b"{}")
    async with swarm(daemon) as manager:
        answer = await manager.client.get("/containers/c/top")
        keys = [name.lower() for name, _ in answer.headers.multi_items()]
        assert len(keys) == len(set(keys))


@table.changed(
    "head-ping",
    "`HEAD /_ping`",
    classic="404, so that clients asked a second time with GET.",
    why="Clients since 18.09 ask so first, and 29 wants a 200.",
)
async def head_ping(standing: Front) -> None:
    """200 without a body, with the headers that `GET /_ping` has, which still says `OK`."""
    head, got = await standing.client.head("/_ping"), await standing.client.get("/v1.40/_ping")
    assert (head.status_code, head.content) == (200, b"")
    assert (got.status_code, got.text, got.headers["content-type"]) == (200, "OK", "text/plain; charset=utf-8")
    assert set(head.headers) == set(got.headers)


@table.kept("trailing-slash", "a path with a slash too many at its end")
async def trailing_slash(standing: Front) -> None:
    """404."""
    assert (await standing.client.get("/containers/json/")).status_code == 404


@table.changed(
    "double-slash",
    "a path with `//`",
    classic="301 to the cleaned path, which turns a POST into a GET.",
    why="No Docker client sends one, and a redirected create would lose its body.",
)
async def double_slash(standing: Front) -> None:
    """404."""
    assert (await standing.client.get("//info")).status_code == 404


@table.kept("slashes", "names with slashes, as such and as %2F")
async def slashes(standing: Front) -> None:
    """Both reach the container."""
    for name in ("node-1/web", "node-1%2Fweb", "%2Fweb"):
        assert (await standing.client.get(f"/containers/{name}/json")).json()["Id"] == WEB


@table.kept("newline", "how a JSON answer ends")
async def newline() -> None:
    """With a newline; the answer to a create has none."""
    async with swarm(Daemon()) as manager:
        for path in ("/info", "/version", "/containers/json", "/images/json"):
            assert (await manager.client.get(path)).content.endswith(b"\n"), path
        assert not (await create(manager)).content.endswith(b"\n")


@table.changed(
    "escapes",
    "`<`, `>` and `&` in JSON",
    classic="Written as \\u003c, \\u003e and \\u0026.",
    why="The same JSON, shorter; nobody can tell who does not compare bytes.",
)
async def escapes() -> None:
    """Written as they are."""
    daemon = Daemon()
    daemon.put("c", labels={"html": "<b>&"}, item={"Labels": {"html": "<b>&"}})
    async with swarm(daemon) as manager:
        assert '"<b>&"' in (await manager.client.get("/containers/json")).text


@table.kept("booleans", "boolean parameters")
async def booleans(standing: Front) -> None:
    """`0`, `no`, `false`, `none` and nothing are false in any case and between spaces; all else is true."""
    for value in ("0", "No", "FALSE", " none ", ""):
        assert "cold" not in names(await standing.client.get("/containers/json", params={"all": value})), value
    for value in ("1", "true", "yes", "anything"):
        assert "cold" in names(await standing.client.get("/containers/json", params={"all": value})), value


@table.changed(
    "numbers",
    "a number that is none",
    classic="Counted as 0.",
    why="`limit=abc` is a mistake of the client, and a daemon says so too.",
)
async def numbers(standing: Front) -> None:
    """400."""
    assert message(await standing.client.get("/containers/json?limit=abc"))[0] == 400


@table.kept("filters", "the two JSON forms of `filters`")
async def filters(standing: Front) -> None:
    """`{"k": ["v"]}` and `{"k": {"v": true}}` mean the same."""
    for form in ({"name": ["web"]}, {"name": {"web": True}}):
        got = await standing.client.get("/containers/json", params={"filters": json.dumps(form)})
        assert names(got) == ["web"]


@table.changed(
    "bad-filters",
    "`filters` that are no JSON",
    classic="500 for containers, images and volumes.",
    why="The mistake is the client's.",
)
async def bad_filters(standing: Front) -> None:
    """400."""
    for path in ("/containers/json", "/images/json", "/events"):
        assert message(await standing.client.get(path, params={"filters": "{"}))[0] == 400, path


@table.changed(
    "unknown-filters",
    "a filter that is not known",
    classic="Ignored: `docker ps --filter nmae=x` listed everything, for scripts to remove.",
    why="What a user asked for is honoured or refused; the words are a daemon's.",
)
async def unknown_filters(standing: Front) -> None:
    """400 `invalid filter 'nmae'`; of events, as on a daemon, it is ignored."""
    for path in ("/containers/json", "/images/json"):
        got = await standing.client.get(path, params={"filters": '{"nmae":["x"]}'})
        assert message(got) == (400, "invalid filter 'nmae'")


@table.mended(
    "form-type",
    "a body sent as application/x-www-form-urlencoded",
    classic="Read as a form and lost: the create failed with `EOF`.",
    why="curl sends that type by default.",
)
async def form_type() -> None:
    """The body is read whatever its type says."""
    async with swarm(Daemon()) as manager:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        got = await manager.post("/containers/create?name=c", content=b'{"Image": "busybox"}', headers=headers)
        assert got.status_code == 201


@table.kept("cors", "answers under `--cors`")
async def cors() -> None:
    """Any origin is allowed, with the methods and headers that classic named, also in forwarded answers and errors."""
    daemon = Daemon()
    daemon.answers[f"/containers/{daemon.put('c')}/top"] = (200, b"{}")
    async with swarm(daemon, cors=True) as manager:
        for path in ("/info", "/_ping", "/containers/c/top", "/containers/nope/top", "/nope"):
            answer = await manager.client.get(path)
            assert answer.headers["access-control-allow-origin"] == "*", path
            allowed = answer.headers["access-control-allow-headers"].split(", ")
            assert {"Origin", "X-Requested-With", "Content-Type", "Accept"} <= set(allowed)
            assert answer.headers["access-control-allow-methods"] == "GET, POST, DELETE, PUT, OPTIONS, HEAD"


@table.changed(
    "options",
    "OPTIONS without `--cors`",
    classic="404; under `--cors` an empty 200.",
    why="A daemon answers an empty 200 always; without the headers of `--cors` it allows nothing.",
)
async def options(standing: Front) -> None:
    """An empty 200."""
    answer = await standing.client.options("/containers/json")
    assert (answer.status_code, answer.content) == (200, b"")
    assert "access-control-allow-origin" not in answer.headers


@table.mended(
    "version-of-a-request",
    "the version of a request while others run",
    classic="It stood in shared memory: a request could be read in the version of another.",
    why="The old `filter` parameter of images took effect, or not, by chance.",
)
async def version_of_a_request() -> None:
    """It belongs to the request: the old parameter works below 1.41 only, however many requests there are."""
    daemon = ImageDaemon()
    daemon.hold("aa11", "app:1")
    async with swarm(daemon) as manager:

        async def count(version: str) -> int:
            answer: httpx.Response = await manager.client.get(f"/v{version}/images/json?filter=app")
            return len(answer.json())

        for _ in range(3):
            assert [await count("1.24"), await count("1.44")] == [1, 2]


table.moot(
    "panic",
    "a handler that fails in an unforeseen way",
    classic="The connection was closed without an answer.",
    why="An exception is answered with 500 by the server; there is no unforeseen way to check.",
)
table.moot(
    "pprof",
    "`/debug/pprof/` under `--debug`",
    classic="Served Go's profiler to whoever reached the port.",
    why="There is no Go here; a profiler does not belong on the port that clients reach.",
)
