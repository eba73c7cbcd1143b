"""Commands that talk to a running manager: where they look for it, and what they say when it is not there."""

import gc
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from swarmproxy.cli.client import ManagerCommand, read_connection, segment
from swarmproxy.cli.manager_client import ManagerClient
from swarmproxy.cli.options import text
from swarmproxy.errors import ConfigError, SwarmError
from swarmproxy.settings import Listen, Tls
from tests.hosts.certificates import Certificates, Pair

VARIABLES = ("DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have the environment say nothing, with a home that is empty."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


class _Manager(BaseHTTPRequestHandler):
    """Says back what it is asked, refuses, streams, or talks nonsense."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "/refuse" in self.path:
            self._reply(409, b'{"message":"no such\\nnode"}\n')
        elif "/missing" in self.path:
            self._reply(404, b'{"message":"page not found"}\n')
        elif "/nonsense" in self.path:
            self._reply(200, b"<html>")
        elif "/gateway" in self.path:
            self._reply(502, b"bad gateway\r\n")
        elif "/empty" in self.path:
            self._reply(200, b"")
        elif "/lines" in self.path:
            self._reply(200, b'{"n":1}\r\n\r\n{"n":2}\r\n')
        else:
            said = {"path": self.path, "type": self.headers.get("content-type"), "body": body.decode()}
            self._reply(200, json.dumps(said).encode())

    do_GET = do_POST  # noqa: N815

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "client"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep silent."""


class _UnixServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


@contextmanager
def _serving(server: HTTPServer) -> Iterator[HTTPServer]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def address() -> Iterator[str]:
    """Yield the address of a manager in the clear."""
    with _serving(HTTPServer(("127.0.0.1", 0), _Manager)) as server:
        yield f"tcp://127.0.0.1:{server.server_port}"


@pytest.fixture
def tls_address(certificates: Certificates) -> Iterator[str]:
    """Yield the address of a manager that speaks TLS and demands certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.cert, certificates.server.key)
    context.load_verify_locations(certificates.server.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = HTTPServer(("127.0.0.1", 0), _Manager)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with _serving(server):
        yield f"tcp://127.0.0.1:{server.server_port}"


def _ask(client: ManagerClient, *, args: tuple[str, ...], method: str) -> int:
    click.echo(json.dumps(client.ask(method, args[0], body={"b": 1}, query={"q": "1"})))
    return 0


COMMAND = ManagerCommand("ask", callback=_ask, operands="PATH", help="Ask", params=[text("--method", default="POST")])


def _run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(COMMAND, args, standalone_mode=False)
    assert result.exception is None, result.exception
    return result.return_value, result.stdout, result.stderr


def _connection(**given: Any) -> tuple[Listen, Tls | None]:
    flags = {"host": "", "tls": None, "tlsverify": None, "tlscacert": "", "tlscert": "", "tlskey": ""}
    return read_connection(**(flags | given))


def test_asks(address: str) -> None:
    """A command sends what it has to say as JSON, and flags may stand on either side of its operands."""
    for args in (["-H", address, "/x"], ["/x", "-H", address], ["/x", f"--host={address}/"]):
        code, out, err = _run(*args)
        assert (code, err) == (0, "")
        assert json.loads(out) == {"path": "/x?q=1", "type": "application/json", "body": '{"b":1}'}


def test_unix(tmp_path: Path) -> None:
    """The manager may be at a unix socket."""
    with _serving(_UnixServer(str(tmp_path / "manager.sock"), _Manager)):  # type: ignore[arg-type]
        assert _run("-H", f"unix://{tmp_path}/manager.sock", "/x")[0] == 0


def test_environment(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST stands in for --host."""
    monkeypatch.setenv("DOCKER_HOST", address)
    assert _run("/x")[0] == 0


def _flags(pair: Pair) -> list[str]:
    return [f"--tlscacert={pair.ca}", f"--tlscert={pair.cert}", f"--tlskey={pair.key}"]


def test_tls(tls_address: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Certificates are shown and demanded, by flags or by docker's own variables."""
    assert _run("-H", tls_address, "--tlsverify", *_flags(certificates.client), "/x")[0] == 0
    assert _run("-H", tls_address, "--tls", *_flags(certificates.client), "/x")[0] == 0
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates.client.directory))
    assert _run("-H", tls_address, "/x")[0] == 1
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert _run("-H", tls_address, "/x")[0] == 0
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    code, _, err = _run("-H", tls_address, "/x")
    assert code == 1
    assert err.startswith(f"Error: cannot reach the manager at {tls_address}: its certificate will not do: ")


def test_wrong_tls(address: str, tls_address: str, certificates: Certificates) -> None:
    """What is wrong with TLS, on which side, is said in plain words."""
    for where, flags, problem in (
        (address, ["--tls"], "it does not speak TLS"),
        (tls_address, ["--tls"], "it demands a certificate, --tlscert and --tlskey"),
        (tls_address, ["--tls", *_flags(certificates.stranger)], "it does not accept our certificate"),
    ):
        assert _run("-H", where, *flags, "/x") == (1, "", f"Error: cannot reach the manager at {where}: {problem}\n")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/refuse", "no such node"),
        ("/missing", "what answers at {address} is no swarmproxy manager, or an older one"),
        ("/nonsense", "the manager's answer is not JSON: b'<html>'"),
        ("/gateway", "bad gateway"),
    ],
)
def test_refusals(address: str, path: str, problem: str) -> None:
    """What goes wrong is one line on stderr, in the manager's own words where it has any, and exit code 1."""
    assert _run("-H", address, path) == (1, "", f"Error: {problem.format(address=address)}\n")


@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket"
)  # httpcore leaves an unconnected one to the collector
@pytest.mark.parametrize("host", ["tcp://127.0.0.1:1", "unix:///no/such.sock"])
def test_nobody_there(host: str) -> None:
    """A manager that is not there is named."""
    code, out, err = _run("-H", host, "/x")
    assert (code, out) == (1, "")
    reason = "connection refused" if host.startswith("tcp") else "no such file or directory"
    assert err == f"Error: cannot reach the manager at {host}: {reason}\n"
    gc.collect()  # here, where its warning is ignored


def test_stream(address: str) -> None:
    """A stream is its lines, and a refusal instead of one is an error."""
    with ManagerClient(Listen.parse(address), None) as client:
        assert list(client.stream("POST", "/lines")) == [{"n": 1}, {"n": 2}]
        assert client.ask("POST", "/empty") is None
        with pytest.raises(SwarmError, match=r"^no such\nnode$"):
            list(client.stream("POST", "/refuse"))


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without flags and variables it is the manager's default address in the clear; docker's files are found."""
    assert _connection() == (Listen("127.0.0.1", 2375), None)
    assert _connection(tls=True)[1] == Tls()
    (tmp_path / ".docker").mkdir()
    for name in ("ca", "cert", "key"):
        (tmp_path / ".docker" / f"{name}.pem").touch()
    files = Tls(**{name: tmp_path / ".docker" / f"{name}.pem" for name in ("ca", "cert", "key")}, verify=True)
    assert _connection(tlsverify=True)[1] == files
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "0")  # any text is a yes
    assert _connection()[1] == files
    assert _connection(tlsverify=False)[1] is None
    assert _connection(host="unix:///s")[1] is None


@pytest.mark.parametrize("host", ["ssh://h", "h", "tcp://h:x", "unix://"])
def test_bad_host(host: str) -> None:
    """An address that is none is an error which says what it should be."""
    with pytest.raises(ConfigError, match="should be tcp://host:port or unix://path"):
        _connection(host=host)


def test_half_a_pair() -> None:
    """A certificate without its key will not do."""
    with pytest.raises(ConfigError, match="--tlscert and --tlskey must be provided together"):
        _connection(tls=True, tlscert="c.pem")


def test_segment() -> None:
    """A name is one part of a path, whatever is in it."""
    assert segment("a/b:1 c") == "a%2Fb%3A1%20c"
