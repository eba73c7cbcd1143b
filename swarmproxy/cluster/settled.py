"""Reads that follow writes: before the answer goes out, or after it, and then lists wait for what they tell."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal

from swarmproxy.engine.engine import Engine
from swarmproxy.errors import SwarmError

log = logging.getLogger("swarmproxy.cluster")

PATIENCE_S = 2.0


class Unsettled:
    """Containers that a client has just changed and whose new state has not been read yet."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], int] = {}
        self._calm = asyncio.Event()
        self._calm.set()

    def expect(self, engine: Engine, container_id: str) -> Callable[[], None]:
        """Mark a container as changed; the function that comes back unmarks it, once."""
        key = (str(engine.address), container_id)
        self._waiting[key] = self._waiting.get(key, 0) + 1
        self._calm.clear()
        done = False

        def settle() -> None:
            nonlocal done
            if done:
                return
            done = True
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
            if not self._waiting:
                self._calm.set()

        return settle

    def concerns(self, what: str) -> bool:
        """Return whether `what` is unsettled on any engine."""
        return any(key[1] == what for key in self._waiting)

    @property
    def is_calm(self) -> bool:
        """Whether nothing is unsettled."""
        return self._calm.is_set()

    async def calm(self) -> None:
        """Return when nothing is unsettled, or after `PATIENCE_S`: a stuck engine must not hold a list."""
        if self.is_calm:
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._calm.wait()
        except TimeoutError:
            return


async def reread(engine: Engine, what: Literal["images", "networks", "volumes"]) -> None:
    """Read a list of `engine` anew. A failure is its health's business: what was done is done."""
    refresh = {"images": engine.refresh_images, "networks": engine.refresh_networks, "volumes": engine.refresh_volumes}
    try:
        await refresh[what]()
    except SwarmError as error:
        log.warning("%s could not be read", what, extra={"engine": engine.title, "error": str(error)})


async def refresh_then(refresh: Callable[[], Awaitable[object]], settle: Callable[[], None]) -> None:
    """Read the new state, then unmark. An engine that does not answer is noticed by its own watch, not here."""
    try:
        await refresh()
    except SwarmError as error:
        log.debug("state not read after a change", extra={"error": str(error)})
    except Exception:  # a child of the cluster's own group: it must not end the manager
        log.exception("state not read after a change")
    finally:
        settle()
