"""One compose project of one version of compose, in a directory of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients import Cli, Done
from tests.integration.clients.pools import Pool


@dataclass(slots=True)
class Project:
    """What a user has: a directory with a compose file, and a compose to run there.

    `subcommand` is what makes `tool` a compose: ("compose",) for the plugin of the docker client.
    """

    tool: Cli
    pool: Pool
    directory: Path
    name: str
    subcommand: Sequence[str] = ()
    is_up: bool = False

    def write(self, document: dict[str, Any], *, name: str = "compose.yml") -> None:
        """Write the compose file: JSON is YAML too."""
        (self.directory / name).write_text(json.dumps(document))

    def __call__(self, *arguments: str, stdin: str = "", check: bool = True, timeout_s: float = 90.0) -> Done:
        """Return what compose does with `arguments` in the project. Raises AssertionError if it fails."""
        self.is_up |= arguments[0] in ("up", "run", "create")
        file = str(self.directory / "compose.yml")
        given = (*self.subcommand, "-f", file, "-p", self.name, *arguments)
        done = self.pool.run(self.tool, *given, stdin=stdin, check=check, timeout_s=timeout_s)
        if arguments[0] == "down" and done.code == 0:
            self.is_up = False
        return done

    @property
    def label(self) -> str:
        """The label that all its objects have."""
        return f"com.docker.compose.project={self.name}"

    @property
    def nodes(self) -> dict[str, list[str]]:
        """The names of its containers by engine."""
        return self.pool.where(self.label)

    @property
    def containers(self) -> list[str]:
        """The names of its containers, without the project's name."""
        names = [name for names in self.nodes.values() for name in names]
        return sorted(name.removeprefix(self.name)[1:] for name in names)

    def leftovers(self) -> list[str]:
        """Return what is left of it on any engine."""
        return self.pool.leftovers(self.label)
