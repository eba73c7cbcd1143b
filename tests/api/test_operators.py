"""The operators' API beside Docker's: nodes, what is said of them, and its description."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from discovery import open_keeper
from swarmproxy.api import app as api
from swarmproxy.api.dispatch import Dispatch
from swarmproxy.cluster.bookkeeping import IN_MEMORY, Bookkeeping
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.placement import Placement
from swarmproxy.settings import Settings
from tests.api.image_front import Front, front
from tests.cluster.image_daemon import ImageDaemon
from tests.compat.swarm import NOBODY, message

API = "/swarmproxy/v1"


@pytest.fixture
def daemons() -> list[ImageDaemon]:
    """Return two daemons that do not run yet."""
    return [ImageDaemon("node-0"), ImageDaemon("node-1")]


@pytest.fixture
async def manager(daemons: list[ImageDaemon]) -> AsyncIterator[Front]:
    """Yield a manager of two nodes, and of an address where nobody is."""
    async with front(daemons, dead=[NOBODY]) as manager:
        yield manager


async def _node(manager: Front, name: str) -> dict[str, Any]:
    answer = await manager.client.get(f"{API}/nodes/{name}")
    assert answer.status_code == 200, answer.text
    node: dict[str, Any] = answer.json()
    return node


async def test_nodes(manager: Front, daemons: list[ImageDaemon]) -> None:
    """All nodes are listed by name, one that never answered first, with what `docker info` tells of them and more."""
    answer = await manager.client.get(f"{API}/nodes")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["api-version"]
    silent, first, second = answer.json()
    assert (silent["Name"], silent["Address"], silent["State"], silent["ID"]) == ("", str(NOBODY), "Pending", "")
    assert silent["Error"]
    assert (first["Name"], second["Name"]) == ("node-0", "node-1")
    assert (first["ID"], first["Address"], first["State"]) == ("ID-node-0", str(daemons[0].address), "Healthy")
    assert first["Availability"] == "active"
    assert first["Containers"] == {"Running": 0, "Paused": 0, "Stopped": 0}
    assert first["CPUs"]["Reserved"] == 0
    assert first["MemoryBytes"]["Total"] > 0
    assert first["UpdatedAt"].endswith("Z")
    for name in ("node-0", "ID-node-0", str(daemons[0].address), f"ID-node-0%7C{daemons[0].address}"):
        assert {**await _node(manager, name), "UpdatedAt": first["UpdatedAt"]} == first  # it may have answered again
    assert (await _node(manager, str(NOBODY)))["State"] == "Pending"


async def test_availability(manager: Front) -> None:
    """A node is paused, drained and activated; info says so of one that is not active, and is as ever of the others."""
    for action, availability in (("pause", "pause"), ("drain", "drain"), ("drain", "drain"), ("activate", "active")):
        answer = await manager.post(f"{API}/nodes/node-1/{action}")
        assert (answer.status_code, answer.json()["Node"]["Availability"]) == (200, availability)
        assert answer.json()["Warnings"] == [IN_MEMORY]
        assert (await _node(manager, "node-1"))["Availability"] == availability
        rows = (await manager.client.get("/info")).json()["SystemStatus"]
        said = [row[1] for row in rows if row[0] == "  └ Availability"]
        assert said == ([] if availability == "active" else [availability])
        assert [row[1] for row in rows if row[0] == "  └ Status"] == ["Pending", "Healthy", "Healthy"]


async def test_labels(manager: Front) -> None:
    """Labels are set and removed at once; they are in info and with the node."""
    answer = await manager.post(f"{API}/nodes/node-0/labels", json={"Set": {"storage": "ssd", "zone": "a=b"}})
    assert answer.json()["Node"]["OperatorLabels"] == {"storage": "ssd", "zone": "a=b"}
    change = {"Set": {"storage": "nvme"}, "Remove": ["zone", "nothing"]}
    labels = (await manager.post(f"{API}/nodes/node-0/labels", json=change)).json()["Node"]["Labels"]
    assert labels["storage"] == "nvme"
    assert "zone" not in labels
    rows = (await manager.client.get("/info")).json()["SystemStatus"]
    assert any(row[0] == "  └ Labels" and "storage=nvme" in row[1] for row in rows)


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("nodes/nobody/drain", None, 404, "No such node: nobody"),
        (f"nodes/{NOBODY}/drain", None, 503, f"the node at {NOBODY} has not answered yet"),
        ("nodes/node-0/labels", {}, 400, "there is no label to set or to remove"),
        ("nodes/node-0/labels", {"set": {}}, 400, "the body should be"),
        ("nodes/node-0/labels", {"Set": {"ab": 1}}, 400, "the body should be"),
        ("nodes/node-0/labels", {"Set": {"a b": "x"}}, 400, "label 'a b' is invalid"),
        ("nodes/node-0/labels", {"Remove": ["storage"]}, 409, "label storage is the engine's own"),
        ("nodes/node-0/labels", {"Set": {"ab": "x" * 2_000_000}}, 413, "larger than"),
        ("nodes/node-0/explode", None, 404, "page not found"),
        ("nothing", None, 404, "page not found"),
    ],
)
async def test_refused(manager: Front, path: str, body: Any, status: int, text: str) -> None:
    """What cannot be done is an error in Docker's form, and nothing has changed."""
    answer = await manager.post(f"{API}/{path}", content=json.dumps(body) if body is not None else None)
    assert message(answer)[0] == status, answer.text
    assert text in message(answer)[1]
    assert manager.cluster.book.records() == []


async def test_twins() -> None:
    """A name that two nodes have is refused, and their addresses are said."""
    twins = [ImageDaemon("twin"), ImageDaemon("twin")]
    twins[1].id = "ID-other"
    async with front(twins) as manager:
        status, text = message(await manager.post(f"{API}/nodes/twin/drain"))
        assert (status, str(twins[0].address) in text, str(twins[1].address) in text) == (409, True, True)
        assert (await manager.post(f"{API}/nodes/ID-other/drain")).status_code == 200


async def test_left(manager: Front, daemons: list[ImageDaemon]) -> None:
    """A drained node that leaves is still shown, and is activated by its last name; then it is forgotten."""
    await manager.post(f"{API}/nodes/node-1/drain")
    manager.cluster.follow([str(daemons[0].address)])
    nodes = (await manager.client.get(f"{API}/nodes")).json()
    assert [(each["Name"], each["State"], each["Availability"]) for each in nodes] == [
        ("node-0", "Healthy", "active"),
        ("node-1", "Absent", "drain"),
    ]
    assert (await _node(manager, "node-1"))["State"] == "Absent"
    answer = await manager.post(f"{API}/nodes/node-1/activate")
    assert (answer.status_code, answer.json()["Node"]["Availability"]) == (200, "active")
    assert len((await manager.client.get(f"{API}/nodes")).json()) == 1


async def test_cannot_be_kept(daemons: list[ImageDaemon], tmp_path: Path) -> None:
    """A place that takes nothing is an error that says so, and the node is as it was; info warns of one not read."""
    (tmp_path / "state.json").mkdir()
    keeper = open_keeper("nodes://", state_file=tmp_path / "state.json")

    def build(cluster: Cluster) -> Dispatch:
        placement = Placement(cluster, lambda _spec, _nodes: [], Pulls(), lambda: "")
        return api.build(cluster, placement, Settings(discovery="nodes://"), books=books(cluster))

    def books(cluster: Cluster) -> Bookkeeping:
        made.append(Bookkeeping(cluster.book, keeper))
        return made[-1]

    made: list[Bookkeeping] = []
    async with front(daemons, build=build) as manager:
        answer = await manager.post(f"{API}/nodes/node-1/drain")
        assert message(answer)[0] == 503
        assert message(answer)[1].startswith("nothing was changed, for it cannot be kept: the state file ")
        assert (await _node(manager, "node-1"))["Availability"] == "active"
        await made[0].catch_up()
        [warning] = (await manager.client.get("/info")).json()["Warnings"]
        assert warning.startswith("what operators said of nodes cannot be read: the state file ")


async def test_description(manager: Front) -> None:
    """The API describes itself: every route, under the prefix where it is, with what each answers."""
    description = (await manager.client.get(f"{API}/openapi.json")).json()
    assert description["openapi"].startswith("3.")
    assert description["servers"] == [{"url": API}]
    paths = description["paths"]
    assert {"/nodes", "/nodes/{node}", *(f"/nodes/{{node}}/{a}" for a in ("drain", "pause", "activate", "labels"))} <= (
        set(paths)
    )
    assert paths["/nodes/{node}/labels"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(description["components"]["schemas"]) >= {"NodeView", "Changed"}
    assert message(await manager.client.get("/openapi.json")) == (404, "page not found")


async def test_cors(daemons: list[ImageDaemon]) -> None:
    """Answers have the same headers as all others."""

    def build(cluster: Cluster) -> Dispatch:
        placement = Placement(cluster, lambda _spec, _nodes: [], Pulls(), lambda: "")
        return api.build(cluster, placement, Settings(discovery="nodes://", cors=True))

    async with front(daemons, build=build) as manager:
        answer = await manager.client.get(f"/v1.41{API}/nodes")
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert answer.headers["server"].startswith("swarmproxy/")
