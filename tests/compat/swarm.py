"""Clusters for the checks: the real front end and scheduler over scripted daemons."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import httpx

from swarmproxy import scheduling
from swarmproxy.api import app as api
from swarmproxy.api.dispatch import Dispatch
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.explaining import Explainer
from swarmproxy.cluster.image_facts import ImageFacts
from swarmproxy.cluster.image_moves import ImageMover
from swarmproxy.cluster.images import Pulls
from swarmproxy.cluster.placement import Placement
from swarmproxy.manager import new_swarm_id
from swarmproxy.settings import Settings
from swarmproxy.wire.address import Address
from tests.api.image_front import Front, front
from tests.cluster.image_daemon import ImageDaemon, lose
from tests.compat.daemon import Daemon

NOBODY = Address("127.0.0.1", 1)

WEB, COLD, LOST, LINKED, DEAF = ("ab" * 32, "ac" * 32, "cd" * 32, "ef" * 32, "ba" * 32)
SWARM_ID = "5a" * 32
SLEEPING = {"inspect": {"State": {"Paused": True}}, "item": {"Image": "swarm:1.2.9"}}


@asynccontextmanager
async def swarm(
    *daemons: ImageDaemon,
    dead: Sequence[Address] = (),
    engines: Mapping[str, float] = MappingProxyType({}),
    **settings: Any,
) -> AsyncIterator[Front]:
    """Serve a cluster of `daemons`, all healthy, with these settings of `engines` and of `manage`."""

    def build(cluster: Cluster) -> Dispatch:
        chosen = Settings(discovery="nodes://", **settings)
        placement = Placement(
            cluster, scheduling.ranking(chosen), Pulls(), new_swarm_id, create_retries=chosen.create_retry
        )
        placement.image_facts, placement.image_moves = ImageFacts(cluster), ImageMover(cluster)
        return api.build(cluster, placement, chosen, explainer=Explainer(placement, scheduling.explaining(chosen)))

    async with front(daemons, dead=dead, build=build, **engines) as manager:
        yield manager


@asynccontextmanager
async def standing_swarm() -> AsyncIterator[Front]:
    """Serve a cluster that checks only read: two nodes that answer, one that does not, and one never met."""
    first, second = Daemon("node-1", labels=["storage=ssd"]), Daemon("node-2", labels=[])
    down = Daemon("node-10", labels=[])
    first.put(
        "web",
        WEB,
        created=1_700_000_300,
        labels={"tier": "front", "com.docker.swarm.id": SWARM_ID},
        ports=[{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 80, "Type": "tcp"}, {"PrivatePort": 443}],
        host={"CpuShares": 512, "Memory": 1 << 30},
        item={"Unheard": {"of": 1}, "Mounts": [{"Name": "data", "Destination": "/data"}]},
        inspect={
            "NetworkSettings": {
                "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}], "443/tcp": None},
                "Networks": {"blue": {"NetworkID": "b1ue" * 16}},
            },
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}},
            "Mounts": [{"Type": "volume", "Name": "data", "Destination": "/data"}],
            "Unheard": {"of": 1},
        },
    )
    first.put("cold", COLD, created=1_700_000_200, state="exited", started="2026-01-01T00:00:00Z")
    first.put("twin", "ee" * 32, created=1_700_000_100)
    second.put("twin", "ff" * 32, created=1_700_000_050)
    second.put("linked", LINKED, created=1_700_000_040, names=["/linked", "/other/alias"])
    second.put("abab", DEAF, created=1_700_000_030, state="paused", **SLEEPING)
    down.put("lost", LOST, created=1_700_000_400)
    async with swarm(first, second, down, dead=[NOBODY]) as manager:
        await lose(manager.cluster, down)
        yield manager


async def create(manager: Front, name: str = "", *, image: str = "busybox", **body: Any) -> httpx.Response:
    """Ask for a container; `body` is the rest of its JSON."""
    return await manager.post(f"/containers/create?name={name}", json={"Image": image, **body})


def message(answer: httpx.Response) -> tuple[int, str]:
    """Return status and message of an error."""
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()["message"]


def names(answer: httpx.Response) -> list[str]:
    """Return the first name of each container of a list."""
    assert answer.status_code == 200, answer.text
    return [item["Names"][0].removeprefix("/") for item in answer.json()]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and message of a refused create, without the last line, which counts the nodes."""
    status, text = message(answer)
    first, newline, count = text.rpartition("\n")
    assert newline, text
    assert count.startswith("0 of ")
    return status, first
