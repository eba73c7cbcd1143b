"""The kind of a request that somebody makes, found by the same tables that decide who answers it.

A policy that took paths apart in a way of its own could be talked round it. So here is no parsing: what `match` and the
routes of our own find is what is decided on, and what has no kind is refused.
"""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl

from starlette.routing import Route as OurRoute

from swarmproxy.api import app as api
from swarmproxy.api.forwarded import Owner, Route, match, rows
from swarmproxy.api.kinds import KIND_OF
from swarmproxy.api.operators import app as operators
from swarmproxy.api.operators import explain, nodes, rebalance
from swarmproxy.model.apiversion import OLDEST

_PULL, _IMPORT = "images/pull", "images/import"  # of one route: the query tells which
_ODD = re.compile(r"[\x00-\x20\x7f%\\]|//|/\.\.?(?:/|\Z)")


def our_routes() -> Iterator[tuple[str, str, OurRoute, str]]:
    """Yield what our own application answers: method, path, the framework's route, and what stands before its path."""
    routers = [*((module.router, "") for module in api.ROUTES)]
    routers += [(module.router, operators.PREFIX) for module in (nodes, rebalance, explain)]
    for router, prefix in routers:
        for route in router.routes:
            if isinstance(route, OurRoute):
                for method in sorted(route.methods or ()):
                    yield method, f"{prefix}{route.path.replace(':path', '')}", route, prefix


def templates() -> Iterator[tuple[str, str]]:
    """Yield method and path of all that is answered, but OPTIONS."""
    yield from ((method, path) for method, path, _ in rows())
    yield from ((method, path) for method, path, _, _ in our_routes())
    for path in ("/_ping", f"{operators.PREFIX}/openapi.json"):
        yield from (("GET", path), ("HEAD", path))


def _is_ours_too(route: Route) -> bool:
    return route.owner in (Owner.MANAGER, Owner.SAVED) or route.subject is not None or route.as_it_is_from > OLDEST


_OURS_TOO = frozenset(route for _, _, route in rows() if _is_ours_too(route))
_FIXED = {(method, path): KIND_OF[f"{method} {path}"] for method, path in templates() if "{" not in path}
_NAMING: dict[tuple[str, str], list[tuple[str, OurRoute, str, str]]] = {}  # by method and first word of the path
for _method, _path, _route, _prefix in our_routes():
    if "{" in _path:
        _end = _path.rpartition("}")[2]  # most paths that end otherwise need not be matched
        _NAMING.setdefault((_method, _path.split("/")[1]), []).append(
            (_end, _route, _prefix, KIND_OF[f"{_method} {_path}"])
        )


def kind_of(method: str, path: str, query: bytes = b"") -> tuple[str | None, str]:
    """Return the kind of a request for `path`, which is decoded and has no version, and the object's name in it.

    None is what nobody answers.
    """
    kind, name, _ = _found(method, path)
    return (_IMPORT if kind == _PULL and not any(_images_in(query)) else kind), name


def certain_kind_of(method: str, path: str, query: bytes = b"") -> tuple[str | None, str]:
    """Return the same to those who rule by it: None also for what an engine could take for something else.

    That is a path with empty parts, `..`, or what is still encoded after it was decoded.
    """
    kind, name, route = _found(method, path)
    if kind is None or (_ODD.search(path) is not None and kind != "options"):
        return None, ""
    if route in _OURS_TOO and _found_by_us(method, path) not in ((kind, name), (None, "")):
        return None, ""
    if kind == _PULL:
        images = _images_in(query)
        if any(images) and not all(images):
            return None, ""
        kind = _PULL if any(images) else _IMPORT
    return kind, name


def _found(method: str, path: str) -> tuple[str | None, str, Route | None]:
    if kind := _FIXED.get((method, path)):
        return kind, "", None
    if method == "OPTIONS":
        return "options", "", None
    found = match(method, path)
    if found is not None:
        return found[0].kind, found[1], found[0]
    return *_found_by_us(method, path), None


def _found_by_us(method: str, path: str) -> tuple[str | None, str]:
    for end, route, prefix, kind in _NAMING.get((method, path[1:].partition("/")[0]), ()):
        if path.endswith(end) and path.startswith(prefix) and (found := route.path_regex.match(path[len(prefix) :])):
            return kind, found[1]
    return None, ""


def _images_in(query: bytes) -> list[str]:
    """Return what a query calls the image to be pulled: an import has none."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return [value for name, value in pairs if name == "fromImage"]
