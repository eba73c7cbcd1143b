"""`docker ps`."""

import json
import time
from typing import Any

from swarmproxy.model.container import Container
from swarmproxy.model.names import NameStyle, style_for
from swarmproxy.model.status import status_text
from tests.api.image_front import Front
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import WEB, message, names, swarm

table = Table("docker ps")

RUNNING = ["web", "twin", "twin", "linked", "abab"]
DAY_S = 86_400


async def _ps(standing: Front, **parameters: Any) -> list[str]:
    filters = parameters.pop("filters", None)
    if filters is not None:
        parameters["filters"] = json.dumps(filters)
    return names(await standing.client.get("/containers/json", params=parameters))


async def _item(standing: Front, name: str) -> dict[str, Any]:
    answer = await standing.client.get(
        "/containers/json", params={"all": 1, "filters": json.dumps({"name": [f"^{name}$"]})}
    )
    (item,) = answer.json()
    assert isinstance(item, dict)
    return item


@table.kept("running", "the list without `-a`")
async def running(standing: Front) -> None:
    """What runs or is paused, on nodes that answer."""
    assert await _ps(standing) == RUNNING


@table.kept("host-down", "containers of a node that is down")
async def host_down(standing: Front) -> None:
    """Listed under `-a`, as `Host Down` in place of their status."""
    assert await _ps(standing, all=1) == ["lost", "web", "cold", *RUNNING[1:]]
    assert (await _item(standing, "lost"))["Status"] == "Host Down"


@table.kept("limit", "`docker ps -n` and `-l`")
async def limit(standing: Front) -> None:
    """The newest, stopped ones and those on nodes that are down included."""
    assert await _ps(standing, limit=3) == ["lost", "web", "cold"]


@table.kept("order", "the order of the list")
async def order(standing: Front) -> None:
    """Latest created first, over all nodes."""
    items = (await standing.client.get("/containers/json?all=1")).json()
    assert [item["Created"] for item in items] == sorted((item["Created"] for item in items), reverse=True)


@table.kept("before", "the parameter `before`")
async def before(standing: Front) -> None:
    """Containers older than that one, stopped ones included; 404 if it is not there."""
    assert await _ps(standing, before="web") == ["cold", *RUNNING[1:]]
    assert message(await standing.client.get("/containers/json?before=x")) == (404, "No such container: x")


@table.mended(
    "before-and-limit",
    "`before` together with `limit`",
    classic="The list was cut to the limit first, so that a second page came out empty.",
    why="Paging through a long list did not work.",
)
async def before_and_limit(standing: Front) -> None:
    """The page that follows."""
    assert await _ps(standing, before="web", limit=1) == ["cold"]


@table.changed(
    "since",
    "the parameters `since` and `size`",
    classic="Ignored.",
    why="The docker CLI sends `size` for `docker ps -s`; a parameter that does nothing misleads.",
)
async def since() -> None:
    """Containers newer than that one; sizes, asked of the engines."""
    daemon = Daemon()
    old = daemon.put("old", created=1)
    daemon.put("new", created=2)
    async with swarm(daemon) as manager:
        assert await _ps(manager, since="old") == ["new"]
        sized = [daemon._item(each) | {"SizeRw": 5, "SizeRootFs": 9} for each in daemon.containers]
        daemon.answers["/containers/json"] = (200, json.dumps(sized).encode())
        items = (await manager.client.get("/containers/json?size=1")).json()
        assert {item["Id"]: (item["SizeRw"], item["SizeRootFs"]) for item in items}[old] == (5, 9)


@table.changed(
    "status-filter",
    "the filter `status`",
    classic="`exited` showed stopped containers; any other status only what runs, so `created` found nothing.",
    why="As on a daemon: who asks for a state wants to see it.",
)
async def status_filter(standing: Front) -> None:
    """Shows that state without `-a`; one that does not exist is 400."""
    assert await _ps(standing, filters={"status": ["exited"]}) == ["cold"]
    assert await _ps(standing, filters={"status": ["paused"]}) == ["abab"]
    got = await standing.client.get("/containers/json", params={"filters": '{"status":["x"]}'})
    assert message(got) == (400, "invalid filter 'status=x'")


@table.changed(
    "swarm-image",
    "containers of an image called `swarm`",
    classic="Hidden without `-a`, to keep classic's own containers out of sight.",
    why="A list that hides containers surprises; a manager is a container like another.",
)
async def swarm_image(standing: Front) -> None:
    """Listed like any other."""
    assert "abab" in await _ps(standing)


@table.kept("name-filter", "the filter `name`")
async def name_filter(standing: Front) -> None:
    """A regular expression that may match anywhere in the name, without the node's."""
    assert await _ps(standing, filters={"name": ["^we"]}) == ["web"]
    assert await _ps(standing, filters={"name": ["node-1"]}) == []


@table.kept("id-filter", "the filter `id`")
async def id_filter(standing: Front) -> None:
    """A regular expression on the whole ID."""
    assert await _ps(standing, filters={"id": ["^abab", "nothing"]}) == ["web"]


@table.kept("node-filter", "the filter `node`")
async def node_filter(standing: Front) -> None:
    """A regular expression on the node's name: `node-1` also means node-10."""
    assert await _ps(standing, all=1, filters={"node": ["node-1"]}) == ["lost", "web", "cold", "twin"]
    assert await _ps(standing, all=1, filters={"node": ["^node-10$"]}) == ["lost"]


@table.kept("label-filter", "the filter `label`")
async def label_filter(standing: Front) -> None:
    """`key` and `key=value`, all of which must be there; the cluster's own labels count."""
    assert await _ps(standing, filters={"label": ["tier=front", "com.docker.swarm.id"]}) == ["web"]
    assert await _ps(standing, filters={"label": ["tier=front", "tier=back"]}) == []


@table.kept("state-filters", "the filters `health`, `is-task`, `exited`, `volume` and `network`")
async def state_filters(standing: Front) -> None:
    """As on a daemon; a volume by name or place in the container, a network by name or beginning of its ID."""
    assert await _ps(standing, filters={"health": ["none"]}) == RUNNING
    assert await _ps(standing, filters={"is-task": ["true"]}) == []
    assert await _ps(standing, all=1, filters={"exited": ["0"]}) == ["cold"]
    for key, value in (("volume", "data"), ("volume", "/data"), ("network", "blue"), ("network", "b1ue")):
        assert await _ps(standing, filters={key: [value]}) == ["web"]


@table.changed(
    "exited-filter",
    "the filter `exited` with what is no number",
    classic="500 with a message of Go's.",
    why="The mistake is the client's.",
)
async def exited_filter(standing: Front) -> None:
    """400."""
    got = await standing.client.get("/containers/json", params={"filters": '{"exited":["x"]}'})
    assert message(got) == (400, "invalid filter 'exited=x'")


@table.changed(
    "more-filters",
    "the filters `ancestor`, `before`, `since`, `publish`, `expose` and `isolation`",
    classic="Ignored, so that everything was listed.",
    why="Compose and CI systems remove what such a list shows.",
)
async def more_filters(standing: Front) -> None:
    """As on a daemon."""
    assert await _ps(standing, filters={"ancestor": ["busybox"]}) == ["web", "twin", "twin", "linked", "abab"]
    assert await _ps(standing, filters={"ancestor": ["postgres"]}) == []
    assert await _ps(standing, filters={"publish": ["80"]}) == ["web"]
    assert await _ps(standing, filters={"expose": ["9999"]}) == []
    assert await _ps(standing, all=1, filters={"since": ["web"]}) == ["lost"]
    assert await _ps(standing, filters={"before": ["linked"]}) == ["abab"]


@table.kept("names", "names, as the docker CLI up to 29.3 reads them")
async def own_names(standing: Front) -> None:
    """`/node/name`, for each name that the container has."""
    headers = {"User-Agent": "Docker-Client/20.10.24 (linux)"}
    items = (await standing.client.get("/containers/json", headers=headers)).json()
    by_id = {item["Id"]: item["Names"] for item in items}
    assert by_id[WEB] == ["/node-1/web"]
    assert ["/node-2/linked", "/node-2/other/alias"] in by_id.values()


@table.changed(
    "names-of-others",
    "names, as other clients read them",
    classic="`/node/name` only, for every client.",
    why="CLIs from 29.4 on, compose and SDKs skip names with a slash, and showed none; `swarm.names=node` restores it.",
)
async def names_of_others(standing: Front) -> None:
    """`/name` and then `/node/name`."""
    assert (await _item(standing, "web"))["Names"] == ["/web", "/node-1/web"]
    assert style_for("Docker-Client/29.4.0 (linux)") is NameStyle.BOTH
    assert style_for("compose/v2.29", "node") is NameStyle.NODE


@table.kept("ports", "addresses of published ports")
async def ports(standing: Front) -> None:
    """The node's address where the engine says 0.0.0.0 or ::; a port that is not published has none."""
    assert (await _item(standing, "web"))["Ports"] == [
        {"IP": "127.0.0.1", "PrivatePort": 80, "PublicPort": 80, "Type": "tcp"},
        {"PrivatePort": 443},
    ]


@table.kept("labels", "labels in the list")
async def labels(standing: Front) -> None:
    """Those of the container, the cluster's own included."""
    assert set((await _item(standing, "web"))["Labels"]) == {"tier", "com.docker.swarm.id"}


@table.changed(
    "unknown-members",
    "members that came with newer engines",
    classic="Lost: items were written anew from what API 1.40 knows.",
    why="A newer engine's answer reaches a newer client.",
)
async def unknown_members(standing: Front) -> None:
    """Passed on as the engine wrote them."""
    assert (await _item(standing, "web"))["Unheard"] == {"of": 1}


@table.kept("empty", "a list of nothing")
async def empty(standing: Front) -> None:
    """`[]`, not null."""
    got = await standing.client.get("/containers/json", params={"filters": '{"name":["nothing"]}'})
    assert got.json() == []


@table.kept("status", "the column STATUS")
def status() -> None:
    """In a daemon's words, worked out when it is asked for."""
    now_ns = time.time_ns()

    def said(state: str, **fields: Any) -> str:
        ago = {"started_ns": now_ns - 300 * 10**9, "finished_ns": now_ns - 7200 * 10**9}
        return status_text(Container(id="c", state=state, **(ago | fields)), now_ns=now_ns)

    assert said("running") == "Up 5 minutes"
    assert said("running", health="healthy") == "Up 5 minutes (healthy)"
    assert said("running", health="starting") == "Up 5 minutes (health: starting)"
    assert said("paused") == "Up 5 minutes (Paused)"
    assert said("restarting", exit_code=1) == "Restarting (1) 2 hours ago"
    assert said("exited", exit_code=137) == "Exited (137) 2 hours ago"
    assert said("exited", finished_ns=0) == ""
    assert [said(state) for state in ("created", "dead")] == ["Created", "Dead"]


def _up(seconds: float) -> str:
    """Return what is said of a container that has run for so long."""
    now_ns = 1_000 * DAY_S * 10**9
    return status_text(Container(id="a", state="running", started_ns=now_ns - int(seconds * 10**9)), now_ns=now_ns)


@table.kept("durations", "how long ago")
def durations() -> None:
    """In words, from `Less than a second` to years."""
    texts = {
        0.5: "Less than a second",
        59: "59 seconds",
        119: "About a minute",
        3599: "59 minutes",
        3600: "About an hour",
        47 * 3600: "47 hours",
        13 * DAY_S: "13 days",
        59 * DAY_S: "8 weeks",
        95 * DAY_S: "3 months",
        800 * DAY_S: "2 years",
    }
    assert {seconds: _up(seconds) for seconds in texts} == {seconds: f"Up {text}" for seconds, text in texts.items()}


@table.changed(
    "weeks",
    "60 to 90 days",
    classic="In weeks up to 90 days.",
    why="Daemons of today say months from 60 days on; the list looks as theirs does.",
)
def weeks() -> None:
    """In months."""
    assert _up(70 * DAY_S) == "Up 2 months"


@table.changed(
    "regular-expressions",
    "a regular expression that takes for ever, or that Go does not have",
    classic="Searched in linear time, in Go's syntax.",
    why="Ours is bounded, too, but knows no word boundaries and Unicode classes; those match as plain text.",
)
async def regular_expressions(standing: Front) -> None:
    """Found or refused in no time; look-around matches only the text equal to it, as in Docker."""
    assert await _ps(standing, filters={"name": ["(a+)+$", "(?=x)y"]}) == []
