"""`docker events`: as they happen, from the past, and only those asked for."""

import json
import time
from typing import Any

from tests.integration.client import Docker
from tests.integration.ways import each_endpoint
from tests.waiting import wait_until

JSON = ("--format", "{{json .}}")


@each_endpoint
def test_live(docker: Docker) -> None:
    """The events of a container come while they happen, in order, and say on which node."""
    wait_until(lambda: readers(docker) == 0, "those of other tests to be gone")
    with docker.background("events", *JSON, "--filter", "type=container") as client:
        assert client.stdout is not None
        wait_until(lambda: readers(docker) == 1, "the reader")
        docker("run", "--rm", "--name", "aa", "busybox", "true")
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["Action"] != "destroy":
            seen.append(json.loads(client.stdout.readline()))
    assert [event["Action"] for event in seen] == ["create", "attach", "start", "die", "destroy"]
    assert {event["Actor"]["Attributes"]["name"] for event in seen} == {"aa"}
    [node] = {event["Actor"]["Attributes"]["node.name"] for event in seen}
    assert node in {engine.name for engine in docker.engines}


def readers(docker: Docker) -> int:
    """Return how many read the manager's events."""
    return int(docker.manager.get_json("/info")["NEventsListener"])


def test_past(docker: Docker) -> None:
    """Events between `--since` and `--until` come from all nodes, in the order of their time."""
    begun = time.time()
    for name in ("aa", "bb"):
        docker.start(name)
    ended = time.time()
    docker("rm", "-f", "aa", "bb")
    events = past(docker, begun, ended)
    actions = [(event["Actor"]["Attributes"]["name"], event["Action"]) for event in events]
    assert actions == [("aa", "create"), ("aa", "start"), ("bb", "create"), ("bb", "start")]
    assert len({event["Actor"]["Attributes"]["node.name"] for event in events}) == 2
    assert [event["timeNano"] for event in events] == sorted(event["timeNano"] for event in events)


def test_filters(docker: Docker) -> None:
    """Filters choose by container, event, label, image, type and node."""
    begun = time.time()
    first = docker.engines[0].name
    docker.start("aa", "-l", "tier=web", "-e", f"constraint:node=={first}")
    docker("kill", "aa")
    docker("run", "--name", "bb", "-e", f"constraint:node!={first}", "busybox", "true")
    ended = time.time()

    def chosen(*filters: str) -> list[str]:
        events = past(docker, begun, ended, *filters)
        return [f"{event['Actor']['Attributes']['name']} {event['Action']}" for event in events]

    on_first = ["aa create", "aa start", "aa kill", "aa die"]
    assert chosen("container=aa") == on_first
    assert chosen(f"node={first}") == on_first
    assert chosen("label=tier=web") == on_first
    assert chosen("event=die") == ["aa die", "bb die"]
    assert chosen("event=die", "event=start", "container=bb") == ["bb start", "bb die"]
    assert chosen("image=busybox", "event=create") == ["aa create", "bb create"]
    assert chosen("container=nothing") == []


def test_until_comes(docker: Docker) -> None:
    """Live events end at `--until`."""
    docker.start("aa")
    done = docker("events", *JSON, "--since", "1m", "--until", f"{time.time() + 1:.3f}", "--filter", "event=start")
    assert json.loads(done.lines[-1])["Actor"]["Attributes"]["name"] == "aa"


def past(docker: Docker, since: float, until: float, *filters: str) -> list[dict[str, Any]]:
    """Return the events of containers between two times."""
    chosen = [part for text in ("type=container", *filters) for part in ("--filter", text)]
    done = docker("events", *JSON, "--since", f"{since:.6f}", "--until", f"{until:.6f}", *chosen)
    return [json.loads(line) for line in done.lines]
