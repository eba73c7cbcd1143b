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
    """Return the nodes that the request names, none if it means all.

    The header stands in a client's configuration: it is for requests that do not say more themselves.
    """
    named = [value for name, value in parameters_of(request.scope["query_string"]) if name == NODE and value]
    named += parse_filters(request.query_params.get(FILTERS, "")).get(NODE, ())
    header = request.headers.get(NODE_HEADER)
    return tuple(dict.fromkeys(named)) or ((header,) if header else ())


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
    """Return the query to pass on, with its question mark: as it came, less what is said to us; empty if that is all.

    Raises BadRequest for unreadable filters.
    """
    if NODE in parse_filters(request.query_params.get(FILTERS, "")):
        query = urlencode(parameters_for_engine(request))
    else:
        text: str = request.scope["query_string"].decode("latin-1")
        query = "&".join(part for part in text.split("&") if part and part.partition("=")[0] != NODE)
    return f"?{query}" if query else ""
