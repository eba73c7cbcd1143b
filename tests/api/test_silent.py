"""Engines that are known to be silent: what is asked of them is tried, and refused soon."""

import pytest

from swarmproxy.engine.engine import State
from tests.api.image_front import front
from tests.cluster.image_daemon import ImageDaemon, engine_of
from tests.engine.harness import eventually

CONTAINER = "c" * 64
EXEC = "e" * 64
START = f"/containers/{CONTAINER}/start"
REQUESTS = [  # what does not say at once that the node is unhealthy
    ("POST", START),
    ("DELETE", f"/containers/{CONTAINER}"),
    ("POST", f"/containers/{CONTAINER}/exec"),
    ("GET", f"/exec/{EXEC}/json"),
    ("POST", f"/exec/{EXEC}/start"),
]


@pytest.fixture
def daemon() -> ImageDaemon:
    """Return a daemon that answers the requests above."""
    daemon = ImageDaemon()
    daemon.containers[CONTAINER] = {"name": "web", "state": "exited", "host": {}, "labels": {}}
    daemon.answers = {path: (200, b"{}") for _, path in REQUESTS}
    daemon.answers[f"/containers/{CONTAINER}/exec"] = 201, b'{"Id":"%s"}' % EXEC.encode()
    return daemon


async def test_refused(daemon: ImageDaemon) -> None:
    """Nothing waits for a node that is known to hang, not even on a connection that served a request before."""
    async with front([daemon], probe_timeout_s=0.2) as manager:
        engine = engine_of(manager.cluster, daemon)
        for method, path in reversed(REQUESTS):
            if method != "DELETE":
                assert (await manager.client.request(method, path, json={})).status_code in (200, 201)
        await eventually(lambda: engine.pool.idle > 0)
        daemon.frozen = True
        await eventually(lambda: engine.state is State.UNHEALTHY)
        for method, path in REQUESTS:
            answer = await manager.client.request(method, path, json={})
            assert answer.status_code == 500
            assert answer.json()["message"].startswith(f"Cannot connect to the Docker daemon at {engine.client.url}.")
        assert f"POST {START}" not in daemon.requests[-len(REQUESTS) :]  # nothing is left behind that is done later


async def test_back(daemon: ImageDaemon) -> None:
    """A node that has come back serves the first request, whether anybody had noticed or not."""
    async with front([daemon], probe_timeout_s=0.2) as manager:
        engine = engine_of(manager.cluster, daemon)
        for _ in range(5):
            daemon.frozen = True
            await eventually(lambda: engine.state is State.UNHEALTHY)
            daemon.frozen = False
            assert (await manager.post(START)).status_code == 200
            assert engine.state is State.HEALTHY
