"""Which engine runs an exec instance: remembered when it is made, asked for when it was made elsewhere."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from swarmproxy.cluster.fanout import on_all
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import NotFound

REMEMBERED = 100_000
TIMEOUT_S = 30.0


class Execs:
    """A bounded memory of exec id to engine, the oldest forgotten first."""

    def __init__(self) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._deaf: set[str] = set()  # those of them that take no input

    def note(self, exec_id: str, engine: Engine, *, takes_input: bool = True) -> None:
        """Remember where `exec_id` is. `takes_input`: its stdin is attached, or nobody knows."""
        self._engines[exec_id] = engine
        if not takes_input:
            self._deaf.add(exec_id)
        if len(self._engines) > REMEMBERED:
            oldest, _ = self._engines.popitem(last=False)
            self._deaf.discard(oldest)

    def takes_input(self, exec_id: str) -> bool:
        """Say whether what a client says to `exec_id` may be read by anybody."""
        return exec_id not in self._deaf

    def forget(self, engine: Engine) -> None:
        """Drop all that `engine` had: it left."""
        for exec_id in [each for each, owner in self._engines.items() if owner is engine]:
            del self._engines[exec_id]
            self._deaf.discard(exec_id)

    async def find(self, exec_id: str, healthy: Callable[[], Sequence[Engine]]) -> Engine:
        """Return the engine of `exec_id`, asking all `healthy` ones when it is not remembered. Raises NotFound."""
        if engine := self._engines.get(exec_id):
            return engine
        outcome = await on_all(healthy(), lambda engine: engine.client.exec_inspect(exec_id), timeout_s=TIMEOUT_S)
        if not outcome.done:  # an engine that does not answer has it not
            raise NotFound(f"No such exec instance: {exec_id}")
        engine = outcome.done[0][0]
        self.note(exec_id, engine)
        return engine
