"""What a scrape shows, of requests that were made."""

import json
import re
import runpy
import signal
import socket
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.integration.faults import rewrite
from tests.monitoring.conftest import DEADLINE_S, Stand, Start
from tests.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
GENERAL = ("python_", "process_")  # of prometheus-client, not ours to describe


@pytest.fixture(scope="module")
def stand(start_stand: Start) -> Stand:
    return start_stand("--drain-timeout", "6s", "--audit", "/dev/null")


def families(stand: Stand) -> dict[str, Metric]:
    """Return what a scrape shows, read by the strict parser."""
    status, body = stand.get("/metrics", side=True, headers=OPENMETRICS)
    assert status == 200
    return {each.name: each for each in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]


def value(stand: Stand, name: str, **labels: str) -> float:
    """Return the sum of the samples called `name` that have `labels`."""
    return sum(
        sample.value
        for family in families(stand).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_requests(stand: Stand) -> None:
    """Each request counts once, under its kind, whichever way it is answered; what nobody can read does too."""
    container = stand.get_json("/containers/json")[0]["Id"]
    for _ in range(5):
        assert stand.get(f"/v1.41/containers/{container}/top")[0] == 200
    assert stand.get("/containers/nobody/json")[0] == 404
    assert stand.request("PATCH", "/nothing")[0] == 404
    with socket.create_connection(("127.0.0.1", stand.port), DEADLINE_S) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert b" 400 " in client.recv(4096)
    counted = "swarmproxy_http_requests_total"
    assert value(stand, counted, route="containers/top", method="GET", status="2xx") == 5
    assert value(stand, counted, route="containers/inspect", status="4xx") == 1
    assert value(stand, counted, route="other", method="other", status="4xx") == 1
    assert value(stand, counted, route="malformed", status="4xx") == 1
    assert value(stand, "swarmproxy_http_request_duration_seconds_count", route="containers/top") == 5
    assert value(stand, "swarmproxy_http_request_duration_seconds_bucket", route="containers/top", le="+Inf") == 5
    assert 0 < value(stand, "swarmproxy_http_request_duration_seconds_sum", route="containers/top") < DEADLINE_S


def test_streams(stand: Stand) -> None:
    """What is open shows while it is, with the bytes that have passed."""
    container = stand.get_json("/containers/json")[0]["Id"]
    before = value(stand, "swarmproxy_payload_bytes_total", direction="received")
    with socket.create_connection(("127.0.0.1", stand.port), DEADLINE_S) as client:
        client.sendall(
            f"POST /containers/{container}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n".encode()
            + b"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        client.sendall(b"x" * 1000)
        wait_until(
            lambda: value(stand, "swarmproxy_payload_bytes_total", direction="received") == before + 1000, "the bytes"
        )
        assert value(stand, "swarmproxy_streams_open") == 1
        assert value(stand, "swarmproxy_http_requests_open", route="containers/attach") == 1
        assert value(stand, "swarmproxy_client_connections") == 1
    wait_until(lambda: value(stand, "swarmproxy_streams_open") == 0, "the end of the stream")
    assert value(stand, "swarmproxy_http_requests_total", route="containers/attach", status="1xx") == 1


def test_cluster(stand: Stand) -> None:
    """Engines, placements and what filters refuse are counted."""
    assert value(stand, "swarmproxy_engines", state="healthy") == 2
    assert value(stand, "swarmproxy_containers", state="running") == 6
    body = {"Image": "busybox", "Cmd": ["true"]}
    assert stand.request("POST", "/containers/create", body)[0] == 201
    assert stand.request("POST", "/containers/create", {**body, "Env": ["constraint:storage==ssd"]})[0] == 500
    assert value(stand, "swarmproxy_placements_total", strategy="spread", result="placed") == 1
    assert value(stand, "swarmproxy_placements_total", result="no_node_fits") == 1
    assert value(stand, "swarmproxy_placement_refused_nodes_total", filter="constraint") == 2
    assert value(stand, "swarmproxy_leader") == 1
    assert value(stand, "swarmproxy_discovery_up") == 1
    assert value(stand, "swarmproxy_discovery_entries") == 2
    assert value(stand, "swarmproxy_engine_events_total") >= 1
    wait_until(lambda: value(stand, "swarmproxy_loop_delay_seconds_count") > 0, "a look at the loop")
    assert 5 < value(stand, "swarmproxy_tasks") < 100


def test_both_formats(stand: Stand) -> None:
    """A scraper gets the format that it asks for, and both say the same names."""
    status, text = stand.get("/metrics", side=True)
    assert status == 200
    names = {sample.name for family in parse_text(text.decode()) for sample in family.samples}
    strict = {sample.name for family in families(stand).values() for sample in family.samples}
    assert {name for name in names ^ strict if not name.startswith(GENERAL)} == set()


def described() -> dict[str, tuple[str, set[str]]]:
    """Return type and labels of each metric in docs/monitoring.md."""
    text = (REPOSITORY / "docs" / "monitoring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(swarmproxy_\w+)(?:\{([^}]*)\})?` \| (\w+) \|", text, re.MULTILINE)
    return {name: (kind, set(filter(None, labels.split(",")))) for name, labels, kind in rows}


def test_documented(stand: Stand) -> None:
    """docs/monitoring.md has every metric that there is, with its labels, and no other."""
    table = described()
    found = {
        (name + "_total" if family.type == "counter" else name): family
        for name, family in families(stand).items()
        if not name.startswith(GENERAL)
    }
    assert {name: family.type for name, family in found.items()} == {name: kind for name, (kind, _) in table.items()}
    for name, family in found.items():
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == table[name][1], name


def test_dashboard_and_alerts(stand: Stand) -> None:
    """The dashboard and the alert rules ask for metrics that there are, with labels that these have."""
    labels_of: dict[str, set[str]] = {
        family.name + ("_total" if family.type == "counter" else ""): set()
        for family in families(stand).values()
        if family.name.startswith(GENERAL)
    }
    for name, (kind, labels) in described().items():
        suffixes = ("_bucket", "_count", "_sum") if kind == "histogram" else ("",)
        labels_of |= {name + suffix: labels | {"le"} for suffix in suffixes}
    dashboard = json.loads((REPOSITORY / "container" / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [each["definition"] for each in dashboard["templating"]["list"] if "definition" in each]
    rules = (REPOSITORY / "container" / "prometheus-rules.yml").read_text(encoding="utf-8")
    asked += re.findall(r"^ *expr: (.+)$", rules, re.MULTILINE)
    assert len(asked) > 50
    for query in asked:
        by = {label for group in re.findall(r"\bby \(([^)]*)\)", query) for label in re.split(r",\s*", group)}
        used = re.findall(r"\b((?:swarmproxy|process|python)_\w+)(?:\{([^}]*)\})?", query)
        assert used or query.startswith("up{"), query
        for name, selector in used:
            assert name in labels_of, query
            wanted = by | set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
            assert wanted - {"job", "instance"} <= labels_of[name], query


def test_engines_that_are_down(stand: Stand) -> None:
    """An engine that is not there is named, and does not make the manager unready; one that is new does not either."""
    listed = stand.nodes.read_text()
    rewrite(stand.nodes, listed + "\n127.0.0.1:1\n")
    wait_until(
        lambda: value(stand, "swarmproxy_engine_down", address="127.0.0.1:1", state="pending") == 1, "the engine"
    )
    wait_until(lambda: stand.get("/-/ready", side=True)[0] == 200, "readiness")
    rewrite(stand.nodes, listed)
    wait_until(lambda: value(stand, "swarmproxy_engine_down") == 0, "its end")


def test_health_check(stand: Stand) -> None:
    """The image's health check is content with a listener that is not Docker's."""
    script = runpy.run_path(str(REPOSITORY / "container" / "healthcheck.py"))
    problems = [script["problem_of"](f"127.0.0.1:{port}") for port in (stand.port, stand.side_port)]
    assert problems == ["", ""]


def test_drain(stand: Stand) -> None:
    """A manager that ends says so for as long as it has requests to bring to their end, and then ends in order."""
    assert stand.get("/-/healthy", side=True) == (200, b"OK\n")
    with socket.create_connection(("127.0.0.1", stand.port), DEADLINE_S) as client:
        client.sendall(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        wait_until(lambda: value(stand, "swarmproxy_http_requests_open", route="containers/create") == 1, "the request")
        stand.signal(signal.SIGTERM)
        wait_until(lambda: stand.get("/-/ready", side=True)[0] == 503, "the drain")
        assert stand.get_json("/-/ready", side=True) == {"ready": False, "reasons": ["the manager is about to end"]}
        assert stand.get("/-/healthy", side=True)[0] == 200
    assert stand.manager.process.wait(DEADLINE_S) == 0, stand.log


def test_refused_for_asking_too_much(start_stand: Start) -> None:
    """What is turned away before anybody looks at it counts by what it asked for, and so do connections."""
    limits = ("requests-per-second=0.001", "requests-burst=1", "connections-per-client=1")
    stand = start_stand(*(word for limit in limits for word in ("--limit", limit)))
    with socket.create_connection(("127.0.0.1", stand.port), DEADLINE_S) as first:
        first.sendall(b"GET /v1.41/containers/json HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        wait_until(lambda: value(stand, "swarmproxy_http_requests_total", route="containers/list") == 2, "both")
        assert value(stand, "swarmproxy_http_requests_total", route="containers/list", status="4xx") == 1
        assert stand.get("/containers/json")[0] == 429
        assert value(stand, "swarmproxy_client_connections_refused_total") == 1
        assert value(stand, "swarmproxy_client_connections") == 1


def test_not_ready_without_a_list(start_stand: Start) -> None:
    """Before the list of members was read once, a manager is alive and not ready, and says why."""
    stand = start_stand(listed=False)

    def reasons() -> list[str]:
        return [str(each) for each in stand.get_json("/-/ready", side=True)["reasons"]]

    wait_until(lambda: "failed to read" in reasons()[0], "the reason")
    assert reasons()[0].startswith("the list of members has not been read yet: ")
    assert stand.get("/-/ready", side=True)[0] == 503
    assert stand.get("/-/healthy", side=True)[0] == 200
    stand.list_members()
    wait_until(lambda: stand.get("/-/ready", side=True)[0] == 200, "readiness")
