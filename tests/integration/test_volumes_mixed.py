"""Volumes and disk usage of engines of different versions, for clients old and new."""

from collections.abc import Iterator

import docker
import pytest

from tests.conftest import StartEngines, StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager
from tests.integration.sdk import connected, node_of, sleeper

OLD, NEW = "1.41", "1.44"


@pytest.fixture
def mixed(start_engines: StartEngines) -> list[Engine]:
    """Return an engine 20.10 and an engine 28."""
    return [*start_engines(1), *start_engines(1, version="28")]


@pytest.fixture
def manager(mixed: list[Engine], start_manager: StartManager) -> Manager:
    return start_manager(mixed)


@pytest.fixture(params=[OLD, NEW])
def client(request: pytest.FixtureRequest, manager: Manager) -> Iterator[docker.DockerClient]:
    """Yield docker-py speaking one version of the API, whatever the manager advertises."""
    with connected(manager, version=request.param) as sdk:
        yield sdk


def volumes(engine: Engine) -> list[str]:
    return [each["Name"] for each in engine.get_json("/volumes")["Volumes"] or ()]


def test_mixed(mixed: list[Engine], client: docker.DockerClient) -> None:
    """One client, one meaning: which volumes a prune spares, and the shape of disk usage, are those of its version."""
    for engine in mixed:
        client.volumes.create(f"{engine.name}/named")
        anonymous = sleeper(client, environment=[f"constraint:node=={engine.name}"], volumes=["/data"])
        assert node_of(anonymous) == engine.name
        anonymous.remove(force=True)
    told = client.df()
    assert sorted(each["Node"] for each in told["Images"]) == sorted(engine.name for engine in mixed)
    assert len(told["Volumes"]) == 4
    assert ("BuilderSize" in told) is (client.api.api_version == OLD)
    pruned = client.volumes.prune()["VolumesDeleted"]
    left = ["named"] if client.api.api_version == NEW else []
    assert len(pruned) == 4 - 2 * len(left)
    assert [volumes(engine) for engine in mixed] == [left, left]
    if left:
        assert client.volumes.prune(filters={"all": True})["VolumesDeleted"] == ["named", "named"]
