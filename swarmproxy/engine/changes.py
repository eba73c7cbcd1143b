"""Containers that requests of clients are changing: each is read once, at the end, not for every event meanwhile."""

import asyncio
from collections.abc import Callable

from swarmproxy.engine.coalesce import Coalescer
from swarmproxy.model.container import Container

LEFT_TO_REQUEST_S = 0.25  # so long may what an engine tells of a container wait for a request that is changing it


class Changes:
    """The requests on their way to one engine that change containers. `is_known` says whether it has a container."""

    def __init__(self, containers: Coalescer[Container | None], is_known: Callable[[str], bool]) -> None:
        self._containers = containers
        self._is_known = is_known
        self._under_way: dict[str, int] = {}  # how many requests are changing each container
        self._told: dict[str, asyncio.TimerHandle] = {}  # those of which the engine has told something meanwhile

    def read(self, container_id: str, *, begun_will_do: bool = False) -> "asyncio.Future[Container | None]":
        """Have a container read now, whoever waits; see Coalescer.ask. None if it has gone.

        Raises EngineUnreachable if the engine is no member just now.
        """
        return self._containers.ask(container_id, urgent=True, begun_will_do=begun_will_do)

    def begin(self, container_id: str) -> None:
        """Take note that a request to change this container is on its way: who sends it has it read if it succeeds."""
        self._under_way[container_id] = self._under_way.get(container_id, 0) + 1

    def end(self, container_id: str) -> None:
        """Take note that it is over, however it ended. Called once for each `begin`."""
        left = self._under_way.pop(container_id) - 1
        if left:
            self._under_way[container_id] = left
        elif container_id in self._told:
            self._read_told(container_id)

    def touch(self, container_id: str) -> None:
        """Have a container read soon: the engine has told something of it.

        While a request changes it that is left to the end of the request, which is near as a rule: what an engine tells
        of a change comes before its answer.
        """
        if container_id not in self._under_way:
            self._containers.ask(container_id)
        elif container_id not in self._told:
            loop = asyncio.get_running_loop()
            self._told[container_id] = loop.call_later(LEFT_TO_REQUEST_S, self._read_told, container_id)

    def close(self) -> None:
        """Have nothing more read."""
        for timer in self._told.values():
            timer.cancel()
        self._told.clear()

    def _read_told(self, container_id: str) -> None:
        self._told.pop(container_id).cancel()
        if self._is_known(container_id):  # and not removed by the request
            self._containers.ask(container_id)
