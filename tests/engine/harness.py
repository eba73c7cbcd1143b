"""Engines under test, with everything that they tell their observer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from swarmproxy.engine.engine import Claim, Engine, State
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.engine.shared import Shared
from swarmproxy.model.container import Container
from swarmproxy.model.event import Event
from swarmproxy.model.image import Image
from swarmproxy.model.network import Network
from swarmproxy.model.volume import Volume
from swarmproxy.wire.address import Address
from swarmproxy.wire.tls import RenewableContext
from tests.engine.scripted import ScriptedEngine

PATIENCE_S = 40.0  # guards against a hang; nothing takes that long

# Engines are asked often, and have time to answer: on a machine that is late all of them need it.
QUICK = EngineSettings(
    refresh_min_s=600.0,
    refresh_max_s=600.0,
    refresh_cap_s=0.2,
    retry_min_s=0.02,
    retry_max_s=0.2,
    reopen_min_s=0.02,
    reopen_max_s=0.2,
    beat_s=600.0,
    probe_s=0.2,
    probe_again_s=0.05,
    failure_spacing_s=0.01,
    probe_timeout_s=PATIENCE_S,
    step_timeout_s=PATIENCE_S,
    list_timeout_s=PATIENCE_S,
    control_timeout_s=PATIENCE_S,
)


class Recorder:
    """An observer that keeps all it is told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        self.states: list[State] = []
        self.events: list[Event] = []
        self.seen: list[Container] = []
        self.gone: list[str] = []
        self.images_before: Mapping[str, Image] = {}

    def container_seen(self, _engine: Engine, container: Container) -> None:
        self.seen.append(container)
        self.told.append(("seen", container.name))

    def container_gone(self, _engine: Engine, container_id: str) -> None:
        self.gone.append(container_id)
        self.told.append(("gone", container_id))

    def images_read(self, _engine: Engine, before: Mapping[str, Image]) -> None:
        self.images_before = before

    def networks_read(self, engine: Engine, before: Mapping[str, Network]) -> None:
        self.told.append(("networks", (sorted(before), sorted(engine.networks))))

    def volumes_read(self, engine: Engine, before: Mapping[str, Volume]) -> None:
        self.told.append(("volumes", (sorted(before), sorted(engine.volumes))))

    def happened(self, _engine: Engine, event: Event) -> None:
        self.events.append(event)
        self.told.append(("event", event.action))

    def state_changed(self, _engine: Engine, _before: State, after: State) -> None:
        self.states.append(after)
        self.told.append(("state", after))


async def eventually(holds: Callable[[], object]) -> None:
    """Return when `holds` does."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - nobody but us knows that we wait
            await asyncio.sleep(0.005)


@asynccontextmanager
async def followed(
    address: Address,
    recorder: Recorder,
    *,
    base: EngineSettings = QUICK,
    tls: RenewableContext | None = None,
    claim: Claim | None = None,
    shared: Shared | None = None,
    **changes: float,
) -> AsyncIterator[Engine]:
    """Run an engine inside the block, with the settings `base` and what `changes` them."""
    settings = replace(base, **changes)  # type: ignore[arg-type]
    engine = Engine(address, settings=settings, tls=tls, observer=recorder, claim=claim, shared=shared)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(engine.run(), name="engine under test")
        try:
            yield engine
        finally:
            task.cancel()


@asynccontextmanager
async def member(
    scripted: ScriptedEngine, recorder: Recorder, *, claim: Claim | None = None, **changes: float
) -> AsyncIterator[Engine]:
    """Run an engine inside the block, and enter the block when it is Healthy."""
    async with followed(
        scripted.address, recorder, base=QUICK, tls=None, claim=claim, shared=None, **changes
    ) as engine:
        await eventually(lambda: engine.state is State.HEALTHY)
        yield engine
