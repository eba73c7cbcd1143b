"""docker-py's calls about networks, volumes, plugins, swarm mode and events; see `calls`."""

import contextlib
import time
from typing import Any

import docker

from tests.integration.clients.calls import ENDLESS, call, failures, told


@call
def network_create(client: docker.DockerClient) -> Any:
    made = client.networks.create("mine", driver="bridge", labels={"tier": "back"})
    made.reload()
    return made.attrs["Driver"], made.attrs["Labels"], sorted(made.attrs)


@call
def network_list(client: docker.DockerClient) -> Any:
    found = client.networks.list(filters={"label": "tier=back"})
    return [each.attrs["Driver"] for each in found], len(client.networks.list(ids=[found[0].id]))


@call
def network_connect(client: docker.DockerClient) -> Any:
    mine = client.networks.get("mine")
    container = client.containers.run("busybox", ENDLESS, detach=True, name="joined", network="mine")
    mine.reload()
    seen = [len(mine.containers)]
    mine.disconnect(container)
    mine.reload()
    seen.append(len(mine.containers))
    mine.connect(container, aliases=["shop"])
    container.reload()
    return seen, "shop" in container.attrs["NetworkSettings"]["Networks"]["mine"]["Aliases"]


@call
def network_errors(client: docker.DockerClient) -> Any:
    mine = client.networks.get("mine")
    said = failures(
        get=lambda: client.networks.get("nothing"),
        connect=lambda: client.api.connect_container_to_network("joined", "nothing"),
        disconnect=lambda: mine.disconnect("nobody"),
        predefined=lambda: client.networks.get("bridge").remove(),
        duplicate=lambda: client.networks.create("mine", check_duplicate=True),
        bad_subnet=lambda: client.api.create_network("other", ipam={"Config": [{"Subnet": "10.0.0.0"}]}),
    )
    in_use = told(lambda _: mine.remove(), client)
    return {**said, "in_use": in_use[:2]}


@call
def network_remove_and_prune(client: docker.DockerClient) -> Any:
    client.containers.get("joined").remove(force=True)
    client.networks.get("mine").remove()
    client.networks.create("unused", labels={"old": "yes"})
    pruned = client.networks.prune(filters={"label": "old=yes"})
    return [name.rpartition("/")[2] for name in pruned["NetworksDeleted"]], client.networks.list(names=["unused"])


# Volumes


@call
def volume_create(client: docker.DockerClient) -> Any:
    made = client.volumes.create("kept", labels={"tier": "back"})
    return made.attrs["Driver"], made.attrs["Labels"], made.attrs["Scope"], sorted(made.attrs)


@call
def volume_list(client: docker.DockerClient) -> Any:
    found = client.volumes.list(filters={"label": "tier=back"})
    return sorted({each.name.rpartition("/")[2] for each in found}), sorted(client.api.volumes())


@call
def volume_use(client: docker.DockerClient) -> Any:
    for script in ("echo here > /kept/file", "cat /kept/file"):
        said = client.containers.run("busybox", ["sh", "-c", script], remove=True, volumes=["kept:/kept"])
    return said


@call
def volume_errors(client: docker.DockerClient) -> Any:
    client.containers.create("busybox", name="holder", volumes=["kept:/kept"])
    said = failures(
        get=lambda: client.volumes.get("nothing"),
        remove=lambda: client.api.remove_volume("nothing"),
        bad_name=lambda: client.volumes.create("a b"),
    )
    in_use = told(lambda c: c.volumes.get("kept").remove(), client)
    return {**said, "in_use": in_use[:2]}


@call
def volume_remove_and_prune(client: docker.DockerClient) -> Any:
    client.containers.get("holder").remove()
    client.volumes.get("kept").remove()
    client.volumes.create("unused", labels={"old": "yes"})
    pruned = client.volumes.prune(filters={"label": "old=yes"})
    return sorted({name.rpartition("/")[2] for name in pruned["VolumesDeleted"]}), sorted(pruned)


# Plugins, swarm mode, and what happened


@call
def plugins(client: docker.DockerClient) -> Any:
    return client.plugins.list(), told(lambda c: c.plugins.get("nothing"), client)[:2]


@call
def swarm_mode(client: docker.DockerClient) -> Any:
    return failures(
        swarm=lambda: client.swarm.reload(),
        leave=lambda: client.swarm.leave(),
        nodes=lambda: client.nodes.list(),
        services=lambda: client.services.list(),
        service=lambda: client.services.get("a"),
        create=lambda: client.services.create("busybox"),
        secrets=lambda: client.secrets.list(),
        configs=lambda: client.configs.list(),
    )


@call
def events(client: docker.DockerClient) -> Any:
    since = time.time() - 1
    client.containers.run("busybox", ["true"], name="short", labels={"seen": "yes"})
    client.containers.get("short").remove()
    until = time.time() + 1
    seen = client.events(since=since, until=until, decode=True, filters={"type": "container", "label": "seen=yes"})
    with contextlib.closing(seen):
        return [each["Action"] for each in seen]
