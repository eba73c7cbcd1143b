"""The route that says where a container would go."""

from typing import Any

import pytest

from tests.compat.daemon import Daemon
from tests.compat.swarm import create, message, refusal, swarm

ROUTE = "/swarmproxy/v1/containers/create"


def two() -> tuple[Daemon, Daemon]:
    """Return node-1, which is empty and slow, and node-2 on an SSD, which is not."""
    first, second = Daemon("node-1", labels=["storage=disk"]), Daemon("node-2", labels=["storage=ssd"])
    second.put("busy")
    return first, second


async def test_where_it_would_go() -> None:
    """The best node and the order of the others are those of a create, and nothing is created."""
    async with swarm(*two()) as manager:
        answer = await manager.post(f"{ROUTE}?dry-run=1&name=web", json={"Image": "busybox"})
        assert answer.status_code == 200
        said = answer.json()
        assert (said["Node"], said["Refused"], said["Refusal"], said["GivenUp"]) == ("node-1", [], "", [])
        assert [(each["Rank"], each["Node"], each["Containers"]) for each in said["Ranked"]] == [
            (1, "node-1", 0),
            (2, "node-2", 1),
        ]
        assert len(manager.cluster.index) == 1
        made = await create(manager, "web")
        assert manager.cluster.find(made.json()["Id"]).engine.name == "node-1"


async def test_why_not() -> None:
    """Each node that is turned away has its reason, by name of the node, and the refusal is that of the create."""
    wanted: dict[str, Any] = {"Env": ["constraint:storage==ssd"], "HostConfig": {"Memory": 1 << 50}}
    async with swarm(*reversed(two())) as manager:
        said = (await manager.post(f"{ROUTE}?dry-run=1", json={"Image": "busybox", **wanted})).json()
        assert (said["Node"], said["Ranked"]) == ("", [])
        assert [(each["Node"], each["Filter"], each["Reason"]) for each in said["Refused"]] == [
            ("node-1", "constraint", "by constraint storage==ssd"),
            ("node-2", "resources", "out of memory"),
        ]
        refused = await create(manager, **wanted)
        assert message(refused) == (500, said["Refusal"])
        assert refusal(refused)[1] == "no resources available to schedule container"


async def test_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Without dry-run, for a name that is taken, and for a body that cannot be read there is an error."""
    async with swarm(*two()) as manager:
        assert message(await manager.post(ROUTE, json={"Image": "busybox"}))[0] == 400
        assert message(await manager.post(f"{ROUTE}?dry-run=0", json={"Image": "busybox"}))[0] == 400
        assert message(await manager.post(f"{ROUTE}?dry-run=1&name=busy", json={"Image": "busybox"}))[0] == 409
        assert message(await manager.post(f"{ROUTE}?dry-run=1", json={"HostConfig": 1}))[0] == 400
        caplog.clear()
        assert (await create(manager, Env=["constraint:storage==tape"])).status_code == 500
        assert [record.levelname for record in caplog.records if record.message == "HTTP error"] in ([], ["INFO"])
