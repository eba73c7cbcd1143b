"""One request to several engines whose answers are streams of JSON lines, read side by side."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from swarmproxy.cluster.asking import Headers, versioned
from swarmproxy.cluster.settled import reread
from swarmproxy.cluster.tee import Branch, Tee
from swarmproxy.engine.client import engine_error, split_lines
from swarmproxy.engine.engine import Engine, State
from swarmproxy.errors import EngineError, EngineUnreachable, SwarmError
from swarmproxy.model.apiversion import Version
from swarmproxy.model.members import NOT_JSON
from swarmproxy.wire.fetch import stream

log = logging.getLogger("swarmproxy.cluster")

AT_ONCE = 64  # engines that are asked side by side, where no body ties them together
SILENCE_S = 15.0
REFUSAL_BYTES = 64 * 1024
_AMOUNTS_QUEUED = 256  # reports that wait, from which on further amounts are left out
_QUEUED = 65536  # reports that wait, from which on engines are held back


class Detail(msgspec.Struct, frozen=True):
    """The amounts in a line of progress, as far as they can be added up."""

    current: int = 0
    total: int = 0
    units: str = ""  # empty: bytes


class _ErrorDetail(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


class Line(msgspec.Struct, frozen=True):
    """One line of an engine's stream: what we act on."""

    status: str = ""
    stream: str = ""
    id: str = ""
    progress: Detail | None = msgspec.field(name="progressDetail", default=None)
    error_text: str = msgspec.field(name="error", default="")
    error_detail: _ErrorDetail | None = msgspec.field(name="errorDetail", default=None)

    @property
    def error(self) -> EngineError | None:
        """The failure that this line tells of."""
        detail = self.error_detail or _ErrorDetail()
        message = detail.message or self.error_text
        if not message and self.error_detail is None:
            return None
        return EngineError(detail.code if 400 <= detail.code < 600 else 500, message or "unknown error")


_decoder = msgspec.json.Decoder(Line)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """What each engine is asked. `headers` may hold credentials and are never logged."""

    path: str  # without version, with its query
    version: Version
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """The engine has taken the request on: its lines follow."""

    engine: Engine


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the engine."""

    engine: Engine
    line: Line


@dataclass(frozen=True, slots=True)
class Ended:
    """The last report of each engine."""

    engine: Engine
    error: SwarmError | None


Report = Begun | Said | Ended
Tell = Callable[[Report], Awaitable[None]]
Rescue = Callable[[Engine, SwarmError, Sequence[Engine], Tell], Awaitable[SwarmError | None]]


class Broadcast:
    """One request to several engines: `run` carries it out while `next` tells of it.

    An engine that fails harms no other. Once all have ended, `rescue` is given those that failed, with why, and those
    that did not; it returns what is left of the failure.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        request: StreamRequest,
        *,
        tee: Tee | None = None,
        silence_s: float = SILENCE_S,
        rescue: Rescue | None = None,
    ) -> None:
        self.engines = tuple(engines)
        self._request = request
        self._silence_s = silence_s
        self._rescue = rescue
        self._failed: dict[Engine, SwarmError] = {}
        # A body is read by all at once, or the first would wait for those that wait for the first.
        self._places = asyncio.Semaphore(AT_ONCE if tee is None else max(1, len(engines)))
        self._branches = [None if tee is None else tee.branch() for _ in engines]
        self._reports: asyncio.Queue[Report] = asyncio.Queue(_QUEUED)
        self._open = len(engines)

    async def run(self) -> None:
        """Ask all engines; returns when each has ended. Cancelling it ends the exchanges at once."""
        async with asyncio.TaskGroup() as tasks:
            for engine, branch in zip(self.engines, self._branches, strict=True):
                tasks.create_task(self._ask(engine, branch), name=f"broadcast {engine.address}")
        if self._rescue is not None:
            done = [engine for engine in self.engines if engine not in self._failed]
            async with asyncio.TaskGroup() as tasks:
                for engine, error in self._failed.items():
                    coming = self._save(self._rescue, engine, error, done)
                    tasks.create_task(coming, name=f"rescue {engine.address}")

    async def next(self) -> Report | None:
        """Return the next report, None after the last engine has ended."""
        if not self._open:
            return None
        return self._count(await self._reports.get())

    def ready(self) -> list[Report]:
        """Return the reports that are there already, in order."""
        return [self._count(self._reports.get_nowait()) for _ in range(self._reports.qsize())]

    def _count(self, report: Report) -> Report:
        if isinstance(report, Ended):
            self._open -= 1
        return report

    async def _ask(self, engine: Engine, branch: Branch | None) -> None:
        error: SwarmError | None = None
        try:
            async with self._places:
                await converse(engine, self._request, self._tell, body=branch, silence_s=self._silence_s)
                await reread(engine, "images")
        except SwarmError as failure:
            error = failure
        if error is not None and self._rescue is not None:
            self._failed[engine] = error
        else:
            await self._reports.put(Ended(engine, error))

    async def _save(self, rescue: Rescue, engine: Engine, error: SwarmError, done: Sequence[Engine]) -> None:
        async with self._places:
            await self._reports.put(Ended(engine, await rescue(engine, error, done, self._tell)))

    async def _tell(self, report: Report) -> None:
        """Queue a report. A client that does not read misses amounts: they never hold up an engine."""
        if isinstance(report, Said) and report.line.progress is not None and report.line.progress.total:
            if self._reports.qsize() < _AMOUNTS_QUEUED:
                self._reports.put_nowait(report)
            return
        await self._reports.put(report)


async def converse(
    engine: Engine,
    request: StreamRequest,
    tell: Tell,
    *,
    body: Branch | None = None,
    silence_s: float = SILENCE_S,
) -> None:
    """Ask one engine and tell what it says until its stream ends.

    A stream has no deadline, but an engine that is not healthy any more and has been silent for `silence_s`
    is given up. Raises EngineError for a refusal and for a stream that tells of an error, EngineUnreachable,
    ProtocolViolation.
    """
    failure: EngineError | None = None
    try:
        async with (
            patience(engine, silence_s, body) as heard,
            stream(
                engine.pool,
                "POST",
                versioned(engine, request.version, request.path),
                headers=request.headers,
                body=b"" if body is None else body,
                timeout_s=None,
            ) as answer,
        ):
            heard()
            engine.note_success()
            if answer.status >= 400:
                refusal = await answer.read(REFUSAL_BYTES)
                raise engine_error(answer.status, refusal, request.path.partition("?")[0])
            await tell(Begun(engine))
            async for text in split_lines(aiter(answer), on_chunk=heard):
                if (line := _read(engine, text)) is not None:
                    failure = line.error or failure
                    await tell(Said(engine, line))
    except EngineUnreachable as error:
        engine.note_failure(error)
        raise
    finally:
        if body is not None:
            body.close()
    if failure is not None:
        raise failure


def _read(engine: Engine, text: bytes) -> Line | None:
    try:
        return _decoder.decode(text)
    except NOT_JSON as error:
        log.warning("a line of progress cannot be read", extra={"engine": engine.name, "error": str(error)})
        return None


@asynccontextmanager
async def patience(
    engine: Engine, silence_s: float = SILENCE_S, body: Branch | None = None
) -> AsyncGenerator[Callable[[], None], None]:
    """End the block if the engine is lost; what the block gets is called with each sign of life.

    Raises EngineUnreachable if the engine is not healthy and silent, or took nothing of the body.
    """
    loop = asyncio.get_running_loop()
    heard_at = loop.time()

    def heard() -> None:
        nonlocal heard_at
        heard_at = loop.time()

    def give_up() -> None:
        if not deadline.expired():
            deadline.reschedule(loop.time())

    timer: asyncio.TimerHandle

    def check() -> None:
        nonlocal timer
        if engine.state is not State.HEALTHY and loop.time() - heard_at >= silence_s:
            give_up()
        else:
            timer = loop.call_later(silence_s / 8, check)

    timer = loop.call_later(silence_s / 8, check)
    try:
        async with asyncio.timeout(None) as deadline:
            if body is not None:
                body.on_drop = give_up
            yield heard
    except TimeoutError as error:
        if body is not None and body.dropped:
            raise EngineUnreachable(f"engine {engine.address} took no data for too long") from error
        raise EngineUnreachable(f"engine {engine.address} stopped answering") from error
    finally:
        timer.cancel()
