"""The units under a real systemd, on a machine where all was installed as the documents tell a stranger to."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import base_image
from tests.hosts.certificates import Pair, make_authority, sign
from tests.hosts.machine import Machine
from tests.hosts.manager import REPOSITORY

pytestmark = pytest.mark.image  # which has all packages in reach, and no network

MANAGER, NODE = "10.0.0.1", "10.0.0.11"  # of the documents; here both are this machine's own
PROGRAM = "/opt/swarmproxy/bin/swarmproxy"
UNITS = {"units": "/opt/swarmproxy/share/swarmproxy/systemd"}  # what the first block sets
STORE = f"etcd://{MANAGER}:2379/swarmproxy"
SOCKET = "unix:///run/swarmproxy/swarmproxy.sock"
SECURE = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/root/client", "DOCKER_HOST": f"tcp://{MANAGER}:3376"}

# What a person changes: the engine of this machine has the port already, and the store is one etcd.
EDITOR = r"""#!/bin/sh
more="--socket-group docker --metrics-addr 127.0.0.1:9323 --audit /var/log/swarmproxy/audit.log"
exec sed -i -e 's/0\.0\.0\.0:2376/0.0.0.0:3376/' -e 's/,10\.0\.0\.[23]:2379//g' -e "/^OPTIONS=--tls/s|$| $more|" "$1"
"""
ETCD = f"""[Service]
Type=notify
ExecStart=/usr/local/bin/etcd --data-dir /var/lib/etcd --listen-client-urls http://{MANAGER}:2379 \
    --advertise-client-urls http://{MANAGER}:2379
"""
IN_GROUP = "[Service]\nSupplementaryGroups=docker\n"
IMPATIENT = "[Service]\nWatchdogSec=4\nWatchdogSignal=SIGKILL\nRestartSec=100ms\n"
# Reads a stream of events until it ends, and has the manager stop when it has begun.
STREAM = """
import socket, subprocess
stream = socket.socket(socket.AF_UNIX)
stream.connect("/run/swarmproxy/swarmproxy.sock")
stream.sendall(b"GET /events HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(stream.recv(15).decode())
subprocess.run(["systemctl", "stop", "swarmproxy"], check=True)
while stream.recv(65536):
    pass
"""


def block(document: str, word: str) -> str:
    """Return the one block of commands in a document that has `word`."""
    text = (REPOSITORY / "docs" / document).read_text()
    [found] = [
        commands for commands in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if word in commands
    ]
    return str(found)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with our wheel, and all that it asks for."""
    out = tmp_path_factory.mktemp("packages")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), "."]
    subprocess.run(command, check=True, capture_output=True, cwd=REPOSITORY)
    shutil.copytree(base_image.wheels(), out, dirs_exist_ok=True)
    return out


@pytest.fixture(scope="module")
def machine(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Yield a machine with an engine, and with a manager over it that is up and runs."""
    directory = tmp_path_factory.mktemp("pki")
    authority = make_authority(directory / "ca")
    addresses = f"subjectAltName=IP:{MANAGER},IP:{NODE}"
    server, client = (
        sign(authority, directory / "server", "serverAuth,clientAuth", addresses),
        sign(authority, directory / "client", "clientAuth"),
    )
    machine = Machine("booted", (MANAGER, NODE))
    try:
        machine.boot()
        hand_over(machine, packages, server, client)
        machine.run(block("getting-started.md", "daemon.json"))
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/root/packages", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        machine.run(f"cd /root/pki\n{block('operating.md', 'manage.env')}", offline)
        yield machine
        print(machine.run("journalctl --no-pager -u 'swarmproxy*'").stdout)
    finally:
        machine.off()


def hand_over(machine: Machine, packages: Path, server: Pair, client: Pair) -> None:
    """Give the machine what its owner has: packages, certificates, a store, and a way to edit a file."""
    shutil.copytree(packages, machine.path("/root/packages"))
    shutil.copytree(client.directory, machine.path("/root/client"))
    machine.path("/root/pki").mkdir()
    for path, *names in (
        (server.ca, "/root/pki/ca.pem", "/etc/docker/ca.pem"),
        (server.cert, "/root/pki/cert.pem", "/root/pki/hub.pem", "/etc/docker/node-1.pem"),
        (server.key, "/root/pki/key.pem", "/root/pki/hub-key.pem", "/etc/docker/node-1-key.pem"),
        (Path("/usr/bin/etcd"), "/usr/local/bin/etcd"),
    ):
        for name in names:
            shutil.copy(path, machine.path(name))
    machine.write(
        {
            "/usr/local/bin/editor": EDITOR,
            "/etc/systemd/system/etcd.service": ETCD,
            "/etc/systemd/system/swarmproxy.service.d/group.conf": IN_GROUP,
        }
    )
    machine.path("/usr/local/bin/editor").chmod(0o755)


def shown(machine: Machine, unit: str, *names: str) -> list[str]:
    """Return what systemd says of `unit`."""
    lines = machine.run(f"systemctl show -p {','.join(names)} {unit}").lines
    return [dict(line.split("=", 1) for line in lines)[name] for name in names]


def logs(unit: str, text: str) -> str:
    """Return the command that says whether `text` is in the journal of `unit`."""
    return f"journalctl --no-pager -o cat -u {unit} | grep -qF {shlex.quote(text)}"


def test_serves(machine: Machine) -> None:
    """Once the unit has started the engine is served, over TLS and on the socket of the group; the journal says so."""
    assert shown(machine, "swarmproxy", "ActiveState", "NRestarts") == ["active", "0"]
    machine.wait_until(f"docker -H {SOCKET} info | grep -q 'Status: Healthy'")
    assert machine.run("docker version --format '{{.Server.Platform.Name}}'", SECURE).lines == ["swarmproxy"]
    assert machine.run(f"stat -c %U:%G:%a {SOCKET.removeprefix('unix://')}").lines == ["swarmproxy:docker:660"]
    machine.wait_until(logs("swarmproxy", f'"Registered Engine" engine=machine addr={NODE}:2376'))


def test_group_of_others(machine: Machine) -> None:
    """Without SupplementaryGroups= it says what is missing."""
    nobody = "setpriv --reuid=swarmproxy --regid=swarmproxy --clear-groups"
    done = machine.run(
        f"{nobody} {PROGRAM} manage --socket-group docker -H unix:///tmp/s nodes://h:1 2>&1", check=False
    )
    assert done.code == 1
    assert "--socket-group: only root and members of 'docker' can give it a socket" in done.stdout


def test_sandboxed(machine: Machine) -> None:
    """It runs as a user of its own without capabilities, and the machine is read-only to it."""
    [pid] = shown(machine, "swarmproxy", "MainPID")
    asked = machine.run(f"stat -c %U /proc/{pid}; cat /proc/{pid}/status /proc/{pid}/mountinfo").stdout
    status = dict(re.findall(r"^(\w+):\s+(.*)$", asked, re.MULTILINE))
    assert asked.startswith("swarmproxy\n")
    assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    modes = dict(re.findall(r"^[\d: ]+ \S+ (/\S*) (r[ow]),", asked, re.MULTILINE))
    assert {modes[path] for path in ("/", "/home", "/root", "/dev", "/sys", "/proc/sys", "/sys/fs/cgroup")} == {"ro"}
    assert {modes[path] for path in ("/var/lib/private/swarmproxy", "/var/log/private/swarmproxy", "/tmp")} == {"rw"}


def test_metrics(machine: Machine) -> None:
    """The metrics of the process, which an alert asks for, are there in spite of the sandbox."""
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9323/metrics').read().decode())"
    found = machine.run(f'python3 -c "{ask}"').stdout
    for name in ("process_open_fds", "process_max_fds", "process_cpu_seconds_total", "process_resident_memory_bytes"):
        assert f"\n{name} " in found


def test_reload(machine: Machine) -> None:
    """`systemctl reload` has it read its certificates and open its audit log anew, in the same process."""
    before = shown(machine, "swarmproxy", "MainPID")
    machine.run("mv /var/log/swarmproxy/audit.log /var/log/swarmproxy/audit.log.1; systemctl reload swarmproxy")
    line = 'msg="reloaded" what="certificates towards engines, certificates towards clients, audit log"'
    machine.wait_until(logs("swarmproxy", line))
    assert machine.run("stat -c %U:%a /var/log/swarmproxy/audit.log").lines == ["swarmproxy:600"]
    assert shown(machine, "swarmproxy", "MainPID") == before


def test_killed(machine: Machine) -> None:
    """A manager that is killed comes back, and knows what was said of nodes."""
    machine.run(f"{PROGRAM} node drain machine", SECURE)
    assert machine.run("stat -c %U:%a /var/lib/swarmproxy/state.json").lines == ["swarmproxy:600"]
    machine.run("systemctl kill --kill-whom=main --signal=KILL swarmproxy")
    machine.wait_until("[ $(systemctl show -P NRestarts swarmproxy) -ge 1 ] && systemctl -q is-active swarmproxy")
    machine.wait_until(f"docker -H {SOCKET} info | grep -q 'Availability: drain'")


def test_stopped(machine: Machine) -> None:
    """`systemctl stop` ends streams and exits with 0; nothing of it is left in /run."""
    assert machine.run(f"python3 -c {shlex.quote(STREAM)}").lines == ["HTTP/1.1 200 OK"]
    ended = shown(machine, "swarmproxy", "ActiveState", "Result", "ExecMainCode", "ExecMainStatus")
    assert ended == ["inactive", "success", "1", "0"]  # 1: it exited
    machine.wait_until(logs("swarmproxy", 'msg="swarmproxy has stopped"'))
    assert not machine.path("/run/swarmproxy").exists()


def test_join(machine: Machine) -> None:
    """A node is listed for as long as docker.service runs, with which join stops and starts."""
    is_listed = f'[ "$({PROGRAM} list {STORE})" = {NODE}:2376 ]'
    machine.run(f"systemctl start etcd\n{block('operating.md', 'join.env')}", UNITS)
    machine.wait_until(is_listed)
    machine.run("systemctl stop docker.socket docker")
    assert shown(machine, "swarmproxy-join", "ActiveState", "Result") == ["inactive", "success"]
    assert machine.run(f"{PROGRAM} list {STORE}").lines == []
    machine.run("systemctl start docker")
    machine.wait_until(is_listed)


def test_hub(machine: Machine) -> None:
    """The hub gives out tokens over TLS, keeps them in its own directory, and reads its certificates anew."""
    machine.run(f"cd /root/pki\n{block('operating.md', 'hub.env')}", UNITS)
    create = f"{PROGRAM} create --hub {MANAGER}:2390 --cacert /etc/swarmproxy/ca.pem 2>/dev/null"
    assert re.fullmatch(r"[0-9a-f]{32}\n", machine.run(create).stdout)
    assert machine.run("stat -c %U:%a /var/lib/swarmproxy-hub/hub.db").lines == ["swarmproxy:600"]
    machine.run("systemctl reload swarmproxy-hub")
    machine.wait_until(logs("swarmproxy-hub", 'msg="reloaded"'))


def test_watchdog(machine: Machine) -> None:
    """The watchdog hears of the event loop; a manager that hangs is ended, and started anew."""
    machine.write({"/etc/systemd/system/swarmproxy.service.d/watchdog.conf": IMPATIENT})
    machine.run("systemctl daemon-reload; systemctl restart swarmproxy")
    [heard] = shown(machine, "swarmproxy", "WatchdogTimestampMonotonic")
    machine.wait_until(f"[ $(systemctl show -P WatchdogTimestampMonotonic swarmproxy) != {heard} ]")
    machine.run("systemctl kill --kill-whom=main --signal=STOP swarmproxy")
    machine.wait_until(logs("swarmproxy", "Failed with result 'watchdog'"))
    machine.wait_until("systemctl -q is-active swarmproxy")
