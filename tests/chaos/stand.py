"""Three real engines, a real store with the engines' agents, and three managers: each on a machine of its own."""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.chaos.hosts import Host
from tests.discovery.servers.consul import Consul
from tests.discovery.servers.etcd import Etcd
from tests.discovery.servers.process import Store
from tests.discovery.servers.zookeeper import Zookeeper
from tests.hosts import sandbox
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet, at_once
from tests.hosts.manager import REPOSITORY, Manager
from tests.hosts.network import Network, ip
from tests.integration.agents import Agent

STORES: Mapping[str, type[Etcd | Consul | Zookeeper]] = {"etcd": Etcd, "consul": Consul, "zookeeper": Zookeeper}
VERSIONS = ("20.10", "26.1", "28")
MANAGERS = 3
MANAGER_PORT, METRICS_PORT = 2376, 9323
STORE_SLOT = 251  # beyond those of the network
PREFIX = "chaos"
LABEL = "chaos"  # of the containers that clients make: its value is the key in their ledger
DISK = "160m"  # of each engine
RESCHEDULE_AFTER_S = 8
SHARES = 7  # containers that an engine has room for
READ_S = 2.0
CLOCK = Path(__file__).with_name("clock")
FAKETIME = "libfaketimeMT.so.1"  # for programs with threads


@dataclass(frozen=True, slots=True)
class Listed:
    """A container of the clients, as its engine lists it."""

    id: str
    key: str
    name: str
    state: str


class Troubles:
    """When each part was, or is, in trouble."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: dict[str, list[list[float]]] = {}

    def begin(self, part: str) -> None:
        with self._lock:
            self._spans.setdefault(part, []).append([time.monotonic(), float("inf")])

    def end(self, part: str) -> None:
        with self._lock:
            self._spans[part][-1][1] = time.monotonic()

    def now(self, part: str) -> bool:
        """Say whether `part` is in trouble."""
        with self._lock:
            return self._spans.get(part, [[0, 0]])[-1][1] == float("inf")

    def within(self, part: str, since: float, until: float) -> bool:
        """Say whether `part` was in trouble at any moment of that time."""
        with self._lock:
            return any(begun <= until and since <= ended for begun, ended in self._spans.get(part, ()))


class Stand:
    """All of it: `with Stand(directory, store="etcd") as stand`."""

    def __init__(self, directory: Path, *, store: str) -> None:
        self.directory = directory
        self.network = Network()
        self.fleet = Fleet(directory / "engines", network=self.network)
        self.engines: list[Engine] = []
        self.hosts: list[Host] = []
        self.managers: list[Manager] = []
        self.clocks: list[Path] = []
        self.store_kind = store
        self.store: Store
        self.store_ip = f"{self.network.subnet}.{STORE_SLOT}"
        self.troubles = Troubles()
        self.alarm = threading.Condition()
        """Notified just before a fault begins and after: clients hurry then, to have something under way."""
        self.memory_bytes = 0  # of each container
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._build(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _build(self, stack: ExitStack) -> None:
        # What libfaketime leaves there goes with the sandbox.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)
        stack.enter_context(self.fleet)
        ip("address", "add", f"{self.store_ip}/24", "dev", self.network.bridge)
        for version in VERSIONS:
            engine = self.fleet.make(version=version)
            data = engine.directory / "data"
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(data)], check=True)
            stack.callback(subprocess.run, ["umount", "--lazy", str(data)], check=False)
            self.engines.append(engine.poweron())
        stack.callback(self.fleet.remove)  # before their disks go
        self.store = STORES[self.store_kind](self.directory / "store", host=self.store_ip)
        stack.callback(self.store.close)
        self.store.start()
        at_once(engine.wait for engine in self.engines)
        self.memory_bytes = self.engines[0].get_json("/info")["MemTotal"] // SHARES
        for engine in self.engines:
            agent = Agent(self.directory / f"agent-{engine.name}.log", self.store, PREFIX, engine)
            stack.callback(agent.kill)
        for number in range(1, MANAGERS + 1):
            self._add_manager(number, stack)
        for manager in self.managers:
            manager.wait(healthy=len(self.engines))

    def _add_manager(self, number: int, stack: ExitStack) -> None:
        host = stack.enter_context(Host(self.network.lease()))
        address = f"{host.cable.ip}:{MANAGER_PORT}"
        arguments = [
            *("--replication", "--replication-ttl", f"{self.store.ttl_s:g}s", "--advertise", address),
            *("--metrics-addr", f"{host.cable.ip}:{METRICS_PORT}"),
            *("--cluster-opt", f"swarm.reschedule-after={RESCHEDULE_AFTER_S}s"),
        ]
        directory = self.directory / f"manager-{number}"
        directory.mkdir(parents=True)
        clock = directory / "clock"
        clock.write_text("+0\n")
        environment = {
            "LD_PRELOAD": str(find_faketime()),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": f"{CLOCK}:{REPOSITORY}",
        }
        manager = Manager(
            directory,
            discovery=self.store.url(PREFIX),
            address=address,
            arguments=arguments,
            environment=environment,
        )
        manager.command = ["setpriv", "--pdeathsig", "KILL", *host.entering(), *manager.command]
        self.hosts.append(host)
        self.clocks.append(clock)
        self.managers.append(manager)
        stack.callback(manager.kill)
        manager.start()

    def sound_alarm(self) -> None:
        """Have clients that wait for nothing else do something now."""
        with self.alarm:
            self.alarm.notify_all()

    def read(self, engine: Engine) -> list[Listed] | None:
        """Return the clients' containers on an engine as it lists them itself; None if it does not answer now."""
        query = '/containers/json?all=1&filters={"label":["' + LABEL + '"]}'
        try:
            status, body = engine.request("GET", query, timeout_s=READ_S)
        except (OSError, http.client.HTTPException):
            return None
        return listed(body) if status == 200 else None


def listed(body: bytes) -> list[Listed]:
    """Return the clients' containers in the answer to a list."""
    return [
        Listed(each["Id"], each["Labels"][LABEL], (each["Names"] or [""])[0].lstrip("/"), each["State"])
        for each in json.loads(body)
        if LABEL in each["Labels"]
    ]


def find_faketime() -> Path:
    """Return the library that gives a process a clock of its own. Raises FileNotFoundError."""
    for path in Path("/usr/lib").glob(f"*/faketime/{FAKETIME}"):
        return path
    raise FileNotFoundError(f"{FAKETIME}: install the package libfaketime")


def run_directory() -> Path:
    """Return where the stand may keep its files; they go with the sandbox."""
    return sandbox.run_dir() / "chaos"
