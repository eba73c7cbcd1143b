"""What is measured at each size: a job for each bench, made for the fleet that it meets."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from benchmarks.fleet.control import Burst, Log
from benchmarks.fleet.engine import PER_PROJECT, Engine
from benchmarks.jobs import Job, Kind

API = "/v1.51"
ASKED = 10  # engines whose containers are asked for by turns
LISTED = 10  # containers in the answer to a list that is limited or filtered


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A fleet of some size, as a job sees it. All that is asked for is there at every size."""

    engines: int
    containers: int  # on each engine
    seconds: float
    readers: int
    burst: int

    def engine(self, number: int) -> Engine:
        """Return a copy of an engine of the fleet, to know its identifiers."""
        return Engine(f"node-{number:05}", number=number, containers=self.containers)

    def asked(self, form: str, *, by_name: bool = False) -> tuple[str, ...]:
        """Return paths about containers of several engines, `{}` in `form` being each one's id, or name."""
        step = max(1, self.engines // ASKED)
        engines = [self.engine(number) for number in range(0, self.engines, step)][:ASKED]
        names = [
            (container.name if by_name else container.id).decode()
            for engine in engines
            for container in list(engine.containers.values())[:2]
        ]
        return tuple(form.format(name) for name in names)


PARTS = 100  # of the events that one reader has to read

Make = Callable[[Scene], Job]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A job, made for the scene; one that is `direct` is also given to an engine alone, and to HAProxy before it."""

    key: str
    make: Make
    direct: Make | None = None
    passes_haproxy: bool = True


def filtered(**filters: list[str]) -> str:
    return f"{API}/containers/json?all=1&filters={quote(json.dumps(filters))}"


def _get(key: str, path: str, *, clients: int = 1, direct: bool = False, part: float = 1.0) -> Bench:
    def make(scene: Scene) -> Job:
        return Job(kind=Kind.REQUESTS, path=path, clients=clients, seconds=scene.seconds * part)

    return Bench(key=key, make=make, direct=make if direct else None)


def _ask(key: str, form: str, *, clients: int = 1, by_name: bool = False) -> Bench:
    """Return a bench of requests for containers by turns; the engine is asked for one of its own."""

    def make(scene: Scene) -> Job:
        paths = scene.asked(form, by_name=by_name)
        return Job(kind=Kind.REQUESTS, paths=paths, clients=clients, seconds=scene.seconds)

    def direct(scene: Scene) -> Job:
        return Job(kind=Kind.REQUESTS, path=make(scene).paths[0], clients=clients, seconds=scene.seconds)

    return Bench(key=key, make=make, direct=direct)


def _create(clients: int) -> Bench:
    def make(scene: Scene) -> Job:
        return Job(kind=Kind.CREATE, clients=clients, seconds=2 * scene.seconds, keep=True)

    def direct(scene: Scene) -> Job:
        return Job(kind=Kind.CREATE, clients=clients, seconds=scene.seconds)

    return Bench(key=f"create-{clients}", make=make, direct=direct)


def _exec(scene: Scene) -> Job:
    container = next(iter(scene.engine(0).containers)).decode()
    return Job(kind=Kind.EXEC, container=container, seconds=scene.seconds)


def _one_event(scene: Scene) -> Job:
    tell = Burst(engines="0", count=1)
    return Job(kind=Kind.FANOUT, path=f"{API}/events", clients=scene.readers, tell=tell, rounds=10)


def _events_to_many(scene: Scene) -> Job:
    count = max(1, scene.burst // scene.readers)
    tell = Burst(engines="0", count=count)
    return Job(kind=Kind.FANOUT, path=f"{API}/events", clients=scene.readers, tell=tell, lines=count, rounds=2)


def _events_of_many(scene: Scene) -> Job:
    """Return bursts that a reader is given all of: a manager keeps a bounded number for one that is behind."""
    count = max(1, scene.burst // PARTS)
    return Job(kind=Kind.FANOUT, path=f"{API}/events", tell=Burst(count=count), lines=count, rounds=PARTS)


def _log_line(scene: Scene) -> Job:
    paths = scene.asked(API + "/containers/{}/logs?follow=1&stdout=1&stderr=1")
    return Job(kind=Kind.FANOUT, paths=paths, clients=scene.readers, tell=Log(lines=1), rounds=10)


def _log_burst(scene: Scene) -> Job:
    lines = max(1, scene.burst // scene.readers)
    paths = scene.asked(API + "/containers/{}/logs?follow=1&stdout=1&stderr=1")
    return Job(kind=Kind.FANOUT, paths=paths, clients=scene.readers, tell=Log(lines=lines), lines=lines, rounds=2)


def _by_id(scene: Scene) -> Job:
    identity = next(iter(scene.engine(scene.engines // 2).containers)).decode()
    return Job(kind=Kind.REQUESTS, path=filtered(id=[identity]), seconds=scene.seconds)


def _remove(scene: Scene) -> Job:
    return Job(kind=Kind.REMOVE, seconds=scene.seconds)


TOP = API + "/containers/{}/top"
REQUESTS = (
    _get("ping", "/_ping", direct=True),
    _get("info", f"{API}/info"),
    _get("ps", f"{API}/containers/json?all=1"),
    _get("ps-limit", f"{API}/containers/json?limit={LISTED}"),
    _get("ps-label", filtered(label=["com.example.project=project-1"])),
    _get("ps-name", filtered(name=["app-00001-1"])),
    Bench(key="ps-id", make=_by_id),
    _ask("inspect", API + "/containers/{}/json"),
    _ask("inspect-name", API + "/containers/{}/json", by_name=True),
    _ask("top-1", TOP),
    _ask("top-10", TOP, clients=10),
    _get("networks", f"{API}/networks"),
    Bench(key="exec", make=_exec, direct=_exec, passes_haproxy=False),  # which takes Upgrade off a request with a body,
)
CREATES = (_create(1), _create(10), _create(50))
REMOVE = Bench(key="remove", make=_remove)
STREAMS = (
    Bench(key="event", make=_one_event, direct=_one_event),
    Bench(key="events-to-many", make=_events_to_many, direct=_events_to_many),
    Bench(key="events-of-many", make=_events_of_many),
    Bench(key="log", make=_log_line),
    Bench(key="log-burst", make=_log_burst),
)
assert LISTED == PER_PROJECT  # so that label, name and limit give answers of the same size
