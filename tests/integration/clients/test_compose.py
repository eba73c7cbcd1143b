"""docker compose 2 over two and three engines: what a project's user does in a day."""

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.clients.compose import Project

IDLE: dict[str, Any] = {"image": "busybox", "command": ["sleep", "1d"], "stop_signal": "SIGKILL"}
SERVING = "mkdir -p /www && echo $$NAME > /www/index.html && exec httpd -f -p 80 -h /www"
WEB: dict[str, Any] = {
    "image": "busybox",
    "command": ["sh", "-c", SERVING],
    "environment": {"NAME": "web"},
    "stop_signal": "SIGKILL",
    "healthcheck": {"test": ["CMD", "wget", "-qO-", "http://127.0.0.1/"], "interval": "1s", "retries": 20},
}


def test_up_and_down(compose: Project) -> None:
    """A project comes up in the order of its dependencies, its services find each other, and nothing of it stays."""
    compose.write(
        {
            "services": {
                "web": {**WEB, "ports": ["80"], "volumes": ["data:/data"], "networks": ["front"]},
                "app": {**IDLE, "depends_on": {"web": {"condition": "service_healthy"}}, "networks": ["front"]},
            },
            "networks": {"front": {}},
            "volumes": {"data": {}},
        }
    )
    compose("up", "-d")
    assert compose.containers == ["app-1", "web-1"]
    assert len(compose.nodes) == 1  # a local network is on one node, and so is who joins it
    listed = compose("ps", "--format", "{{.Service}} {{.State}} {{.Health}}").lines
    assert sorted(line.strip() for line in listed) == ["app running", "web running healthy"]
    assert "Name:" in compose("exec", "-T", "app", "nslookup", "web").stdout
    address, port = re.fullmatch(r"([\d.:]+):(\d+)\s*", compose("port", "web", "80").stdout).groups()  # type: ignore[union-attr]
    assert int(port) > 0, address
    compose("down", "-v")
    assert compose.leftovers() == []


def test_default_network(compose: Project) -> None:
    """A file without networks gets one of its own, and links and aliases work in it."""
    compose.write({"services": {"web": WEB, "app": {**IDLE, "links": ["web:shop"]}}})
    compose("up", "-d")
    assert "Name:" in compose("exec", "-T", "app", "nslookup", "shop").stdout
    compose("down")
    assert compose.leftovers() == []


def test_a_day(compose: Project) -> None:
    """Logs, exec, run, cp, top, stop, start, restart, pause, kill and rm reach the project's containers."""
    compose.write(
        {
            "services": {
                "talker": {**IDLE, "command": ["sh", "-c", "echo said; exec sleep 1d"]},
                "tool": {**IDLE, "profiles": ["tools"], "entrypoint": ["cat"], "command": []},
            }
        }
    )
    compose("up", "-d")
    assert "said" in compose("logs", "--no-log-prefix").stdout
    assert compose("exec", "-T", "talker", "cat", stdin="through\n").stdout == "through\n"
    assert compose("run", "--rm", "-T", "tool", stdin="given\n").stdout == "given\n"
    (compose.directory / "file").write_text("copied")
    compose("cp", str(compose.directory / "file"), "talker:/file")
    compose("cp", "talker:/file", str(compose.directory / "back"))
    assert (compose.directory / "back").read_text() == "copied"
    assert "sleep 1d" in compose("top").stdout
    for command, state in (
        ("stop", "exited"),
        ("start", "running"),
        ("restart", "running"),
        ("pause", "paused"),
        ("unpause", "running"),
        ("kill", "exited"),
    ):
        compose(command)
        listed = compose("ps", "-a", "--format", "{{.State}}").stdout
        assert listed.strip() == state, command
    compose("rm", "-f")
    assert compose.containers == []
    compose("down")
    assert compose.leftovers() == []


def test_scale_and_recreate(compose: Project) -> None:
    """A service has as many containers as asked for; a changed one is made anew with its volumes and its name."""
    document: dict[str, Any] = {
        "services": {"worker": {**IDLE, "volumes": ["/kept", "data:/data"]}},
        "volumes": {"data": {}},
    }
    compose.write(document)
    compose("up", "-d", "--scale", "worker=3")
    assert compose.containers == ["worker-1", "worker-2", "worker-3"]
    compose("up", "-d", "--scale", "worker=1")
    assert compose.containers == ["worker-1"]
    compose("exec", "-T", "worker", "sh", "-c", "echo here | tee /kept/file > /data/file")
    document["services"]["worker"]["environment"] = {"CHANGED": "yes"}
    compose.write(document)
    compose("up", "-d")
    assert compose.containers == ["worker-1"]
    said = compose("exec", "-T", "worker", "sh", "-c", "echo $CHANGED; cat /kept/file /data/file").stdout
    assert said == "yes\nhere\nhere\n"
    compose("up", "-d", "--force-recreate", "--no-deps", "worker")
    assert compose("exec", "-T", "worker", "cat", "/data/file").stdout == "here\n"
    compose("down", "-v")
    assert compose.leftovers() == []


def test_networks(compose: Project) -> None:
    """Several networks of one service, with addresses, aliases and labels of their own."""
    compose.write(
        {
            "services": {
                "both": {
                    **IDLE,
                    "networks": {"front": {"aliases": ["gate"], "ipv4_address": "10.91.0.9"}, "back": {}},
                },
                "front": {**IDLE, "networks": ["front"]},
                "back": {**IDLE, "networks": ["back"]},
            },
            "networks": {
                "front": {"ipam": {"config": [{"subnet": "10.91.0.0/24"}]}},
                "back": {"internal": True, "labels": {"tier": "back"}},
            },
        }
    )
    compose("up", "-d")
    assert "10.91.0.9" in compose("exec", "-T", "front", "nslookup", "gate").stdout
    assert compose("exec", "-T", "back", "nslookup", "both").code == 0
    compose("down")
    assert compose.leftovers() == []


def test_completed_dependency(compose: Project) -> None:
    """A service waits for another one to end well, and one that ends badly stops the project's start."""
    services = {
        "setup": {**IDLE, "command": ["sh", "-c", "echo made > /shared/file"], "volumes": ["shared:/shared"]},
        "app": {
            **IDLE,
            "depends_on": {"setup": {"condition": "service_completed_successfully"}},
            "volumes_from": ["setup"],
        },
    }
    compose.write({"services": services, "volumes": {"shared": {}}})
    compose("up", "-d")
    assert compose("exec", "-T", "app", "cat", "/shared/file").stdout == "made\n"
    compose("down", "-v")
    services["setup"]["command"] = ["sh", "-c", "exit 3"]
    compose.write({"services": services, "volumes": {"shared": {}}})
    done = compose("up", "-d", check=False)
    assert done.code != 0
    assert "didn't complete successfully: exit 3" in done.stderr
    compose("down", "-v")
    assert compose.leftovers() == []


def test_attached(compose: Project) -> None:
    """`up` in the foreground shows what the services say and ends with the status of the one that is asked for."""
    compose.write(
        {
            "services": {
                "job": {**IDLE, "command": ["sh", "-c", "sleep 1; echo done; exit 4"]},
                "other": IDLE,
            }
        }
    )
    done = compose("up", "--no-color", "--exit-code-from", "job", check=False)
    assert done.code == 4, str(done)
    assert re.search(r"job-1\s+\| done", done.stdout), str(done)
    compose("down")
    assert compose.leftovers() == []


@pytest.mark.parametrize("buildkit", ["1", "0"])
def test_build(compose: Project, buildkit: str) -> None:
    """What a service is built from is there where the service runs, with BuildKit and with the legacy builder."""
    compose.tool = replace(compose.tool, variables=(("DOCKER_BUILDKIT", buildkit),))
    (compose.directory / "Dockerfile").write_text("FROM busybox\nARG WHO\nRUN echo built for $WHO > /made\n")
    build = {"context": str(compose.directory), "args": {"WHO": "us"}}
    compose.write({"services": {"app": {**IDLE, "image": f"{compose.name}-built", "build": build}}})
    compose("up", "-d", "--build", timeout_s=120.0)
    assert compose("exec", "-T", "app", "cat", "/made").stdout == "built for us\n"
    compose("down", "--rmi", "all")
    assert compose.leftovers() == []


def test_two_projects(compose: Project) -> None:
    """Each project is on one node, and projects are spread."""
    compose.write({"services": {"a": IDLE, "b": IDLE}})
    other = Project(compose.tool, compose.pool, compose.directory, f"{compose.name}x", compose.subcommand)
    compose("up", "-d")
    other("up", "-d")
    assert len(compose.nodes) == len(other.nodes) == 1
    if len(compose.pool.engines) > 1:
        assert compose.nodes.keys() != other.nodes.keys()
    assert {compose.name, other.name} <= set(re.findall(r"^\S+", compose("ls").stdout, re.MULTILINE))
    other("down")
    compose("down")
    assert compose.leftovers() + other.leftovers() == []
