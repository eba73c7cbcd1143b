"""The page without a browser: what is in it, what never is, and what comes with it."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from html import unescape

import httpx
import pytest

from swarmproxy.cluster.cluster import Source
from swarmproxy.cluster.hub import origin_of
from swarmproxy.engine.engine import State
from swarmproxy.model.container import Container
from swarmproxy.model.event import Event, container_event
from swarmproxy.page import app as page
from swarmproxy.page.audience import Audience
from tests.engine.harness import PATIENCE_S
from tests.page.pictures import DOCS, MAX_BYTES, PICTURES
from tests.page.scene import GIB, Scene, names_in, nodes_in, served

EVIL = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{ 7*7 }}&amp;"""
PAGES = ("/", "/containers", "/events", "/part/nodes", "/part/containers")


async def text_of(client: httpx.AsyncClient, path: str) -> str:
    """Return the page at `path`, which must be one."""
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return answer.text


async def test_nodes() -> None:
    """Each node has a card with what is reserved and held there, its state and why; those with trouble come first."""
    scene = Scene(12)
    scene.put(scene.engines[3], "web", memory_bytes=2 * GIB, nano_cpus=3_000_000_000)
    scene.put(scene.engines[3], "old", state="exited")
    scene.engines[7]._health.enter(State.UNHEALTHY, "no answer from 10.0.0.8")
    async with scene.client() as client:
        text = await text_of(client, "/")
    assert nodes_in(text) == ["node-7", *(f"node-{number}" for number in range(12) if number != 7)]
    cards = {unescape(each[0]): each[1] for each in re.findall(r'data-node="([^"]+)">(.*?)\n</li>', text, re.DOTALL)}
    assert "no answer from 10.0.0.8" in cards["10.0.0.8:2375"]
    assert "Unhealthy" in cards["10.0.0.8:2375"]
    well = cards["10.0.0.4:2375"]
    assert 'aria-valuetext="3 of 4, 75 %"' in well
    assert 'aria-valuetext="2 GiB of 8.4 GiB, 24 %"' in well
    assert 'aria-label="1 running, 0 paused, 1 stopped"' in well
    assert "<strong>11</strong><span>of 12 answer</span>" in text


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_is_markup(path: str) -> None:
    """Whatever engines and readers say stands there as text, in pages and in their parts."""
    scene = Scene()
    engine = scene.join(EVIL, labels={EVIL: EVIL})
    scene.put(engine, EVIL, image=EVIL, labels={EVIL: EVIL}, networks={EVIL: "1"})
    scene.join("down")._health.enter(State.UNHEALTHY, EVIL)
    scene.cluster.source = Source("", error=EVIL)
    async with scene.client(problem=lambda: EVIL) as client:
        text = (await client.get(path, params={"q": EVIL, "node": EVIL, "state": EVIL})).text
        text += await text_of(client, path)
    assert "alert(1)" in text or path == "/events"
    assert not re.search(r"<script(?! src=./static/)|<img(?! src=./static/)|onerror=alert\(2\)>[^&]", text)
    assert "49" not in re.findall(r"<h3>.*?</h3>", text)


async def test_no_secrets() -> None:
    """What a container is run with is not in the page, nor what an event says that was run."""
    scene = Scene(1)
    scene.put(scene.engines[0], "web", fields=b'"Command":"run --password=hunter2"', recipe=b'{"Env":["KEY=hunter2"]}')
    app = page.build(scene.cluster)
    async with served(app) as url, httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        async with messages(client) as each:
            origin = origin_of(scene.engines[0])
            for action in ("exec_create: sh -c hunter2", "health_status: hunter2", "start"):
                scene.cluster.hub.publish(container_event(action, "f" * 64, {"e": "hunter2"}, time_ns=1), origin)
            seen = await until(each, "start")
        for path in PAGES:
            seen += await text_of(client, path)
    assert "health_status" in seen
    assert "exec_create" not in seen
    assert "hunter2" not in seen


async def test_headers() -> None:
    """Every answer forbids scripts and styles in the page and anything from elsewhere, and pages are not kept."""
    async with Scene(1).client() as client:
        for path in (*PAGES, "/nothing", "/static/0/page.js"):
            answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
            assert "http" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            if answer.status_code == 200:
                assert answer.headers["cache-control"] == "no-store"
                assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=|https?://", answer.text)


async def test_files() -> None:
    """What a page asks for is there, is of its type, and may be kept for ever."""
    async with Scene(1).client() as client:
        text = await text_of(client, "/")
        urls = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))
        assert {url.rpartition(".")[2] for url in urls} == {"css", "js", "svg"}
        for url in urls:
            answer = await client.get(url)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
            assert (await client.get(url.replace("/static/", "/static/0"))).status_code == 404
        assert (await client.get("/static/../app.py")).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_only_reads(method: str) -> None:
    """Nothing takes anything but a question."""
    async with Scene(1).client() as client:
        for path in (*PAGES, "/live"):
            assert (await client.request(method, path)).status_code == 405


async def test_head() -> None:
    """Who asks for the head of a page is not sent the page."""
    async with (
        served(page.build(Scene(3).cluster)) as url,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client,
    ):
        for path in PAGES:
            answer = await client.head(path)
            assert (answer.status_code, answer.content) == (200, b"")
            assert (await client.get(path)).text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("localhost", 200),
        (f"{socket.gethostname().upper()}:80", 200),
        ("rebound.example.com", 421),
        ("127.0.0.1.example.com:8080", 421),
        ("localhost.example.com", 421),
        ("", 421),
    ],
)
async def test_name(host: str, status: int) -> None:
    """A page for this machine cannot be read by a site whose name was made to mean this machine."""
    async with Scene(1).client(is_local=True) as client:
        for path in (*PAGES, "/live") if status == 421 else PAGES:
            answer = await client.get(path, headers={"Host": host})
            assert answer.status_code == status
            assert "content-security-policy" in answer.headers
            assert ("node-0" in answer.text) <= (status == 200)


class Team:
    """Somebody who sees containers with one label."""

    def __init__(self, *, sees_nodes: bool) -> None:
        self.sees_nodes = sees_nodes

    def may_see(self, container: Container) -> bool:
        return container.labels.get("team") == "a"

    def may_hear(self, event: Event) -> bool:
        return event.attributes.get("team") == "a"


@pytest.mark.parametrize("sees_nodes", [True, False])
async def test_audience(*, sees_nodes: bool) -> None:
    """A reader sees and hears only what lists would show to that reader, and finds nothing else."""
    scene = Scene(1)
    scene.put(scene.engines[0], "ours", labels={"team": "a"})
    scene.put(scene.engines[0], "theirs", labels={"team": "b"})
    team: Callable[[object], Audience] = lambda _request: Team(sees_nodes=sees_nodes)  # noqa: E731
    app = page.build(scene.cluster, audience_of=team)
    async with served(app) as url, httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        async with messages(client) as each:
            for team_name, subject in (("b", "theirs"), ("a", "ours")):
                event = container_event("start", "f" * 64, {"team": team_name, "name": subject}, time_ns=1)
                scene.cluster.hub.publish(event, origin_of(scene.engines[0]))
            heard = await until(each, "ours")
        found = await text_of(client, "/containers?q=s")
        assert names_in(found) == ["ours"]
        assert "1–1 of 1 container" in found
        assert nodes_in(await text_of(client, "/")) == (["node-0"] if sees_nodes else [])
        shown = heard + await text_of(client, "/events") + found
    assert "theirs" not in shown
    assert ("10.0.0.1" in heard + shown) is False
    assert ("CPU reserved" in shown) is sees_nodes


class Messages:
    """The server-sent events of one stream."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    def __aiter__(self) -> AsyncIterator[tuple[str, str]]:
        return self._read()

    async def _read(self) -> AsyncIterator[tuple[str, str]]:
        kind, data = "", []
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name.startswith("data"):
                data.append(value)
            elif not line and kind:
                yield kind, "\n".join(data)
                kind, data = "", []


class messages:  # noqa: N801 - used as a context manager
    """The messages of the stream of an open page, which is at `place`."""

    def __init__(self, client: httpx.AsyncClient, place: str = "") -> None:
        self._opened = client.stream("GET", "/live", params={"place": place}, timeout=PATIENCE_S)

    async def __aenter__(self) -> AsyncIterator[tuple[str, str]]:
        self._response = await self._opened.__aenter__()
        assert self._response.headers["content-type"].startswith("text/event-stream")
        return aiter(Messages(self._response))

    async def __aexit__(self, *exception: object) -> None:
        await self._opened.__aexit__(*exception)  # type: ignore[arg-type]


async def until(each: AsyncIterator[tuple[str, str]], word: str, kind: str = "happened") -> str:
    """Return what comes up to the message of a kind that has `word` in it."""
    seen = ""
    async with asyncio.timeout(PATIENCE_S):
        async for name, data in each:
            seen += data
            if name == kind and word in data:
                return seen
    raise AssertionError(seen)


async def test_live() -> None:
    """An open page is told of events, of cards that look different, of new sums, and of nodes that come; no more."""
    scene = Scene(3)
    app = page.build(scene.cluster)
    async with served(app) as url, httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        place = re.search(r'data-place="([^"]+)"', await text_of(client, "/"))
        assert place is not None
        async with messages(client, place[1]) as each:
            await until(each, "tile", "overview")
            scene.put(scene.engines[1], "new", memory_bytes=GIB)
            cards = json.loads((await until(each, "1 GiB", "cards")).rpartition("</dl>")[2].strip())
            assert [address for address, _ in cards] == ["10.0.0.2:2375"]
            scene.cluster.hub.publish(
                container_event("start", "f" * 64, {"name": EVIL}, time_ns=1), origin_of(scene.engines[1])
            )
            told = await until(each, "start")
            assert "&lt;script&gt;" in told
            assert "<script" not in told
            scene.leave(scene.engines[2])
            await until(each, "", "gathered")
        assert "&lt;script&gt;" in await text_of(client, "/events")
        async with messages(client, place[1]) as each:  # it was away when a node left
            await until(each, "", "gathered")
        async with asyncio.timeout(PATIENCE_S):
            while scene.cluster.hub.readers:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


async def test_many_cards() -> None:
    """A page of which most cards have changed is told to read all of them, once."""
    scene = Scene(100)
    app = page.build(scene.cluster)
    async with served(app) as url, httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        place = re.search(r'data-place="([^"]+)"', await text_of(client, "/"))
        assert place is not None
        async with messages(client, place[1]) as each:
            await until(each, "tile", "overview")
            for engine in scene.engines:
                scene.put(engine, f"on-{engine.name}")
            assert "data-node" not in await until(each, "", "gathered")
            scene.drop(scene.engines[0], next(iter(scene.engines[0].containers.values())))
            cards = json.loads((await until(each, "", "cards")).rpartition("</dl>")[2].strip())
            assert [address for address, _ in cards] == ["10.0.0.1:2375"]


async def test_burst() -> None:
    """Of a thousand events at once the last are told, and how many there were besides."""
    scene = Scene(1)
    app = page.build(scene.cluster)
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client,
        messages(client) as each,
    ):
        await until(each, "tile", "overview")
        for number in range(1000):
            event = container_event("start", f"{number:064}", {"name": f"job-{number}"}, time_ns=number)
            scene.cluster.hub.publish(event, origin_of(scene.engines[0]))
        told = await until(each, "job-999")
        assert told.index("job-999") < told.index("job-960")
        assert "job-959" not in told
        assert "and 960 more" in told


async def test_ends_with_the_manager() -> None:
    """The stream of an open page ends when the manager goes."""
    scene = Scene(1)
    app = page.build(scene.cluster)
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client,
        messages(client) as each,
    ):
        await until(each, "tile", "overview")
        scene.cluster.hub.close()
        async with asyncio.timeout(PATIENCE_S):
            assert [kind async for kind, _ in each] in ([], ["gathered"])


def test_pictures() -> None:
    """The pictures that docs show are there, and small."""
    for name in PICTURES:
        assert 10_000 < (DOCS / name).stat().st_size < MAX_BYTES
