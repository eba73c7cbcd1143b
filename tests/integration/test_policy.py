"""Two teams, an operator and a dashboard on real engines, with the real docker client."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.clients import Cli, cli
from tests.conftest import StartManager
from tests.hosts.certificates import Pair, make_authority, sign
from tests.hosts.engine import Engine

DOCS = Path(__file__).parents[2] / "docs" / "policy.md"
COMPOSE = """
services:
  web:
    image: busybox
    command: sleep 600
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 64
    volumes: [data:/data]
volumes: {data: {}}
"""
LOCAL = """
version = 1
default = "read-only"

[[bind]]
role = "admin"
unix = { uid = 0 }
"""


class Person:
    """Somebody with a client certificate, or at the unix socket."""

    def __init__(self, host: str, tls: Pair | None, program: Cli) -> None:
        self.host, self.tls, self.program = host, tls, program

    def can(self, *arguments: str) -> str:
        """Return what the docker client prints, which has to succeed."""
        return self.program.run(self.host, *arguments, tls=self.tls).stdout

    def cannot(self, *arguments: str) -> str:
        """Return why a command is refused by the policy."""
        done = self.program.run(self.host, *arguments, tls=self.tls, check=False)
        assert done.code != 0, str(done)
        found = re.search(r"refused by the policy \(([a-z0-9._-]+)\)", done.stderr)
        assert found is not None, str(done)
        return found[1]


def cookbook(title: str) -> str:
    """Return an example of the documentation."""
    section = DOCS.read_text(encoding="utf-8").split(f"### {title}\n")[1]
    return section.split("```toml\n")[1].split("```")[0]


@pytest.mark.parametrize("version", ["28"])
def test_two_teams(engines: list[Engine], start_manager: StartManager, tmp_path: Path, version: str) -> None:
    """Each team has its own containers, networks and volumes, and neither sees or touches those of the other."""
    authority = make_authority(tmp_path / "ca")
    server = sign(authority, tmp_path / "server", "serverAuth,clientAuth", "subjectAltName=IP:127.0.0.1")
    pairs = {
        ou: sign(authority, tmp_path / ou, "clientAuth", subject=f"/O=Example/OU={ou}/CN=joe")
        for ou in ("ops", "team-a", "team-b", "others")
    }
    policy = tmp_path / "policy.toml"
    policy.write_text(cookbook("Teams that do not see each other"))
    manager = start_manager(engines, tls=server, client=pairs["ops"], arguments=["--policy", str(policy)])
    program = cli(version)
    ops, a, b, stranger = (Person(manager.address, pairs[ou], program) for ou in pairs)
    bounds = ("--memory", "64m", "--cpus", "0.5", "--pids-limit", "64")

    # each makes its own, under the label that it cannot choose
    a.can("network", "create", "a-net")
    a.can("volume", "create", "a-data")
    run = ("run", "-d", "--network", "a-net", "-v", "a-data:/data", "-e", "KEY=secret", *bounds)
    a.can(*run, "--name", "web", "busybox", "sleep", "600")
    b.can("run", "-d", "--name", "other", *bounds, "-v", "b-new:/x", "busybox", "sleep", "600")
    assert a.can("inspect", "-f", '{{index .Config.Labels "swarmproxy.owner"}}', "web") == "team-a\n"
    assert "secret" in a.can("inspect", "web")

    # lists
    assert [line.rpartition("/")[2] for line in a.can("ps", "--format", "{{.Names}}").splitlines()] == ["web"]
    assert len(b.can("ps", "-q", "-f", "name=web").splitlines()) == 0
    assert len(ops.can("ps", "-q").splitlines()) == 2
    assert [line.rpartition("/")[2] for line in set(b.can("volume", "ls", "-q").splitlines())] == ["b-new"]
    assert "a-net" not in b.can("network", "ls")

    # neither touches what is the other's
    container = a.can("ps", "-q", "--no-trunc").strip()
    for command in (
        ("logs", "web"),
        ("exec", container, "ls"),
        ("rm", "-f", container[:12]),
        ("cp", "web:/etc/passwd", "-"),
        ("inspect", "--type", "container", container),
        ("network", "rm", "a-net"),
        ("volume", "rm", "a-data"),
        ("run", *bounds, "-v", "a-data:/x", "busybox", "true"),
        ("run", *bounds, "--network", "a-net", "busybox", "true"),
        ("run", *bounds, "--volumes-from", "web", "busybox", "true"),
        ("run", *bounds, "--network", "container:web", "busybox", "true"),
    ):
        assert b.cannot(*command) == "roles.team.owner", command
    assert a.can("exec", "web", "echo", "mine") == "mine\n"
    assert b.cannot("system", "df") == "roles.team.owner"

    # what leads out of a container
    for option, limit in (
        (("--privileged",), "privileged"),
        (("--cap-add", "SYS_ADMIN"), "capabilities"),
        (("--network", "host"), "host_namespaces"),
        (("--pid", "host"), "host_namespaces"),
        (("-v", "/:/host"), "docker_socket"),
        (("-v", "/etc:/e"), "binds"),
        (("--device", "/dev/null"), "devices"),
        (("--security-opt", "seccomp=unconfined"), "security_options"),
        (("-p", "80:80"), "host_ports"),
        (("--memory", "9g"), "memory"),
    ):
        assert a.cannot("run", *bounds, *option, "busybox", "true") == f"roles.team.limits.{limit}", option
    assert a.cannot("run", "busybox", "true") == "roles.team.limits.memory"
    assert a.cannot("exec", "--privileged", "web", "id") == "roles.team.limits.privileged"
    assert a.cannot("update", "--memory", "9g", "--memory-swap", "9g", "web") == "roles.team.limits.memory"
    options = ("-o", "type=none", "-o", "o=bind", "-o", "device=/etc")
    assert a.cannot("volume", "create", *options, "evil") == "roles.team.limits.binds"

    # a project is a team's as well
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    project = ("compose", "-f", str(tmp_path / "compose.yaml"), "-p", "shop")
    b.can(*project, "up", "-d")
    assert "shop-web-1" in b.can("ps", "--format", "{{.Names}}")
    assert "shop" not in a.can("ps", "--format", "{{.Names}}") + a.can("network", "ls") + a.can("volume", "ls")
    b.can(*project, "down", "-v")

    # those without a role, those who only read, and the user of a unix socket
    assert stranger.cannot("ps") == "default"
    local = tmp_path / "local.toml"
    local.write_text(LOCAL)
    other = start_manager(engines, arguments=["--policy", str(local)])
    dashboard, root = (Person(host, None, program) for host in (other.address, f"unix://{other.socket_path}"))
    assert "secret" in root.can("exec", "web", "env")
    assert "web" in dashboard.can("ps", "--format", "{{.Names}}")
    shown = dashboard.can("inspect", "web")
    assert "secret" not in shown
    assert "KEY=(hidden)" in shown
    for command in (("exec", "web", "env"), ("cp", "web:/etc/passwd", "-"), ("export", "web"), ("rm", "-f", "web")):
        assert dashboard.cannot(*command) == "roles.read-only.allow"

    # a new policy, and one that is wrong
    policy.write_text("version = 7")
    os.kill(manager.pid, signal.SIGHUP)
    manager.wait_until(lambda: "reload failed" in manager.log, "the refusal of a bad policy")
    assert a.can("exec", "web", "echo", "still") == "still\n"
    policy.write_text('version = 1\n[[bind]]\nrole = "admin"\ncertificate = { ou = "ops" }\n')
    os.kill(manager.pid, signal.SIGHUP)
    manager.wait_until(lambda: a.program.run(manager.address, "ps", tls=a.tls, check=False).code != 0, "the new policy")
    assert a.cannot("ps") == "default"
    assert ops.can("ps", "-q") != ""
