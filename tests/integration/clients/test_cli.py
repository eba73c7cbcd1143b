"""The docker clients 20.10, 26.1 and 28.5 over three engines of these versions: each kind of command once."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.clients import Cli, Done, cli
from tests.hosts.images import busybox_archive
from tests.integration.clients.pools import Pool

MAC = "02:42:0a:4d:00:42"


@dataclass(slots=True)
class Docker:
    """One client at one pool."""

    tool: Cli
    pool: Pool

    def __call__(self, *arguments: str, stdin: str = "", check: bool = True) -> Done:
        """Return what the client does. Raises AssertionError if it fails."""
        return self.pool.run(self.tool, *arguments, stdin=stdin, check=check)

    def says(self, *arguments: str, stdin: str = "") -> str:
        """Return what the client prints."""
        return self(*arguments, stdin=stdin).stdout.strip()


@pytest.fixture(params=["20.10", "26.1", "28"])
def docker(request: pytest.FixtureRequest, three: Pool) -> Docker:
    """Return each of the clients."""
    return Docker(cli(request.param), three)


def test_containers(docker: Docker, tmp_path: Path) -> None:
    """Run, ps, exec, logs, cp, inspect, stats, top, diff, rename, update, wait, commit, stop and rm."""
    assert docker.says("run", "--rm", "-i", "busybox", "cat", stdin="through") == "through"
    docker("run", "-d", "--name", "web", "--init", "-p", "80", "busybox", "sh", "-c", "echo said; sleep 1d")
    assert docker.says("ps", "--format", "{{.State}}") == "running"
    assert docker.says("exec", "-i", "-e", "A=1", "web", "sh", "-c", "cat; echo $A", stdin="given\n") == "given\n1"
    assert docker.says("logs", "web") == "said"
    (tmp_path / "file").write_text("content")
    docker("cp", str(tmp_path / "file"), "web:/file")
    docker("cp", "web:/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "content"
    assert docker.says("inspect", "-f", "{{.State.Running}}", "web") == "true"
    assert docker.says("stats", "--no-stream", "--format", "{{.Name}}", "web").rpartition("/")[2] == "web"
    assert "sleep 1d" in docker.says("top", "web")
    assert "A /file" in docker.says("diff", "web")
    assert docker.says("port", "web").startswith("80/tcp -> ")
    docker("rename", "web", "shop")
    docker("update", "--cpu-shares", "512", "shop")
    docker("commit", "shop", "made:1")
    assert docker.says("run", "--rm", "made:1", "cat", "/file") == "content"
    docker("stop", "-t", "5", "shop")
    assert docker.says("wait", "shop") == "143"
    docker("rm", "shop")
    assert docker.says("container", "prune", "-f") == "Total reclaimed space: 0B"
    assert docker.says("ps", "-aq") == ""


def test_networks(docker: Docker) -> None:
    """Create, ls, inspect, run on it, connect, disconnect, prune and rm; containers find each other by name."""
    docker("network", "create", "--label", "tier=back", "mine")
    docker("run", "-d", "--name", "web", "--network", "mine", "--network-alias", "shop", "busybox", "sleep", "1d")
    # newer clients set the address of one network, and refuse that where an engine of the pool has no 1.44
    address = ("--mac-address", MAC) if docker.tool.version == "20.10" else ()
    docker("run", "-d", "--name", "app", "--network", "mine", *address, "busybox", "sleep", "1d")
    assert docker("exec", "app", "nslookup", "shop").code == 0
    assert not address or MAC in docker.says("exec", "app", "ip", "link")
    docker("network", "create", "-d", "bridge", "other")
    attached = json.loads(docker.says("network", "inspect", "mine"))[0]["Containers"]
    assert {each["Name"] for each in attached.values()} == {"web", "app"}
    names = {name.rpartition("/")[2] for name in docker.says("network", "ls", "--format", "{{.Name}}").splitlines()}
    assert {"mine", "other", "bridge", "host", "none"} <= names
    docker("network", "disconnect", "mine", "web")
    docker("network", "connect", "--alias", "again", "mine", "web")
    assert docker("exec", "app", "nslookup", "again").code == 0
    assert "has active endpoints" in docker("network", "rm", "mine", check=False).stderr
    docker("rm", "-f", "web", "app")
    docker("network", "rm", "mine")
    assert "other" in docker.says("network", "prune", "-f")


def test_volumes(docker: Docker) -> None:
    """Create, ls, inspect, use it twice, rm and prune."""
    docker("volume", "create", "--label", "tier=back", "kept")
    docker("run", "--rm", "-v", "kept:/kept", "busybox", "sh", "-c", "echo here > /kept/file")
    assert docker.says("run", "--rm", "-v", "kept:/kept", "busybox", "cat", "/kept/file") == "here"
    assert json.loads(docker.says("volume", "inspect", "kept"))[0]["Labels"] == {"tier": "back"}
    names = {name.rpartition("/")[2] for name in docker.says("volume", "ls", "-q").splitlines()}
    assert "kept" in names
    docker("volume", "rm", "kept")
    docker("volume", "create", "unused")
    # a client that speaks 1.42 or above with a daemon takes named ones only if told so; the pool speaks 1.41
    named_too = ("-a",) if docker.pool.manager is None and docker.tool.version != "20.10" else ()
    assert "unused" in docker.says("volume", "prune", "-f", *named_too)


@pytest.mark.parametrize("buildkit", ["1", "0"])
def test_images(docker: Docker, tmp_path: Path, buildkit: str) -> None:
    """Load, build with either builder, run, tag, history, save, images and rmi."""
    docker.tool = replace(docker.tool, variables=(("DOCKER_BUILDKIT", buildkit),))
    archive = tmp_path / "image.tar"
    archive.write_bytes(busybox_archive("greeting:1", cmd=["echo", "hello"]))
    assert "greeting:1" in docker.says("load", "-i", str(archive))
    assert docker.says("run", "--rm", "greeting:1") == "hello"
    (tmp_path / "Dockerfile").write_text("FROM busybox\nARG WHO\nRUN echo built for $WHO > /made\n")
    (tmp_path / ".dockerignore").write_text("*.tar\n")
    docker("build", "-t", "built:1", "--build-arg", "WHO=us", str(tmp_path))
    assert docker.says("run", "--rm", "built:1", "cat", "/made") == "built for us"
    docker("tag", "built:1", "built:2")
    assert "busybox-static" in docker.says("history", "built:2")
    assert len(docker("save", "built:2").out) > 100_000
    assert {"built:1", "built:2", "greeting:1"} <= set(
        docker.says("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    )
    docker("rmi", "-f", "built:1", "built:2", "greeting:1")
    docker("image", "prune", "-f")
    docker("builder", "prune", "-f")


def test_system(docker: Docker) -> None:
    """Version, info, df and its details, events, plugins, contexts, and the refusal of swarm mode's commands."""
    assert docker.says("version", "--format", "{{.Server.Version}}")
    assert docker.says("info", "--format", "{{.NCPU}}").isdigit()
    docker("run", "-d", "--name", "web", "busybox", "sleep", "1d")
    assert "Containers" in docker.says("system", "df")
    assert "web" in docker.says("system", "df", "-v")
    docker("rm", "-f", "web")
    assert docker.says("events", "--since", "1m", "--until", "0s", "--filter", "event=destroy", "--format", "{{.Type}}")
    assert docker("plugin", "ls", "--format", "{{.Name}}").code == 0
    assert "not a swarm manager" in docker("node", "ls", check=False).stderr
    docker("context", "create", "pool", "--docker", f"host=tcp://{docker.pool.address}")
    host = docker.says("context", "inspect", "pool", "--format", "{{.Endpoints.docker.Host}}")
    assert host == f"tcp://{docker.pool.address}"
    docker("context", "rm", "pool")
    docker("system", "prune", "-f")
