"""The audit log: what is in it, what never is, and that it holds up nobody."""

import base64
import json
import signal
import socket
import ssl
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from swarmproxy.errors import ConfigError
from swarmproxy.monitoring.writing import Writer
from swarmproxy.policy.identity import hash_of
from tests.hosts.certificates import make_authority
from tests.monitoring.conftest import DEADLINE_S, Stand, Start
from tests.monitoring.test_metrics import value
from tests.waiting import wait_until
from tests.wire.conftest import make_pair


class Audited:
    """A manager, and the file that it writes."""

    def __init__(self, stand: Stand, path: Path) -> None:
        self.stand = stand
        self.path = path

    def records(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the complete lines with `wanted` members."""
        lines = self.path.read_bytes().split(b"\n")[:-1]
        found = [json.loads(line) for line in lines]
        return [each for each in found if wanted.items() <= each.items()]

    def record(self, **wanted: Any) -> dict[str, Any]:
        """Return the one line with `wanted` members, once it is there."""
        wait_until(lambda: self.records(**wanted), f"a record of {wanted}")
        (found,) = self.records(**wanted)
        return found


@pytest.fixture(scope="module")
def audited(start_stand: Start, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    path = tmp_path_factory.mktemp("audit") / "audit.log"
    return Audited(start_stand("--audit", str(path)), path)


def test_record(audited: Audited) -> None:
    """A line says who asked for what, which engine answered, and how that ended."""
    stand = audited.stand
    container = stand.get_json("/containers/json")[0]
    node, _, name = container["Names"][0].lstrip("/").rpartition("/")
    path = f"/v1.41/containers/{name}/top?ps_args=aux"
    assert stand.get(path, headers={"User-Agent": "curl/8"})[0] == 200
    record = audited.record(route="containers/top")
    assert record.pop("time").endswith("Z")
    assert len(record.pop("request_id")) > 6
    assert record.pop("remote").startswith("127.0.0.1:")
    assert 0 < record.pop("duration_s") < DEADLINE_S
    assert record.pop("sent_bytes") > 0
    assert node == "" or record["node"] == node
    assert record.pop("node").startswith("node-0000")
    assert record == {
        "method": "GET",
        "route": "containers/top",
        "path": f"/v1.41/containers/{name}/top",
        "query": {"ps_args": "aux"},
        "object": name,
        "status": 200,
        "user_agent": "curl/8",
    }
    assert stat.S_IMODE(audited.path.stat().st_mode) & ~0o640 == 0


def test_every_end(audited: Audited) -> None:
    """There is a line for what was created, what failed, what nobody could read, a stream, and a client that left."""
    stand = audited.stand
    body = {"Image": "busybox", "Cmd": ["true"]}
    assert stand.request("POST", "/containers/create?name=made", body)[0] == 201
    created = audited.record(object="made")
    assert (created["route"], created["status"]) == ("containers/create", 201)
    assert created["received_bytes"] == len(json.dumps(body))
    assert created["node"].startswith("node-0000")
    assert stand.get("/containers/nobody/json")[0] == 404
    assert audited.record(object="nobody")["status"] == 404
    with socket.create_connection(("127.0.0.1", stand.port), DEADLINE_S) as client:
        client.sendall(b"nonsense\r\n\r\n")
        client.recv(4096)
    assert audited.record(route="malformed")["status"] == 400
    with socket.create_connection(("127.0.0.1", stand.port), DEADLINE_S) as client:
        client.sendall(
            b"POST /containers/made/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: x\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        client.sendall(b"hello")
        wait_until(lambda: value(stand, "swarmproxy_payload_bytes_total", direction="received") >= 5, "the bytes")
        assert not audited.records(route="containers/attach")
    stream = audited.record(route="containers/attach")
    assert (stream["status"], stream["object"], stream["received_bytes"]) == (101, "made", 5)
    with socket.create_connection(("127.0.0.1", stand.port), DEADLINE_S) as client:
        client.sendall(b"PUT /containers/left/archive?path=/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal")
    left = audited.record(object="left")
    assert left["status"] in (None, 400, 404)  # as it is told first that there is no such container, or that it is gone
    written = value(stand, "swarmproxy_audit_records_total")
    assert written >= len(audited.records()) - 1
    assert value(stand, "swarmproxy_audit_lost_total") == 0


def test_no_secret(audited: Audited) -> None:
    """What a client may keep secret stands neither in the audit log nor in the manager's own with all that it tells."""
    stand = audited.stand
    planted: list[str] = []

    def secret() -> str:
        planted.append(f"s3cr3t{len(planted):03}X")
        return planted[-1]

    def header(**members: str) -> str:
        """Return what docker's clients send as X-Registry-Auth; the encoded form is a secret too."""
        planted.append(base64.urlsafe_b64encode(json.dumps(members).encode()).decode())
        return planted[-1]

    def auth() -> str:
        return header(username="me", password=secret())

    env = [f"PASSWORD={secret()}"]
    made = {"Image": "busybox", "Env": env, "Cmd": ["sh", "-c", f"echo {secret()}"], "Labels": {"a": "b"}}
    stand.request("POST", "/containers/create?name=kept", made, headers={"X-Registry-Auth": auth()})
    stand.request("POST", "/containers/create?name=refused", {**made, "Env": [*env, "constraint:x==y"]})
    stand.request("POST", "/containers/create", {**made, "HostConfig": {"LogConfig": {"Config": {"t": secret()}}}})
    stand.request("POST", "/containers/create?name=x", b'{"Env": ["' + secret().encode())
    stand.request("POST", "/containers/kept/exec", {"Env": [f"K={secret()}"], "Cmd": ["login", secret()]})
    stand.request(
        "POST",
        f"/images/create?fromImage=busybox&changes={quote(f'ENV K={secret()}')}",
        headers={"X-Registry-Auth": auth()},
    )
    stand.request(
        "POST", f"/images/create?fromSrc={quote(f'https://me:{secret()}@host/a.tar?k={secret()}', safe='')}&repo=x"
    )
    stand.request("POST", "/images/busybox/push", headers={"X-Registry-Auth": auth()})
    stand.request(
        "POST",
        f"/commit?container=kept&repo=x&comment={secret()}&author={secret()}&changes={quote(f'ENV K={secret()}')}",
        {"Env": [f"K={secret()}"]},
    )
    buildargs = quote(json.dumps({"TOKEN": secret()}))
    remote = quote(f"https://me:{secret()}@github.com/a/b.git", safe="")
    labels, outputs = quote(json.dumps({"l": secret()})), quote(json.dumps([{"Attrs": {"k": secret()}}]))
    path = f"/build?t=app&buildargs={buildargs}&remote={remote}&labels={labels}&outputs={outputs}&cachefrom={secret()}"
    stand.request("POST", path, headers={"X-Registry-Config": header(host=secret())})
    stand.request("POST", "/auth", {"username": "me", "password": secret(), "identitytoken": secret()})
    stand.request("POST", "/plugins/vieux/set", [f"PASSWORD={secret()}"])
    stand.request(
        "POST", "/plugins/pull?remote=vieux/sshfs", [{"Value": [secret()]}], headers={"X-Registry-Auth": auth()}
    )
    stand.request("POST", "/secrets/create", {"Name": "s", "Data": secret()})
    stand.request("POST", "/configs/create", {"Name": "c", "Data": secret()})
    stand.request(
        "POST",
        "/services/create",
        {"TaskTemplate": {"ContainerSpec": {"Env": env}}},
        headers={"X-Registry-Auth": auth()},
    )
    stand.request("POST", "/swarm/init", {"ListenAddr": "x", "Spec": {"CAConfig": {"SigningCAKey": secret()}}})
    stand.request("POST", "/swarm/join", {"RemoteAddrs": ["x"], "JoinToken": secret()})
    stand.request("POST", "/swarm/unlock", {"UnlockKey": secret()})
    stand.request("POST", "/volumes/create", {"Name": "v", "DriverOpts": {"o": f"password={secret()}"}})
    stand.request("POST", "/networks/create", {"Name": "n", "Options": {"k": secret()}})
    stand.request("PUT", "/containers/kept/archive?path=/", secret().encode())
    for header_name in ("Authorization", "Cookie", "Proxy-Authorization", "X-Registry-Token", "X-Anything"):
        stand.request("GET", f"/containers/json?token={secret()}", headers={header_name: f"Bearer {secret()}"})
    stand.request("GET", f"/nothing?password={secret()}")
    stand.get("/containers/last/json")
    audited.record(object="last")
    told = audited.path.read_text() + stand.log
    assert len(planted) > 50
    assert [each for each in planted if each in told or quote(each, safe="") in told] == []
    assert audited.record(route="build")["query"] == {
        "t": "app",
        **dict.fromkeys(("buildargs", "remote", "labels", "outputs", "cachefrom"), "(hidden)"),
    }


def test_verdict(start_stand: Start, tmp_path: Path) -> None:
    """With a policy, a line says who asked, what was decided and by which rule, also where only reads are refused."""
    token = "a-token-that-is-long-and-random"
    policy, path = tmp_path / "policy.toml", tmp_path / "audit.log"
    bind = f'[[bind]]\nrole = "watcher"\ntoken = "{hash_of(token)}"\nname = "ci"\n'
    policy.write_text(f'version = 1\n[roles.watcher]\nallow = ["containers/list"]\n{bind}')
    stand = start_stand("--audit", str(path), "--audit-reads=false", "--policy", str(policy))
    bearer = {"Authorization": f"Bearer {token}"}
    for method, asked, status in (
        ("GET", "/containers/json", 200),
        ("GET", "/images/json", 403),
        ("DELETE", "/containers/web", 403),
    ):
        assert stand.request(method, asked, headers=bearer, by_socket=True)[0] == status
    audited = Audited(stand, path)
    removal = audited.record(route="containers/remove")
    assert (removal["identity"], removal["verdict"], removal["status"]) == ("token:ci", "refused", 403)
    assert removal["remote"] == "unix"
    assert removal["rule"]
    assert [each["route"] for each in audited.records()] == ["images/list", "containers/remove"]
    assert value(stand, "swarmproxy_policy_decisions_total", verdict="refused") == 2
    assert value(stand, "swarmproxy_policy_decisions_total", verdict="allowed") == 1
    assert token not in path.read_text() + stand.log


def test_certificate(start_stand: Start, tmp_path: Path) -> None:
    """The holder of a certificate is named without a policy, too; metrics are served only to those who show one."""
    ca, ca_key = make_authority(tmp_path / "ca") / "ca.pem", tmp_path / "ca" / "ca-key.pem"
    (cert, key), client = (make_pair(tmp_path, name, ca, ca_key) for name in ("manager", "alice"))
    path = tmp_path / "audit.log"
    files = ("--tlscacert", str(ca), "--tlscert", str(cert), "--tlskey", str(key))
    known = ssl.create_default_context(cafile=ca)
    known.load_cert_chain(*client)
    engines = ("--engine-tls=false", "--engine-tlsverify=false", "--metrics-tls", "--audit", str(path))
    stand = start_stand("--tlsverify", *files, *engines, tls=known)
    stand.get("/containers/nobody/json")
    assert Audited(stand, path).record(object="nobody")["identity"] == "certificate:alice"
    assert stand.get("/-/healthy", side=True)[0] == 200
    stand.tls = ssl.create_default_context(cafile=ca)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        stand.get("/metrics", side=True)


def test_rotation(audited: Audited) -> None:
    """After SIGHUP a moved file is left alone, and what comes then stands in a new one."""
    moved = audited.path.with_suffix(".1")
    audited.path.rename(moved)
    audited.stand.get("/containers/before/json")
    wait_until(lambda: b'"object":"before"' in moved.read_bytes(), "the record in the moved file")
    audited.stand.signal(signal.SIGHUP)
    wait_until(audited.path.exists, "a new file")
    audited.stand.get("/containers/after/json")
    audited.record(object="after")
    assert b'"object":"after"' not in moved.read_bytes()


def test_full_disk(start_stand: Start, tmp_path: Path) -> None:
    """A full disk stops nobody: what is lost is counted, told in the log, and in the file once there is room again."""
    path = tmp_path / "audit.log"
    path.symlink_to("/dev/full")
    stand = start_stand("--audit", str(path), "--audit-reads=false")
    audited = Audited(stand, path)
    for number in range(3):
        assert stand.request("POST", f"/containers/nobody-{number}/start")[0] == 404
    wait_until(lambda: value(stand, "swarmproxy_audit_lost_total") == 3, "the loss")
    assert stand.log.count("audit records are lost") == 1
    path.unlink()
    stand.signal(signal.SIGHUP)
    wait_until(path.exists, "a new file")
    assert stand.get("/containers/json")[0] == 200
    assert stand.request("POST", "/containers/somebody/start")[0] == 404
    assert audited.record(object="somebody")["status"] == 404
    assert audited.records()[0] == {"missing_records": 3}
    assert len(audited.records()) == 2, "a request that only reads is not recorded"
    stand.signal(signal.SIGTERM)
    assert stand.manager.process.wait(DEADLINE_S) == 0


def test_what_looks_like_reading(start_stand: Start) -> None:
    """Without reads, a request that takes data away is recorded although it is a GET; `-` is the standard output."""
    stand = start_stand("--audit", "-", "--audit-reads=false")
    for path in ("/containers/a/json", "/containers/a/export", "/containers/a/top", "/images/a/get"):
        stand.get(path)
    stand.request("DELETE", "/containers/z")
    wait_until(lambda: '"object":"z"' in stand.log, "the last record")
    records = [json.loads(line) for line in stand.log.splitlines() if line.startswith("{")]
    assert [each["route"] for each in records] == ["containers/export", "images/save", "containers/remove"]


@pytest.mark.parametrize("place", ["", "missing/audit.log"])
def test_unusable_file(tmp_path: Path, place: str) -> None:
    """A file that cannot be written is told of before anything begins."""
    with pytest.raises(ConfigError, match="--audit: "):
        Writer(tmp_path / place)
