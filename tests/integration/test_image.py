"""Our container image: built on a real engine, and run there as a container that manages two engines."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from swarmproxy import __version__
from tests.clients import Cli, Done, cli
from tests.hosts import base_image, sandbox
from tests.hosts.certificates import Certificates, Pair
from tests.hosts.engine import Engine
from tests.hosts.fleet import Fleet
from tests.hosts.network import Network
from tests.waiting import wait_until

pytestmark = pytest.mark.image

BASE, IMAGE, COMMIT = "base:local", "swarmproxy:test", "0123abc"
SOCKET = "/run/docker.sock"  # of each engine, on its host
OFTEN = ("--health-interval", "200ms")  # a test does not wait for the image's own interval
PORT = 2400  # on the host, of the container under test
# It is 49 MB: grpc 18, pydantic 7, uvloop 2 (14 as its wheel is), bytecode and forty small packages. More than this is
# something that does not belong there.
OUR_LAYER_BYTES = 55_000_000
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".cache", ".hypothesis", "wheels")


@pytest.fixture(scope="module")
def hosts(network: Network) -> Iterator[list[Engine]]:
    """Yield two engines that listen on the usual unix socket of their hosts as well."""
    path, arguments = sandbox.run_dir() / "image", ("-H", f"unix://{SOCKET}")
    with Fleet(path, count=2, network=network, prefix="image", arguments=arguments) as fleet:
        yield fleet.engines


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout with the wheels, and with things in it that are nobody's business."""
    path = tmp_path_factory.mktemp("context") / "checkout"
    shutil.copytree(base_image.REPOSITORY, path, ignore=NOT_COPIED)
    (path / ".git").mkdir()
    (path / "key.pem").write_text("secret")
    shutil.copytree(base_image.wheels(), path / "wheels")
    return path


@pytest.fixture(scope="module")
def image(hosts: list[Engine], context: Path) -> str:
    """Return the name of our image, built on the first engine by the builder of 20.10."""
    started_at = time.monotonic()
    hosts[0].docker("import", str(base_image.base_archive()), BASE, timeout_s=300)
    imported_at = time.monotonic()
    build(hosts[0], context, "--tag", IMAGE)
    hosts[0].keep_images()
    print(f"base imported in {imported_at - started_at:.1f} s, built in {time.monotonic() - imported_at:.1f} s")
    return IMAGE


def build(host: Engine, context: Path, *options: str, with_cli: Cli | None = None) -> Done:
    """Return what the client said while `host` built our image."""
    given = (f"BASE_IMAGE={BASE}", f"PIP_OPTIONS={base_image.PIP_OPTIONS}", f"COMMIT={COMMIT}")
    arguments = [part for argument in given for part in ("--build-arg", argument)]
    return host.docker("build", *arguments, *options, str(context), timeout_s=300, with_cli=with_cli)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A container of our image on `host`; what it serves is published there on PORT."""

    host: Engine
    name: str
    tls: Pair | None

    def docker(self, *arguments: str, check: bool = True) -> Done:
        """Return what the docker client does with the cluster; see `Cli.run`."""
        return cli("20.10").run(f"{self.host.cable.ip}:{PORT}", *arguments, tls=self.tls, check=check)

    def state(self) -> Any:
        """Return what its engine says of the container's state."""
        return self.host.get_json(f"/containers/{self.name}/json")["State"]

    def wait_for_health(self, status: str) -> str:
        """Return what the last health check said, once the health is `status`."""
        wait_until(lambda: self.state()["Health"]["Status"] == status, status)
        return str(self.state()["Health"]["Log"][-1]["Output"])

    def wait_for_nodes(self, count: int) -> None:
        """Return once `docker info` shows `count` healthy nodes."""
        shows = f"\n Nodes: {count}\n"

        def is_shown() -> bool:
            info = self.docker("info", check=False).stdout
            return shows in info and info.count("Status: Healthy\n") == count

        wait_until(is_shown, f"{count} healthy nodes")


class StartProxy(Protocol):
    def __call__(
        self, *command: str, options: tuple[str, ...] = (), port: int = 2375, tls: Pair | None = None
    ) -> Proxy:
        """Return a new container that runs `command`, with `options` of `docker run` and `port` published."""


@pytest.fixture
def start_proxy(hosts: list[Engine], image: str) -> Iterator[StartProxy]:
    """Yield a function that starts our image on the first engine; the container is removed after the test."""
    name = "proxy"

    def start(*command: str, options: tuple[str, ...] = (), port: int = 2375, tls: Pair | None = None) -> Proxy:
        hosts[0].docker("run", "-d", "--name", name, "-p", f"{PORT}:{port}", *OFTEN, *options, image, *command)
        return Proxy(hosts[0], name, tls)

    yield start
    print(f"log of the container:\n{hosts[0].docker('logs', name, check=False)}")
    for host in hosts:
        host.empty()


def members(hosts: list[Engine]) -> str:
    """Return the discovery argument for `hosts`, as a container on one of them reaches them."""
    return f"nodes://{','.join(host.own_address for host in hosts)}"


# What is in it


def test_commands(hosts: list[Engine], image: str) -> None:
    """The image is used like a program, as classic's was: without arguments, for its version and to list a cluster."""

    def run(*arguments: str) -> str:
        return hosts[0].docker("run", "--rm", image, *arguments).stdout

    assert run().startswith("Usage: swarmproxy [OPTIONS] COMMAND")
    assert run("--version") == f"swarmproxy version {__version__} ({COMMIT})\n"
    assert run("list", "nodes://1.2.3.4:2375") == "1.2.3.4:2375\n"


def test_configuration(hosts: list[Engine], image: str) -> None:
    """The image says all that a user of classic's relied on, and runs as nobody in particular."""
    config = hosts[0].get_json(f"/images/{image}/json")["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["swarmproxy"], ["--help"])
    assert (config["User"], config["StopSignal"]) == ("10001:10001", "SIGTERM")
    assert list(config["ExposedPorts"]) == ["2375/tcp"]
    assert "SWARM_HOST=:2375" in config["Env"]
    assert config["Labels"]["org.opencontainers.image.revision"] == COMMIT


def test_size(hosts: list[Engine], image: str) -> None:
    """The image is its base and one small layer."""
    base, ours = (hosts[0].get_json(f"/images/{name}/json") for name in (BASE, image))
    print(f"base {base['Size'] / 1e6:.0f} MB, image {ours['Size'] / 1e6:.0f} MB")
    print(hosts[0].docker("history", image).stdout)
    assert ours["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
    assert ours["Size"] - base["Size"] < OUR_LAYER_BYTES


def test_context(hosts: list[Engine], image: str, context: Path) -> None:
    """Of a checkout, the build gets what it needs and nothing else."""
    build(hosts[0], context, "--target", "build", "--tag", "stage:build")
    listed = hosts[0].docker("run", "--rm", "stage:build", "ls", "-A", "/src").stdout.split()
    wanted = {
        "swarmproxy",
        "discovery",
        "container",
        "deploy",
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
    }
    assert set(listed) == wanted | {"wheels"}


def test_ready_to_run(hosts: list[Engine], image: str) -> None:
    """No module has to be compiled at the start, and the user can change nothing of the program."""

    def sh(script: str) -> str:
        return hosts[0].docker("run", "--rm", "--entrypoint", "sh", image, "-c", script).stdout

    lines = sh("python3 -v -c 'import swarmproxy.cli, swarmproxy.manage' 2>&1").splitlines()
    loaded = [line for line in lines if line.startswith("# code object from ")]
    assert any("swarmproxy/manage" in line for line in loaded)
    assert not [line for line in loaded if line.endswith(".py'")]
    assert sh("find /opt/swarmproxy ! -type l -writable") == ""


def test_buildkit(hosts: list[Engine], image: str, context: Path) -> None:
    """BuildKit builds the same."""
    build(hosts[0], context, "--tag", "swarmproxy:buildkit", with_cli=cli("28"))
    legacy, modern = (hosts[0].get_json(f"/images/{name}/json")["Config"] for name in (image, "swarmproxy:buildkit"))
    for key in ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "StopSignal", "User"):
        assert modern[key] == legacy[key]
    done = hosts[0].docker("run", "--rm", "swarmproxy:buildkit", "list", "nodes://1.2.3.4:2375")
    assert done.stdout == "1.2.3.4:2375\n"


# What it does


def test_cluster(hosts: list[Engine], start_proxy: StartProxy) -> None:
    """A container of our image manages two engines, its own among them, without any rights, and ends when stopped."""
    hardened = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    proxy = start_proxy("manage", members(hosts), options=hardened)
    proxy.wait_for_nodes(2)
    assert proxy.wait_for_health("healthy") == "localhost:2375: ok\n"
    assert proxy.docker("run", "--rm", "busybox", "echo", "hello").stdout == "hello\n"
    proxy.docker("run", "-d", "--name", "web", "busybox", "sh", "-c", "echo started; exec sleep 1d")
    names = proxy.docker("ps", "--format", "{{.Names}}").lines
    # Spread: the engine with the manager has one container already.
    assert sorted(names) == [f"{hosts[0].name}/{proxy.name}", f"{hosts[1].name}/web"]
    assert proxy.docker("exec", "web", "hostname").stdout.strip() == proxy.docker("ps", "-lq").stdout.strip()
    wait_until(lambda: proxy.docker("logs", "web").stdout == "started\n", "the log")
    with cli("20.10").spawn(f"{hosts[0].cable.ip}:{PORT}", "logs", "-f", "web") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == b"started\n"
        started_at = time.monotonic()
        hosts[0].docker("stop", "-t", "50", proxy.name)  # which kills it then: the status would be 137
        print(f"stopped in {time.monotonic() - started_at:.2f} s")
        assert proxy.state()["ExitCode"] == 0
        following.wait(60)
    hosts[0].docker("start", proxy.name)
    proxy.wait_for_nodes(2)
    proxy.docker("rm", "-f", "web")
    assert hosts[1].get_json("/containers/json?all=1") == []


def test_socket(hosts: list[Engine], start_proxy: StartProxy) -> None:
    """With the engine's socket, and its group, the image serves that engine; nothing has to be listed."""
    mount = f"{SOCKET}:/var/run/docker.sock"
    done = hosts[0].docker("run", "--rm", "-v", mount, "busybox", "stat", "-c", "%g", "/var/run/docker.sock")
    proxy = start_proxy("manage", options=("-v", mount, "--group-add", done.stdout.strip()))
    proxy.wait_for_nodes(1)
    proxy.wait_for_health("healthy")
    assert proxy.docker("run", "--rm", "busybox", "echo", "hello").stdout == "hello\n"


# Health


def test_health_of_own_hosts(
    hosts: list[Engine], start_proxy: StartProxy, certificates: Certificates, tmp_path: Path
) -> None:
    """A manager that demands certificates, on addresses of the user's own, is healthy as well."""
    shutil.copytree(certificates.server.directory, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path, *tmp_path.iterdir()):
        path.chmod(0o755)  # the container's user is nobody's
    files = ("--tlscacert", "/tls/ca.pem", "--tlscert", "/tls/cert.pem", "--tlskey", "/tls/key.pem")
    proxy = start_proxy(
        *("manage", "--tlsverify", *files, "--engine-tls=false", "--engine-tlsverify=false"),
        *("-H", "tcp://0.0.0.0:4000", "-H", "unix:///tmp/swarm.sock", "--metrics-addr", ":9323", members(hosts)),
        options=("-v", f"{tmp_path}:/tls:ro"),
        port=4000,
        tls=certificates.client,
    )
    proxy.wait_for_nodes(2)
    assert proxy.wait_for_health("healthy") == "/tmp/swarm.sock: ok\nlocalhost:4000: ok\nlocalhost:9323: ok\n"


def test_health_of_a_hung_one(hosts: list[Engine], start_proxy: StartProxy) -> None:
    """A manager that answers no more is unhealthy, until it answers again."""
    proxy = start_proxy("manage", members(hosts), options=("--init", "--health-retries", "1"))
    proxy.wait_for_nodes(2)
    proxy.wait_for_health("healthy")
    proxy.host.docker("exec", proxy.name, "sh", "-c", "kill -STOP $(cat /proc/1/task/1/children)")
    assert proxy.wait_for_health("unhealthy") == "localhost:2375: timed out\n"
    proxy.host.docker("exec", proxy.name, "sh", "-c", "kill -CONT $(cat /proc/1/task/1/children)")
    proxy.wait_for_health("healthy")


def test_health_without_a_listener(start_proxy: StartProxy) -> None:
    """A command that need not listen, as `join`, is healthy for as long as it runs; a manager has to."""
    proxy = start_proxy("-c", "sleep 1d", options=("--entrypoint", "sh"))
    assert proxy.wait_for_health("healthy") == ""
    proxy.host.docker("exec", "-d", proxy.name, "sh", "-c", "sleep 1d; exit", "swarmproxy", "manage")
    assert proxy.wait_for_health("unhealthy") == "manage: listens on nothing\n"


# A group of it

COMPOSE = base_image.REPOSITORY / "deploy" / "compose" / "compose.yaml"
ASK = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:2375/info').read().decode())"


def test_compose(hosts: list[Engine], image: str, tmp_path: Path) -> None:
    """The Compose file makes three managers over three etcd, which see a node that joins, and survive their leader."""
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nCOPY etcd /usr/bin/etcd\n")
    shutil.copy("/usr/bin/etcd", tmp_path)
    hosts[0].docker("build", "-t", "etcd:local", str(tmp_path))
    given = (("ETCD_IMAGE", "etcd:local"), ("SWARMPROXY_IMAGE", image), ("NODE", hosts[1].own_address))
    tool = replace(cli("28"), variables=given)

    def compose(*arguments: str) -> None:
        hosts[0].docker("compose", "-f", str(COMPOSE), *arguments, with_cli=tool, timeout_s=120)

    def info(number: int) -> dict[str, str]:
        asked = hosts[0].docker("exec", f"swarmproxy-manager-{number}-1", "python3", "-c", ASK, check=False)
        return dict(json.loads(asked.stdout)["SystemStatus"]) if asked.code == 0 else {}

    def roles(*numbers: int) -> list[str]:
        return sorted(found["Role"] for number in numbers if (found := info(number)).get("Nodes") == "1")

    try:
        compose("up", "-d")
        wait_until(lambda: roles(1, 2, 3) == ["primary", "replica", "replica"], "a leader and two others")
        leader = next(number for number in (1, 2, 3) if info(number)["Role"] == "primary")
        compose("stop", f"manager-{leader}", "etcd-1")
        left = {1, 2, 3} - {leader}
        wait_until(lambda: roles(*left) == ["primary", "replica"], "another leader, by two etcd of three")
    finally:
        compose("logs")
        compose("down", "--volumes")
        for host in hosts:
            host.empty()
