"""A span for each request, sent to a collector: an extra, `pip install swarmproxy[otel]`.

What this module needs is imported only when traces are asked for.
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from swarmproxy import __version__
from swarmproxy.monitoring.requests import route_of
from swarmproxy.wire.exchange import AsgiExchange
from swarmproxy.wire.head import changed

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

log = logging.getLogger("swarmproxy.tracing")

CLOSE_S = 3.0
PROTOCOL = "http/protobuf"
UNTRACED = "requests are not traced"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_CONTEXT = frozenset((b"traceparent", b"tracestate"))


def open_tracing(environment: Mapping[str, str]) -> "Tracing | None":
    """Return a journal that traces, if an endpoint says where to; None without one.

    What is asked for and cannot be had is logged: such variables are often set for all programs of a machine at once.
    Source: the OpenTelemetry specification, Environment Variable Specification.
    """
    endpoint = next((each for each in _ENDPOINTS if environment.get(each)), "")
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if not endpoint or exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    protocol = next((environment[each] for each in _PROTOCOLS if environment.get(each)), PROTOCOL)
    if (exporter, protocol) != ("otlp", PROTOCOL):
        log.warning(UNTRACED, extra={"error": f"only otlp by {PROTOCOL} can be had, not {exporter} by {protocol}"})
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning(UNTRACED, extra={"error": f"{error}: pip install swarmproxy[otel]"})
        return None
    resource = Resource.create({SERVICE_VERSION: __version__})
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "swarmproxy"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    log.info("requests are traced", extra={"endpoint": environment[endpoint]})
    return Tracing(provider)


class Tracing:
    """A journal that makes a span of each request, below the client's if that sends one, and above the engine's."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._api = trace
        self._provider = provider
        self._tracer = provider.get_tracer("swarmproxy", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._spans: dict[AsgiExchange, Span] = {}

    def begun(self, exchange: AsgiExchange) -> None:
        """See Journal. The engine is told that its work belongs to our span."""
        fields = exchange.request.fields
        told = {name.decode(): value.decode("latin-1") for name, value in fields.headers if name in _CONTEXT}
        span = self._tracer.start_span("request", self._propagator.extract(told), kind=self._api.SpanKind.SERVER)
        self._spans[exchange] = span
        if not exchange.request.method:
            return
        passed_on: dict[str, str] = {}
        self._propagator.inject(passed_on, self._api.set_span_in_context(span))
        more = tuple((name.encode(), value.encode("latin-1")) for name, value in passed_on.items())
        exchange.request = msgspec.structs.replace(
            exchange.request, fields=changed(fields, without=_CONTEXT, more=more)
        )

    def ended(self, exchange: AsgiExchange) -> None:
        """See Journal."""
        span = self._spans.pop(exchange)
        if span.is_recording():
            about, request, route = exchange.about, exchange.request, route_of(exchange)
            method = request.method.decode("ascii")
            span.update_name(f"{method} {route}".strip())
            attributes: dict[str, str | int] = {
                "http.request.method": method,
                "http.route": route,
                "url.path": request.target.partition(b"?")[0].decode("ascii"),
                "http.response.status_code": exchange.status,
                "http.request.body.size": exchange.received_bytes,
                "http.response.body.size": exchange.sent_bytes,
                "swarmproxy.request_id": exchange.request_id,
                "swarmproxy.node": about.node,
                "swarmproxy.object": about.object,
                "enduser.id": about.identity,
            }
            span.set_attributes({name: value for name, value in attributes.items() if value})
            if exchange.status >= 500 or not exchange.status:
                span.set_status(
                    self._api.StatusCode.ERROR, "" if exchange.status else "the client left before the answer"
                )
        span.end(time.time_ns())

    def close(self) -> None:
        """Send what is left, and return soon."""
        sending = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        sending.start()
        sending.join(CLOSE_S)
