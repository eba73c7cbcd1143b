"""What a run came to, as a table and as JSON."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
RESULTS = ("ok", "4xx", "5xx", "cut", "unanswered", "not accepted")


@dataclass(slots=True)
class Sample:
    """What one manager's process used at one moment of quiet."""

    manager: str
    pid: int
    at_s: float
    memory_mib: float
    descriptors: int
    tasks: int
    threads: int


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run came to."""

    seed: int
    store: str
    commit: str = ""
    seconds: float = 0.0
    storms: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    looks: int = 0
    leaders: int = 0
    longest_without_leader_s: float = 0.0
    settled_s: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    cpu_s: float = 0.0

    def to_json(self) -> str:
        """Return all of it."""
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        values["operations"] = {
            f"{operation}: {result}": count for (operation, result), count in sorted(self.operations.items())
        }
        values["samples"] = [asdict(each) for each in self.samples]
        return json.dumps(values, indent=1)

    def table(self) -> str:
        """Return all that somebody wants to read, in Markdown."""
        first, last = self._ends()
        rows = [
            ("time", f"{self.seconds:.0f} s, {self.storms} storms of faults, each followed by quiet"),
            ("seed, store, commit", f"{self.seed}, {self.store}, {self.commit}"),
            *((f"fault: {kind}", str(count)) for kind, count in sorted(self.faults.items())),
            *((f"operation: {name}", text) for name, text in self._by_operation()),
            ("looks at who leads", f"{self.looks}, another one {self.leaders} times"),
            ("longest without a leader", f"{self.longest_without_leader_s:.1f} s"),
            ("quiet until all was right", seconds_of(self.settled_s)),
            (
                "managers' memory, first → last quiet",
                f"{spread(first, 'memory_mib')} → {spread(last, 'memory_mib')} MiB",
            ),
            ("managers' descriptors", f"{spread(first, 'descriptors')} → {spread(last, 'descriptors')}"),
            ("managers' tasks", f"{spread(first, 'tasks')} → {spread(last, 'tasks')}"),
            ("managers' threads", f"{spread(first, 'threads')} → {spread(last, 'threads')}"),
            ("processor time of all", f"{self.cpu_s:.0f} s, {100 * self.cpu_s / max(self.seconds, 1):.0f} % of a core"),
            ("promises broken", str(len(self.violations))),
        ]
        lines = ["|  |  |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows)]
        return "\n".join(lines)

    def _by_operation(self) -> list[tuple[str, str]]:
        found = []
        for name in sorted({operation for operation, _ in self.operations}):
            counts = [(result, self.operations[name, result]) for result in RESULTS]
            found.append((name, ", ".join(f"{count} {result}" for result, count in counts if count)))
        return found

    def _ends(self) -> tuple[list[Sample], list[Sample]]:
        """Return the samples of the first and of the last quiet."""
        if not self.samples:
            return [], []
        begun, ended = self.samples[0].at_s, self.samples[-1].at_s
        return [each for each in self.samples if each.at_s == begun], [
            each for each in self.samples if each.at_s == ended
        ]


def seconds_of(values: list[float]) -> str:
    """Return the middle and the largest of some seconds."""
    if not values:
        return "none"
    return f"{sorted(values)[len(values) // 2]:.1f} s in the median, {max(values):.1f} s at most"


def spread(samples: list[Sample], name: str) -> str:
    """Return the least and the largest of an attribute."""
    values = [getattr(each, name) for each in samples]
    return f"{min(values):.0f} to {max(values):.0f}" if values else "none"


def write_docs(table: str, page: Path = PAGE) -> None:
    """Put the table into the document, between its two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
