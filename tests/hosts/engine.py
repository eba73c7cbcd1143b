"""One real dockerd that looks like a host of its own."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from tests.clients import Cli, Done, cli
from tests.hosts import suites
from tests.hosts.certificates import Pair
from tests.hosts.images import busybox_archive
from tests.hosts.network import Cable
from tests.waiting import nap

INIT = Path(__file__).with_name("init.py")
NAMESPACES = ("--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts", "--ipc")
PLAIN_PORT, TLS_PORT = 2375, 2376
LOCAL_PORT_BASE = 20000  # plus the slot; below the ephemeral ports, so nobody else is given one meanwhile
START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0
PREDEFINED_NETWORKS = frozenset({"bridge", "host", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How an engine differs from the plain one. `version` is "20.10" (the host's), "26.1" or "28"."""

    version: str = "20.10"
    labels: Mapping[str, str] = field(default_factory=dict)
    tls: Pair | None = None  # what it serves with; its ca.pem must have signed the clients' certificates
    client: Pair | None = None  # what we talk to it with, if it serves TLS
    arguments: Sequence[str] = ()  # more for dockerd
    environment: Mapping[str, str] = field(default_factory=dict)  # more for dockerd
    images: Sequence[bytes] = ()  # archives to load besides busybox
    with_busybox: bool = True
    local: bool = True  # listens on 127.0.0.1 and a unix socket of the caller's namespace too


class Engine:
    """A dockerd with its own network, PID, mount, UTS and IPC namespaces, files and cgroup; made by a Fleet.

    Its API is reached in three ways: `own_address`, through the bridge, as from another host; `address`, on
    the caller's own 127.0.0.1; and `socket_path`, a unix socket. A power failure is silence on the first and
    a refusal on the others.
    """

    def __init__(self, directory: Path, name: str, cable: Cable, cgroup: str, options: EngineOptions) -> None:
        self.directory = directory
        self.name = name
        self.cable = cable
        self.cgroup = cgroup
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._kept: dict[str, frozenset[str]] = {}  # images that `empty` leaves, by ID, with their tags
        for part in ("data", "etc", "etc-work", "etc-docker"):
            (directory / part).mkdir(parents=True)

    @property
    def address(self) -> str:
        """Host and port in the caller's network namespace."""
        return f"127.0.0.1:{LOCAL_PORT_BASE + self.cable.slot}" if self.options.local else self.own_address

    @property
    def own_address(self) -> str:
        """Host and port on the bridge."""
        return f"{self.cable.ip}:{TLS_PORT if self.options.tls else PLAIN_PORT}"

    @property
    def socket_path(self) -> Path:
        """The engine's unix socket."""
        return self.directory / "docker.sock"

    @property
    def runs(self) -> bool:
        """Whether it is on."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What dockerd wrote."""
        return (self.directory / "log").read_text(errors="replace")

    # Power

    def poweron(self) -> Self:
        """Start it, with the data and the addresses it had; `wait` tells when its API answers."""
        if self._process:
            return self
        listeners = self._listen_locally()
        ready_read, ready_write = os.pipe()
        go_read, go_write = os.pipe()
        handed = [*(listener.fileno() for listener in listeners), ready_write, go_read]
        plan = self._plan(pass_fds=handed[: len(listeners)], ready_fd=ready_write, go_fd=go_read)
        try:
            with (self.directory / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    ["unshare", *NAMESPACES, sys.executable, "-I", str(INIT), json.dumps(plan)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=handed,
                    env=self._environment(),
                    start_new_session=True,
                )
            os.close(ready_write)
            ready_write = -1
            if os.read(ready_read, 16) != b"ready":
                raise RuntimeError(f"engine {self.name} did not start:\n{self.log}")
            self.cable.plug(self._init_pid())
            os.write(go_write, b"go")
        finally:
            for listener in listeners:
                listener.close()
            for descriptor in (ready_read, ready_write, go_read, go_write):
                if descriptor >= 0:
                    os.close(descriptor)
        return self

    def _listen_locally(self) -> list[socket.socket]:
        """Return listening sockets in our namespace for dockerd: TCP on loopback, and unix."""
        if not self.options.local:
            return []
        host, port = self.address.split(":")
        self.socket_path.unlink(missing_ok=True)
        listeners = [socket.socket(), socket.socket(socket.AF_UNIX)]
        listeners[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listeners[0].bind((host, int(port)))
        listeners[1].bind(str(self.socket_path))
        for listener in listeners:
            listener.listen(512)
        return listeners

    def _plan(self, **descriptors: object) -> dict[str, object]:
        """Return the plan for `init.py`: what makes this host."""
        # What is written to /etc lands in our directory; /etc/docker holds the engine's ID.
        layers = f"lowerdir=/etc,upperdir={self.directory}/etc,workdir={self.directory}/etc-work"
        before = [
            ["mount", "-t", "tmpfs", "tmpfs", "/run"],
            ["mount", "-t", "overlay", "-o", layers, "overlay", "/etc"],
            ["mkdir", "-p", "/etc/docker"],
            ["mount", "--bind", f"{self.directory}/etc-docker", "/etc/docker"],
        ]
        files = {
            "/etc/hosts": f"127.0.0.1 localhost\n{self.cable.ip} {self.name}\n",
            "/etc/hostname": f"{self.name}\n",
            "/etc/resolv.conf": "",  # lookups fail at once: nobody listens on the engine's port 53
        }
        own_host, own_port = self.own_address.split(":")
        return {
            "before": before,
            "files": files,
            "hostname": self.name,
            "after": self.cable.inside(),
            "listen": [[own_host, int(own_port)]],
            "argv": self._arguments(),
            **descriptors,
        }

    def _environment(self) -> dict[str, str]:
        """Return dockerd's environment: ours, with the programs of its version first."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
        path = f"{suites.engine_path(self.options.version)}:{os.environ['PATH']}:/usr/sbin:/sbin"
        return {**inherited, "PATH": path, **self.options.environment}

    def _arguments(self) -> list[str]:
        """Return dockerd's command line."""
        tls = self.options.tls
        secure = ["--tlsverify", f"--tlscacert={tls.ca}", f"--tlscert={tls.cert}", f"--tlskey={tls.key}"] if tls else []
        return [
            *("dockerd", "-H", "fd://", *secure),
            *(
                "--data-root",
                str(self.directory / "data"),
                "--exec-root",
                "/run/docker",
                "--pidfile",
                "/run/docker.pid",
            ),
            *("--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs"),
            *("--cgroup-parent", f"{self.cgroup}/{self.name}"),
            *("--insecure-registry", f"{self.cable.ip.rpartition('.')[0]}.0/24"),
            *(f"--label={key}={value}" for key, value in self.options.labels.items()),
            *self.options.arguments,
        ]

    def wait(self) -> Self:
        """Wait until the API answers; the first time, load the images. Raises RuntimeError with the log."""
        begun = time.monotonic()
        end = begun + START_DEADLINE_S
        while not self._is_answering(end):
            if self._process is None or self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"engine {self.name} does not run:\n{self.log[-4000:]}")
            nap(begun)
        loaded = self.directory / "loaded"
        if not loaded.exists():
            for archive in (
                *((busybox_archive(),) if self.options.with_busybox else ()),
                *self.options.images,
            ):
                self.load(archive)
            self.keep_images()
            loaded.touch()
        return self

    def _is_answering(self, end: float) -> bool:
        try:
            return self.request("GET", "/_ping", timeout_s=max(0.5, end - time.monotonic()))[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def kill(self) -> None:
        """Power failure: every process dies at once and says no goodbye on the network. The data stays."""
        self.cable.unplug()
        self._end(signal.SIGKILL)

    def crash(self) -> None:
        """End every process at once while the network is up: peers see their connections closed."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Orderly shutdown: SIGTERM, which stops the containers too."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(self._init_pid(), number)
        try:
            self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self.cable.unplug()

    def remove(self) -> None:
        """End it and delete its data."""
        self.crash()
        shutil.rmtree(self.directory, ignore_errors=True)

    def freeze(self) -> None:
        """Stop dockerd where it is: connections are accepted (by the kernel) and never answered."""
        pid = self._dockerd_pid()
        os.kill(pid, signal.SIGSTOP)
        # A thread that runs on another core just now may answer one request more.
        while not is_stopped(pid):
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let a frozen dockerd go on."""
        os.kill(self._dockerd_pid(), signal.SIGCONT)

    def disconnect(self) -> None:
        """Lose all packets between the bridge and this engine; `reconnect` ends that."""
        self.cable.switch(on=False)

    def reconnect(self) -> None:
        """Let packets through again."""
        self.cable.switch(on=True)

    def _init_pid(self) -> int:
        """Return PID 1 of the engine, as numbered in our namespace. Raises IndexError if it is gone."""
        if self._process is None:
            raise RuntimeError(f"engine {self.name} is off")
        return children(self._process.pid)[0]

    def _dockerd_pid(self) -> int:
        """Return the PID of dockerd, which a host that has just been started has soon. Raises RuntimeError."""
        end = time.monotonic() + START_DEADLINE_S
        while self.runs and time.monotonic() < end:
            with contextlib.suppress(OSError, IndexError):  # somebody has ended while we looked
                for pid in children(self._init_pid()):
                    if command_of(pid) == "dockerd":
                        return pid
            time.sleep(0.01)
        raise RuntimeError(f"engine {self.name} has no dockerd:\n{self.log[-4000:]}")

    # Talking to it, past any manager

    def request(
        self, method: str, path: str, body: bytes | None = None, *, timeout_s: float = 30.0
    ) -> tuple[int, bytes]:
        """Return status and body of the engine's answer. Raises OSError or HTTPException."""
        host, port = self.address.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=timeout_s)
        if client := self.options.client:
            context = ssl.create_default_context(cafile=client.ca)
            context.load_cert_chain(client.cert, client.key)
            connection = http.client.HTTPSConnection(host, int(port), timeout=timeout_s, context=context)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/x-tar" if path.startswith("/images/load") else "application/json"}
            connection.request(method, path, body, headers if body is not None else {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def get_json(self, path: str) -> Any:
        """Return the parsed answer to a GET. Raises AssertionError unless its status is 200."""
        status, body = self.request("GET", path)
        assert status == 200, f"{self.name} answered {status} to {path}: {body.decode()}"
        return json.loads(body)

    def docker(
        self,
        *arguments: str,
        stdin: bytes | str = b"",
        check: bool = True,
        timeout_s: float = 60.0,
        with_cli: Cli | None = None,
    ) -> Done:
        """Return what the docker CLI does with this engine directly; see `Cli.run`."""
        tool = with_cli or cli("20.10")
        return tool.run(
            self.address, *arguments, stdin=stdin, tls=self.options.client, check=check, timeout_s=timeout_s
        )

    def load(self, archive: bytes) -> None:
        """Load an image archive; see `images.busybox_archive`."""
        status, body = self.request("POST", "/images/load?quiet=1", archive)
        assert status == 200, body.decode()
        assert b"errorDetail" not in body, body.decode()

    def count_running(self) -> int:
        """Return the number of running containers."""
        return len(self.get_json("/containers/json"))

    def keep_images(self) -> None:
        """Have `empty` leave the images that are here now."""
        self._kept = self._images()

    def _images(self) -> dict[str, frozenset[str]]:
        """Return the tags of each image by ID, the latest image first."""
        images = self.get_json("/images/json")
        return {image["Id"]: frozenset(image["RepoTags"] or ()) - {"<none>:<none>"} for image in images}

    def empty(self) -> None:
        """Remove all that somebody made: containers, volumes, networks, plugins, images and the cache of builds."""
        doomed = [f"/containers/{container['Id']}?force=1&v=1" for container in self.get_json("/containers/json?all=1")]
        doomed += [f"/volumes/{volume['Name']}" for volume in self.get_json("/volumes")["Volumes"] or ()]
        networks = self.get_json("/networks")
        doomed += [f"/networks/{entry['Id']}" for entry in networks if entry["Name"] not in PREDEFINED_NETWORKS]
        doomed += [f"/plugins/{plugin['Name']}?force=1" for plugin in self.get_json("/plugins")]
        for image, tags in self._images().items():
            references = tags - self._kept.get(image, frozenset()) or ({image} - self._kept.keys())
            doomed += [f"/images/{quote(reference, safe='/:')}?force=1" for reference in sorted(references)]
        for path in doomed:
            status, body = self.request("DELETE", path)
            assert status in {200, 204, 404, 409}, f"{self.name}: {path}: {body.decode()}"
        status, body = self.request("POST", "/build/prune?all=1")
        assert status == 200, f"{self.name}: {body.decode()}"


def children(pid: int) -> list[int]:
    """Return the PIDs of the children of `pid`, oldest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # After the command's name, which is in parentheses and may hold anything: state, parent.
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return sorted(found)


def is_stopped(pid: int) -> bool:
    """Say whether no thread of `pid` runs any more."""
    states = set()
    for stat in (Path("/proc") / str(pid) / "task").glob("*/stat"):
        with contextlib.suppress(OSError):  # a thread that has ended
            states.add(stat.read_text().rpartition(")")[2].split()[0])
    return states <= {"T", "t", "Z", "X"}


def command_of(pid: int) -> str:
    """Return the name of the program that `pid` runs."""
    return (Path("/proc") / str(pid) / "comm").read_text().strip()
