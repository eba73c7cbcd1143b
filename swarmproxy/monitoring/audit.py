"""Who did what, when and with what outcome: one line of JSON for each request.

What a line holds is chosen so that no credential can be in it: no body, of headers only what the client calls itself,
and of the query the values of parameters that are known to be harmless.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from swarmproxy.api.identifying import identity_of
from swarmproxy.leader.replica import CLIENT
from swarmproxy.monitoring.requests import route_of
from swarmproxy.monitoring.writing import Writer
from swarmproxy.policy.identity import ANONYMOUS
from swarmproxy.wire.clients import remote_of
from swarmproxy.wire.exchange import AsgiExchange, ClientConnection

HIDDEN = "(hidden)"
MAX_TEXT = 1024
_READS = frozenset((b"GET", b"HEAD", b"OPTIONS"))
_NO_READS = frozenset(  # by their method they are, and yet they take control, or take data away
    (
        "containers/archive",
        "containers/attach",
        "containers/checkpoints",
        "containers/export",
        "images/save",
        "swarm/unlockkey",
    )
)
_HARMLESS = frozenset(
    (
        *("all", "before", "buildid", "condition", "container", "copyUIDGID", "cpuperiod", "cpuquota", "cpusetcpus"),
        *(
            "cpusetmems",
            "cpushares",
            "details",
            "digests",
            "dirs",
            "dockerfile",
            "dry-run",
            "filters",
            "follow",
            "force",
        ),
        *("forcerm", "fromImage", "h", "id", "insertDefaults", "keep-storage", "limit", "link", "logs", "manifests"),
        *("memory", "memswap", "name", "names", "networkmode", "nocache", "noOverwriteDirNonDir", "node", "noprune"),
        *("one-shot", "path", "pause", "platform", "ps_args", "pull", "q", "quiet", "reference", "registryAuthFrom"),
        *("repo", "rm", "rollback", "scope", "shared-size", "shmsize", "signal", "since", "size", "squash", "status"),
        *("stderr", "stdin", "stdout", "stream", "t", "tag", "tail", "target", "term", "timeout", "timestamps", "type"),
        *("until", "v", "verbose", "version", "w"),
    )
)
"""Source: Docker's API, 1.24 to 1.52. Not among them are `buildargs`, `changes`, `remote`, `fromSrc` and `labels`."""

_OBJECTS = {  # what the query calls the object of a route
    "build": ("t",),
    "commit": ("container",),
    "containers/create": ("name",),
    "images/pull": ("fromImage", "tag"),
    "images/import": ("repo", "tag"),
    "images/save": ("names",),
    "plugins/pull": ("name",),
    "plugins/create": ("name",),
}


class Record(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A line of the log. What is empty or 0 is left out, but for the first ones."""

    time: datetime  # of the begin
    request_id: str
    remote: str  # address and port, or `unix`
    method: str
    route: str
    path: str  # as the client sent it, with its version
    status: int | None  # null: the client left before the answer began
    duration_s: float
    identity: str = ""
    for_client: str = ""  # told by the manager that has passed the request on
    query: dict[str, str] = {}
    object: str = ""
    node: str = ""
    verdict: str = ""
    rule: str = ""
    received_bytes: int = 0
    sent_bytes: int = 0
    user_agent: str = ""


class AuditLog(Collector):
    """A journal that writes. Without `reads` what only looks is left out, unless it was refused by a rule."""

    def __init__(self, writer: Writer, *, reads: bool = True, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._reads = reads
        self._clock = clock

    def begun(self, exchange: AsgiExchange) -> None:
        """See Journal. Who asks is looked up now: of a connection that was lost nothing can be told."""
        if exchange.connection.known_as is None:
            exchange.connection.known_as = _who(exchange.connection)

    def ended(self, exchange: AsgiExchange) -> None:
        """See Journal."""
        about, request = exchange.about, exchange.request
        route = route_of(exchange)
        if not (self._reads or request.method not in _READS or route in _NO_READS or about.verdict == "refused"):
            return
        remote, identity = exchange.connection.known_as or ("", "")
        duration_s = time.monotonic() - exchange.begun_at
        path, _, query = request.target.decode("ascii").partition("?")
        parameters = _parameters(query) if query else {}
        named = about.object
        if not named and route in _OBJECTS:
            named = ":".join(filter(None, (parameters.get(each, "") for each in _OBJECTS[route])))
        user_agent = for_client = ""
        for name, value in request.fields.headers:
            if name == b"user-agent":
                user_agent = value.decode("latin-1")[:MAX_TEXT]
            elif name == CLIENT:
                for_client = value.decode("latin-1")[:MAX_TEXT].partition(" ")[0]
        self._writer.write(
            Record(
                datetime.fromtimestamp(self._clock() - duration_s, UTC),
                exchange.request_id,
                remote,
                request.method.decode("ascii"),
                route,
                path[:MAX_TEXT],
                exchange.status or None,
                round(duration_s, 6),
                about.identity or identity,
                for_client,
                parameters,
                named[:MAX_TEXT],
                about.node,
                about.verdict,
                about.rule,
                exchange.received_bytes,
                exchange.sent_bytes,
                user_agent,
            )
        )

    def collect(self) -> Iterator[Metric]:
        """Yield how many records were written, and how many could not be."""
        yield CounterMetricFamily("swarmproxy_audit_records", "Records in the audit log.", self._writer.written)
        yield CounterMetricFamily(
            "swarmproxy_audit_lost", "Records that could not be written to the audit log.", self._writer.lost
        )


def _parameters(query: str) -> dict[str, str]:
    """Return the parameters of a query, values hidden that may hold what nobody is to read."""
    return {
        name[:MAX_TEXT]: value[:MAX_TEXT] if name in _HARMLESS else HIDDEN
        for name, value in parse_qsl(query, keep_blank_values=True)
    }


def _who(connection: ClientConnection) -> tuple[str, str]:
    """Return where a client is, and who it is as far as its connection tells."""
    identity = identity_of(connection.transport)
    return remote_of(connection.transport), "" if identity == ANONYMOUS else identity.title
