"""`create`, `join` and `list` as processes, with our own hub between them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import pytest

from benchmarks.processes import free_port
from tests.discovery.servers.hub import PROGRAM, UNLIMITED, Hub
from tests.discovery.servers.process import ServerProcess, wait_until
from tests.hosts.certificates import Certificates
from tests.integration.faults import rewrite

GUARD_S = 60.0
REGISTERED = 'msg="registered( again)?"'  # the second if the hub was too late at first
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("SWARM", "DEBUG"))}


def run(*args: str, **env: str) -> tuple[int, str, str]:
    """Return exit status, output and error output of a command."""
    done = subprocess.run(
        [PROGRAM, *args], env=ENVIRONMENT | env, capture_output=True, text=True, timeout=GUARD_S, check=False
    )
    return done.returncode, done.stdout, done.stderr


class Running:
    """A command that goes on; its lines are read as they come."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", PROGRAM, *args],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seen: list[str] = []
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._reader = Thread(target=self._read, name="output")
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self._lines.put(line)

    def says(self, pattern: str) -> str:
        """Return the next line that `pattern` is in; those before are kept in `seen`, as is this one."""
        deadline = time.monotonic() + GUARD_S
        while not (self.seen and re.search(pattern, self.seen[-1])):
            try:
                self.seen.append(self._lines.get(timeout=max(0.0, deadline - time.monotonic())))
            except Empty:
                pytest.fail(f"never says {pattern!r}, but {self.seen}")
        return self.seen[-1]

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit status; what was said is in `seen`."""
        self.process.send_signal(number)
        status = self.process.wait(GUARD_S)
        self._reader.join()
        while not self._lines.empty():
            self.seen.append(self._lines.get())
        return status


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Yield what starts a command that goes on; it is killed after the test."""
    started: list[Running] = []

    def begin(*args: str) -> Running:
        started.append(Running(*args))
        return started[-1]

    yield begin
    for running in started:
        running.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Yield a hub without TLS."""
    made = Hub(tmp_path_factory.mktemp("hub"), *UNLIMITED)
    made.start()
    yield made
    made.process.kill()


def join(hub: Hub, token: str, *flags: str, advertise: str = "127.0.0.1:9") -> list[str]:
    """Return the arguments of a `join`. Half a heartbeat is what a hub has for an answer."""
    times = ["--heartbeat", "4s", "--ttl", "6s"]
    return ["join", "--advertise", advertise, *times, *hub.flags, *flags, hub.url(token)]


def test_create(hub: Hub) -> None:
    """`create` prints a token and nothing else, and on stderr a line that works with it."""
    code, out, err = run("create", "--hub", hub.address, "--insecure")
    assert code == 0
    assert re.fullmatch(r"[0-9a-f]{32}\n", out)
    assert hub.entries(out.strip()) == []
    prefix = "To use it, for example: swarmproxy "
    assert err.startswith(prefix)
    assert run(*err.removeprefix(prefix).split()) == (0, "", "")


def test_create_from_the_environment(hub: Hub) -> None:
    """The hub may stand in $SWARMPROXY_HUB, and its scheme may say that it is plain."""
    code, out, _ = run("create", SWARMPROXY_HUB=hub.base)
    assert (code, hub.entries(out.strip())) == (0, [])


def test_create_over_tls(certificates: Certificates, tmp_path: Path) -> None:
    """A hub with TLS is trusted by its authority, and shown the certificate that it demands."""
    hub = Hub(tmp_path, *UNLIMITED, tls=certificates.server, client=certificates.client)
    hub.start()
    try:
        pair = certificates.client
        shown = ["--cacert", str(pair.ca), "--cert", str(pair.cert), "--key", str(pair.key)]
        code, out, err = run("create", "--hub", f"https://{hub.address}", *shown)
        assert (code, len(out)) == (0, 33)
        assert run(*err.partition("swarmproxy ")[2].split()) == (0, "", "")
        code, out, err = run("create", "--hub", hub.address)
        assert (code, out) == (1, "")
        assert "its certificate is not trusted" in err
    finally:
        hub.process.kill()


def test_join_and_list(hub: Hub, start: Start) -> None:
    """A member is listed from its first registration on, through many renewals, until SIGTERM takes it away."""
    token = hub.create()
    joining = start(*join(hub, token, "--delay", "10ms"))
    joining.says('msg="registered"')
    listing = ["list", *hub.flags, hub.url(token)]
    assert run(*listing) == (0, "127.0.0.1:9\n", "")
    assert run("list", "--format", "json", *listing[1:]) == (0, '["127.0.0.1:9"]\n', "")
    time.sleep(6.3)
    assert hub.entries(token) == ["127.0.0.1:9"]
    assert joining.end(signal.SIGTERM) == 0
    assert hub.entries(token) == []
    assert run(*listing) == (0, "", "")
    messages = [re.sub(r'.*msg="(.*?)".*\n', r"\1", line) for line in joining.seen]
    assert re.fullmatch(r"Add a random delay .*s to avoid synchronized registration", messages.pop(1))
    assert messages == [
        "no engine answers at the advertised address",
        "Registering on the discovery service every 4s...",
        "registered",
        "leaving the discovery service",
    ]
    assert f"discovery=token://{hub.address}/{token[:6]}..." in joining.seen[-1]
    assert token not in "".join(joining.seen)


def test_sigint(hub: Hub, start: Start) -> None:
    """Ctrl-C is as good as SIGTERM."""
    token = hub.create()
    joining = start(*join(hub, token))
    joining.says(REGISTERED)
    assert joining.end(signal.SIGINT) == 0
    assert hub.entries(token) == []


def test_killed(hub: Hub, start: Start) -> None:
    """A member that is killed is gone after its time to live."""
    token = hub.create()
    joining = start(*join(hub, token, "--heartbeat", "1s", "--ttl", "2s"))
    joining.says(REGISTERED)
    joining.end(signal.SIGKILL)
    wait_until(lambda: hub.entries(token) == [], "the entry", hub.process)


def test_outage(tmp_path: Path, start: Start) -> None:
    """A store that goes and comes back is one line each, however long it was away, and the member is back by itself."""
    hub = Hub(tmp_path, *UNLIMITED)
    hub.start()
    try:
        token = hub.create()
        joining = start(*join(hub, token))
        joining.says(REGISTERED)
        hub.process.kill()
        joining.says("level=error")
        time.sleep(2)
        hub.start()
        joining.says('msg="registered again"')
        assert hub.entries(token) == ["127.0.0.1:9"]
        assert joining.end(signal.SIGTERM) == 0
        assert sum("level=error" in line for line in joining.seen) == 1
        assert sum("registered again" in line for line in joining.seen) == 1
    finally:
        hub.process.kill()


def test_goodbye_without_a_store(tmp_path: Path, start: Start) -> None:
    """A store that is down when a member leaves is a warning, not an error."""
    hub = Hub(tmp_path, *UNLIMITED)
    hub.start()
    joining = start(*join(hub, hub.create()))
    joining.says(REGISTERED)
    hub.process.kill()
    assert joining.end(signal.SIGTERM) == 0
    assert 'level=warning msg="the entry could not be taken away"' in joining.seen[-1]


def test_where_nobody_can_register(start: Start) -> None:
    """A list that somebody else writes is an error, said once, and tried on."""
    joining = start("join", "--advertise", "127.0.0.1:9", "--heartbeat", "1s", "--ttl", "2s", "nodes://a:1")
    joining.says('level=error msg="not implemented in this discovery service"')
    time.sleep(2)
    assert joining.process.poll() is None
    assert joining.end(signal.SIGTERM) == 0
    assert sum("not implemented" in line for line in joining.seen) == 1


def test_check(hub: Hub, tmp_path: Path, certificates: Certificates, start: Start) -> None:
    """`--check` refuses an address where nobody answers, or somebody else; a daemon is one with or without TLS."""
    token = hub.create()
    code, out, _ = run(*join(hub, token, "--check"))
    assert code == 1
    assert 'level=fatal msg="no engine answers at --advertise 127.0.0.1:9: ' in out
    port = free_port()
    web = ServerProcess([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)], tmp_path / "web.log")
    web.start()
    try:
        args = join(hub, token, "--check", advertise=f"127.0.0.1:{port}")
        line = "what answers there is none, its /_ping has status 404"
        wait_until(lambda: line in run(*args)[1], "the web server", web)
    finally:
        web.kill()
    assert hub.entries(token) == []
    (tmp_path / "tls").mkdir()
    secure = Hub(tmp_path / "tls", tls=certificates.server, client=certificates.client)
    secure.start()
    try:
        # As far as a ping goes, a hub is a daemon.
        for daemon in (hub, secure):
            joining = start(*join(hub, token, "--check", advertise=daemon.address))
            joining.says(REGISTERED)
            assert joining.end(signal.SIGTERM) == 0
            assert "no engine" not in "".join(joining.seen)
    finally:
        secure.process.kill()


def test_watch(tmp_path: Path, start: Start) -> None:
    """`list --watch` prints the whole list after each change, and says on stderr what is wrong."""
    cluster = tmp_path / "cluster"
    cluster.write_text("a:1\nb:1\n")
    watching = start("list", "--watch", f"file://{cluster}")
    watching.says(r"^$")
    assert watching.seen == ["a:1\n", "b:1\n", "\n"]
    rewrite(cluster, "bad\n")
    watching.says('level=error msg="Discovery error"')
    rewrite(cluster, "b:1\n")
    watching.says(r"^b:1$")
    assert "discovery works again" in watching.seen[-2]
    watching.says(r"^$")
    assert watching.end(signal.SIGINT) == 130


def test_watch_json(hub: Hub, start: Start) -> None:
    """With `--format json` each list is one line."""
    token = hub.create()
    flags = ["--watch", "--format", "json", "--timeout", "1s", *hub.flags]
    watching = start("list", *flags, hub.url(token))
    assert json.loads(watching.says(r"\[")) == []
    hub.ask("POST", f"/clusters/{token}?ttl=60", "a:1")
    assert json.loads(watching.says("a:1")) == ["a:1"]
