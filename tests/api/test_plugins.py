"""Plugins over scripted daemons: whose they are, and what the engines get to hear."""

import json
from typing import Any

import pytest

from tests.api.image_front import Front, front
from tests.cluster.image_daemon import ImageDaemon

REFUSED = "a plugin is installed on one node: say on which"


def plugin(name: str) -> dict[str, Any]:
    return {"Id": "ab" * 32, "Name": name, "Enabled": True, "Unheard": {"of": 1}}


def daemons_with(*plugins: list[str]) -> list[ImageDaemon]:
    """Return a daemon for each list of plugins."""
    daemons = [ImageDaemon(f"n{number}") for number in range(len(plugins))]
    for daemon, names in zip(daemons, plugins, strict=True):
        daemon.answers["/plugins"] = (200, json.dumps([plugin(name) for name in names]).encode())
        for name in names:
            daemon.answers[f"/plugins/{name}/json"] = (200, json.dumps(plugin(name)).encode())
        for path in ("pull", "create", "a/b:1/enable", "a/b:1/disable", "a/b:1/set", "a/b:1"):
            daemon.answers[f"/plugins/{path}"] = (200, b"")
        daemon.answers["/plugins/privileges"] = (200, b"[]")
    return daemons


def heard(daemon: ImageDaemon) -> list[str]:
    """Return what a daemon was asked about plugins, without version."""
    return ["/" + target.split("/", 2)[2] for target in daemon.targets if "/plugins" in target]


async def refusal(manager: Front, method: str, target: str) -> tuple[int, str]:
    answer = await manager.client.request(method, target)
    return answer.status_code, answer.json()["message"]


async def test_list() -> None:
    """Plugins of all nodes stand in one list as `node/name`; filters reach the engines, `node` chooses them."""
    async with front(daemons := daemons_with(["a/b:1"], ["a/b:1", "c:1"])) as manager:
        listed = (await manager.client.get("/plugins")).json()
        assert sorted(each["Name"] for each in listed) == ["n0/a/b:1", "n1/a/b:1", "n1/c:1"]
        assert listed[0]["Unheard"] == {"of": 1}
        filters = json.dumps({"node": ["n0"], "enabled": ["true"]})
        listed = (await manager.client.get("/plugins", params={"filters": filters})).json()
        assert [each["Name"] for each in listed] == ["n0/a/b:1"]
        assert len(heard(daemons[1])) == 1
        assert "enabled" in heard(daemons[0])[-1]
        assert "node" not in heard(daemons[0])[-1]


async def test_inspect() -> None:
    """A plugin answers to `node/name`, and to its name alone where one node has it."""
    async with front(daemons_with(["a/b:1"], ["a/b:1", "c:1"])) as manager:
        assert (await manager.client.get("/plugins/n1/a/b:1/json")).json()["Name"] == "n1/a/b:1"
        assert (await manager.client.get("/plugins/c:1/json")).json()["Name"] == "c:1"
        status, message = await refusal(manager, "GET", "/plugins/a/b:1/json")
        assert (status, message) == (
            400,
            "plugin a/b:1 is on several nodes: name one of n0/a/b:1, n1/a/b:1",
        )
        assert (await refusal(manager, "GET", "/plugins/no:1/json"))[0] == 404
        assert (await refusal(manager, "GET", "/plugins/n0/c:1/json"))[0] == 404


@pytest.mark.parametrize(
    ("method", "action"), [("POST", "/enable"), ("POST", "/disable"), ("POST", "/set"), ("DELETE", "")]
)
async def test_changes(method: str, action: str) -> None:
    """A change goes to the node that is named, by prefix, parameter or header, and to no other."""
    async with front(daemons := daemons_with(["a/b:1"], ["a/b:1"])) as manager:
        for target, headers in (
            (f"/plugins/n1/a/b:1{action}?timeout=0", {}),
            (f"/plugins/a/b:1{action}?timeout=0&node=n1", {}),
            (f"/plugins/a/b:1{action}?timeout=0", {"X-Swarmproxy-Node": "n1"}),
        ):
            assert (await manager.client.request(method, target, headers=headers)).status_code == 200
        assert heard(daemons[0]) == []
        assert heard(daemons[1]) == [f"/plugins/a/b:1{action}?timeout=0"] * 3
        status, message = await refusal(manager, method, f"/plugins/a/b:1{action}")
        assert (status, "name one of n0/a/b:1, n1/a/b:1" in message) == (400, True)


async def test_install() -> None:
    """The node comes from the alias or from the front of the name, and the client learns a name with the node."""
    async with front(daemons := daemons_with([], [])) as manager:
        for query, name in (
            ("remote=docker.io%2Fn1%2Fvieux%2Fsshfs%3Alatest&name=", "n1/vieux/sshfs:latest"),
            ("remote=vieux%2Fsshfs%3Alatest&name=n1%2Fssh%3Alatest", "n1/ssh:latest"),
            ("remote=vieux%2Fsshfs%3Alatest&node=n1", "n1/vieux/sshfs:latest"),
        ):
            answer = await manager.post(f"/plugins/pull?{query}", json=[])
            assert answer.status_code == 200
            assert answer.headers["docker-plugin-name"] == name
        assert heard(daemons[0]) == []
        assert heard(daemons[1]) == [
            "/plugins/pull?remote=vieux%2Fsshfs%3Alatest&name=",
            "/plugins/pull?remote=vieux%2Fsshfs%3Alatest&name=ssh%3Alatest",
            "/plugins/pull?remote=vieux%2Fsshfs%3Alatest",
        ]
        assert (await manager.post("/plugins/create?name=n0%2Fmine", content=b"tar")).status_code == 200
        assert heard(daemons[0]) == ["/plugins/create?name=mine"]
        assert daemons[0].bodies[-1] == b"tar"
        for target in ("/plugins/pull?remote=vieux%2Fsshfs", "/plugins/create?name=mine"):
            status, message = await refusal(manager, "POST", target)
            assert (status, message.startswith(REFUSED)) == (400, True)
            assert message.endswith("(nodes: n0, n1)")
        assert (await manager.client.get("/plugins/privileges?remote=vieux%2Fsshfs")).json() == []


async def test_one_node() -> None:
    """With a single node nobody needs to name it."""
    async with front(daemons := daemons_with(["a/b:1"])) as manager:
        assert (await manager.post("/plugins/pull?remote=vieux%2Fsshfs", json=[])).status_code == 200
        assert (await manager.post("/plugins/a/b:1/enable?timeout=0")).status_code == 200
        assert heard(daemons[0]) == ["/plugins/pull?remote=vieux%2Fsshfs", "/plugins/a/b:1/enable?timeout=0"]
