"""Which nodes a request is meant for, said beside what Docker has: a parameter, a header, or a filter `node`."""

from urllib.parse import parse_qsl, urlencode

import msgspec
from fastapi import Request

from swarmproxy.model.filters import parse_filters

NODE = "node"
NODE_HEADER = "x-swarmproxy-node"
FILTERS = "filters"


def parameters_of(query: bytes) -> list[tuple[str, str]]:
    """Return the parameters of a query string, in order, empty ones included."""
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True)


def nodes_asked(request: Request) -> tuple[str, ...]:
    """Return the nodes that the request names, none if it means all."""
    named = [value for name, value in parameters_of(request.scope["query_string"]) if name == NODE and value]
    header = request.headers.get(NODE_HEADER)
    filtered = parse_filters(request.query_params.get(FILTERS, "")).get(NODE, ())
    return tuple(dict.fromkeys((*named, *((header,) if header else ()), *filtered)))


def parameters_for_engine(request: Request) -> list[tuple[str, str]]:
    """Return the parameters to pass on: all but what is said to us. Raises BadRequest for unreadable filters."""
    filters = parse_filters(request.query_params.get(FILTERS, ""))
    filters.pop(NODE, None)
    parameters = parameters_of(request.scope["query_string"])
    kept = [(name, value) for name, value in parameters if name not in (NODE, FILTERS)]
    if filters:
        as_docker = {key: dict.fromkeys(values, True) for key, values in filters.items()}
        kept.append((FILTERS, msgspec.json.encode(as_docker).decode()))
    return kept


def query_for_engine(request: Request) -> str:
    """Return `parameters_for_engine` as a query with its question mark; empty if there are none."""
    parameters = parameters_for_engine(request)
    return f"?{urlencode(parameters)}" if parameters else ""
