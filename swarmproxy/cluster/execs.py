"""Which engine runs an exec instance: remembered when it is made, asked for when it was made elsewhere."""

import asyncio
from collections import OrderedDict

from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import NotFound, SwarmError

REMEMBERED = 100_000


class Execs:
    """A bounded memory of exec id to engine, the oldest forgotten first."""

    def __init__(self) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()

    def note(self, exec_id: str, engine: Engine) -> None:
        """Remember where `exec_id` is."""
        self._engines[exec_id] = engine
        if len(self._engines) > REMEMBERED:
            self._engines.popitem(last=False)

    def forget(self, engine: Engine) -> None:
        """Drop all that `engine` had: it left."""
        for exec_id in [each for each, owner in self._engines.items() if owner is engine]:
            del self._engines[exec_id]

    async def find(self, exec_id: str, engines: list[Engine]) -> Engine:
        """Return the engine of `exec_id`, asking all healthy ones when it is not remembered. Raises NotFound."""
        if engine := self._engines.get(exec_id):
            return engine
        healthy = [engine for engine in engines if engine.state is State.HEALTHY]
        for engine, known in zip(
            healthy, await asyncio.gather(*(_knows(engine, exec_id) for engine in healthy)), strict=True
        ):
            if known:
                self.note(exec_id, engine)
                return engine
        raise NotFound(f"No such exec instance: {exec_id}")


async def _knows(engine: Engine, exec_id: str) -> bool:
    """Whether `engine` has the exec instance; an engine that does not answer has not."""
    try:
        await engine.client.exec_inspect(exec_id)
    except SwarmError:
        return False
    return True
