"""What a fleet is told while it runs, over a unix socket: one line of JSON each way.

`python -m benchmarks.fleet.control SOCKET '{"type":"fault","engines":"7,20:29","delay_s":0.2}'`
"""

import asyncio
import math
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import msgspec

from benchmarks.fleet.connection import reset
from benchmarks.fleet.engine import Container, Engine, Happening
from benchmarks.framing import as_chunk

ALL = "all"
LOG_LINE = b"a line of a container's log, as long as most of them are: 2026-01-05T09:00:00Z GET / 200\n"
LOG_FRAME = b"\x01\0\0\0" + len(LOG_LINE).to_bytes(4, "big") + LOG_LINE
BATCH_S = 0.01  # between two batches of a burst with a rate
NOISE = "exec_start: sh"  # an action after which nobody has to read anything again


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag="fault"):
    """Engines behave badly from now on; without any of this they are well again.

    `delay_s` holds each answer back, `hangs` for ever. `refuses` resets new connections and open ones, `resets` only
    those that are open now.
    """

    engines: str = ALL
    delay_s: float = 0.0
    hangs: bool = False
    refuses: bool = False
    resets: bool = False


class Burst(msgspec.Struct, frozen=True, kw_only=True, tag="burst"):
    """`count` events, by turns from `engines`: `rate` in a second, or all at once."""

    engines: str = ALL
    count: int = 1
    rate: float = 0.0
    action: str = NOISE


class Log(msgspec.Struct, frozen=True, kw_only=True, tag="log"):
    """So many lines for everybody who follows a log."""

    engines: str = ALL
    lines: int = 1


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Tell how it stands."""


Order = Fault | Burst | Log | Ask


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to each order: `at_ns` (of `time.perf_counter_ns`) is when the first byte of it went out."""

    error: str = ""
    at_ns: int = 0
    sent: int = 0  # events, or lines of logs
    requests: int = 0  # that all engines have answered
    connections: int = 0
    containers: tuple[int, ...] = ()  # by engine


def select(engines: Sequence[Engine], which: str) -> list[Engine]:
    """Return the engines that "all" means, or "7,20:29", with both ends of ranges. Raises ValueError, IndexError."""
    if which == ALL:
        return list(engines)
    chosen = []
    for part in which.split(","):
        first, _, last = part.partition(":")
        chosen += [engines[number] for number in range(int(first), int(last or first) + 1)]
    return chosen


class Controller(asyncio.Protocol):
    """One connection that gives orders to `engines`."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                told = self.obey(msgspec.json.decode(line, type=Order))
            except (msgspec.MsgspecError, ValueError, IndexError) as error:
                told = Told(error=str(error))
            self._transport.write(msgspec.json.encode(told) + b"\n")

    def obey(self, order: Order) -> Told:
        at_ns = time.perf_counter_ns()
        match order:
            case Fault():
                for engine in select(self._engines, order.engines):
                    _spoil(engine, order)
                return Told(at_ns=at_ns)
            case Burst():
                engines = [engine for engine in select(self._engines, order.engines) if engine.containers]
                self._burst([next(iter(engine.containers.values())) for engine in engines], order, order.count)
                return Told(at_ns=at_ns, sent=order.count)
            case Log():
                data = as_chunk(LOG_FRAME) * order.lines
                readers = [
                    (engine, each) for engine in select(self._engines, order.engines) for each in engine.log_readers
                ]
                for engine, transport in readers:
                    engine.say(transport, data)
                return Told(at_ns=at_ns, sent=order.lines * len(readers))
            case Ask():
                return Told(
                    at_ns=at_ns,
                    requests=sum(engine.requests for engine in self._engines),
                    connections=sum(len(engine.connections) for engine in self._engines),
                    containers=tuple(len(engine.containers) for engine in self._engines),
                )

    def _burst(self, containers: list[Container], order: Burst, left: int) -> None:
        """Send what is due of the `left` events, and the rest later."""
        due = min(left, max(1, round(order.rate * BATCH_S))) if order.rate else left
        moment_ns = time.time_ns()
        action = order.action.encode()
        shares: dict[Engine, list[Happening]] = {}
        for number in range(due):
            container = containers[(order.count - left + number) % len(containers)]
            shares.setdefault(container.engine, []).append(Happening(container, action, moment_ns + number))
        for engine, events in shares.items():
            engine.happened(events)
        if left > due:
            asyncio.get_running_loop().call_later(BATCH_S, self._burst, containers, order, left - due)


def _spoil(engine: Engine, fault: Fault) -> None:
    engine.delay_s = math.inf if fault.hangs else fault.delay_s
    engine.refuses = fault.refuses
    if fault.refuses or fault.resets:
        for transport in list(engine.connections):
            reset(transport)
        engine.held.clear()
    held, engine.held = engine.held, []
    for waiting, data in held:
        if not waiting.is_closing():  # who gave up meanwhile
            engine.say(waiting, data)


class Control:
    """The side that gives the orders. Raises RuntimeError when the fleet cannot obey."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def send(self, order: Order) -> Told:
        """Return what the fleet says to `order`, after it was obeyed."""
        self._socket.sendall(msgspec.json.encode(order) + b"\n")
        told = msgspec.json.decode(self._lines.readline(), type=Told)
        if told.error:
            raise RuntimeError(f"{order}: {told.error}")
        return told


if __name__ == "__main__":
    with Control(Path(sys.argv[1])) as control:
        print(control.send(msgspec.json.decode(sys.argv[2], type=Order)))
