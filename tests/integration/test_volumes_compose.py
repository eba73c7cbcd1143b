"""Compose projects with volumes, on plain engines."""

from pathlib import Path

import pytest

from tests.clients import cli
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.networks_compose import SERVICE, Compose, compose_of, nodes_of

FILE = f"""
services:
  web:
    {SERVICE}
    volumes: ["data:/data"]
  db:
    {SERVICE}
    volumes: ["data:/data", "/scratch"]
volumes:
  data:
    labels: {{keep: "yes"}}
"""


@pytest.fixture(params=["1.29", "28"])
def compose(request: pytest.FixtureRequest, front: Manager, tmp_path: Path) -> Compose:
    """Return a compose program at a manager over two plain engines."""
    return compose_of(request.param, front, tmp_path, FILE)


def test_project(compose: Compose, front: Manager, engines: list[Engine]) -> None:
    """Services share their volume, find its data again after `down` and `up`, and `down -v` leaves nothing."""
    compose("one", "up", "-d")
    compose("one", "exec", "-T", "web", "sh", "-c", "echo kept > /data/text")
    assert compose("one", "exec", "-T", "db", "cat", "/data/text").lines == ["kept"]
    [home] = nodes_of(front, "one")
    compose("one", "down")
    for number in range(3):  # from now on the scheduler would rather take the other node
        load = ("run", "-d", "--name", f"load-{number}", "-e", f"constraint:node=={home}", "busybox", "sleep", "1d")
        cli("28").run(front.address, *load)
    again = compose("one", "up", "-d")
    assert "not created by" not in again.stderr
    assert compose("one", "exec", "-T", "db", "cat", "/data/text").lines == ["kept"]
    compose("one", "down", "-v")
    left = [each["Name"] for engine in engines for each in engine.get_json("/volumes")["Volumes"] or ()]
    assert not any(name.endswith("data") for name in left)
