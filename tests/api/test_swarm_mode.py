"""Swarm mode's routes, as clients meet them."""

import pytest

from swarmproxy.api.swarm_forming import NOT_FORMED
from swarmproxy.cluster.forming import NO_SWARM
from swarmproxy.cluster.swarms import NO_MANAGER
from tests.api.image_front import Front, front
from tests.cluster.image_daemon import ImageDaemon

MANAGERS = (
    "GET /swarm|GET /swarm/unlockkey|POST /swarm/update|POST /swarm/unlock|GET /nodes|GET /nodes/x|DELETE /nodes/x|"
    "POST /nodes/x/update|GET /services|POST /services/create|GET /services/x|DELETE /services/x|"
    "POST /services/x/update|GET /services/x/logs|GET /tasks|GET /tasks/x|GET /tasks/x/logs|GET /secrets|"
    "POST /secrets/create|GET /secrets/x|DELETE /secrets/x|POST /secrets/x/update|GET /configs|POST /configs/create|"
    "GET /configs/x|DELETE /configs/x|POST /configs/x/update"
)


async def ask(manager: Front, request: str) -> tuple[int, str]:
    method, _, path = request.partition(" ")
    answer = await manager.client.request(method, f"/v1.41{path}")
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()["message"]


async def test_as_an_engine_in_no_swarm() -> None:
    """Every route is there and says what an engine says that is in no swarm."""
    async with front([ImageDaemon()]) as manager:
        for request in MANAGERS.split("|"):
            assert await ask(manager, request) == (503, NO_MANAGER), request
        assert await ask(manager, "POST /swarm/leave") == (503, NO_SWARM)


@pytest.mark.parametrize("request_", ["POST /swarm/init", "POST /swarm/join"])
async def test_no_swarm_is_made(request_: str) -> None:
    """Unless the operator lets us form one, a swarm is made on engines: nobody could say which of them it should be."""
    async with front([daemon := ImageDaemon()]) as manager:
        assert await ask(manager, request_) == (501, NOT_FORMED)
        assert not any("/swarm" in target for target in daemon.targets)
