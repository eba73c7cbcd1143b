"""Members that are reached by ssh: a real ssh, a real server on each engine's host, and docker's own dial-stdio."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartManager
from tests.hosts.engine import Engine
from tests.waiting import wait_until

PORTS = (2201, 2202)
CONFIG = """
Host *
    IdentityFile {home}/.ssh/id
    UserKnownHostsFile {home}/.ssh/known_hosts
    StrictHostKeyChecking accept-new
Host second
    HostName 127.0.0.1
    Port {port}
"""


@pytest.fixture
def ssh_servers(engines: list[Engine], tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Yield two ssh servers, one on the host of each engine; in this sandbox root is at home elsewhere."""
    home = tmp_path / "root"
    keys = home / ".ssh"
    keys.mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / "id"], check=True)
    (keys / "authorized_keys").write_bytes((keys / "id.pub").read_bytes())
    (keys / "config").write_text(CONFIG.format(home=home, port=PORTS[1]))
    for path in keys.iterdir():
        path.chmod(0o600)
    users = tmp_path / "passwd"
    others = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("root:")]
    users.write_text("\n".join([f"root:x:0:0:root:{home}:/bin/sh", *others]) + "\n")
    subprocess.run(["mount", "--bind", users, "/etc/passwd"], check=True)
    servers = []
    try:
        for engine, port in zip(engines, PORTS, strict=True):
            host_key = tmp_path / f"host-{port}"
            subprocess.run(["dropbearkey", "-t", "ed25519", "-f", host_key], check=True, capture_output=True)
            servers.append(
                subprocess.Popen(
                    ["/usr/sbin/dropbear", "-F", "-E", "-e", "-s", "-r", host_key, "-p", f"127.0.0.1:{port}"],
                    env={**os.environ, "DOCKER_HOST": f"unix://{engine.socket_path}"},
                )
            )
        yield servers
    finally:
        subprocess.run(["umount", "/etc/passwd"], check=True)
        for server in servers:
            server.kill()
            server.wait()


def test_members_by_ssh(
    engines: list[Engine], ssh_servers: list[subprocess.Popen[bytes]], start_manager: StartManager
) -> None:
    """Containers run, streams end where they should, and a host whose ssh is gone is told apart with its words."""
    members = [f"ssh://root@127.0.0.1:{PORTS[0]}{engines[0].socket_path}", "ssh://second"]
    manager = start_manager(members, healthy=2)
    for name in ("one", "two"):
        manager.docker("run", "-d", "--name", name, "busybox", "sleep", "600")
    assert [engine.count_running() for engine in engines] == [1, 1]
    piped = manager.docker("run", "--rm", "-i", "busybox", "cat", stdin=b"x" * 300_000)
    assert len(piped.out) == 300_000
    assert manager.docker("exec", "one", "echo", "hello").stdout.strip() == "hello"
    assert "ssh://second" in manager.docker("info").stdout
    subprocess.run(["pkill", "-KILL", "-P", str(ssh_servers[1].pid)], check=True)  # which serve its connections
    ssh_servers[1].kill()
    wait_until(lambda: "Connection refused" in manager.docker("info").stdout, "the words of ssh")
    assert manager.docker("exec", "one", "echo", "still").stdout.strip() == "still"
