"""Which route answers what: each called through the proxy, on engines of three versions, with and without TLS.

    python -m tests.hosts.sandbox -- python -m tests.integration.clients.matrix

writes the outcome to docs/routes.md; `test_matrix.py` checks that it still says the same.
"""

import contextlib
import json
import threading
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
Swarm mode is answered as by an engine that is in no swarm, which these are; where members form one, its leader answers.

A test compares this file with what is answered now. It is written by

    {COMMAND}
"""
VERSIONS_HEAD = """## Versions

Clients of API {oldest} to {newest} are served. A request goes to its engine in the nearest version that the engine
speaks; what changed its meaning in between is told in that version (`swarmproxy/model/versions.py`):
"""

# (endpoint, column, row's number) -> what was answered
Outcome = dict[tuple[str, str, int], str]
ROWS: list[Route] = [row for rows in SECTIONS.values() for row in rows]


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
            for column, answers in zip(COLUMNS, tell(fleet.engines, tls, client), strict=True):
                outcome |= {(endpoint, column, number): said for number, said in enumerate(answers)}
    return outcome


def tell(engines: list[Engine], tls: Pair | None, client: Pair | None) -> list[list[str]]:
    """Return what every route answers on each of `engines`, through a manager over all of them."""
    directory = sandbox.run_dir() / "managers" / f"matrix-{engines[0].name}"
    manager = Manager(directory, engines, tls=tls, client=client, engine_client=client)
    with ThreadPoolExecutor(len(engines)) as threads:
        grounds = list(threads.map(prepare, engines))
        try:
            manager.start().wait()
            answers = list(threads.map(partial(ask_all, manager), grounds))
        finally:
            manager.stop()
    assert "Traceback" not in manager.log, manager.log
    return answers


def prepare(engine: Engine) -> Ground:
    """Put on an engine what its requests are about."""
    ground = Ground(engine.name, archive=busybox_archive(f"loaded-{engine.name}:latest", labels={"on": engine.name}))
    engine.load(busybox_archive(f"own-{engine.name}:latest", labels={"own": engine.name}))
    endless = ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]
    for what in ("run", "idle", "base"):
        body = {"Image": "busybox", "Cmd": endless, "Tty": True}
        made = json.loads(checked(engine, "POST", f"/containers/create?name={ground.name(what)}", body))
        if what == "run":
            checked(engine, "POST", f"/containers/{made['Id']}/start")
    checked(engine, "POST", "/networks/create", {"Name": ground.name("net"), "Driver": "bridge"})
    checked(engine, "POST", "/volumes/create", {"Name": ground.name("vol")})
    return ground


def checked(engine: Engine, method: str, path: str, body: object = None) -> bytes:
    """Return the engine's own answer. Raises AssertionError if it refuses."""
    status, answer = engine.request(method, path, None if body is None else json.dumps(body).encode())
    assert status < 400, f"{status} to {path}: {answer.decode()}"
    return answer


def ask_all(manager: Manager, ground: Ground) -> list[str]:
    """Make the requests of one engine in order, and return how each was answered."""
    said = []
    for row in ROWS:
        # An engine does one prune, pull or df at a time and refuses another; the stories of the others go on.
        with FAN_OUT if row.handling == ALL else contextlib.nullcontext():
            said.append(ask(manager, row, row.request(ground), ground))
    return said


def ask(manager: Manager, row: Route, call: Call, ground: Ground) -> str:
    """Return the status of one answer, or that the page was not found."""
    with contextlib.closing(manager.connect(timeout_s=PATIENCE_S)) as connection:
        connection.request(row.method, quote(call.target, safe="/?&=:%+"), call.body, call.headers)
        answer = connection.getresponse()
        if answer.status == 101:
            return "101"
        body = answer.read()
    if call.keep and answer.status < 400:
        ground.made[call.keep] = json.loads(body)[call.keep]
    if answer.status == 404 and b"page not found" in body:
        return UNKNOWN
    return str(answer.status)


# The document


def render(outcome: Outcome) -> str:
    """Return docs/routes.md."""
    lines = [*HEAD.splitlines(), ""]
    number = 0
    for title, rows in SECTIONS.items():
        lines += [f"## {title}", "", f"| | path | since | answered by | {' | '.join(COLUMNS)} |"]
        lines.append(f"|---|---|---|---|{'---|' * len(COLUMNS)}")
        for row in rows:
            cells = [cell(outcome, column, number) for column in COLUMNS]
            lines.append(f"| {row.method} | `{row.path}` | {row.since} | {row.handling} | {' | '.join(cells)} |")
            number += 1
        lines.append("")
    return "\n".join([*lines, *changes()]) + "\n"


def cell(outcome: Outcome, column: str, number: int) -> str:
    """Return what one route answered on one engine."""
    said = [outcome[endpoint, column, number] for endpoint in ENDPOINTS]
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
