"""What clients ask most often is answered by the same functions, on the shorter way."""

import functools
import re

import pytest
from fastapi import FastAPI
from starlette.routing import Match

from swarmproxy.api import app as api
from swarmproxy.api.often import at_once_for, endpoint_for
from tests.api.image_front import front
from tests.cluster.image_daemon import ImageDaemon

STATUS = re.compile(r'"Status":"[^"]*"')  # which tells the time
PATHS = [
    ("GET", "/version"),
    ("GET", "/info"),
    ("GET", "/containers/json"),
    ("GET", "/containers/ps"),
    ("POST", "/containers/create"),
    ("GET", "/networks"),
    ("GET", "/containers/web/json"),
    ("GET", "/containers/node-1/web/json"),
    ("GET", "/containers/json/json"),
    ("POST", "/containers/web/exec"),
    ("POST", "/containers/node-1/web/exec"),
]


def routed(app: FastAPI, method: str, path: str) -> tuple[object, object]:
    """Return the function that the framework finds for a request, and the name that it finds in the path."""
    for module in api.ROUTES:
        for route in module.router.routes:
            match, scope = route.matches({"type": "http", "method": method, "path": path})
            if match is Match.FULL:
                return scope["endpoint"], scope["path_params"].get("name")
    raise AssertionError(path)


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_same_function(method: str, path: str) -> None:
    """The short way leads where the framework's routes lead."""
    found = endpoint_for(method, path)
    if isinstance(found, functools.partial):
        assert (found.func, *found.args) == routed(FastAPI(), method, path)
    else:
        assert (found, None) == routed(FastAPI(), method, path)


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_same_at_once(method: str, path: str) -> None:
    """What is answered while nobody waits is what the short way would answer, of the same container."""
    at_once, endpoint = at_once_for(method, path), endpoint_for(method, path)
    if isinstance(at_once, functools.partial):
        assert isinstance(endpoint, functools.partial)
        assert at_once.args == endpoint.args
    else:
        assert (at_once is None) is (path == "/containers/create")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/info"),
        ("POST", "/info"),
        ("GET", "/info/"),
        ("GET", "/networks/"),
        ("GET", "/containers//json"),
        ("GET", "/containers/web"),
        ("DELETE", "/containers/json"),
        ("GET", "/nothing"),
    ],
)
def test_left_to_the_framework(method: str, path: str) -> None:
    """All else is the framework's to find, or to refuse."""
    assert endpoint_for(method, path) is None


async def test_same_head() -> None:
    """An answer has the same headers on both ways, and an error the same form."""
    async with front([ImageDaemon("node-1")]) as manager:
        get = manager.client.get
        short, routed = await get("/networks"), await get("/volumes")
        unknown, refused = await get("/containers/json?limit=x"), await get("/info/")
    assert (short.status_code, routed.status_code, refused.status_code, unknown.status_code) == (200, 200, 404, 400)
    assert {**short.headers, "content-length": ""} == {**routed.headers, "content-length": ""}
    assert {**unknown.headers, "content-length": ""} == {**refused.headers, "content-length": ""}
    assert unknown.json() == {"message": "invalid limit: 'x' is not a whole number"}


AT_ONCE = (
    "/version",
    "/v1.30/info",
    "/networks",
    "/v1.24/networks?filters=%7B%22driver%22%3A%5B%22bridge%22%5D%7D",
    "/containers/json",
    "/containers/json?all=1&limit=1",
    "/containers/json?filters=%7B%22name%22%3A%5B%22web%22%5D%7D",
    "/containers/web/json",
    "/v1.40/containers/node-1/web/json?size=1",
)
WITH_THE_APPLICATION = (
    "/containers/json?size=1",
    "/containers/json?limit=x",
    "/containers/none/json",
    "/containers/we%62/json",
    "/networks/bridge",
)


async def test_same_answer() -> None:
    """Answers that are given at once are those that the application gives, and all others are left to it."""
    daemon = ImageDaemon("node-1")
    daemon.add("web", tell=False)
    async with front([daemon]) as manager:
        slow_ones = [await manager.client.get(path) for path in (*AT_ONCE, *WITH_THE_APPLICATION)]
        manager.asked.clear()
        manager.at_once = True
        for path, slow in zip((*AT_ONCE, *WITH_THE_APPLICATION), slow_ones, strict=True):
            fast = await manager.client.get(path)
            assert (fast.status_code, fast.headers) == (slow.status_code, slow.headers), path
            if "info" in path:
                assert fast.json().keys() == slow.json().keys()
            else:
                assert STATUS.sub("", fast.text) == STATUS.sub("", slow.text), path
        assert manager.asked == [path.replace("%62", "b").partition("?")[0] for path in WITH_THE_APPLICATION]


async def test_changes_are_waited_for() -> None:
    """What a client was told to have changed is read before a list is given, by the application."""
    daemon = ImageDaemon("node-1")
    container_id = daemon.add("web", tell=False)
    async with front([daemon]) as manager:
        manager.at_once = True
        (engine,) = manager.cluster.engines()
        await engine.refresh_container(container_id)
        daemon.slow_s["/containers/json"] = 0.1
        daemon.change(container_id, state="exited")
        manager.cluster.changed(engine, container_id)()
        manager.asked.clear()
        answer = await manager.client.get("/containers/json?all=1")
        assert answer.json()[0]["State"] == "exited"
        assert manager.asked == ["/containers/json"]
