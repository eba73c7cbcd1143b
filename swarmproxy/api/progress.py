"""The progress of several engines as one stream: a line for each node, drawn in place by the docker CLI.

The CLI keeps a line in its place if it has an `id` and a `progressDetail`. So each node's name is the `id` of
all its lines, and its many layers are added up into one bar.
Source: classic Swarm 1.2, api/handlers.go, for the wording; docker/cli, pkg/jsonmessage, for what is drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from swarmproxy.api.errors import stream_line
from swarmproxy.cluster.broadcast import Begun, Detail, Ended, Line, Report, Said
from swarmproxy.cluster.failures import Failure, combined
from swarmproxy.engine.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How one operation speaks. `quiet` shows nothing but results and failures."""

    subject: str = ""  # "Pulling busybox:latest..."
    done: str = ""  # a node's last line; empty: what its engine said last
    quiet: bool = False

    def say(self, text: str) -> str:
        """Return `text` as a status of this operation."""
        return f"{self.subject} : {text}" if self.subject else text


PULL_DONE = "downloaded"
LOAD = "Loading Image..."


def pulling(reference: str) -> Wording:
    """Return the words of a pull."""
    return Wording(subject=f"Pulling {reference}...", done=PULL_DONE)


def loading(*, quiet: bool) -> Wording:
    """Return the words of a load."""
    return Wording(subject=LOAD, quiet=quiet)


IMPORTING = Wording()


def encode_line(node: str, status: str, detail: Detail | None = None) -> bytes:
    """Return one line of our stream, in classic's order of members."""
    amounts: dict[str, Any] = {}
    if detail is not None:
        amounts["current"] = detail.current
        if detail.total:
            amounts["total"] = detail.total
        if detail.units:
            amounts["units"] = detail.units
    return msgspec.json.encode({"status": status, "progressDetail": amounts, "id": node}) + b"\r\n"


class Layers:
    """One node's progress: what its engine says of many layers, told as of one thing.

    Amounts of layers in the same phase are added up. Of several phases at a time (the first layer is
    extracted while others are still being downloaded) the one with the most left to do is shown, so that the
    line does not flicker.
    """

    def __init__(self) -> None:
        self._phases: dict[str, dict[str, Detail]] = {}
        self._phase_of: dict[str, str] = {}
        self._told: tuple[str, object] | None = None

    def take(self, line: Line) -> tuple[str, Detail | None] | None:
        """Return the node's new status and amounts; None if it shows nothing that is new."""
        amounts = line.progress
        status = (line.status or line.stream).strip()
        if amounts is None or not line.id or amounts.total <= 0 or amounts.units:
            self._finish(line.id)
            if amounts is not None and not (amounts.current or amounts.total):
                amounts = None
            return self._new(status, amounts, amounts)
        if self._phase_of.get(line.id) != status:
            self._finish(line.id)
        self._phases.setdefault(status, {})[line.id] = amounts
        self._phase_of[line.id] = status
        summed = self._sum(status)
        left = summed.total - summed.current
        if any(each.total - each.current > left for each in map(self._sum, self._phases)):
            return None
        return self._new(status, summed, summed.current * 100 // summed.total)

    def _new(self, status: str, amounts: Detail | None, seen: object) -> tuple[str, Detail | None] | None:
        if not status or (status, seen) == self._told:
            return None
        self._told = (status, seen)
        return status, amounts

    def _finish(self, layer: str) -> None:
        """Take a layer's last phase as done: engines do not always tell of the last bytes."""
        phase = self._phase_of.pop(layer, None)
        if phase is not None:
            total = self._phases[phase][layer].total
            self._phases[phase][layer] = Detail(total, total)

    def _sum(self, phase: str) -> Detail:
        layers = self._phases[phase].values()
        return Detail(sum(each.current for each in layers), sum(each.total for each in layers))


class Board:
    """Turns the reports of one broadcast into the lines of its reply."""

    def __init__(self, wording: Wording, taking_part: Sequence[Engine], left_out: Sequence[Engine] = ()) -> None:
        self._wording = wording
        self._names = node_ids((*taking_part, *left_out))
        self._taking_part = taking_part
        self._left_out = left_out
        self._layers = {engine: Layers() for engine in taking_part}
        self._results: dict[str, None] = {}
        self._failures: list[Failure] = []

    def opening(self) -> bytes:
        """Return the first lines: one for each node, and which nodes do not take part."""
        lines = [] if self._wording.quiet else [self._line(each, self._wording.subject) for each in self._taking_part]
        lines += [self._say(each, f"skipped, the node is {each.state.value}") for each in self._left_out]
        return b"".join(lines)

    def take(self, report: Report) -> bytes:
        """Return the lines that a report is worth: one, or none."""
        match report:
            case Begun():
                return b""
            case Said(engine, line):
                return self._take_line(engine, line)
            case Ended(engine, error):
                if error is not None:
                    self._failures.append((self._names[engine], error))
                    return self._say(engine, str(error))
                return self._say(engine, self._wording.done) if self._wording.done else b""

    def closing(self) -> bytes:
        """Return the last lines: what was made, each once for all nodes, and the error if anything failed."""
        lines = [msgspec.json.encode({"stream": text}) + b"\r\n" for text in self._results]
        if error := self.error():
            lines.append(stream_line(error))
        return b"".join(lines)

    def error(self) -> Exception | None:
        """Return what went wrong on the nodes, as one error."""
        return combined(self._failures, asked=len(self._taking_part)) if self._failures else None

    def _take_line(self, engine: Engine, line: Line) -> bytes:
        if line.error is not None:
            return b""  # told when the engine has ended
        if line.stream:
            self._results[line.stream] = None
        told = self._layers[engine].take(line)
        if told is None or self._wording.quiet:
            return b""
        status, amounts = told
        return self._line(engine, self._wording.say(status), amounts)

    def _say(self, engine: Engine, text: str) -> bytes:
        return self._line(engine, self._wording.say(text))

    def _line(self, engine: Engine, status: str, amounts: Detail | None = None) -> bytes:
        return encode_line(self._names[engine], status, amounts) if status else b""


def node_ids(engines: Sequence[Engine]) -> Mapping[Engine, str]:
    """Return what names each engine in a stream: its name, with its address where several share one."""
    names = [engine.title for engine in engines]
    return {
        engine: name if names.count(name) == 1 else f"{name} ({engine.address})"
        for engine, name in zip(engines, names, strict=True)
    }
