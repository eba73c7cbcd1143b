"""Checkpoints, on an engine that has them, as far as that goes without criu."""

import pytest

from tests.clients import cli
from tests.conftest import StartEngines, StartManager


@pytest.mark.parametrize("version", ["20.10", "28"])
def test_checkpoint(start_engines: StartEngines, start_manager: StartManager, version: str) -> None:
    """The commands reach the container's engine and tell what it says."""
    manager = start_manager(start_engines(1, arguments=["--experimental"]), experimental=True)
    client = cli(version)
    client.run(manager.address, "run", "-d", "--name", "web", "busybox", "sleep", "1d")
    assert client.run(manager.address, "checkpoint", "ls", "web").lines == ["CHECKPOINT NAME"]
    for command, expected in (("create", "criu"), ("rm", "checkpoint one does not exist")):
        refused = client.run(manager.address, "checkpoint", command, "web", "one", check=False)
        assert expected in refused.stderr
