"""Plugins of real engines: made from a directory, pushed to a registry and installed from there."""

import json
from pathlib import Path

import docker as docker_sdk
import pytest

from tests.hosts import registry
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.network import Network
from tests.integration.client import Docker

CONFIG = {
    "description": "does nothing",
    "documentation": "",
    "entrypoint": ["/bin/sleep", "1d"],
    "interface": {"types": ["docker.nothing/1.0"], "socket": "nothing.sock"},
    "network": {"type": "none"},
    "env": [{"name": "LEVEL", "description": "", "settable": ["value"], "value": "1"}],
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a directory that `docker plugin create` takes."""
    (tmp_path / "rootfs" / "bin").mkdir(parents=True)
    (tmp_path / "rootfs" / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def names(engine: Engine) -> list[str]:
    return [plugin["Name"] for plugin in engine.get_json("/plugins")]


def test_plugin_of_a_node(docker: Docker, source: Path) -> None:
    """A plugin is created on the node in its name, listed with it, set, inspected and removed by it."""
    first, second = docker.engines
    docker("plugin", "create", f"{second.name}/nothing", str(source))
    assert (names(first), names(second)) == ([], ["nothing:latest"])
    assert docker("plugin", "ls", "--format", "{{.Name}} {{.Enabled}}").lines == [f"{second.name}/nothing:latest false"]
    for name in (f"{second.name}/nothing:latest", "nothing"):
        assert docker("plugin", "inspect", "-f", "{{.Config.Description}}", name).lines == ["does nothing"]
    docker("plugin", "set", f"{second.name}/nothing", "LEVEL=2")
    assert "LEVEL=2" in docker("plugin", "inspect", "-f", "{{.Settings.Env}}", "nothing").stdout
    docker("plugin", "rm", f"{second.name}/nothing")
    assert names(second) == []


def test_installed(docker: Docker, source: Path, network: Network) -> None:
    """A plugin is pushed from the node that has it, and installed and upgraded on the node in its alias."""
    first, second = docker.engines
    with registry.serving(f"{network.subnet}.1") as served:
        name = f"{served.address}/nothing:1"
        # clients take no node in front of a name with a port
        docker.cli.run(first.address, "plugin", "create", name, str(source), tls=docker.tls)
        docker("plugin", "push", name)
        docker("plugin", "rm", name)
        alias = f"{second.name}/installed"
        docker("plugin", "install", "--grant-all-permissions", "--disable", "--alias", alias, name)
        assert (names(first), names(second)) == ([], ["installed:latest"])
        docker("plugin", "upgrade", "--grant-all-permissions", "--skip-remote-check", alias, name)
        assert docker("plugin", "ls", "--format", "{{.Name}} {{.Enabled}}").lines == [f"{alias}:latest false"]
        docker("plugin", "rm", alias)


def test_which_node(docker: Docker, source: Path) -> None:
    """A plugin without a node is refused with what to do; one on both nodes is asked for by both names."""
    refused = docker.refused("plugin", "create", "nothing", str(source))
    assert "a plugin is installed on one node" in refused
    for engine in docker.engines:
        assert engine.name in refused
        docker("plugin", "create", f"{engine.name}/nothing", str(source))
    assert "is on several nodes" in docker.refused("plugin", "rm", "nothing")
    installing = ("plugin", "install", "--grant-all-permissions", "registry.invalid/some/plugin")
    assert "a plugin is installed on one node" in docker.refused(*installing)
    alias = f"{docker.engines[0].name}/other"
    assert "registry.invalid" in docker.refused(*installing, "--alias", alias)


def test_sdk(sdk: docker_sdk.DockerClient, fleet: Fleet, source: Path) -> None:
    """docker-py's plugins answer to the names that they are listed with."""
    node = fleet.engines[0].name
    sdk.plugins.create(f"{node}/nothing", str(source))
    [plugin] = sdk.plugins.list()
    assert plugin.name == f"{node}/nothing:latest"
    plugin.reload()
    assert (plugin.name, plugin.enabled) == (f"{node}/nothing:latest", False)
    plugin.configure({"LEVEL": "3"})
    assert sdk.plugins.get(plugin.name).settings["Env"] == ["LEVEL=3"]
    plugin.remove()
    assert sdk.plugins.list() == []
    with pytest.raises(docker_sdk.errors.NotFound):
        sdk.plugins.get(f"{node}/nothing")
