"""Compose projects with networks of their own, on plain engines."""

from pathlib import Path

import pytest

from tests.clients import cli
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.networks_compose import SERVICE, Compose, address_of, compose_of, nodes_of

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


@pytest.fixture(params=["1.29", "28"])
def compose(request: pytest.FixtureRequest, front: Manager, tmp_path: Path) -> Compose:
    """Return a compose program at a manager over two plain engines."""
    return compose_of(request.param, front, tmp_path, FILE)


def test_projects(compose: Compose, front: Manager, engines: list[Engine]) -> None:
    """Each project comes up whole on a node of its own, and leaves nothing."""
    for project in ("one", "two"):
        compose(project, "up", "-d")
    homes = [nodes_of(front, project) for project in ("one", "two")]
    assert sorted(len(each) for each in homes) == [1, 1]
    assert homes[0] != homes[1]
    separator = "_" if compose.tool.version == "1.29" else "-"
    web, db = (f"one{separator}{service}{separator}1" for service in ("web", "db"))
    address = address_of(front, db, "one_back")
    assert cli("28").run(front.address, "exec", web, "ping", "-c", "1", "-w", "5", address).code == 0
    for project in ("one", "two"):
        compose(project, "down")
    left = [network["Name"] for engine in engines for network in engine.get_json("/networks")]
    assert sorted(left) == sorted(["bridge", "host", "none"] * len(engines))


@pytest.mark.parametrize("compose", ["28"], indirect=True)
def test_again(compose: Compose, front: Manager) -> None:
    """A project finds itself unchanged, grows where it is, and comes up again after it was down."""
    compose("one", "up", "-d")
    before = front.get_json("/containers/one-web-1/json")["Id"]
    compose("one", "up", "-d", "--scale", "db=2")
    assert front.get_json("/containers/one-web-1/json")["Id"] == before
    assert len(nodes_of(front, "one")) == 1
    compose("one", "down")
    compose("one", "up", "-d")
    assert len(nodes_of(front, "one")) == 1
    compose("one", "down")
