"""docker-compose 1.29 over two and three engines, with files of all its versions.

It pins API 1.38, or 1.21 for files without a version, which engines of today refuse.
"""

from typing import Any

import pytest

from tests.integration.clients.compose import Project

TWO = pytest.mark.parametrize("compose_one", ["two"], indirect=True)
THREE = pytest.mark.parametrize("compose_one", ["three"], indirect=True)
IDLE: dict[str, Any] = {"image": "busybox", "command": ["sleep", "1d"], "stop_signal": "SIGKILL"}


@TWO
def test_file_1(compose_one: Project) -> None:
    """A file without a version, with links and volumes_from, on the default bridge."""
    compose_one.write(
        {
            "db": {**IDLE, "volumes": ["/data"]},
            "web": {**IDLE, "links": ["db:store"], "volumes_from": ["db"], "ports": ["80"]},
        }
    )
    compose_one("up", "-d")
    assert compose_one.containers == ["db_1", "web_1"]
    assert len(compose_one.nodes) == 1
    compose_one("exec", "-T", "db", "sh", "-c", "echo here > /data/file")
    assert compose_one("exec", "-T", "web", "cat", "/data/file").stdout == "here\n"
    assert "store" in compose_one("exec", "-T", "web", "cat", "/etc/hosts").stdout
    assert compose_one("port", "web", "80").stdout.rpartition(":")[2].strip().isdigit()
    compose_one("down", "-v")
    assert compose_one.leftovers() == []


@THREE
def test_file_2(compose_one: Project) -> None:
    """A file of version 2: health before start, a network with an address, a named volume, a limit."""
    health = {"test": ["CMD", "test", "-e", "/data/ready"], "interval": "1s", "retries": 30}
    compose_one.write(
        {
            "version": "2.4",
            "services": {
                "db": {
                    **IDLE,
                    "command": ["sh", "-c", "touch /data/ready; exec sleep 1d"],
                    "healthcheck": health,
                    "mem_limit": "32m",
                    "volumes": ["data:/data"],
                    "networks": {"net": {"aliases": ["store"], "ipv4_address": "10.92.0.9"}},
                },
                "web": {**IDLE, "depends_on": {"db": {"condition": "service_healthy"}}, "networks": ["net"]},
            },
            "networks": {"net": {"ipam": {"config": [{"subnet": "10.92.0.0/24"}]}}},
            "volumes": {"data": {}},
        }
    )
    compose_one("up", "-d")
    assert "10.92.0.9" in compose_one("exec", "-T", "web", "nslookup", "store").stdout
    assert "Up (healthy)" in compose_one("ps").stdout
    compose_one("down", "-v")
    assert compose_one.leftovers() == []


@TWO
def test_file_3(compose_one: Project) -> None:
    """A file of version 3 and a day's commands: logs, run, scale, recreate, restart, top, stop and rm."""
    document: dict[str, Any] = {
        "version": "3.8",
        "services": {
            "worker": {
                **IDLE,
                "command": ["sh", "-c", "echo said; exec sleep 1d"],
                "volumes": ["/kept"],
                "labels": {"tier": "back"},
            }
        },
    }
    compose_one.write(document)
    compose_one("up", "-d", "--scale", "worker=2")
    assert compose_one.containers == ["worker_1", "worker_2"]
    assert compose_one("logs", "--no-color").stdout.count("said") == 2
    compose_one("up", "-d", "--scale", "worker=1")
    compose_one("exec", "-T", "worker", "sh", "-c", "echo here > /kept/file")
    document["services"]["worker"]["environment"] = {"CHANGED": "yes"}
    compose_one.write(document)
    compose_one("up", "-d")
    said = compose_one("exec", "-T", "worker", "sh", "-c", "echo $CHANGED; cat /kept/file").stdout
    assert said == "yes\nhere\n"
    assert compose_one("run", "--rm", "-T", "worker", "echo", "once").stdout == "once\n"
    assert "sleep 1d" in compose_one("top").stdout
    for command, state in (
        ("restart", "Up"),
        ("stop", "Exit 137"),
    ):
        compose_one(command)
        assert state in compose_one("ps").stdout, command
    compose_one("rm", "-f")
    assert compose_one.containers == []
    compose_one("down", "-v")
    assert compose_one.leftovers() == []


@THREE
def test_build(compose_one: Project) -> None:
    """What it builds with the legacy builder runs, and goes again with `down --rmi`."""
    (compose_one.directory / "Dockerfile").write_text("FROM busybox\nARG WHO\nRUN echo built for $WHO > /made\n")
    build = {"context": str(compose_one.directory), "args": {"WHO": "us"}}
    compose_one.write({"version": "3.8", "services": {"app": {**IDLE, "image": "built", "build": build}}})
    compose_one("up", "-d", "--build", timeout_s=120.0)
    assert compose_one("exec", "-T", "app", "cat", "/made").stdout == "built for us\n"
    compose_one("down", "--rmi", "all")
    assert compose_one.leftovers() == []


@THREE
@pytest.mark.parametrize("command", ["up", "run"])
def test_attached(compose_one: Project, command: str) -> None:
    """In the foreground it shows what the service says, and ends with its status."""
    compose_one.write({"version": "3.8", "services": {"job": {**IDLE, "command": ["sh", "-c", "echo done; exit 4"]}}})
    arguments = ("--no-color", "--exit-code-from", "job") if command == "up" else ("--rm", "-T", "job")
    done = compose_one(command, *arguments, check=False)
    assert done.code == 4, str(done)
    assert "done" in done.stdout, str(done)
    compose_one("down")
    assert compose_one.leftovers() == []
