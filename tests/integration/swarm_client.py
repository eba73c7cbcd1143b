"""What tests say to a swarm through a manager of ours, as users of the docker client do."""

from typing import Any

from tests.clients import Done
from tests.hosts.engine import Engine
from tests.hosts.manager import Manager

PATIENT = "trap exit TERM; while :; do sleep 0.1; done"  # a task that ends when it is told to


class Swarm:
    """The manager under test as docker clients see it, and what it is over."""

    def __init__(self, manager: Manager, engines: list[Engine], *, version: str = "28") -> None:
        self.manager, self.engines, self.version = manager, engines, version  # of the client, unless a test says

    @property
    def names(self) -> list[str]:
        """The names of the nodes."""
        return [engine.name for engine in self.engines]

    def __call__(self, *arguments: str, stdin: str = "", version: str = "") -> list[str]:
        """Return the lines that a docker client prints."""
        return self.manager.docker(*arguments, stdin=stdin, with_cli=version or self.version).lines

    def tried(self, *arguments: str) -> Done:
        return self.manager.docker(*arguments, with_cli=self.version, check=False)

    def until(self, condition: Any, what: str) -> None:
        self.manager.wait_until(condition, what)

    def replicas(self) -> dict[str, str]:
        """Return how many tasks of each service run, of how many."""
        listed = self("service", "ls", "--format", "{{.Name}} {{.Replicas}}")
        return {name: rest.partition(" ")[0] for name, _, rest in (line.partition(" ") for line in listed)}

    def nodes_of(self, service: str) -> set[str]:
        """Return where the containers of a service's tasks run, as `docker ps` shows it."""
        names = self("ps", "--filter", f"label=com.docker.swarm.service.name={service}", "--format", "{{.Names}}")
        return {name.partition("/")[0] for name in names}

    def have(self, service: str, variable: str) -> set[bool]:
        """Return whether the tasks of a service that run have `variable`, which is A=B, in their environment."""
        ids = self("ps", "-q", "--filter", f"label=com.docker.swarm.service.name={service}")
        told = self.tried("inspect", "--format", "{{.Config.Env}}", *ids).lines if ids else []
        return {variable in line for line in told}
