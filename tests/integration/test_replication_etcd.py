"""Several managers over two real engines, and etcd's lock between them."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients import cli
from tests.conftest import StartManager
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import serve
from tests.hosts.certificates import Certificates
from tests.hosts.engine import Engine
from tests.hosts.manager import PORTS, Manager
from tests.integration.faults import exec_of, hijacked, ps, refusal, run, stream
from tests.integration.group import STEADY, Group, Observer, frozen, names_on, role_of, seconds_until
from tests.program import Program


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    yield from serve(Etcd(tmp_path_factory.mktemp("etcd")))


@pytest.fixture
def group(store: Etcd, engines: list[Engine], start_manager: StartManager) -> Group:
    """Return a group of managers over the two engines of the session."""
    return Group(store, engines, start_manager)


def test_roles(group: Group) -> None:
    """One of three leads, all name it, and a replica answers for itself what is asked before anything else."""
    leader, replicas = group.start(3, more=STEADY)
    for replica in replicas:
        assert role_of(replica) == ("replica", leader.address)
        assert replica.states() == ["Healthy", "Healthy"]
        assert replica.request("GET", "/_ping") == (200, b"OK")
        assert replica.get_json("/version")["Version"].startswith("swarmproxy/")
    assert role_of(leader) == ("primary", "")


def test_client_at_a_replica(group: Group, tmp_path: Path) -> None:
    """The docker client does at a replica what it does at the leader: run, exec with stdin, follow logs, copy."""
    leader, [replica] = group.start(2, more=STEADY)
    replica.docker("run", "-d", "--name", "talker", "busybox", "sh", "-c", "echo one; sleep 1; echo two; sleep 1d")
    assert set(ps(leader)) == {"talker"}
    assert replica.docker("exec", "-i", "talker", "cat", stdin="over\n").stdout == "over\n"
    assert replica.docker("run", "-i", "--rm", "busybox", "wc", "-c", stdin=b"x" * 300_000).stdout == "300000\n"
    command = cli("20.10").command(replica.address, "logs", "-f", "talker")
    with Program(command, stdout=subprocess.PIPE, text=True, env=cli("20.10").environment) as logs:
        assert logs.stdout is not None
        assert [logs.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
        logs.terminate()
    (tmp_path / "large").write_bytes(os.urandom(20_000_000))
    replica.docker("cp", str(tmp_path / "large"), "talker:/large")
    replica.docker("cp", "talker:/large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()
    replica.docker("rm", "-f", "talker")
    assert names_on(group.engines) == []


def test_one_connection(group: Group) -> None:
    """Requests on one connection to a replica are answered one after the other, local and passed on."""
    _, [replica] = group.start(2, more=STEADY)
    with contextlib.closing(replica.connect()) as connection:
        for path, found in (("/info", 200), ("/containers/none/json", 404), ("/_ping", 200), ("/containers/json", 200)):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.read() != b"", answer.status) == (True, found)
            assert not answer.will_close


def test_refusals_pass(group: Group) -> None:
    """What the leader refuses is refused in its words."""
    _, [replica] = group.start(2, more=STEADY)
    assert refusal(replica, "GET", "/containers/none/json") == (404, "No such container: none")
    assert refusal(replica, "POST", "/containers/create?name=x", {"Image": "busybox", "HostConfig": []})[0] == 400


def test_tls(store: Etcd, tls_engines: list[Engine], start_manager: StartManager, certificates: Certificates) -> None:
    """With TLS on all sides a replica passes on a stream with its half-close."""
    group = Group(store, tls_engines, start_manager)
    pairs = {"tls": certificates.server, "client": certificates.client, "engine_client": certificates.client}
    _, [replica] = group.start(2, more=STEADY, **pairs)
    replica.docker("run", "-d", "--name", "safe", "busybox", "sleep", "1d")
    assert replica.docker("exec", "-i", "safe", "wc", "-c", stdin=b"x" * 300_000).stdout == "300000\n"


def test_killed_leader(group: Group) -> None:
    """A leader that is killed is replaced within its TTL and a little; a request meanwhile waits for the next one."""
    leader, replicas = group.start(3)
    run(leader, "old")
    leader.kill()
    started = time.monotonic()
    assert set(ps(replicas[0])) == {"old"}
    took_s = time.monotonic() - started
    print(f"answered {took_s:.2f} s after the leader was killed, ttl {group.store.ttl_s} s")
    assert took_s < group.store.ttl_s + 10
    new, _ = group.agreed(without=leader)
    assert new is not leader
    leader.start().wait(healthy=2)
    assert role_of(leader) == ("replica", new.address)


def test_restarted_leader(group: Group) -> None:
    """A leader that is killed and back before its lock has ended waits for it, and then answers."""
    leader, _ = group.start(1, more=("--replication-ttl", "10s"))  # longer than a start takes on a busy machine
    leader.kill()
    leader.start().wait(healthy=2)
    assert role_of(leader)[0] == "replica"
    run(leader, "new")
    assert role_of(leader) == ("primary", "")


def test_stopped_leader(group: Group) -> None:
    """A leader that is told to end is replaced at once, while a request that it works on comes to its end."""
    leader, [one, other] = group.start(3, more=(*STEADY, "--drain-timeout", "60s"))
    ending_when_told = (
        "trap 'echo ending; until [ -e /go ]; do sleep 0.1; done; exit' TERM; while :; do sleep 0.1; done"
    )
    busy = run(leader, "busy", "sh", "-c", ending_when_told)
    with ThreadPoolExecutor() as pool:
        stopping = pool.submit(leader.request, "POST", f"/containers/{busy}/stop?t=60", timeout_s=90)
        seconds_until(lambda: "ending" in leader.docker("logs", "busy").stdout, "the request to be worked on")
        ending = pool.submit(leader.stop)
        took_s = seconds_until(lambda: {role_of(one)[0], role_of(other)[0]} == {"primary", "replica"}, "a new leader")
        print(f"replaced {took_s:.2f} s after SIGTERM")
        assert not stopping.done()
        one.docker("exec", "busy", "touch", "/go")
        assert stopping.result()[0] == 204
        ending.result()
    assert took_s < 30  # half of the time to live of its lock
    assert ps(one, all=True)["busy"][0] == "exited"


def test_frozen_leader(group: Group) -> None:
    """A leader that was frozen while another took over leads no more from the moment on at which it goes on."""
    leader, replicas = group.start(3)
    run(leader, "old")
    waiting = b"GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    host, port = leader.address.split(":")
    with frozen(leader):
        asked = [socket.create_connection((host, int(port)), timeout=60) for _ in range(5)]
        for connection in asked:
            connection.sendall(waiting)
        took_s = seconds_until(lambda: "primary" in [role_of(replica)[0] for replica in replicas], "another leader")
        print(f"replaced {took_s:.2f} s after it was frozen, ttl {group.store.ttl_s} s")
    for connection in asked:
        answer = b""
        with connection:
            while data := connection.recv(65536):
                answer += data
        assert b'["Role","replica"]' in answer
    assert group.agreed()[0] is not leader
    assert set(ps(leader)) == {"old"}


def test_frozen_with_a_request(group: Group) -> None:
    """Who waits for a leader that hangs hears of it when another leads, not never."""
    leader, replicas = group.start(3)
    existing = run(leader, "old")
    cat = exec_of(replicas[0], existing, "cat")
    shell = hijacked(replicas[0], f"/exec/{cat}/start", b'{"Detach":false,"Tty":false}')
    with contextlib.closing(shell), frozen(leader):
        status, text = refusal(replicas[0], "POST", "/containers/create?name=lost", {"Image": "busybox"})
        assert status == 500
        assert "may have been done" in text
        with contextlib.suppress(ConnectionResetError):
            assert shell.recv(1) == b""


def test_streams_of_a_former_leader(group: Group) -> None:
    """Who follows logs through a replica keeps them when the leader loses its lock and lives on."""
    leader, [replica] = group.start(2, more=STEADY)
    talker = run(leader, "talker", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done")
    with stream(replica, "GET", f"/containers/{talker}/logs?stdout=1&follow=1") as logs:
        assert logs.read(10)[8:] == b"1\n"
        group.store.remove(f"{group.prefix}/docker/swarm/leader")
        seconds_until(lambda: "elected" in leader.log.rpartition("leadership lost")[2], "the next election")
        group.agreed()
        for number in range(2, 40):
            frame = logs.read(8)
            assert logs.read(int.from_bytes(frame[4:], "big")) == f"{number}\n".encode()


def test_nobody_leads(group: Group) -> None:
    """Without a store nobody leads: requests wait for a while, then 503 with the reason; then all is as before."""
    leader, [replica] = group.start(2)
    run(leader, "old")
    group.store.kill()
    seconds_until(lambda: role_of(leader)[0] == "replica", "the leader to stop")
    with contextlib.closing(replica.connect()) as connection:
        connection.request("GET", "/containers/json")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert json.loads(answer.read())["message"].startswith("No elected primary cluster manager: etcd")
    assert replica.states() == ["Healthy", "Healthy"]
    assert replica.get_json("/info")["Warnings"]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ps, replica)
        group.store.start()
        assert set(waiting.result(timeout=60)) == {"old"}
    group.agreed()


def test_wrong_address(group: Group) -> None:
    """When the leader's address leads to a replica, as through a load balancer, no request goes round in circles."""
    crossing = f"127.0.0.1:{next(PORTS)}"
    leader = group.add(advertise=crossing, more=STEADY)
    seconds_until(lambda: role_of(leader)[0] == "primary", "the leader")
    replica = group.add(address=crossing, advertise="10.0.0.1:2375", more=STEADY)
    status, text = refusal(replica, "GET", "/containers/json")
    assert (status, text) == (503, f"This cluster manager was taken for the primary, which is {crossing}")


class Client(threading.Thread):
    """Creates and removes containers by one manager's address, each once, and keeps what it was told."""

    def __init__(self, manager: Manager, word: str) -> None:
        super().__init__(name=f"client {word}")
        self._manager = manager
        self._word = word
        self._ending = threading.Event()
        self.created: set[str] = set()
        self.removed: set[str] = set()
        self.unknown: set[str] = set()
        """Containers of which we were not told whether they were created or removed."""
        self.wrong: list[str] = []
        """Answers that nobody who asks once may get, such as that the name is taken."""

    def end(self) -> None:
        """Return when it has ended."""
        self._ending.set()
        self.join()

    def run(self) -> None:
        """Go on until told to end. Of three containers one stays."""
        number = 0
        while not self._ending.is_set():
            number += 1
            name = f"{self._word}{number}"
            if not self._is_done(self.create, name):
                time.sleep(0.1)
                continue
            self.created.add(name)
            if number % 3 and self._is_done(self.remove, name):
                self.removed.add(name)

    def _is_done(self, ask: Callable[[str], tuple[int, str]], name: str) -> bool:
        try:
            status, text = ask(name)
        except (OSError, http.client.HTTPException):
            status, text = 0, ""
        if 200 <= status < 300:
            return True
        self.unknown.add(name)
        if 0 < status < 500:
            self.wrong.append(f"{name}: {status} {text}")
        return False

    def create(self, name: str) -> tuple[int, str]:
        """Return the answer to a create: status and body."""
        body = json.dumps({"Image": "busybox", "Cmd": ["sleep", "1d"]}).encode()
        return self._ask("POST", f"/containers/create?name={name}", body)

    def remove(self, name: str) -> tuple[int, str]:
        """Return the answer to a remove: status and body."""
        return self._ask("DELETE", f"/containers/{name}?force=1")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
        status, answer = self._manager.request(method, path, body, {"Content-Type": "application/json"})
        return status, answer.decode()


class DockerClient(Client):
    """The docker client in a loop: `run -d` and `rm -f`."""

    def create(self, name: str) -> tuple[int, str]:
        return self._docker("run", "-d", "--init", "--name", name, "busybox", "sleep", "1d")

    def remove(self, name: str) -> tuple[int, str]:
        return self._docker("rm", "-f", name)

    def _docker(self, *arguments: str) -> tuple[int, str]:
        """Return 200 for success, 0 for a failure; 409 for a name that is taken, and 404 for one that is not known."""
        done = self._manager.docker(*arguments, check=False)
        if done.code == 0:
            return 200, ""
        wrong = {"is already in use": 409, "Conflict": 409, "No such container": 404}
        return next((status for words, status in wrong.items() if words in done.stderr), 0), done.stderr


def test_elections_lose_nothing(group: Group) -> None:
    """While leaders and the store die, hang and end, one leads at most, and what was answered is true, and once."""
    group.start(3)
    kinds = (Client, Client, DockerClient)
    clients = [kind(manager, word) for kind, manager, word in zip(kinds, group.managers, "abc", strict=True)]
    observer = Observer(group.managers)
    threads: list[Client | Observer] = [*clients, observer]
    for thread in threads:
        thread.start()
    try:
        for end in (Manager.kill, Manager.stop):
            time.sleep(1)
            leader, _ = group.agreed()
            end(leader)
            group.agreed(without=leader)
            leader.start().wait(healthy=2)
        leader, _ = group.agreed()
        with frozen(leader):
            group.agreed(without=leader)
        time.sleep(1)
        group.store.kill()
        time.sleep(group.store.ttl_s)
        group.store.start()
        group.agreed()
        time.sleep(1)
    finally:
        for thread in threads:
            thread.end()
    print(f"{observer.rounds} looks at who leads")
    assert observer.conflicts == []
    there = names_on(group.engines)
    assert len(there) == len(set(there))
    for client in clients:
        print(f"{len(client.created)} created, {len(client.removed)} removed, {len(client.unknown)} unknown")
        assert client.wrong == []
        assert client.removed
        assert not client.removed & set(there)
        assert client.created - client.removed - client.unknown <= set(there)
    assert set(there) <= {name for client in clients for name in client.created | client.unknown}
    assert set(ps(group.managers[0], all=True)) == set(there)
