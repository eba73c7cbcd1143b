"""What a client may call a container, and what `inspect` says of it."""

import json

import pytest

from tests.hosts.images import busybox_archive
from tests.integration.client import Docker
from tests.integration.ways import each_endpoint
from tests.waiting import wait_until


@each_endpoint
def test_names_of_one_container(docker: Docker) -> None:
    """A container is found by full id, short id, unique prefix, name and `node/name`."""
    full = docker.start("first")
    docker.start("second")
    node = docker.inspect("first", "{{.Node.Name}}")
    prefix = next(full[:length] for length in range(4, 64) if full[:length] not in docker.inspect("second", "{{.Id}}"))
    for name in (full, full[:12], prefix, "first", "/first", f"{node}/first"):
        assert docker.inspect(name, "{{.Id}}") == full


def test_ambiguous_names(docker: Docker) -> None:
    """A name that two nodes use is refused and the candidates are named; `node/name` tells them apart."""
    for engine in docker.engines:
        engine.docker("run", "-d", "--name", "twin", "busybox", "sleep", "1d")
    names = [f"{engine.name}/twin" for engine in docker.engines]
    wait_until(lambda: set(docker.ps()) == set(names), "both containers")
    for arguments in (("logs", "twin"), ("rm", "-f", "twin"), ("exec", "twin", "true"), ("inspect", "twin")):
        complaint = docker.refused(*arguments)
        assert "ambiguous" in complaint
        assert all(name in complaint for name in names)
    for name in names:
        assert f"{docker.inspect(name, '{{.Node.Name}}')}/twin" == name
        docker("rm", "-f", name)
    assert docker.ps("-a") == []


def test_inspect(docker: Docker) -> None:
    """`inspect` is the engine's own answer, with the node added."""
    docker.start("aa", "-l", "tier=web")
    [engine] = [engine for engine in docker.engines if engine.count_running()]
    [shown] = json.loads(docker("inspect", "aa").stdout)
    own = engine.get_json("/v1.41/containers/aa/json")
    node = shown.pop("Node")
    assert shown == own
    assert (node["Name"], node["Addr"], node["IP"]) == (engine.name, engine.own_address, engine.cable.ip)
    info = engine.get_json("/info")
    assert (node["Cpus"], node["Memory"]) == (info["NCPU"], info["MemTotal"])


def test_sizes(docker: Docker) -> None:
    """`inspect -s` adds the sizes, which are not there otherwise."""
    docker.start("aa")
    assert "SizeRootFs" not in docker("inspect", "aa").stdout
    [shown] = json.loads(docker("inspect", "-s", "aa").stdout)
    assert shown["SizeRootFs"] > 0


def test_kinds(docker: Docker) -> None:
    """A name that a container and an image have is the container's; `--type` asks for the other."""
    docker.start("busybox")
    assert docker.inspect("busybox", "{{.Name}}") == "/busybox"
    done = docker("inspect", "--type", "image", "--format", "{{json .RepoTags}}", "busybox")
    assert json.loads(done.stdout) == ["busybox:latest"]


@pytest.mark.parametrize("docker", ["20.10-unix"], indirect=True)
def test_several_kinds(docker: Docker) -> None:
    """One `inspect` takes containers and images, and does the rest when one is missing."""
    docker.start("aa")
    docker.engines[0].load(busybox_archive("other:1", labels={"made": "here"}))
    wait_until(lambda: len(docker("images", "-q").lines) == 2, "the image")
    done = docker("inspect", "--format", "{{.Id}}", "aa", "other:1", "nope", check=False)
    assert done.code == 1
    assert len(done.lines) == 2
    assert "No such object: nope" in done.stderr
