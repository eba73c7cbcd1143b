"""What the engines' objects take on their disks. Engines measure it slowly, and some only one client at a time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from swarmproxy.cluster.asking import ask_and_check
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.participants import taking_part
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import EngineUnreachable
from swarmproxy.model import apiversion
from swarmproxy.model.disk_usage import Naming, NodeUsage, Query, merge, read
from swarmproxy.model.names import NameStyle

TIMEOUT_S = 300.0  # an engine walks through all files of all volumes


@dataclass(slots=True)
class _Measuring:
    """One engine's turn, and what came of the last one."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    path: str = ""
    begun_at: float = 0.0
    body: bytes = b""


@dataclass(slots=True)
class DiskUsage:
    """Asks engines for their disk usage: each of them one question at a time.

    An engine 20.10 refuses a second question while it measures. Those who wait meanwhile share the next answer.
    """

    cluster: Cluster
    timeout_s: float = TIMEOUT_S
    _measuring: WeakKeyDictionary[Engine, _Measuring] = field(default_factory=WeakKeyDictionary)

    async def of_all(
        self, query: Query, *, style: NameStyle, volumes: bool = True, tags: bool = False, nodes: Sequence[str] = ()
    ) -> bytes:
        """Return the answer to `query` for all healthy engines, or for `nodes`.

        An engine that does not answer is left out, as are those that were known not to; what an engine refuses is
        raised. Raises Unavailable if there is none, NotFound for a node that is not there.
        """
        engines = taking_part(self.cluster, nodes)

        async def measure(engine: Engine) -> NodeUsage:
            body = await self._ask(engine, query)
            return read(body, query, Naming(node=engine.name, style=style, volumes=volumes, tags=tags))

        outcome = await on_all(engines, measure, timeout_s=self.timeout_s)
        refused = [error for _, error in outcome.failed if not isinstance(error, EngineUnreachable)]
        if outcome.error is not None and (refused or not outcome.done):
            raise outcome.error
        return merge((usage for _, usage in outcome.done), query)

    async def _ask(self, engine: Engine, query: Query) -> bytes:
        """Return the engine's answer to a question that began after this call, our own or another's."""
        if engine.facts is None:
            raise EngineUnreachable(f"engine {engine.address} has left")
        spoken = apiversion.parse(apiversion.spoken(query.version, engine.facts.api_min, engine.facts.api_max))
        parameters = urlencode(query.parameters(spoken))
        path = f"/system/df?{parameters}" if parameters else "/system/df"
        measuring = self._measuring.setdefault(engine, _Measuring())
        clock = asyncio.get_running_loop().time
        asked_at, path_of = clock(), f"{apiversion.text(spoken)} {path}"
        async with measuring.turn:
            if measuring.path != path_of or measuring.begun_at < asked_at:
                begun_at = clock()
                body = await ask_and_check(engine, query.version, "GET", path, timeout_s=self.timeout_s)
                measuring.path, measuring.begun_at, measuring.body = path_of, begun_at, body
            return measuring.body
