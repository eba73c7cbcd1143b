"""Those of our own routes that clients use most, called without the framework's routing, which costs more than they do.

They are the functions that the application routes to as well: nothing is said here of what they do.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from fastapi import Request, Response

from swarmproxy.api import containers, networks, system
from swarmproxy.api.forwarding import exchange_of
from swarmproxy.api.questions import Question

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]
AtOnce = Callable[[Request], Question | Response | None]

_ROUTES: dict[tuple[str, str], Endpoint] = {
    ("GET", "/version"): system.version,
    ("GET", "/info"): system.info,
    ("GET", "/containers/json"): containers.list_containers,
    ("GET", "/containers/ps"): containers.list_containers,
    ("POST", "/containers/create"): containers.create,
    ("GET", "/networks"): networks.list_networks,
}
_OF_CONTAINERS: dict[tuple[str, str], Callable[[str, Request], Awaitable[Response]]] = {
    ("GET", "json"): containers.inspect,
    ("POST", "exec"): containers.create_exec,
}
_AT_ONCE: dict[tuple[str, str], AtOnce] = {
    ("GET", "/version"): system.version_now,
    ("GET", "/info"): system.info_now,
    ("GET", "/containers/json"): containers.list_now,
    ("GET", "/containers/ps"): containers.list_now,
    ("GET", "/networks"): networks.list_now,
}
_AT_ONCE_OF_CONTAINERS: dict[tuple[str, str], Callable[[str, Request], Question | Response | None]] = {
    ("GET", "json"): containers.inspection,
    ("POST", "exec"): lambda name, request: containers.new_exec(name, request, exchange_of(request.scope).whole_body()),
}


def endpoint_for(method: str, path: str) -> Endpoint | None:
    """Return what answers a path without its version, None if that is to be found by the application."""
    return _find(method, path, _ROUTES, _OF_CONTAINERS)


def at_once_for(method: str, path: str) -> AtOnce | None:
    """Return what answers such a path while nobody waits, as its endpoint would; None if nothing does.

    It returns None if there is something to wait for, and a question if that is one engine's answer.
    """
    return _find(method, path, _AT_ONCE, _AT_ONCE_OF_CONTAINERS)


def _find(
    method: str,
    path: str,
    routes: Mapping[tuple[str, str], Callable[[Request], T]],
    of_containers: Mapping[tuple[str, str], Callable[[str, Request], T]],
) -> Callable[[Request], T] | None:
    found = routes.get((method, path))
    if found is None and path.startswith("/containers/"):
        name, slash, action = path[12:].rpartition("/")
        if slash and name and (of_one := of_containers.get((method, action))):
            return functools.partial(of_one, name)
    return found
