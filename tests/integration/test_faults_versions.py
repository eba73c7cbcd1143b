"""Engines of several versions in one cluster."""

import pytest

from tests.conftest import StartEngines, StartManager
from tests.hosts.engine import Engine
from tests.integration.faults import row_of, run
from tests.integration.sdk import connected, forgets_sockets, node_of

pytestmark = forgets_sockets


@pytest.fixture
def old(engines: list[Engine]) -> Engine:
    """Return an engine 20.10."""
    return engines[0]


def test_mixed_pool(old: Engine, start_engines: StartEngines, start_manager: StartManager) -> None:
    """Engines 20.10 and 28 run containers of one client; each is spoken to in the version nearest to the client's."""
    [new] = start_engines(1, version="28")
    manager = start_manager([old, new])
    newest = {engine.name: engine.get_json("/version")["ApiVersion"] for engine in (old, new)}
    assert newest[old.name] == "1.41" < newest[new.name]
    for engine in (old, new):
        assert row_of(manager, engine, "ServerVersion") == engine.get_json("/version")["Version"]
    for version in ("auto", "1.24", "1.41", newest[new.name]):
        with connected(manager, version=version) as client:
            if version == "auto":
                assert client.api.api_version == "1.41"
            for engine in (old, new):
                where = [f"constraint:node=={engine.name}"]
                container = client.containers.run("busybox", ["sleep", "1d"], environment=where, detach=True)
                assert node_of(container) == engine.name
                assert container.exec_run(["echo", "hello"]).output == b"hello\n"
                inspected = container.attrs
                spoken = min(newest[engine.name], client.api.api_version, key=lambda text: int(text[2:]))
                direct = engine.get_json(f"/v{spoken}/containers/{container.id}/json")
                assert set(inspected) == {*direct, "Node"}
                container.remove(force=True)


def test_newer_pool(start_engines: StartEngines, start_manager: StartManager) -> None:
    """Over engines 28 alone the version of 28 is advertised, and what it added works."""
    [engine] = start_engines(1, version="28")
    manager = start_manager([engine])
    run(manager, "noted", Annotations={"made": "here"})
    with connected(manager) as client:
        assert client.api.api_version == engine.get_json("/version")["ApiVersion"]
        assert client.containers.get("noted").attrs["HostConfig"]["Annotations"]["made"] == "here"
    done = manager.docker("exec", "noted", "echo", "hello", with_cli="28")
    assert done.stdout == "hello\n"
