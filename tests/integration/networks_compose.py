"""Compose projects in tests of networks."""

import json
from pathlib import Path

from tests.clients import Cli, Done, cli, compose_1
from tests.hosts.manager import Manager

SERVICE = "image: busybox\n    stop_grace_period: 0s\n    command: [sleep, 1d]"


class Compose:
    """A compose program of version 1 or 2 in the directory of a project."""

    def __init__(self, tool: Cli, manager: Manager, directory: Path) -> None:
        self.tool, self.manager, self.directory = tool, manager, directory

    def __call__(self, project: str, *arguments: str) -> Done:
        command = [] if self.tool.version == "1.29" else ["compose"]
        file = str(self.directory / "compose.yaml")
        return self.tool.run(self.manager.address, *command, "-f", file, "-p", project, *arguments, timeout_s=120.0)


def compose_of(version: str, manager: Manager, directory: Path, file: str) -> Compose:
    """Return compose 1.29, or the one of a docker client, with a project of `file` in `directory`."""
    is_first = version == "1.29"
    (directory / "compose.yaml").write_text(f'version: "3.7"\n{file}' if is_first else file)
    return Compose(compose_1() if is_first else cli(version), manager, directory)


def nodes_of(manager: Manager, project: str) -> set[str]:
    """Return the nodes with containers of a project."""
    filters = json.dumps({"label": [f"com.docker.compose.project={project}"]})
    listed = manager.get_json(f"/containers/json?all=1&filters={filters}".replace(" ", "").replace('"', "%22"))
    return {name.split("/")[1] for each in listed for name in each["Names"] if name.count("/") == 2}


def address_of(manager: Manager, name: str, network: str) -> str:
    return str(manager.get_json(f"/containers/{name}/json")["NetworkSettings"]["Networks"][network]["IPAddress"])
