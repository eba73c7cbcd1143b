"""Which route answers what: each called through the proxy, on engines of three versions, with and without TLS.

    python -m tests.hosts.sandbox -- python -m tests.integration.clients.matrix

writes the outcome to docs/routes.md; `test_matrix.py` checks that it still says the same.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import quote

from swarmproxy.model import apiversion
from swarmproxy.model.versions import CHANGES
from tests.hosts import sandbox
from tests.hosts.certificates import Certificates, Pair
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet, at_once
from tests.hosts.images import busybox_archive
from tests.hosts.manager import Manager
from tests.hosts.network import Network
from tests.integration.clients.routes import ALL, SECTIONS, Call, Ground, Route
from tests.integration.clients.routes_in_swarm import IN_SWARM, SERVICE

VERSIONS = ("20.10", "26.1", "28")
COLUMNS = ("20.10", "26.1", "28.5")
ENDPOINTS = ("plain", "tls")
DOCUMENT = Path(__file__).parents[3] / "docs" / "routes.md"
COMMAND = "python -m tests.hosts.sandbox -- python -m tests.integration.clients.matrix"
UNKNOWN = "—"  # page not found
PATIENCE_S = 60.0
FAN_OUT = threading.Lock()

HEAD = f"""# Routes

What every route of the Docker API answers through swarmproxy, measured: each was called with one small request in a
cluster of three engines (20.10, 26.1 and 28.5), about an object of the engine that the column names. One value means
the same with and without TLS on both sides; else it is plain / TLS.

{UNKNOWN} is `page not found`. A 4xx or 5xx is the engine's own answer where the request names what is not there: a
registry that does not answer, a plugin that nobody installed, a checkpoint on an engine that is not experimental.
Swarm mode is answered as by an engine that is in no swarm, which these are, but for the [last of these
tables](#in-a-swarm).

A test compares this file with what is answered now. It is written by

    {COMMAND}
"""
SWARM_HEAD = """## In a swarm

What a swarm of the three engines changes, which swarmproxy formed (`swarm.mode=auto`, over TLS), led by the engine that
the column names, with the other two as workers. The requests were made in this order. A 4xx or 5xx is what an engine
answers as well: to `init` and `join` in a swarm, to unlock what is not locked, to remove a node that is up, and to
leave without force. 20.10 has no cluster volumes.
"""
VERSIONS_HEAD = """## Versions

Clients of API {oldest} to {newest} are served. A request goes to its engine in the nearest version that the engine
speaks; what changed its meaning in between is told in that version (`swarmproxy/model/versions.py`):
"""

ONE_MANAGER = ("--cluster-opt", "swarm.mode=auto", "--cluster-opt", "swarm.managers=1")

# (endpoint, column, row's number) -> what was answered
Outcome = dict[tuple[str, str, int], str]
OUTSIDE: list[Route] = [row for rows in SECTIONS.values() for row in rows]
ROWS = [*OUTSIDE, *IN_SWARM]


def measure(network: Network, certificates: Certificates) -> Outcome:
    """Return what every route answers, on all engines, plain and with TLS on both sides of the proxy."""
    outcome: Outcome = {}
    for endpoint in ENDPOINTS:
        secure = endpoint == "tls"
        tls, client = (certificates.server, certificates.client) if secure else (None, None)
        directory = sandbox.run_dir() / f"matrix-{endpoint}"
        with Fleet(directory, network=network, prefix=f"m{endpoint}", tls=tls, client=client) as fleet:
            for version in VERSIONS:
                fleet.make(version=version)
            at_once(engine.poweron for engine in fleet.engines)
            at_once(engine.wait for engine in fleet.engines)
            grounds = [Ground(engine.name, engine.cable.ip) for engine in fleet.engines]
            at_once(partial(prepare, *each) for each in zip(fleet.engines, grounds, strict=True))
            with manager_over(fleet.engines, "outside", tls, client) as manager:
                tell(outcome, endpoint, 0, all_at_once(partial(ask_all, manager), grounds))
            if secure:
                with manager_over(fleet.engines, "in-swarm", tls, client, *ONE_MANAGER) as manager:
                    tell(outcome, endpoint, len(OUTSIDE), [ask_in_swarm(manager, ground) for ground in grounds])
    return outcome


def tell(outcome: Outcome, endpoint: str, first: int, answers: Iterable[list[str]]) -> None:
    """Put into `outcome` what was answered on each engine to the rows from number `first` on."""
    for column, said in zip(COLUMNS, answers, strict=True):
        outcome |= {(endpoint, column, first + number): each for number, each in enumerate(said)}


@contextlib.contextmanager
def manager_over(
    engines: list[Engine], name: str, tls: Pair | None, client: Pair | None, *arguments: str
) -> Iterator[Manager]:
    """Lend a manager over `engines`, which must have nothing to complain of in the end."""
    directory = sandbox.run_dir() / "managers" / f"matrix-{name}-{engines[0].name}"
    manager = Manager(directory, engines, tls=tls, client=client, engine_client=client, arguments=arguments)
    try:
        yield manager.start().wait()
    finally:
        manager.stop()
    assert "Traceback" not in manager.log, manager.log


def all_at_once(tell_of: Callable[[Ground], list[str]], grounds: list[Ground]) -> list[list[str]]:
    """Return what is answered on each engine, which tell their stories side by side."""
    with ThreadPoolExecutor(len(grounds)) as threads:
        return list(threads.map(tell_of, grounds))


def prepare(engine: Engine, ground: Ground) -> None:
    """Put on an engine what its requests are about."""
    ground.archive = busybox_archive(f"loaded-{engine.name}:latest", labels={"on": engine.name})
    engine.load(busybox_archive(f"own-{engine.name}:latest", labels={"own": engine.name}))
    endless = ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]
    for what in ("run", "idle", "base"):
        body = {"Image": "busybox", "Cmd": endless, "Tty": True}
        made = json.loads(checked(engine, "POST", f"/containers/create?name={ground.name(what)}", body))
        if what == "run":
            checked(engine, "POST", f"/containers/{made['Id']}/start")
    checked(engine, "POST", "/networks/create", {"Name": ground.name("net"), "Driver": "bridge"})
    checked(engine, "POST", "/volumes/create", {"Name": ground.name("vol")})


def checked(engine: Engine, method: str, path: str, body: object = None) -> bytes:
    """Return the engine's own answer. Raises AssertionError if it refuses."""
    status, answer = engine.request(method, path, None if body is None else json.dumps(body).encode())
    assert status < 400, f"{status} to {path}: {answer.decode()}"
    return answer


def ask_all(manager: Manager, ground: Ground) -> list[str]:
    """Make the requests of one engine in order, and return how each was answered."""
    said = []
    for row in OUTSIDE:
        # An engine does one prune, pull or df at a time and refuses another; the stories of the others go on.
        with FAN_OUT if row.handling == ALL else contextlib.nullcontext():
            said.append(ask(manager, row, row.request(ground), ground))
    return said


def ask_in_swarm(manager: Manager, ground: Ground) -> list[str]:
    """Make the requests about the swarm that one engine leads in order, and return how each was answered."""
    said: list[str] = []
    for row in IN_SWARM:
        said.append(ask(manager, row, row.request(ground), ground))
        if row.path == "/services/create":
            manager.wait_until(partial(runs, manager, f"{ground.name(SERVICE)}.1"), "the task")
    return said


def runs(manager: Manager, name: str) -> bool:
    """Return whether there is a container of this name, and it is up."""
    status, body = manager.request("GET", f"/containers/{name}/json")
    return status == 200 and bool(json.loads(body)["State"]["Running"])


def ask(manager: Manager, row: Route, call: Call, ground: Ground) -> str:
    """Return the status of one answer, or that the page was not found."""
    with contextlib.closing(manager.connect(timeout_s=PATIENCE_S)) as connection:
        connection.request(row.method, quote(call.target, safe="/?&=:%+"), call.body, call.headers)
        answer = connection.getresponse()
        if answer.status == 101:
            return "101"
        body = answer.read()
    if call.keep and answer.status < 400:
        said = json.loads(body)
        ground.made[call.keep] = said[0] if isinstance(said, list) and said else said
    if answer.status == 404 and b"page not found" in body:
        return UNKNOWN
    return str(answer.status)


# The document


def render(outcome: Outcome) -> str:
    """Return docs/routes.md."""
    lines = [*HEAD.splitlines(), ""]
    number = 0
    for title, rows in SECTIONS.items():
        lines += [f"## {title}", "", *table(outcome, rows, number), ""]
        number += len(rows)
    lines += [*SWARM_HEAD.splitlines(), "", *table(outcome, IN_SWARM, number), ""]
    return "\n".join([*lines, *changes()]) + "\n"


def table(outcome: Outcome, rows: Sequence[Route], first: int) -> Iterator[str]:
    """Yield the lines of a table of `rows`, the first of which has the number `first`."""
    yield f"| | path | since | answered by | {' | '.join(COLUMNS)} |"
    yield f"|---|---|---|---|{'---|' * len(COLUMNS)}"
    for number, row in enumerate(rows, first):
        cells = [cell(outcome, column, number) for column in COLUMNS]
        yield f"| {row.method} | `{row.path}` | {row.since} | {row.handling} | {' | '.join(cells)} |"


def cell(outcome: Outcome, column: str, number: int) -> str:
    """Return what one route answered on one engine."""
    said = [outcome[endpoint, column, number] for endpoint in ENDPOINTS if (endpoint, column, number) in outcome]
    return said[0] if len(set(said)) == 1 else " / ".join(said)


def changes() -> list[str]:
    """Return the lines about what is told in another version."""
    oldest, newest = apiversion.text(apiversion.OLDEST), apiversion.text(apiversion.NEWEST)
    lines = [*VERSIONS_HEAD.format(oldest=oldest, newest=newest).splitlines(), ""]
    lines += ["| changed in | route | what | for |", "|---|---|---|---|"]
    for row in sorted(CHANGES, key=lambda each: each.since):
        lines.append(f"| {apiversion.text(row.since)} | {row.subject.value} | {row.what} | {', '.join(row.whom)} |")
    return lines


def main() -> None:
    """Write the document."""
    certificates = Certificates.make(sandbox.run_dir() / "certificates")
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(render(measure(Network().create(), certificates)))
    print(f"wrote {DOCUMENT}")


if __name__ == "__main__":
    main()
