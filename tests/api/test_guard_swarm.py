"""The policy where members form a swarm: services, tasks, secrets and configs have owners too."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from swarmproxy.policy.role import OWNER
from tests.api.guarded import Guarded, guarded, said, with_tokens
from tests.cluster.image_daemon import ImageDaemon

POLICY = """
version = 1

[roles.team-a]
allow = ["*"]
deny = ["@swarm"]
owner = "a"
environment = false
"""
SPEC = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}}}


def described(name: str, owner: str) -> bytes:
    spec = {"Name": name, "Labels": {OWNER: owner}, "TaskTemplate": {"ContainerSpec": {"Env": ["KEY=planted"]}}}
    return json.dumps({"ID": name, "ServiceID": name, "Spec": spec, "Version": {"Index": 1}}).encode()


@pytest.fixture
async def daemon() -> ImageDaemon:
    daemon = ImageDaemon("node-1")
    known = [{"NodeID": "n1", "Addr": "10.0.0.1:2377"}]
    part = {"NodeID": "n1", "LocalNodeState": "active", "RemoteManagers": known, "ControlAvailable": True}
    daemon.info_fields["Swarm"] = {**part, "Cluster": {"ID": "c1"}, "Nodes": 1, "Managers": 1}
    for kind in ("services", "tasks", "secrets", "configs"):
        daemon.answers[f"/{kind}"] = 200, b"[]"
        daemon.answers[f"/{kind}/create"] = 201, b'{"ID":"new"}'
        for name, owner in (("mine", "a"), ("others", "b")):
            daemon.answers[f"/{kind}/{name}"] = 200, described(name, owner)
            daemon.answers[f"/{kind}/{name}/update"] = 200, b"{}"
            daemon.answers[f"/{kind}/{name}/logs"] = 200, b""
    tokens = {"Worker": "SWMTKN-planted", "Manager": "SWMTKN-planted"}
    daemon.answers["/swarm"] = 200, json.dumps({"ID": "c1", "JoinTokens": tokens}).encode()
    daemon.answers["/swarm/unlockkey"] = 200, b'{"UnlockKey":"SWMKEY-planted"}'
    return daemon


@pytest.fixture
async def front(daemon: ImageDaemon) -> AsyncIterator[Guarded]:
    async with guarded([daemon], with_tokens(POLICY, "team-a", "read-only", "admin")) as front:
        front.cluster.swarms.learn_leader("n1")
        yield front


async def test_reach(front: Guarded) -> None:
    """What belongs to others is neither seen nor changed; a task is its service's."""
    for kind in ("services", "tasks", "secrets", "configs"):
        own = await front.ask("team-a", "GET", f"/{kind}/mine")
        assert (own.status_code, "planted" in own.text) == (200, False)
        for method, path in (("GET", "others"), ("DELETE", "others"), ("POST", "others/update?version=1")):
            if kind == "tasks" and method != "GET":
                continue
            refused = await front.ask("team-a", method, f"/{kind}/{path}", SPEC if method == "POST" else None)
            assert (refused.status_code, "roles.team-a.owner" in said(refused)) == (403, True)
        assert (await front.ask("team-a", "GET", f"/{kind}/nothing")).status_code == 404
    for kind in ("services", "tasks"):
        assert (await front.ask("team-a", "GET", f"/{kind}/mine/logs?stdout=1")).status_code == 200
        assert (await front.ask("team-a", "GET", f"/{kind}/others/logs?stdout=1")).status_code == 403


async def test_lists(front: Guarded, daemon: ImageDaemon) -> None:
    """The manager is asked for what has the owner's label, once and beside the client's own filters."""
    for kind in ("services", "tasks", "secrets", "configs"):
        answer = await front.ask("team-a", "GET", f'/{kind}?filters={{"name":["web"]}}&status=1')
        assert answer.status_code == 200
        query = parse_qs(urlsplit(daemon.targets[-1]).query)
        assert query["status"] == ["1"]
        [filters] = query["filters"]
        assert json.loads(filters) == {"name": ["web"], "label": [f"{OWNER}=a"]}


async def test_creates(front: Guarded, daemon: ImageDaemon) -> None:
    """What a team makes gets its label, also where an update describes it anew; limits hold as for containers."""
    assert (await front.ask("team-a", "POST", "/services/create", SPEC)).status_code == 201
    sent = json.loads(daemon.bodies[daemon.requests.index("POST /services/create")])
    assert sent["Labels"] == sent["TaskTemplate"]["ContainerSpec"]["Labels"] == {OWNER: "a"}
    assert (await front.ask("team-a", "POST", "/services/mine/update?version=1", SPEC)).status_code == 200
    sent = json.loads(daemon.bodies[daemon.requests.index("POST /services/mine/update")])
    assert sent["Labels"] == {OWNER: "a"}
    for kind in ("secrets", "configs"):
        assert (await front.ask("team-a", "POST", f"/{kind}/create", {"Name": "k", "Data": "eA=="})).status_code == 201
        sent = json.loads(daemon.bodies[daemon.requests.index(f"POST /{kind}/create")])
        assert sent == {"Name": "k", "Data": "eA==", "Labels": {OWNER: "a"}}
        forged = {"Name": "k", "Labels": {OWNER: "b"}}
        assert (await front.ask("team-a", "POST", f"/{kind}/create", forged)).status_code == 403
    members: tuple[dict[str, Any], ...] = (
        {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/x"}]},
        {"Secrets": [{"SecretID": "others", "SecretName": "others"}]},
        {"Configs": [{"ConfigID": "others", "ConfigName": "others"}]},
    )
    for more in members:
        body = {**SPEC, "TaskTemplate": {"ContainerSpec": {"Image": "busybox", **more}}}
        assert (await front.ask("team-a", "POST", "/services/create", body)).status_code == 403, more


async def test_tokens(front: Guarded) -> None:
    """The keys of the swarm are for those who may have them."""
    shown = await front.ask("read-only", "GET", "/swarm")
    assert (shown.status_code, "planted" in shown.text, shown.json()["ID"]) == (200, False, "c1")
    assert (await front.ask("read-only", "GET", "/swarm/unlockkey")).status_code == 403
    assert "planted" in (await front.ask("admin", "GET", "/swarm")).text
    assert "planted" in (await front.ask("admin", "GET", "/swarm/unlockkey")).text
