"""Traces, as a collector gets them from a real manager by the real SDK."""

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from swarmproxy.monitoring.tracing import open_tracing
from tests.monitoring.conftest import DEADLINE_S, Start
from tests.waiting import wait_until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Collector(ThreadingHTTPServer):
    """A scripted collector: keeps what it is sent by OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.spans: list[tuple[str, Span]] = []  # with the name of the service

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def named(self, name: str) -> list[Span]:
        return [span for _, span in self.spans if span.name == name]


class Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next(a.value.string_value for a in each.resource.attributes if a.key == "service.name")
            self.server.spans += [(service, span) for scope in each.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def attributes(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_spans(start_stand: Start, collector: Collector) -> None:
    """Each request is a span of the client's trace, with its kind, node and outcome; the last ones arrive, too."""
    stand = start_stand(environment={ENDPOINT: collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"})
    container = stand.get_json("/containers/json")[0]["Id"]
    context = {"Traceparent": f"00-{TRACE}-{PARENT}-01", "Tracestate": "a=b"}
    assert stand.get(f"/containers/{container}/top?ps_args=secret", headers=context)[0] == 200
    wait_until(lambda: collector.named("GET containers/top"), "the span")
    (span,) = collector.named("GET containers/top")
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.trace_state) == (TRACE, PARENT, "a=b")
    assert span.kind == Span.SPAN_KIND_SERVER
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < DEADLINE_S * 10**9
    told = attributes(span)
    assert str(told.pop("swarmproxy.node")).startswith("node-")
    assert told.pop("swarmproxy.request_id")
    assert int(told.pop("http.response.body.size")) > 0
    assert told == {
        "http.request.method": "GET",
        "http.route": "containers/top",
        "http.response.status_code": 200,
        "url.path": f"/containers/{container}/top",
        "swarmproxy.object": container,
    }
    unsampled = {"Traceparent": f"00-{TRACE}-{PARENT}-00"}
    assert stand.get("/info", headers=unsampled)[0] == 200
    assert stand.get("/containers/nobody/json")[0] == 404
    stand.signal(signal.SIGTERM)
    assert stand.manager.process.wait(DEADLINE_S) == 0
    assert [each.status.code for each in collector.named("GET containers/inspect")] == [0]
    assert not collector.named("GET info"), "the client does not want this one to be sampled"
    assert {service for service, _ in collector.spans} == {"swarmproxy"}


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, ""),
        ({ENDPOINT: "http://x", "OTEL_TRACES_EXPORTER": "none"}, ""),
        ({ENDPOINT: "http://x", "OTEL_SDK_DISABLED": "true"}, ""),
        ({ENDPOINT: "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "not otlp by grpc"),
        ({ENDPOINT: "http://x", "OTEL_TRACES_EXPORTER": "zipkin"}, "not zipkin by http/protobuf"),
    ],
)
def test_not_traced(environment: dict[str, str], reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without an endpoint nothing is traced, nor with what cannot be had, of which the log tells."""
    assert open_tracing(environment) is None
    assert [reason in vars(record)["error"] for record in caplog.records] == ([True] if reason else [])


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where the packages are missing, the manager does its work and says which extra has them."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with caplog.at_level(logging.WARNING):
        assert open_tracing({ENDPOINT: "http://x"}) is None
    assert "pip install swarmproxy[otel]" in vars(caplog.records[0])["error"]
