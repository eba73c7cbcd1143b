"""Whether an engine can be relied on: failures counted, and a ping when it has been silent."""

import asyncio
import enum
import functools
import logging
import time
from collections.abc import Awaitable, Callable

from swarmproxy.engine.settings import EngineSettings, jittered
from swarmproxy.engine.wheel import Wheel
from swarmproxy.errors import EngineUnreachable, Exhausted, SwarmError

log = logging.getLogger("swarmproxy.engine")


class State(enum.Enum):
    """What an engine is to the cluster."""

    PENDING = "Pending"  # not accepted yet: nothing of it counts
    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"  # a member that does not answer
    DISCONNECTED = "Disconnected"  # removed, for good


class Health:
    """The account of one engine's answers and failures, and the state that follows from it.

    Only failures to reach the engine count; whatever it answers shows that it is there.
    """

    def __init__(
        self,
        settings: EngineSettings,
        on_change: Callable[[State, State], None],
        on_count: Callable[[], None] = lambda: None,
        wheel: Wheel | None = None,
    ) -> None:
        self._settings = settings
        self._on_change = on_change
        self._on_count = on_count  # told whenever the indicator or the error may have changed
        self._wheel = wheel or Wheel()
        self._watches = 0  # begun and not ended
        self._failed_at = float("-inf")
        self.answered_at = float("-inf")  # of the monotonic clock
        self.alarm = asyncio.Event()  # somebody met a failure: find out now
        self.state = State.PENDING
        self.failures = 0
        self.survived = 0  # failures before it last came back
        self.error = ""
        self.updated_at = 0.0  # unix seconds of the last answer; 0: none yet

    @property
    def indicator(self) -> int:
        """0 for an engine that takes no containers, up to 100 for one without failures.

        Source: classic Swarm 1.2, cluster/engine.go.
        """
        retry = self._settings.failure_retry
        if self.state is not State.HEALTHY or self.failures >= retry:
            return 0
        return 100 - self.failures * 100 // retry

    def enter(self, state: State, error: str = "") -> None:
        """Change the state, with the reason that users are shown, and tell of it."""
        before, self.state, self.error = self.state, state, error
        if state is State.HEALTHY:
            self.failures = 0
        self._on_count()
        if before is not state:
            self._on_change(before, state)

    def note_success(self) -> None:
        """Take note that the engine answered something."""
        self.answered_at = time.monotonic()
        self.updated_at = time.time()
        if self.state is State.DISCONNECTED:
            return
        if self.state is State.UNHEALTHY:
            self.survived = self.failures
            self.enter(State.HEALTHY)
        elif self.state is State.HEALTHY and (self.failures or self.error):
            self.failures, self.error = 0, ""
            self._on_count()

    def note_failure(self, error: SwarmError) -> None:
        """Count a failure to reach the engine. Anything else that went wrong changes nothing."""
        if not isinstance(error, EngineUnreachable) or isinstance(error, Exhausted):
            return
        if self.state is State.DISCONNECTED:
            return
        before, self.error = self.error, str(error)
        now = time.monotonic()
        if now - self._failed_at < self._settings.failure_spacing_s:
            if self.error != before:
                self._on_count()
            return
        self._failed_at = now
        self.failures += 1
        self._on_count()
        if self.state is State.HEALTHY:
            self.alarm.set()
            if self.failures >= self._settings.failure_retry:
                self.enter(State.UNHEALTHY, self.error)

    async def watch(self, ping: Callable[[], Awaitable[object]]) -> None:
        """Call `ping`, which notes its own outcome, whenever the engine has been silent, until cancelled.

        A failure that anybody notes is followed up at once, so that an engine which is gone is known to be
        gone within seconds. One that is gone is pinged on, and comes back with its first answer.
        """
        self._watches += 1
        self._look(self._watches)
        try:
            while True:
                if self.state is State.HEALTHY and self.failures:
                    await asyncio.sleep(self._settings.probe_again_s)
                else:
                    await self.alarm.wait()
                try:
                    await ping()
                except SwarmError:
                    pass  # noted, and shown as the engine's error
                except Exception:
                    log.exception("ping failed")
                finally:
                    self.alarm.clear()
        finally:
            self._watches += 1

    def _look(self, watch: int) -> None:
        """Raise the alarm if nothing was heard of the engine for too long; look again when that may be so."""
        if watch != self._watches:
            return
        now = time.monotonic()
        silent_s = now - max(self.answered_at, self._failed_at)
        wait_s = self._settings.probe_s - silent_s
        if wait_s <= 0:
            self.alarm.set()
            wait_s = jittered(self._settings.probe_s)
        self._wheel.call_later(wait_s, functools.partial(self._look, watch))
