"""Several engines, started side by side and removed together."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from tests.hosts import rundir, sandbox
from tests.hosts.engine import Engine, EngineOptions
from tests.hosts.network import Network


class Fleet:
    """Real engines on one network, in our sandbox: `with Fleet(count=3) as fleet: fleet.engines[0]`.

    Names are `prefix`-1, `prefix`-2, ...; options as in EngineOptions. `network` is shared by the fleets of a
    process.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        count: int = 0,
        network: Network | None = None,
        prefix: str = "node",
        **options: Any,
    ) -> None:
        self.directory = directory or sandbox.run_dir() / "engines"
        self.network = network or Network()
        self.prefix = prefix
        self.options = EngineOptions(**options)
        self.engines: list[Engine] = []
        self._first_count = count
        self._made = 0

    def __enter__(self) -> Self:
        self.network.create()
        try:
            self.add(self._first_count)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def add(self, count: int = 1, **options: Any) -> list[Engine]:
        """Return `count` more engines, running. `options` override the fleet's."""
        added = [self.make(**options) for _ in range(count)]
        for engine in added:
            engine.poweron()
        at_once(engine.wait for engine in added)
        return added

    def make(self, name: str = "", **options: Any) -> Engine:
        """Return one more engine, not started yet."""
        self._made += 1
        name = name or f"{self.prefix}-{self._made}"
        engine = Engine(
            self.directory / name,
            name,
            self.network.lease(),
            rundir.cgroup_of(sandbox.run_dir()),
            replace(self.options, **options),
        )
        self.engines.append(engine)
        return engine

    def drop(self, engine: Engine) -> None:
        """End `engine` and forget it."""
        engine.remove()
        self.network.release(engine.cable)
        self.engines.remove(engine)

    def remove(self) -> None:
        """End all engines and delete their data."""
        at_once(engine.remove for engine in self.engines)
        for engine in self.engines:
            self.network.release(engine.cable)
        self.engines.clear()

    def empty(self) -> None:
        """Remove what the tests left on the engines, which must be running."""
        at_once(engine.empty for engine in self.engines)

    @contextmanager
    def another(self, **options: Any) -> Iterator[Engine]:
        """Lend one more engine for the length of the block."""
        [engine] = self.add(1, **options)
        try:
            yield engine
        finally:
            self.drop(engine)


def at_once(calls: Iterable[Any]) -> None:
    """Make all `calls` in threads of their own and wait for them. Raises the first error."""
    todo = list(calls)
    if todo:
        with ThreadPoolExecutor(len(todo)) as pool:
            for result in [pool.submit(call) for call in todo]:
                result.result()
