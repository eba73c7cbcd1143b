"""Building over engines 28, and over an old and a new one."""

import contextlib
from pathlib import Path

from tests.conftest import StartEngines, StartManager
from tests.hosts.manager import Manager
from tests.integration.builders import FILES, WAYS, build, holders, written


def test_every_way(start_engines: StartEngines, start_manager: StartManager, tmp_path: Path) -> None:
    """Each client builds on engines 28, is told to prefer BuildKit, and runs what it has built."""
    engines = start_engines(2, version="28")
    manager = start_manager(engines)
    assert ping(manager) == "2"
    for number, how in enumerate(WAYS):
        directory = written(tmp_path / how, {**FILES, "greeting": f"{how}\n"})
        build(manager, how, "-t", f"made:{number}", directory)
        assert len(holders(engines, f"made:{number}")) == 1
        assert manager.docker("run", "--rm", f"made:{number}").stdout == f"{how}\n"
    plain, asked = (manager.get_json(f"/images/json{query}") for query in ("", "?shared-size=1"))
    assert {image["SharedSize"] for image in plain} == {-1}
    assert all(image["SharedSize"] > 0 for image in asked)
    assert len(plain) == len(asked)


def test_old_and_new(start_engines: StartEngines, start_manager: StartManager, tmp_path: Path) -> None:
    """One engine of two that does not prefer BuildKit is enough not to; either of them builds."""
    engines = [*start_engines(1, version="28"), *start_engines(1)]
    manager = start_manager(engines)
    assert ping(manager) == "1"
    for how in ("legacy-20.10", "buildkit-20.10"):
        for engine in engines:
            directory = written(tmp_path / how, FILES)
            build(manager, how, "-t", "made:1", "--build-arg", f"constraint:node=={engine.name}", directory)
            assert holders(engines, "made:1") == [engine]
            manager.docker("rmi", "made:1")


def ping(manager: Manager) -> str | None:
    """Return the builder that the manager tells its clients to use."""
    with contextlib.closing(manager.connect()) as connection:
        connection.request("HEAD", "/_ping")
        return connection.getresponse().headers["Builder-Version"]
