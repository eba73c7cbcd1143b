"""Containers are created on the best node, with what can go wrong on the way there."""

import asyncio
import json
from typing import Any

import pytest

from swarmproxy.cluster.placement import NOT_RESCHEDULED, CreateRequest, Placement
from swarmproxy.engine.client import Created
from swarmproxy.errors import BadRequest, Conflict, EngineError, EngineUnreachable, NoNodeFits, SwarmError
from swarmproxy.model.labels import ID
from tests.cluster.creating_daemon import CREATE, GIB, CreatingDaemon, placing
from tests.cluster.image_daemon import Asked, engine_of, lose
from tests.engine.harness import eventually

FAILS = (500, {"message": "no space left on device"})


@pytest.fixture
def daemons() -> list[CreatingDaemon]:
    """Return two daemons, node-0 and node-1, that do not run yet."""
    return [CreatingDaemon("node-0"), CreatingDaemon("node-1")]


async def create(placement: Placement, name: str = "", *, auth: str = "", **body: Any) -> Created:
    """Return what the creation of a container gives."""
    wanted = {"Image": "busybox", **body}
    request = CreateRequest(body=json.dumps(wanted).encode(), version=(1, 41), name=name, registry_auth=auth)
    return (await placement.place(request)).created


def counts(daemons: list[CreatingDaemon]) -> list[int]:
    """Return how many containers each daemon has."""
    return [len(daemon.containers) for daemon in daemons]


async def test_created(daemons: list[CreatingDaemon]) -> None:
    """What the engine says comes back, the container is in the state, and carries an identity of the cluster's."""
    async with placing(daemons) as (placement, cluster):
        created = await create(placement, "web")
        assert created.warnings == ["a warning"]
        located = cluster.find("web")
        assert (located.engine.name, located.container.id) == ("node-0", created.id)
        assert located.container.labels[ID] == "1".rjust(64, "0")
        assert cluster.find("1".rjust(64, "0")).container.id == created.id
        assert (daemons[0].names, daemons[1].names) == (["web"], [])


async def test_spread_while_in_flight(daemons: list[CreatingDaemon]) -> None:
    """Creates that no engine has answered yet count: the next ones go where fewer are on the way."""
    async with placing(daemons) as (placement, cluster):
        for daemon in daemons:
            daemon.gate.clear()
        async with asyncio.TaskGroup() as tasks:
            for number in range(10):
                tasks.create_task(create(placement, f"c-{number}"), name=f"create {number}")
            await eventually(lambda: [daemon.waiting for daemon in daemons] == [5, 5])
            assert [len(cluster.reservations.on(engine)) for engine in cluster.engines()] == [5, 5]
            for daemon in daemons:
                daemon.gate.set()
        assert counts(daemons) == [5, 5]
        assert [cluster.reservations.on(engine) for engine in cluster.engines()] == [[], []]


async def test_one_name(daemons: list[CreatingDaemon]) -> None:
    """Of creates with one name in flight only one reaches an engine."""
    async with placing(daemons) as (placement, _):
        results = await asyncio.gather(*(create(placement, "web") for _ in range(5)), return_exceptions=True)
        assert sorted(type(each).__name__ for each in results) == ["Conflict"] * 4 + ["Created"]
        assert len(daemons[0].names + daemons[1].names) == 1


async def test_never_overbooked(daemons: list[CreatingDaemon]) -> None:
    """However many ask at once, a node gives no more memory than it has, and what does not fit is refused."""
    async with placing(daemons) as (placement, _):
        asked = [create(placement, HostConfig={"Memory": 3 * GIB}) for _ in range(10)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        refused = [each for each in results if isinstance(each, Exception)]
        assert {(type(each), str(each)) for each in refused} == {
            (NoNodeFits, "no resources available to schedule container\n0 of 2 nodes: 2 out of memory")
        }
        assert counts(daemons) == [2, 2]


async def test_refused(daemons: list[CreatingDaemon]) -> None:
    """An engine's refusal comes back as it is; name and place are free again, and no other node is tried."""
    async with placing(daemons) as (placement, cluster):
        daemons[0].refusals = [(400, {"message": "invalid mount config"})]
        with pytest.raises(EngineError, match=r"^invalid mount config$") as caught:
            await create(placement, "web")
        assert caught.value.status == 400
        assert daemons[1].creates == []
        assert cluster.reservations.on(engine_of(cluster, daemons[0])) == []
        await create(placement, "web")


async def test_retried_elsewhere(daemons: list[CreatingDaemon]) -> None:
    """With createretry a create that fails on one node is made on another."""
    async with placing(daemons, retries=1) as (placement, cluster):
        daemons[0].refusals = [FAILS]
        await create(placement, "web")
        assert cluster.find("web").engine.name == "node-1"
        assert [len(daemon.creates) for daemon in daemons] == [1, 1]


async def test_retried_in_place(daemons: list[CreatingDaemon]) -> None:
    """With createretry a create that only one node may have is tried there again."""
    async with placing(daemons, retries=2) as (placement, cluster):
        daemons[0].refusals = [FAILS, FAILS]
        await create(placement, "web", Env=["constraint:node==node-0"])
        assert cluster.find("web").engine.name == "node-0"
        assert [len(daemon.creates) for daemon in daemons] == [3, 0]


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_retries_are_counted(daemons: list[CreatingDaemon], retries: int) -> None:
    """A create is tried again as often as was asked for, and then fails with the engine's last words."""
    for daemon in daemons:
        daemon.refusals = [FAILS] * 9
    async with placing(daemons, retries=retries) as (placement, _):
        with pytest.raises(EngineError, match="no space left on device"):
            await create(placement, "web")
        assert sum(len(daemon.creates) for daemon in daemons) == 1 + retries


@pytest.mark.parametrize("status", [400, 404, 409])
async def test_not_retried(daemons: list[CreatingDaemon], status: int) -> None:
    """What is the client's own mistake is not tried again."""
    async with placing(daemons, retries=3) as (placement, _):
        daemons[0].refusals = [(status, {"message": "your mistake"})]
        with pytest.raises(EngineError, match="your mistake"):
            await create(placement, "web")
        assert sum(len(daemon.creates) for daemon in daemons) == 1


async def test_unreachable(daemons: list[CreatingDaemon]) -> None:
    """An engine that does not answer a create costs that create, or with createretry only time."""
    async with placing(daemons) as (placement, _):
        daemons[0].cut.add(CREATE)
        with pytest.raises(EngineUnreachable):
            await create(placement, "web")
    async with placing(daemons, retries=1) as (placement, cluster):
        await create(placement, "other")
        assert cluster.find("other").engine.name == "node-1"


async def test_lost_node(daemons: list[CreatingDaemon]) -> None:
    """A node that is down gets nothing, but the names on it stay taken."""
    async with placing(daemons) as (placement, cluster):
        await create(placement, "web")
        await lose(cluster, daemons[0])
        for number in range(3):
            await create(placement, f"c-{number}")
        assert counts(daemons) == [1, 3]
        with pytest.raises(Conflict, match='"/web" is already in use'):
            await create(placement, "web")
        await lose(cluster, daemons[1])
        with pytest.raises(NoNodeFits, match=r"^No healthy node available in the cluster\n0 of 2 nodes: 2 unhealthy$"):
            await create(placement, "late")


async def test_missing_image(daemons: list[CreatingDaemon]) -> None:
    """A missing image is pulled on the chosen node only, with the client's credentials, and the create made again."""
    async with placing(daemons) as (placement, cluster):
        await create(placement, "web", auth="c2VjcmV0", Image="app")
        [pull] = daemons[0].pulled
        assert pull.headers["x-registry-auth"] == "c2VjcmV0"
        assert pull.query["fromImage"].startswith("app")
        assert daemons[1].pulled == []
        assert cluster.find("web").engine.name == "node-0"


async def test_missing_image_elsewhere(daemons: list[CreatingDaemon]) -> None:
    """An image that cannot be pulled but is on another node is used there."""

    async def refuse(asked: Asked) -> None:
        await asked.answer(404, {"message": "pull access denied for app"})

    daemons[0].script = refuse
    daemons[1].hold("app", "app:latest")
    async with placing(daemons) as (placement, cluster):
        await create(placement, "web", Image="app")
        assert cluster.find("web").engine.name == "node-1"


async def test_missing_image_nowhere(daemons: list[CreatingDaemon]) -> None:
    """An image that nobody has and that cannot be pulled fails the create with what the pull said."""

    async def refuse(asked: Asked) -> None:
        await asked.answer(404, {"message": "pull access denied for app"})

    daemons[0].script = daemons[1].script = refuse
    async with placing(daemons) as (placement, cluster):
        with pytest.raises(SwarmError, match=r"^pull access denied for app$") as caught:
            await create(placement, "web", Image="app")
        assert not isinstance(caught.value, EngineError)  # a 404 would have the docker CLI pull once more
        assert len(cluster.index) == 0
        await create(placement, "web")


async def test_something_else_is_missing(daemons: list[CreatingDaemon]) -> None:
    """A 404 about something else than the image, such as a network, pulls nothing."""
    async with placing(daemons) as (placement, _):
        daemons[0].refusals = [(404, {"message": "network nowhere not found"})]
        with pytest.raises(EngineError, match="network nowhere not found"):
            await create(placement, "web")
        assert daemons[0].pulled == []


async def test_unreadable_afterwards(daemons: list[CreatingDaemon]) -> None:
    """A container that was made but cannot be read yet is a success: it exists."""
    async with placing(daemons) as (placement, _):
        daemons[0].answers["/containers/json"] = (500, b'{"message":"busy"}')
        assert (await create(placement, "web")).id in daemons[0].containers


async def test_ports_in_flight(daemons: list[CreatingDaemon]) -> None:
    """Creates that no engine has answered yet hold their ports, on the node that each was given."""
    async with placing(daemons) as (placement, _):
        for daemon in daemons:
            daemon.gate.clear()
        wanted = {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}
        async with asyncio.TaskGroup() as tasks:
            for number in range(2):
                tasks.create_task(create(placement, HostConfig=wanted), name=f"create {number}")
            await eventually(lambda: [daemon.waiting for daemon in daemons] == [1, 1])
            with pytest.raises(NoNodeFits, match=r"\[port 80 \(Bridge mode\)\]\n0 of 2 nodes: 2 by port 80/tcp$"):
                await create(placement, HostConfig=wanted)
            for daemon in daemons:
                daemon.gate.set()
        assert counts(daemons) == [1, 1]


async def test_names_in_flight_are_seen(daemons: list[CreatingDaemon]) -> None:
    """A container that is being made is one that an affinity can be to, or be against."""
    async with placing(daemons) as (placement, cluster):
        daemons[0].gate.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(create(placement, "/web"), name="create")
            await eventually(lambda: daemons[0].waiting == 1)
            await create(placement, "far", Env=["affinity:container!=web"])
            await create(placement, "farther", Env=["affinity:container!=web"])
            daemons[0].gate.set()
        assert [cluster.find(name).engine.name for name in ("far", "farther")] == ["node-1", "node-1"]


async def test_other_names_for_containers(daemons: list[CreatingDaemon]) -> None:
    """A container that is needed is found as clients name it, and its engine gets a name that it knows."""
    async with placing(daemons) as (placement, cluster):
        await create(placement, "full", Env=["constraint:node==node-1"])
        await create(placement, "data", Labels={ID: "5a" * 32}, Env=["constraint:node==node-1"])
        for number, name in enumerate(("data", "node-1/data", "5a" * 32, ("5a" * 32)[:12])):
            await create(placement, f"c{number}", HostConfig={"VolumesFrom": [f"{name}:ro"]})
            assert cluster.find(f"c{number}").engine.name == "node-1"
            assert daemons[1].creates[-1]["HostConfig"]["VolumesFrom"] == ["data:ro"]
        await lose(cluster, daemons[1])
        counted = "0 of 2 nodes: 1 by --volumes-from=data, 1 unhealthy"
        with pytest.raises(NoNodeFits, match=rf"\[--volumes-from=data\]\n{counted}$"):
            await create(placement, HostConfig={"VolumesFrom": ["data"]})


async def test_network_of_a_node(daemons: list[CreatingDaemon]) -> None:
    """A network that is named with its node is looked for there only, under its own name."""
    async with placing(daemons) as (placement, cluster):
        await create(placement, "full", Env=["constraint:node==node-1"])
        await create(placement, "web", HostConfig={"NetworkMode": "node-1/blue"})
        assert cluster.find("web").engine.name == "node-1"
        assert daemons[1].creates[-1]["HostConfig"]["NetworkMode"] == "blue"
        assert list(daemons[1].creates[-1]["Labels"]) == [ID]
        taken = {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}
        await create(placement, "published", HostConfig=taken, Env=["constraint:node==node-1"])
        with pytest.raises(NoNodeFits, match=r"\[port 80/tcp \(Host mode\)\]"):
            await create(placement, HostConfig={"NetworkMode": "node-1/host"}, ExposedPorts={"80/tcp": {}})


async def test_local_network(daemons: list[CreatingDaemon]) -> None:
    """A container goes to the node of the local network that it joins, or is refused by the network's name."""
    daemons[1].networks.append({"Name": "blue", "Id": "b1ue" * 16, "Driver": "bridge"})
    async with placing(daemons) as (placement, cluster):
        await create(placement, "full", Env=["constraint:node==node-1"])
        bodies: dict[str, dict[str, Any]] = {
            "by-mode": {"HostConfig": {"NetworkMode": "blue"}},
            "by-id": {"HostConfig": {"NetworkMode": "b1ue" * 16}},
            "by-short-id": {"HostConfig": {"NetworkMode": "b1ueb1ueb1ue"}},
            "by-endpoint": {"NetworkingConfig": {"EndpointsConfig": {"blue": {}}}},
        }
        for name, networking in bodies.items():
            await create(placement, name, **networking)
            assert cluster.find(name).engine.name == "node-1"
        with pytest.raises(NoNodeFits, match=r"\[--net=blue \(only on node-1\)\]"):
            await create(placement, HostConfig={"NetworkMode": "blue"}, Env=["constraint:node==node-0"])
        await create(placement, "soft", HostConfig={"NetworkMode": "blue"}, Env=["constraint:node==~node-0"])
        assert cluster.find("soft").engine.name == "node-1"


async def test_networks_of_every_node(daemons: list[CreatingDaemon]) -> None:
    """Networks of which each engine has its own bind a container nowhere, nor do two that have one name."""
    for number, daemon in enumerate(daemons):
        daemon.networks.append({"Name": "blue", "Id": f"b1ue{number}", "Driver": "bridge"})
    async with placing(daemons) as (placement, cluster):
        for mode in ("bridge", "default", "none", "blue"):
            for name in ("a", "b"):
                await create(placement, f"{mode}-{name}", HostConfig={"NetworkMode": mode})
            assert {cluster.find(f"{mode}-{name}").engine.name for name in ("a", "b")} == {"node-0", "node-1"}


async def test_rescheduling_with_removal(daemons: list[CreatingDaemon]) -> None:
    """Who asks for rescheduling of what is removed when it ends is warned, after what the engine warns of."""
    async with placing(daemons) as (placement, _):
        policy = ["reschedule:on-node-failure"]
        created = await create(placement, Env=policy, HostConfig={"AutoRemove": True})
        assert created.warnings == ["a warning", NOT_RESCHEDULED]
        assert (await create(placement, Env=policy)).warnings == ["a warning"]
        assert (await create(placement, HostConfig={"AutoRemove": True})).warnings == ["a warning"]


async def test_bad_body(daemons: list[CreatingDaemon]) -> None:
    """A body that cannot be read takes neither name nor place."""
    async with placing(daemons) as (placement, _):
        with pytest.raises(BadRequest):
            await placement.place(CreateRequest(body=b"{", version=(1, 41), name="web"))
        await create(placement, "web")
