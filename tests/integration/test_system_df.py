"""`system df` and the prunes of two engines, with each client."""

import re

import docker as docker_sdk
import pytest

from tests.hosts.fleet import Fleet
from tests.integration.client import Docker
from tests.integration.sdk import sleeper


def row(output: str, kind: str) -> tuple[int, int]:
    """Return how many objects `system df` counts in all and as active."""
    [found] = re.findall(rf"^{kind} +(\d+) +(\d+) ", output, re.MULTILINE)
    return int(found[0]), int(found[1])


def test_df(docker: Docker) -> None:
    """`system df` counts what is on both nodes; `-v` shows each item with its node."""
    docker.start("one", "-v", "first:/data")
    docker.start("two", "-v", "second:/data")
    docker("stop", "-t", "0", "two")
    first, second = (engine.name for engine in docker.engines)
    output = docker("system", "df").stdout
    assert row(output, "Images") == (2, 2)
    assert row(output, "Containers") == (2, 1)
    detailed = docker("system", "df", "-v").stdout
    for node in (first, second):
        assert re.search(rf"^{node}/busybox +latest ", detailed, re.MULTILINE), detailed
    assert sorted(re.findall(r" (\S+/(?:one|two))$", detailed, re.MULTILINE)) == sorted(
        docker.ps("-a", column="{{.Names}}")
    )
    for name in ("first", "second"):
        assert re.search(rf"^(?:{first}|{second})/{name} ", detailed, re.MULTILINE), detailed


def test_prune_on_one_node(docker: Docker) -> None:
    """`--filter node=` keeps a prune to one node, and the sum is that of the node."""
    for name in ("one", "two"):
        docker("run", "--name", name, "busybox", "true")
    where = {name: docker.inspect(name, "{{.Node.Name}}") for name in ("one", "two")}
    said = docker("container", "prune", "-f", "--filter", f"node={where['one']}").stdout
    assert "Deleted Containers" in said
    left = [name for name, node in where.items() if node != where["one"]]
    assert [each.rpartition("/")[2] for each in docker.ps("-a")] == left
    assert "No such node: nowhere" in docker.refused("container", "prune", "-f", "--filter", "node=nowhere")


@pytest.mark.parametrize("docker", ["20.10-tls"], indirect=True)  # later ones ask BuildKit itself
def test_builder_prune(docker: Docker) -> None:
    """`builder prune` is done on all nodes, none of which has built anything."""
    assert re.search(r"^Total.*\b0B$", docker("builder", "prune", "-f").stdout, re.MULTILINE)


def test_sdk_df(sdk: docker_sdk.DockerClient, fleet: Fleet) -> None:
    """docker-py reads the sum, finds containers by their own names, and images by their tags."""
    sleeper(sdk, "web")
    told = sdk.df()
    assert told["LayersSize"] > 0
    assert [tag for image in told["Images"] for tag in image["RepoTags"]] == ["busybox:latest"] * 2
    assert sorted(image["Node"] for image in told["Images"]) == sorted(engine.name for engine in fleet.engines)
    assert [container["Names"][0] for container in told["Containers"]] == ["/web"]
    assert sdk.api.prune_builds()["SpaceReclaimed"] == 0
