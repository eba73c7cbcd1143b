"""The clusters that client programs are shown, and what they leave behind."""

import json
from dataclasses import dataclass

from tests.clients import Cli, Done
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager


@dataclass(frozen=True, slots=True)
class Pool:
    """An endpoint and the engines behind it: a manager's, or with `--direct` that of one engine."""

    address: str
    engines: list[Engine]
    manager: Manager | None = None

    def run(self, tool: Cli, *arguments: str, stdin: str = "", check: bool = True, timeout_s: float = 90.0) -> Done:
        """Return what a client program does here; see `Cli.run`."""
        return tool.run(self.address, *arguments, stdin=stdin, check=check, timeout_s=timeout_s)

    def get_json(self, path: str) -> object:
        """Return the endpoint's decoded answer to a GET."""
        source = self.manager or self.engines[0]
        return source.get_json(path)

    def where(self, label: str) -> dict[str, list[str]]:
        """Return the names of the containers that have `label`, by engine; engines without any are left out."""
        filters = json.dumps({"label": [label]})
        found = {
            engine.name: sorted(
                each["Names"][0].lstrip("/")
                for each in engine.get_json(f"/containers/json?all=1&filters={filters}".replace(" ", ""))
            )
            for engine in self.engines
        }
        return {name: names for name, names in found.items() if names}

    def leftovers(self, label: str) -> list[str]:
        """Return what still has `label` on any engine: containers, networks and volumes."""
        filters = json.dumps({"label": [label]}, separators=(",", ":"))
        found: list[str] = []
        for engine in self.engines:
            found += [each["Id"] for each in engine.get_json(f"/containers/json?all=1&filters={filters}")]
            found += [each["Name"] for each in engine.get_json(f"/networks?filters={filters}")]
            found += [each["Name"] for each in engine.get_json(f"/volumes?filters={filters}")["Volumes"] or ()]
        return found
