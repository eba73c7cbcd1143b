"""The test stand: scripted engines, HAProxy and managers, all on loopback."""

import http.client
import shlex
import shutil
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.certificates import Certificates, ciphers_as_docker, client_context
from benchmarks.processes import Child, free_port, wait_for_port
from benchmarks.rows import DIRECT, HAPROXY

CONTAINERS = 30
READY_DEADLINE_S = 30.0
ANSWER_DEADLINE_S = 5.0
OUR_COMMAND = shlex.quote(sys.executable) + " -m swarmproxy manage -H tcp://127.0.0.1:{port}"
OUR_MANAGER = OUR_COMMAND + " nodes://127.0.0.1:{engine}"
OUR_TLS_MANAGER = (
    OUR_COMMAND + " --tlsverify --tlscacert {ca} --tlscert {cert} --tlskey {key} nodes://127.0.0.1:{engine}"
)
HAPROXY_CONFIG = """\
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    option http-keep-alive
    option http-no-delay
    http-reuse always
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend clients
    bind 127.0.0.1:{port}{tls}
    default_backend engines
backend engines
    server engine {engine}{tls}
"""


class StandError(Exception):
    """The stand cannot be set up; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is measured: a port, and the process whose cost counts (None: the engine itself)."""

    name: str
    port: int
    child: Child | None
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to set up.

    `managers`: command lines by name, with `{port}`, `{engine}`, `{ca}`, `{cert}`, `{key}` to be filled in.
    """

    names: Sequence[str]  # direct, haproxy and managers
    managers: dict[str, str]
    export_bytes: int
    certificates: Certificates | None
    logs: Path


def find_haproxy() -> str:
    """Return where HAProxy is. Raises StandError."""
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise StandError("haproxy is missing: apt-get install haproxy")
    return found


@contextmanager
def set_up(plan: Plan) -> Iterator[list[Target]]:
    """Yield the targets, ready to be asked. Each has its own engine, so none sees what others create."""
    suffix = "-tls" if plan.certificates else ""
    with ExitStack() as stack:

        def start(argv: Sequence[str | Path], name: str, *, piped: bool = False) -> Child:
            child = Child(argv, plan.logs / f"{name}{suffix}.log", piped=piped)
            stack.callback(child.stop)
            return child

        tls = ("--tls", plan.certificates.directory) if plan.certificates else ()
        preferring = ciphers_as_docker(plan.certificates.directory) if plan.certificates else ()
        counts = ("--engines", str(len(plan.names)), "--containers", str(CONTAINERS))
        size = ("--export-bytes", str(plan.export_bytes))
        command = (*preferring, sys.executable, "-m", "benchmarks.fleet", "--ports", *counts, *size, *tls)
        engines = start(command, "engines", piped=True)
        ports = map(int, engines.read_line().split())
        targets = []
        for name, engine in zip(plan.names, ports, strict=True):
            if name == DIRECT:
                targets.append(Target(name, engine, None))
                continue
            port = free_port()
            if name == HAPROXY:
                config = plan.logs / f"haproxy{suffix}.cfg"
                write_haproxy_config(config, port, f"127.0.0.1:{engine}", plan.certificates)
                child = start((find_haproxy(), "-db", "-f", config), name)
            else:
                child = start(_manager_command(plan, name, port, engine), name)
            wait_for_port(port, child, READY_DEADLINE_S)
            targets.append(Target(name, port, child))
        for target in targets:
            wait_until_ready(target, plan.certificates)
        yield targets


def write_haproxy_config(path: Path, port: int, engine: str, made: Certificates | None) -> None:
    """Tell HAProxy to listen on `port`, and to pass on to the address `engine`."""
    tls = f" ssl crt {made.bundle} ca-file {made.ca} verify required alpn http/1.1" if made else ""
    path.write_text(HAPROXY_CONFIG.format(port=port, engine=engine, tls=tls))


def _manager_command(plan: Plan, name: str, port: int, engine: int) -> list[str]:
    made = plan.certificates
    files = {"ca": made.ca, "cert": made.cert, "key": made.key} if made else {}
    return [part.format(port=port, engine=engine, **files) for part in shlex.split(plan.managers[name])]


def wait_until_ready(target: Target, certificates: Certificates | None) -> None:
    """Return when all containers are listed and a manager calls its node healthy. Raises StandError."""
    context = client_context(certificates) if certificates else None
    until = time.monotonic() + READY_DEADLINE_S
    while time.monotonic() < until:
        try:
            listed = msgspec.json.decode(ask(target.port, "/containers/json?all=1", context))
            info = ask(target.port, "/info", context)
        except (OSError, http.client.HTTPException, msgspec.DecodeError):
            pass
        else:
            if len(listed) >= CONTAINERS and (b'"SystemStatus"' not in info or b'"Healthy"' in info):
                return
        time.sleep(0.05)
    log = f", see {target.child.log}" if target.child else ""
    raise StandError(f"{target.name} does not list its containers after {READY_DEADLINE_S:g} s{log}")


def ask(port: int, path: str, context: ssl.SSLContext | None) -> bytes:
    """Return the body of a GET. Raises OSError, http.client.HTTPException."""
    connection: http.client.HTTPConnection
    if context:
        connection = http.client.HTTPSConnection("localhost", port, timeout=ANSWER_DEADLINE_S, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_DEADLINE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()
