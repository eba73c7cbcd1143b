"""The cluster as one daemon: version, info, and what it does not do."""

import dataclasses
import re

import pytest

from tests.hosts.certificates import Certificates
from tests.integration.client import Docker
from tests.integration.ways import every_way, one_way


@every_way
def test_version(docker: Docker) -> None:
    """`version` names the proxy as the server, and a newest API that all engines have."""
    done = docker("version", "--format", "{{.Server.Version}} {{.Server.APIVersion}} {{.Client.APIVersion}}")
    name, server_api, client_api = done.stdout.split()
    assert name.startswith("swarmproxy/")
    assert server_api == client_api == "1.41"


@every_way
def test_info(docker: Docker) -> None:
    """`info` shows the sums of the cluster and a block for each node, with what is reserved there."""
    docker.start("aa", "-m", "64m", "-c", "1")
    shown = docker("info").stdout
    for expected in ("Containers: 1", "Running: 1", "Nodes: 2", "Strategy: spread", "Role: primary"):
        assert expected in shown
    blocks = re.split(r"\n\s+(?=\S+-\d: 10\.)", shown)[1:]
    for engine, block in zip(docker.engines, blocks, strict=True):
        assert block.startswith(f"{engine.name}: {engine.own_address}\n")
        assert "Status: Healthy" in block
        assert "ServerVersion: 20.10" in block
    [taken] = [block for block in blocks if "Containers: 1 (1 Running, 0 Paused, 0 Stopped)" in block]
    assert "Reserved CPUs: 1 / " in taken
    assert "Reserved Memory: 64 MiB / " in taken


def test_swarm_mode(docker: Docker) -> None:
    """What is of swarm mode is answered as by an engine that is in no swarm."""
    for kind in ("service", "node", "secret", "config"):
        assert "This node is not a swarm manager" in docker.refused(kind, "ls")
    assert "This node is not part of a swarm" in docker.refused("swarm", "leave")
    assert "makes no swarm" in docker.refused("swarm", "init")


def test_login_elsewhere(docker: Docker) -> None:
    """A login at a registry out of reach fails with the engine's reason."""
    complaint = docker.refused("login", "-u", "me", "--password-stdin", "registry.invalid", stdin="pa55w0rd")
    assert "registry.invalid" in complaint
    assert "pa55w0rd" not in docker.manager.log


def test_search(docker: Docker) -> None:
    """A search without a way to the registry fails with the engine's reason."""
    assert "Error response from daemon" in docker.refused("search", "busybox")


@one_way
def test_no_such_object(docker: Docker) -> None:
    """What is nowhere is not found, whatever the command."""
    assert "No such container: nope" in docker.refused("logs", "nope")
    assert "No such container: nope" in docker.refused("exec", "nope", "true")
    assert "No such container: nope" in docker.refused("rm", "nope")
    assert "No such object: nope" in docker.refused("inspect", "nope")
    assert "No such image: nope" in docker.refused("rmi", "nope")


@pytest.mark.parametrize("docker", ["20.10-tls", "28-tls"], indirect=True)
def test_strangers(docker: Docker, certificates: Certificates) -> None:
    """With verified TLS a client without a certificate, or with another authority's, learns nothing."""
    docker.start("secret")
    for pair in (certificates.stranger, None):
        stranger = dataclasses.replace(docker, tls=pair)
        complaint = stranger.refused("ps")
        assert "certificate" in complaint or "HTTP request to an HTTPS server" in complaint
