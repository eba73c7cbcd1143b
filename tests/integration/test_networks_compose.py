"""Compose projects with networks of their own, on plain engines and over a swarm of Docker's swarm mode."""

import json
from pathlib import Path

import pytest

from tests.clients import Cli, Done, cli, compose_1
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager

SERVICE = "image: busybox\n    stop_grace_period: 0s\n    command: [sleep, 1d]"
FILE = f"""
services:
  web:
    {SERVICE}
    networks: [default, back]
  db:
    {SERVICE}
    networks: [back]
networks:
  back: {{internal: true}}
"""
FILE_1 = f'version: "3.7"\n{FILE}'


class Compose:
    """A compose program of version 1 or 2 in the directory of a project."""

    def __init__(self, tool: Cli, manager: Manager, directory: Path) -> None:
        self.tool, self.manager, self.directory = tool, manager, directory

    def __call__(self, project: str, *arguments: str) -> Done:
        command = [] if self.tool.version == "1.29" else ["compose"]
        file = str(self.directory / "compose.yaml")
        return self.tool.run(self.manager.address, *command, "-f", file, "-p", project, *arguments, timeout_s=120.0)


@pytest.fixture(params=["1.29", "28"])
def compose(request: pytest.FixtureRequest, front: Manager, tmp_path: Path) -> Compose:
    """Return a compose program at a manager over two plain engines."""
    tool = compose_1() if request.param == "1.29" else cli(request.param)
    (tmp_path / "compose.yaml").write_text(FILE_1 if request.param == "1.29" else FILE)
    return Compose(tool, front, tmp_path)


def nodes_of(manager: Manager, project: str) -> set[str]:
    """Return the nodes with containers of a project."""
    filters = json.dumps({"label": [f"com.docker.compose.project={project}"]})
    listed = manager.get_json(f"/containers/json?all=1&filters={filters}".replace(" ", "").replace('"', "%22"))
    return {name.split("/")[1] for each in listed for name in each["Names"] if name.count("/") == 2}


def address_of(manager: Manager, name: str, network: str) -> str:
    return str(manager.get_json(f"/containers/{name}/json")["NetworkSettings"]["Networks"][network]["IPAddress"])


def test_projects(compose: Compose, front: Manager, engines: list[Engine]) -> None:
    """Each project comes up whole on a node of its own, finds it unchanged, and leaves nothing."""
    for project in ("one", "two"):
        compose(project, "up", "-d")
    homes = [nodes_of(front, project) for project in ("one", "two")]
    assert sorted(len(each) for each in homes) == [1, 1]
    assert homes[0] != homes[1]
    separator = "_" if compose.tool.version == "1.29" else "-"
    web = f"one{separator}web{separator}1"
    db = address_of(front, f"one{separator}db{separator}1", "one_back")
    tool = cli("28")
    assert tool.run(front.address, "exec", web, "ping", "-c", "1", "-w", "5", db).code == 0
    before = front.get_json(f"/containers/{web}/json")["Id"]
    compose("one", "up", "-d")
    assert front.get_json(f"/containers/{web}/json")["Id"] == before
    compose("one", "up", "-d", "--scale", "db=3")
    assert len(nodes_of(front, "one")) == 1
    for project in ("one", "two"):
        compose(project, "down")
    left = [network["Name"] for engine in engines for network in engine.get_json("/networks")]
    assert sorted(left) == sorted(["bridge", "host", "none"] * len(engines))


def test_again(compose: Compose, front: Manager) -> None:
    """A project that came down and comes up again works, wherever it is then."""
    for _ in range(2):
        compose("one", "up", "-d")
        assert len(nodes_of(front, "one")) == 1
        compose("one", "down")
