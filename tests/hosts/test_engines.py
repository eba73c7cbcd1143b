"""The engines that all other tests stand on behave like hosts of their own."""

import http.client
import time
from pathlib import Path

import pytest

from tests.clients import cli, docker
from tests.conftest import StartEngines
from tests.hosts.certificates import Certificates
from tests.hosts.engine import Engine
from tests.hosts.images import busybox_archive


def test_hosts_of_their_own(engines: list[Engine]) -> None:
    """Each engine has its own ID, name, network and processes, and the same busybox."""
    infos = [engine.get_json("/info") for engine in engines]
    assert [info["Name"] for info in infos] == [engine.name for engine in engines]
    assert len({info["ID"] for info in infos}) == len(engines)
    assert len({engine.get_json("/networks/bridge")["Id"] for engine in engines}) == len(engines)
    assert len({engine.get_json("/images/busybox/json")["Id"] for engine in engines}) == 1


@pytest.mark.parametrize("version", ["20.10", "26.1", "28"])
def test_clients(engines: list[Engine], version: str) -> None:
    """Each client runs a container, passes stdin on and returns its exit status."""
    script = ("run", "-i", "--rm", "busybox", "sh", "-c", "cat; exit 3")
    done = docker(version, engines[0].address, *script, stdin="hello", check=False)
    assert (done.stdout, done.code) == ("hello", 3), str(done)


@pytest.mark.parametrize("version", ["26.1", "28"])
def test_newer_engines(start_engines: StartEngines, version: str) -> None:
    """Engines of other Debian releases run containers and publish ports."""
    [engine] = start_engines(version=version)
    assert engine.get_json("/version")["Version"].startswith(version)
    assert engine.docker("run", "--rm", "-p", "80:80", "busybox", "echo", "hello").stdout == "hello\n"


def test_plugins(engines: list[Engine]) -> None:
    """The modern client has compose and buildx."""
    assert "v2" in cli("28").run(engines[0].address, "compose", "version").stdout.replace("version 2", "v2")
    assert "buildx" in cli("28").run(engines[0].address, "buildx", "version").stdout


def test_unix_socket(engines: list[Engine]) -> None:
    """An engine is reached through its unix socket, and by both addresses."""
    for host in (f"unix://{engines[0].socket_path}", engines[0].address, engines[0].own_address):
        assert docker("20.10", host, "info", "--format", "{{.Name}}").stdout.strip() == engines[0].name


def test_published_ports(engines: list[Engine]) -> None:
    """Two engines publish the same port, each at its own address."""
    serve = "while :; do printf 'HTTP/1.0 200 OK\r\n\r\n%s' $NAME | nc -l -p 80; done"
    for engine in engines:
        engine.docker("run", "-d", "-p", "80:80", "-e", f"NAME={engine.name}", "busybox", "sh", "-c", serve)
    for engine in engines:
        assert fetch(engine.cable.ip) == engine.name


FETCH_DEADLINE_S = 30.0


def fetch(host: str) -> str:
    """Return the body at http://`host`/, which may take a moment to be there."""
    end = time.monotonic() + FETCH_DEADLINE_S
    while True:
        connection = http.client.HTTPConnection(host, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def test_power_failure(start_engines: StartEngines) -> None:
    """After a power failure an engine has its ID, addresses and containers; `--restart` ones run again."""
    [engine] = start_engines(labels={"disk": "ssd"})
    engine.docker("run", "-d", "--restart", "always", "--name", "kept", "busybox", "sleep", "1d")
    before = engine.get_json("/info")
    engine.kill()
    with pytest.raises(ConnectionRefusedError):
        engine.request("GET", "/_ping")
    engine.poweron().wait()
    after = engine.get_json("/info")
    assert (after["ID"], after["Labels"]) == (before["ID"], ["disk=ssd"])
    assert engine.count_running() == 1


def test_orderly_stop(start_engines: StartEngines) -> None:
    """An engine told to stop stops its containers."""
    [engine] = start_engines()
    engine.docker(
        "run",
        "-d",
        "--name",
        "ended",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 7' TERM; while :; do sleep 0.1; done",
    )
    engine.stop()
    engine.poweron().wait()
    assert engine.get_json("/containers/ended/json")["State"]["ExitCode"] == 7


def test_frozen(engines: list[Engine]) -> None:
    """A frozen engine accepts connections and answers nothing; thawed, it goes on."""
    engines[0].freeze()
    with pytest.raises(TimeoutError):
        engines[0].request("GET", "/_ping", timeout_s=0.5)
    engines[0].thaw()
    assert engines[0].request("GET", "/_ping") == (200, b"OK")


def test_disconnected(engines: list[Engine]) -> None:
    """A disconnected engine runs on, and is reached from other hosts once it is connected again."""
    ask = ("--log-level", "fatal", "info", "--format", "{{.Name}}")
    engines[0].disconnect()
    assert engines[0].request("GET", "/_ping") == (200, b"OK")
    engines[0].reconnect()
    assert docker("20.10", engines[0].own_address, *ask).stdout.strip() == engines[0].name


def test_tls(tls_engines: list[Engine], certificates: Certificates) -> None:
    """An engine with TLS takes a client with a certificate of its authority, and no other."""
    engine = tls_engines[0]
    assert docker("20.10", engine.own_address, "ps", "-q", tls=certificates.client).stdout == ""
    assert docker("20.10", engine.own_address, "ps", tls=certificates.stranger, check=False).code == 1
    assert docker("20.10", engine.own_address, "ps", check=False).code == 1


def test_images_without_a_registry(engines: list[Engine]) -> None:
    """An image made here is the same on all engines, with the configuration asked for."""
    archive = busybox_archive("greeting:1", cmd=["echo", "hello"], labels={"made": "here"})
    for engine in engines:
        engine.load(archive)
    [first, second] = [engine.get_json("/images/greeting:1/json") for engine in engines]
    assert first["Id"] == second["Id"]
    assert first["Config"]["Labels"] == {"made": "here"}
    assert engines[0].docker("run", "--rm", "greeting:1").stdout == "hello\n"


def test_emptied(engines: list[Engine], tmp_path: Path) -> None:
    """Emptying an engine removes all that was made on it, in use or not, and leaves the image that it came with."""
    engine = engines[0]
    before = engine.get_json("/images/json")
    engine.docker("network", "create", "mine")
    engine.docker("run", "-d", "--network", "mine", "-v", "data:/data", "busybox", "sleep", "1d")
    engine.docker("tag", "busybox", "mine:1")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN touch /made\nRUN touch /more\n")
    for version in ("20.10", "28"):  # the builder of old, and BuildKit
        engine.docker("build", "--tag", f"built:{version}", str(tmp_path), with_cli=cli(version))
    engine.docker("build", str(tmp_path), "--label", "nameless=1")
    assert len(engine.get_json("/images/json")) == 4
    assert engine.get_json("/system/df")["BuildCache"]
    engine.empty()
    assert engine.get_json("/containers/json?all=1") == []
    assert engine.get_json("/volumes")["Volumes"] in (None, [])
    assert {network["Name"] for network in engine.get_json("/networks")} == {"bridge", "host", "none"}
    assert engine.get_json("/images/json?all=1") == before
    assert not engine.get_json("/system/df")["BuildCache"]
