"""The policy in front of the API: what is decided is what is done."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from swarmproxy.policy.document import parse
from swarmproxy.policy.role import OWNER
from tests.api.guarded import EXEC, MINE, OTHERS, Guarded, guarded, said, scripted, with_tokens
from tests.cluster.image_daemon import ImageDaemon
from tests.engine.harness import eventually

POLICY = """
version = 1

[roles.team-a]
allow = ["*"]
deny = ["@nodes", "@plugins"]
owner = "a"
environment = false
objects.shared.networks = ["bridge"]

[roles.limited]
allow = ["*"]

[roles.named]
allow = ["@read", "@run"]
objects.names = ["web-*"]

[roles.puller]
allow = ["images/pull"]
limits.unlimited = true
"""


@pytest.fixture
async def daemon() -> ImageDaemon:
    return scripted()


@pytest.fixture
async def front(daemon: ImageDaemon) -> AsyncIterator[Guarded]:
    policy = with_tokens(POLICY, "admin", "read-only", "team-a", "limited", "named", "puller")
    async with guarded([daemon], policy) as front:
        yield front


async def test_who_asks(front: Guarded, daemon: ImageDaemon) -> None:
    """Nobody gets in without a role, a token is never passed on, and a ping is everybody's."""
    assert (await front.ask("", "GET", "/_ping")).status_code == 200
    assert (await front.ask("", "OPTIONS", "/containers/json")).status_code == 200
    nobody = await front.ask("", "GET", "/info")
    assert (nobody.status_code, said(nobody)) == (403, "refused by the policy (default): unix:root has no role")
    wrong = await front.ask("wrong", "GET", "/info")
    assert (wrong.status_code, said(wrong)) == (403, "the bearer token is not known")
    answer = await front.ask("admin", "GET", f"/containers/{MINE}/top", **{"X-Registry-Auth": "kept"})
    assert answer.status_code == 200
    asked = daemon.headers[daemon.requests.index(f"GET /containers/{MINE}/top")]
    assert "authorization" not in asked
    assert asked["x-registry-auth"] == "kept"


async def test_forged_headers(front: Guarded, daemon: ImageDaemon) -> None:
    """Only a manager may say for whom it passes a request on."""
    told = {"Swarmproxy-Identity": b'{"kind":"token","token":"admin"}'.hex(), "Swarmproxy-Client": "x"}
    assert (await front.ask("", "GET", "/info", **told)).status_code == 403
    assert (await front.ask("read-only", "GET", f"/containers/{MINE}/export", **told)).status_code == 403
    assert (await front.ask("read-only", "GET", f"/containers/{MINE}/logs", **told)).status_code == 200
    asked = daemon.headers[daemon.requests.index(f"GET /containers/{MINE}/logs")]
    assert not [name for name in asked if name.startswith("swarmproxy-")]


async def test_read_only(front: Guarded) -> None:
    """Reading goes through without environments; all else is refused with the rule, and nothing reaches an engine."""
    for path in ("export", "archive?path=/", "attach/ws"):
        answer = await front.ask("read-only", "GET", f"/v1.41/containers/mine/{path}")
        assert answer.status_code == 403
        assert said(answer).startswith("refused by the policy (roles.read-only.allow): containers/")
    shown = await front.ask("read-only", "GET", "/containers/mine/json")
    assert shown.json()["Config"]["Env"] == ["KEY=(hidden)"]
    assert shown.json()["Node"]["Name"] == "node-1"
    image = await front.ask("read-only", "GET", "/images/busybox/json")
    assert image.json()["Config"]["Env"] == ["PATH=(hidden)"]
    assert image.headers["content-length"] == str(len(image.content))
    top = await front.ask("read-only", "GET", "/containers/mine/top?ps_args=eww")
    assert (top.status_code, "ps_args" in said(top)) == (403, True)
    assert (await front.ask("read-only", "GET", "/containers/mine/top?ps_args=-ef")).status_code == 200
    plugins = await front.ask("read-only", "GET", "/plugins")
    assert plugins.json()[0]["Settings"]["Env"] == ["A=(hidden)"]
    whole = await front.ask("admin", "GET", "/plugins")
    assert whole.status_code == 200, whole.text
    assert whole.json()[0]["Settings"]["Env"] == ["A=b"]


async def test_own_and_others(front: Guarded, daemon: ImageDaemon) -> None:
    """A team reaches its own containers by every name that they have, and no others."""
    path = "export"
    for name in ("mine", MINE, MINE[:12], "node-1/mine", "/mine", "node-1%2Fmine"):
        expected = 403 if name == "/mine" else 200
        assert (await front.ask("team-a", "GET", f"/containers/{name}/{path}")).status_code == expected, name
    for name in ("others", OTHERS, OTHERS[:12], "node-1/others", "node-1%2Fothers"):
        answer = await front.ask("team-a", "GET", f"/containers/{name}/{path}")
        assert answer.status_code == 403
        assert "roles.team-a.owner" in said(answer)
    assert not [each for each in daemon.requests if f"{OTHERS}/{path}" in each]
    gone = await front.ask("team-a", "GET", f"/containers/nothing/{path}")
    assert (gone.status_code, said(gone)) == (404, "No such container: nothing")


async def test_hidden(front: Guarded, daemon: ImageDaemon) -> None:
    """With `hide`, what belongs to others looks as if it were not there."""
    front.obey(with_tokens("hide = true\n" + POLICY.replace("version = 1", "version = 1", 1), "team-a"))
    answer = await front.ask("team-a", "GET", "/containers/others/json")
    assert (answer.status_code, said(answer)) == (404, "No such container: others")


async def test_exec_ids(front: Guarded, daemon: ImageDaemon) -> None:
    """An exec instance is its container's, also when another manager made it."""
    assert (await front.ask("team-a", "POST", f"/exec/{EXEC}/start", {})).status_code == 403
    daemon.answers[f"/exec/{EXEC}/json"] = 200, b'{"ID":"%s","ContainerID":"%s"}' % (EXEC.encode(), MINE.encode())
    assert (await front.ask("team-a", "POST", f"/exec/{EXEC}/start", {})).status_code == 200
    assert (await front.ask("team-a", "POST", "/exec/nothing/start", {})).status_code == 404


async def test_lists(front: Guarded) -> None:
    """A team's lists show its own, whatever filters it sends."""

    async def names(target: str, **parameters: str) -> Any:
        answer = await front.client.get(target, params=parameters, headers={"Authorization": "Bearer team-a"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    for filters in ({}, {"filters": "{}"}, {"filters": json.dumps({"name": ["others", "mine"]})}):
        assert [each["Id"] for each in await names("/containers/json", all="1", **filters)] == [MINE]
        assert [each["Name"] for each in await names("/networks", **filters)] == ["mine"]
        assert [each["Name"] for each in (await names("/volumes", **filters))["Volumes"]] == ["mine"]
    foreign = {"filters": json.dumps({"label": [f"{OWNER}=b"]})}
    for target in ("/containers/json", "/networks", "/volumes", "/events", "/services", "/tasks"):
        refused = await front.client.get(target, params=foreign, headers={"Authorization": "Bearer team-a"})
        assert refused.status_code == 400
    twice = await front.ask("team-a", "GET", "/containers/json?filters={}&filters={}")
    assert twice.status_code == 400
    assert (await front.ask("team-a", "GET", "/containers/json?a;filters={}")).status_code == 400
    assert (await front.ask("team-a", "GET", "/system/df")).status_code == 403
    assert len((await front.ask("admin", "GET", "/networks")).json()) == 4


async def test_other_objects(front: Guarded) -> None:
    """Networks and volumes of others are theirs; what is shared may be looked at, and joined, but not removed."""
    statuses = {
        target: (await front.ask("team-a", *target.split(" ", 1))).status_code
        for target in (
            "GET /networks/mine",
            "GET /networks/bridge",
            "GET /networks/others",
            "DELETE /networks/others",
            "DELETE /networks/bridge",
            "GET /volumes/mine",
            "GET /volumes/others",
            "GET /volumes/nobodys",
            "DELETE /volumes/others",
        )
    }
    assert [status for target, status in statuses.items() if "others" in target or "nobodys" in target] == [403] * 5
    assert statuses["GET /networks/mine"] == statuses["GET /networks/bridge"] == statuses["GET /volumes/mine"] == 200
    assert statuses["DELETE /networks/bridge"] == 403


async def test_labels_are_set(front: Guarded, daemon: ImageDaemon) -> None:
    """What a team makes is its own, and a label that says otherwise is refused."""
    made = await front.ask("team-a", "POST", "/networks/create?node=node-1", {"Name": "new", "labels": {"x": "y"}})
    assert made.status_code == 201, made.text
    sent = json.loads(daemon.bodies[daemon.requests.index("POST /networks/create")])
    assert {**sent.pop("labels"), OWNER: "a"} == {"x": "y", OWNER: "a"}
    assert (await front.ask("team-a", "POST", "/volumes/create", {"Name": "new"})).status_code == 201
    sent = json.loads(daemon.bodies[daemon.requests.index("POST /volumes/create")])
    assert sent["Labels"][OWNER] == "a"
    for labels in ({OWNER: "b"}, {"com.docker.swarm.id": "x"}, {"com.docker.swarm.task": "x"}):
        refused = await front.ask("team-a", "POST", "/networks/create", {"Name": "new", "Labels": labels})
        assert (refused.status_code, "the label" in said(refused)) == (403, True)
    planted = await front.ask("limited", "POST", "/networks/create", {"Name": "new", "Labels": {OWNER: "a"}})
    assert planted.status_code == 403
    assert (
        await front.ask("admin", "POST", "/networks/create?node=node-1", {"Name": "n", "Labels": {OWNER: "a"}})
    ).is_success


BODIES = [
    (b'{"Image":"x","HostConfig":{"Privileged":true}}', 403),
    (b'{"Image":"x","hostconfig":{"privileged":true}}', 403),
    (b'{"Image":"x","HostConfig":{"Privileged":false},"hostConfig":{"Privileged":true}}', 400),
    (b'{"Image":"x","HostConfig":{"Privileged":false,"Privileged":true}}', 400),
    ('{"Image":"x","Ho\u017ftConfig":{"Privileged":true}}'.encode(), 400),
    (b'{"Image":"x","HostConfig":{"NetworkMode":"host"}}', 403),
    (b'{"Image":"x","HostConfig":{"NetworkMode":"nowhere"}}', 404),
    (b'{"Image":"x","HostConfig":{"NetworkMode":"node-1/host"}}', 403),
    (b'{"Image":"x","NetworkingConfig":{"EndpointsConfig":{"host":{}}}}', 403),
    (b'{"Image":"x","HostConfig":{"Binds":["/:/host"]}}', 403),
    (b'{"Image":"x"', 400),
    (b"", 400),
]


async def test_creates(front: Guarded) -> None:
    """A create is decided by what engines would read, however the body comes."""
    path = "/v1.41/containers/create?name=web-1"
    head = (f"POST {path} HTTP/1.1", "Host: x", "Authorization: Bearer limited", "Transfer-Encoding: chunked")
    for body, status in BODIES:
        assert (await front.ask("limited", "POST", path, body)).status_code == status, body
        pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        assert (await front.raw(*head, body=pieces)).startswith(b"HTTP/1.1 %d " % status), body


async def test_containers_are_marked(front: Guarded, daemon: ImageDaemon) -> None:
    """A team's container is its own, and so are the volumes that come to be with it."""
    daemon.answers["/containers/create"] = 201, b'{"Id":"%s"}' % (b"c" * 64)
    host = {"Binds": ["data:/data:ro", "/x"], "Mounts": [{"Type": "volume", "Source": "more", "Target": "/m"}]}
    made = await front.ask("team-a", "POST", "/containers/create", {"Image": "busybox", "HostConfig": host})
    assert made.status_code == 201, made.text
    sent = json.loads(daemon.bodies[daemon.requests.index("POST /containers/create")])
    assert sent["Labels"][OWNER] == "a"
    assert sent["HostConfig"]["Binds"] == ["/x"]
    assert [(each["Source"], each.get("ReadOnly")) for each in sent["HostConfig"]["Mounts"]] == [
        ("more", None),
        ("data", True),
    ]
    assert all(each["VolumeOptions"]["Labels"] == {OWNER: "a"} for each in sent["HostConfig"]["Mounts"])
    for members in (
        {"Binds": ["others:/x"]},
        {"Mounts": [{"Type": "volume", "Source": "others", "Target": "/x"}]},
        {"Binds": ["nobodys:/x"]},
        {"VolumesFrom": ["others"]},
        {"Links": ["others:x"]},
        {"NetworkMode": "others"},
        {"NetworkMode": "container:others"},
        {"PidMode": f"container:{OTHERS[:12]}"},
    ):
        refused = await front.ask("team-a", "POST", "/containers/create", {"Image": "x", "HostConfig": members})
        assert (refused.status_code, "roles.team-a.owner" in said(refused)) == (403, True), members
    joined = {"Image": "x", "NetworkingConfig": {"EndpointsConfig": {"others": {}}}}
    assert (await front.ask("team-a", "POST", "/containers/create", joined)).status_code == 403


async def test_host_network_by_id(front: Guarded) -> None:
    """The host's network is the host's network under each of its names."""
    host_id = "host".ljust(64, "0")
    for mode in (host_id, host_id[:12]):
        answer = await front.ask(
            "limited", "POST", "/containers/create", {"Image": "x", "HostConfig": {"NetworkMode": mode}}
        )
        assert (answer.status_code, "host_namespaces" in said(answer)) == (403, True)


async def test_names(front: Guarded, daemon: ImageDaemon) -> None:
    """A role with names reaches, makes and lists what is called so."""
    del daemon.answers[f"/containers/{MINE}/json"]
    daemon.change(MINE, name="web-1", tell="rename")
    await eventually(lambda: front.cluster.index.by_id[MINE].container.name == "web-1")
    assert (await front.ask("named", "GET", "/containers/web-1/top")).status_code == 200
    assert (await front.ask("named", "GET", "/containers/others/top")).status_code == 403
    assert [each["Id"] for each in (await front.ask("named", "GET", "/containers/json")).json()] == [MINE]
    assert (await front.ask("named", "GET", '/containers/json?filters={"name":["x"]}')).status_code == 400
    assert (await front.ask("named", "POST", "/containers/create", {"Image": "x"})).status_code == 403
    assert (await front.ask("named", "POST", "/containers/create?name=x", {"Image": "x"})).status_code == 403
    assert (await front.ask("named", "POST", "/containers/web-1/rename?name=other")).status_code == 403


WAYS_ROUND = [
    "GET /v1.41/containers/mine/json/../export HTTP/1.1",
    "GET /containers/mine/export/ HTTP/1.1",
    "GET //containers/mine/export HTTP/1.1",
    "GET /containers/mine//export HTTP/1.1",
    "GET /containers/./mine/export HTTP/1.1",
    "GET /containers/mine/%65xport HTTP/1.1",
    "GET /containers/mine%2Fexport HTTP/1.1",
    "GET /containers/mine%252Fexport HTTP/1.1",
    "GET /%63ontainers/mine/export HTTP/1.1",
    "GET /v1.24/v1.41/containers/mine/export HTTP/1.1",
    "GET http://docker/containers/mine/export HTTP/1.1",
    "GET http://docker/v1.41/containers/mine/export HTTP/1.1",
    "GET /containers/mine/export?x=/json HTTP/1.1",
    "GET /containers/mine/export HTTP/1.0",
    "get /containers/mine/export HTTP/1.1",
    "POST /containers/mine/exec HTTP/1.1",
    "POST /containers/mine/attach HTTP/1.1",
    "GET /containers/mine/attach/ws HTTP/1.1",
    "GET /containers/mine/archive HTTP/1.1",
    "HEAD /containers/mine/archive HTTP/1.1",
    "PUT /containers/mine/archive HTTP/1.1",
    "POST /grpc HTTP/1.1",
    "POST /session HTTP/1.1",
    "POST /build HTTP/1.1",
    "POST /commit?container=mine HTTP/1.1",
    "GET /images/get?names=busybox HTTP/1.1",
    "GET /images/busybox/get HTTP/1.1",
    "GET /swarm/unlockkey HTTP/1.1",
    "POST /swarmproxy/v1/nodes/node-1/drain HTTP/1.1",
    "GET /debug/pprof/ HTTP/1.1",
    "TRACE /containers/mine/export HTTP/1.1",
    "CONNECT /containers/mine/export HTTP/1.1",
]


async def test_ways_round(front: Guarded, daemon: ImageDaemon) -> None:
    """However a request is written, what read-only may not ask for is refused, and no engine hears of it."""
    before = len(daemon.requests)
    for line in WAYS_ROUND:
        for more in ((), ("Connection: Upgrade", "Upgrade: tcp")):
            answer = await front.raw(line, "Host: x", "Authorization: Bearer read-only", "Content-Length: 0", *more)
            assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 400")), (line, answer[:200])
    assert not [each for each in daemon.requests[before:] if "mine" in each or MINE in each or "exec" in each]


async def test_what_is_there_already(front: Guarded) -> None:
    """What others were given is not to be had through it: their volumes' paths, mounts and namespaces."""
    for members, limit in (
        ({"Binds": ["root:/x"]}, "binds"),
        ({"Mounts": [{"Type": "volume", "Source": "node-1/root", "Target": "/x"}]}, "binds"),
        ({"VolumesFrom": ["others:ro"]}, "binds"),
        ({"NetworkMode": "container:others"}, "host_namespaces"),
        ({"PidMode": "container:mine"}, "host_namespaces"),
    ):
        refused = await front.ask("limited", "POST", "/containers/create", {"Image": "x", "HostConfig": members})
        assert refused.status_code == 403, members
        assert f"roles.limited.limits.{limit}" in said(refused), members
    for target in (
        f"POST /containers/{MINE}/start?checkpoint-dir=/etc",
        f"GET /containers/{MINE}/checkpoints?dir=/etc",
    ):
        refused = await front.ask("limited", *target.split(" "))
        assert (refused.status_code, "limits.binds" in said(refused)) == (403, True)
    body = {"CheckpointID": "c", "CheckpointDir": "/etc"}
    assert (await front.ask("limited", "POST", f"/containers/{MINE}/checkpoints", body)).status_code == 403


async def test_no_import(front: Guarded, daemon: ImageDaemon) -> None:
    """A role that may pull may not import, whatever else it is free to do, and however that is written."""
    before = len(daemon.requests)
    for query in ("fromSrc=-", "fromImage=&fromSrc=-", "fromImage=busybox&fromImage=&fromSrc=-"):
        refused = await front.ask("puller", "POST", f"/images/create?{query}&repo=app", b"archive")
        assert refused.status_code == 403, query
        assert "roles.puller.allow" in said(refused), query
    assert not [each for each in daemon.requests[before:] if "/images/create" in each]


async def test_old_start(front: Guarded, daemon: ImageDaemon) -> None:
    """A HostConfig in a start, which engines obey before API 1.24, is looked at."""
    path = f"/v1.22/containers/{MINE}/start"
    assert (await front.ask("limited", "POST", path, {"Privileged": True})).status_code == 403
    assert (await front.ask("limited", "POST", path)).status_code == 200
    assert (await front.ask("limited", "POST", path, {})).status_code == 200


async def test_forms(front: Guarded, daemon: ImageDaemon) -> None:
    """Engines take the fields of a form for parameters, before those of the query: no form gets there."""
    for kind in (
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-URLencoded; charset=utf-8",
        "multipart/x",
    ):
        headers = {"Content-Type": kind}
        target = "/commit?container=mine"
        assert (await front.ask("team-a", "POST", target, b"container=others", **headers)).status_code == 400
        target = "/build?networkmode=default"
        assert (await front.ask("limited", "POST", target, b"networkmode=host", **headers)).status_code == 400
        assert (await front.ask("limited", "POST", f"/containers/{MINE}/stop", b"", **headers)).status_code == 200
    assert not [each for each in daemon.requests if each in ("POST /commit", "POST /build")]


async def test_body_is_what_was_looked_at(front: Guarded, daemon: ImageDaemon) -> None:
    """An engine gets the body as it was read: written anew, and never the client's bytes."""
    sent = b'{ "Privileged" : false,\n "Cmd":["a"] , "User":"" }'
    assert (await front.ask("limited", "POST", f"/containers/{MINE}/exec", sent)).status_code == 201
    got = daemon.bodies[daemon.requests.index(f"POST /containers/{MINE}/exec")]
    assert got == b'{"Privileged":false,"Cmd":["a"],"User":""}'
    assert (await front.ask("limited", "POST", f"/containers/{MINE}/exec", {"privileged": True})).status_code == 403


async def test_reload(front: Guarded) -> None:
    """A new policy counts for the next request of connections that are there."""
    assert (await front.ask("limited", "GET", "/info")).status_code == 200
    front.obey(parse('version = 1\n[[bind]]\nrole = "read-only"\nunix = { uid = 0 }'))
    assert (await front.ask("limited", "GET", "/info")).status_code == 200  # the socket's user, not the token
    assert (await front.ask("", "GET", f"/containers/{MINE}/export")).status_code == 403
    front.obey(parse("version = 1"))
    assert (await front.ask("", "GET", "/info")).status_code == 403
