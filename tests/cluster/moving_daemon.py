"""Scripted daemons that also start, stop, connect and remove containers, and a cluster that moves them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.moves import Mover
from swarmproxy.cluster.placement import Placement
from swarmproxy.model.labels import RESCHEDULE_POLICIES
from tests.cluster.creating_daemon import CreatingDaemon, placing

POLICY = {RESCHEDULE_POLICIES: '["on-node-failure"]'}
NOW = "2026-06-01T00:00:00Z"


class MovingDaemon(CreatingDaemon):
    """Answers what a move asks for. `refused` holds statuses by action (start, stop, connect, delete)."""

    def __init__(self, name: str = "node-0") -> None:
        super().__init__(name)
        self.refused: dict[str, int] = {}
        self.acted: list[tuple[str, str]] = []  # action and name of the container
        self.connected: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}  # more of every inspect's Config
        self.mounts: list[dict[str, Any]] = []
        self.user_networks: dict[str, Any] = {}  # of every inspect

    def _reply(self, path: str, query: dict[str, list[str]]) -> tuple[int, bytes]:
        method = self.method
        parts = path.split("/")
        if method == "POST" and parts[1] == "networks":
            return self._act(parts[3], "", network=unquote(parts[2]))
        if method == "DELETE" and parts[1] == "containers":
            return self._act("delete", parts[2])
        if method == "POST" and parts[-1] in ("start", "stop", "pause"):
            return self._act(parts[-1], parts[2])
        return super()._reply(path, query)

    def _act(self, action: str, container_id: str, network: str = "") -> tuple[int, bytes]:
        container = self.containers.get(container_id, {})
        self.acted.append((action, network or container.get("name", "")))
        if action in self.refused:
            return self.refused[action], b'{"message":"refused by the test"}'
        match action:
            case "start":
                self.change(container_id, state="running", started=NOW, tell="start")
            case "stop":
                self.change(container_id, state="exited", tell="die")
            case "pause":
                self.change(container_id, state="paused", tell="pause")
            case "delete" if container:
                self.remove(container_id)
        return 204, b""

    def _inspect(self, container_id: str) -> dict[str, Any]:
        inspect = super()._inspect(container_id)
        inspect["Config"] |= self.config
        inspect["Mounts"] = self.mounts
        inspect["NetworkSettings"] = {"Networks": self.user_networks}
        return inspect


@asynccontextmanager
async def moving(
    daemons: Sequence[MovingDaemon], *, steady_s: float = 0.0
) -> AsyncIterator[tuple[Mover, Placement, Cluster]]:
    """Run a cluster over `daemons`, with what moves containers there."""
    async with placing(daemons) as (placement, cluster):
        yield Mover(cluster, placement, lambda: 1_800_000_000.0, steady_s=steady_s), placement, cluster


def states(daemon: MovingDaemon) -> dict[str, str]:
    """Return the state of each container of a daemon by name."""
    return {each["name"]: each["state"] for each in daemon.containers.values()}
