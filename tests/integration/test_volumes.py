"""Volumes of two real engines, with each client."""

import docker as docker_sdk
import pytest
from docker.types import Mount

from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.integration.client import Docker
from tests.integration.sdk import node_of, sleeper


def on(engine: Engine) -> list[str]:
    """Return the names of the volumes of an engine."""
    return sorted(volume["Name"] for volume in engine.get_json("/volumes")["Volumes"] or ())


def listed(docker: Docker, *options: str) -> list[str]:
    """Return the names that `volume ls` prints."""
    return docker("volume", "ls", "-q", *options).lines


def write(docker: Docker, volume: str, text: str) -> None:
    """Put `text` into a volume, by a container that is gone then."""
    docker("run", "--rm", "-v", f"{volume}:/data", "busybox", "sh", "-c", f"echo {text} >> /data/text")


def read(docker: Docker, volume: str) -> list[str]:
    return docker("run", "--rm", "-v", f"{volume}:/data", "busybox", "cat", "/data/text").lines


def test_volume_on_all_nodes(docker: Docker) -> None:
    """A volume that names no node is made on both, listed as `node/name`, found and removed by its plain name."""
    assert docker("volume", "create", "--label", "tier=front", "data").lines == ["data"]
    first, second = docker.engines
    assert (on(first), on(second)) == (["data"], ["data"])
    assert listed(docker) == [f"{first.name}/data", f"{second.name}/data"]
    assert listed(docker, "--filter", "label=tier=front", "--filter", f"node={second.name}") == [f"{second.name}/data"]
    assert docker("volume", "inspect", "-f", "{{.Name}} {{.Labels.tier}}", "data").lines == ["data front"]
    titled = f"{first.name}/data"
    assert docker("volume", "inspect", "-f", "{{.Name}}", titled).lines == [titled]
    docker("volume", "rm", "data")
    assert (on(first), on(second)) == ([], [])
    assert "no such volume" in docker.refused("volume", "rm", "data").lower()
    assert "no such volume" in docker.refused("volume", "inspect", "data").lower()


def test_volume_on_one_node(docker: Docker) -> None:
    """A volume of one node keeps its data there: each container that mounts it goes to that node."""
    first, second = docker.engines
    docker("volume", "create", f"{second.name}/data")
    assert (on(first), on(second)) == ([], ["data"])
    for text in ("one", "two", "three"):
        write(docker, "data", text)
    assert read(docker, f"{second.name}/data") == ["one", "two", "three"]
    mount = ("--mount", "type=volume,source=data,target=/data")
    assert docker("run", "--rm", *mount, "busybox", "cat", "/data/text").lines == ["one", "two", "three"]
    refused = docker.refused(
        "run", "--rm", "-e", f"constraint:node=={first.name}", "-v", "data:/data", "busybox", "true"
    )
    assert f"--volume=data (only on {second.name})" in refused


def test_volume_by_label(docker: Docker) -> None:
    """The labels by which classic chose nodes for volumes do so here."""
    first, second = docker.engines
    label = f'com.docker.swarm.whitelists=["node=={second.name}"]'
    docker("volume", "create", "--label", label, "data")
    assert (on(first), on(second)) == ([], ["data"])


def test_volume_that_comes_with_a_container(docker: Docker) -> None:
    """A name that a container brings is one volume for all that follow, and not to be removed while it is used."""
    write(docker, "data", "first")
    write(docker, "data", "second")
    assert read(docker, "data") == ["first", "second"]
    docker.start("user", "-v", "data:/data")
    node = docker.inspect("user", "{{.Node.Name}}")
    assert listed(docker) == [f"{node}/data"]
    assert listed(docker, "--filter", "dangling=true") == []
    assert "volume is in use" in docker.refused("volume", "rm", "data")
    docker("rm", "-f", "user")
    assert listed(docker, "--filter", "dangling=true") == [f"{node}/data"]


def test_names_that_mean_several(docker: Docker) -> None:
    """Volumes under one name that differ are named in the refusal; each answers to its own name."""
    first, second = docker.engines
    for engine in (first, second):
        docker("volume", "create", "--label", f"on={engine.name}", f"{engine.name}/data")
    refused = docker.refused("volume", "inspect", "data")
    assert f"it may be {first.name}/data, {second.name}/data" in refused
    assert "is ambiguous" in docker.refused("volume", "rm", "data")
    docker("volume", "rm", f"{first.name}/data")
    assert docker("volume", "inspect", "-f", "{{.Labels.on}}", "data").lines == [second.name]


def test_prune(docker: Docker) -> None:
    """`volume prune` tells what went as the list called it, here on one node only."""
    first, second = docker.engines
    docker("volume", "create", "data")
    said = docker("volume", "prune", "-f", "--filter", f"node={first.name}").stdout
    assert f"Deleted Volumes:\n{first.name}/data\n" in said
    assert (on(first), on(second)) == ([], ["data"])
    assert listed(docker) == [f"{second.name}/data"]


def test_sdk(sdk: docker_sdk.DockerClient, fleet: Fleet) -> None:
    """docker-py's volumes have the names that it gave them, as with one engine."""
    volume = sdk.volumes.create("data", labels={"a": "b"})
    assert volume.name == "data"
    assert [each.name for each in sdk.volumes.list(filters={"label": "a=b"})] == ["data"]
    volume = sdk.volumes.get("data")
    assert (volume.name, volume.attrs["Labels"]) == ("data", {"a": "b"})
    assert volume.attrs["Nodes"] == sorted(engine.name for engine in fleet.engines)
    volume.remove()
    assert [on(engine) for engine in fleet.engines] == [[], []]
    with pytest.raises(docker_sdk.errors.NotFound):
        sdk.volumes.get("data")
    sdk.volumes.create(f"{fleet.engines[1].name}/data")
    containers = [sleeper(sdk, mounts=[Mount("/data", "data")]) for _ in range(3)]
    assert {node_of(each) for each in containers} == {fleet.engines[1].name}
    with pytest.raises(docker_sdk.errors.APIError, match="in use"):
        sdk.volumes.get("data").remove()
    for each in containers:
        each.remove(force=True)
    assert sdk.volumes.prune()["VolumesDeleted"] == ["data"]
    anonymous = sdk.volumes.create()
    assert len(anonymous.name) == 64
    anonymous.remove()
