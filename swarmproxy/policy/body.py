"""A client's JSON body, read so that no engine can read it in another way.

Go matches the names of members without regard to case (two letters beyond ASCII included, which it takes for s and k),
and of two spellings the last one wins. What could be read in two ways is refused here; what is left is written anew,
and that is what engines get.
"""

from __future__ import annotations

import json
from typing import Any

from swarmproxy.errors import BadRequest

MOST_BYTES = 4 * 1024 * 1024
_DEEPEST = 64
_INT64 = 2**63

# Their keys are the user's own: case counts there, and any character may be used.
MAPS = frozenset(
    (
        "annotations",
        "config",  # of a log driver
        "driveropts",
        "endpointsconfig",
        "exposedports",
        "filters",
        "labels",
        "options",
        "portbindings",
        "storageopt",
        "sysctls",
        "tmpfs",
        "volumes",
    )
)

Folded = dict[str, Any]


class _Pairs(list[tuple[str, Any]]):
    """The members of an object in order, repeated ones included."""


def parse(body: bytes, *, empty: bool = False) -> Any:
    """Return the value in `body`. Raises BadRequest for what could be read in two ways; for nothing unless `empty`."""
    if not body.strip():
        if empty:
            return None
        raise BadRequest("invalid JSON: got EOF while reading request body")
    try:
        read = json.loads(body.decode("utf-8"), object_pairs_hook=_Pairs, parse_constant=_refuse_constant)
        return _checked(read, "", 0, is_map=False)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"invalid JSON: {error}") from error


def _refuse_constant(text: str) -> Any:
    raise BadRequest(f"invalid JSON: {text} is no number")


def _checked(value: Any, where: str, depth: int, *, is_map: bool) -> Any:
    if depth > _DEEPEST:
        raise BadRequest("invalid JSON: it is nested too deeply")
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        made: dict[str, Any] = {}
        for name, inner in value:
            path = f"{where}.{name}" if where else name
            if not is_map and not name.isascii():
                raise BadRequest(f"invalid JSON: {path!r} is no name of a member")
            key = name if is_map else name.lower()
            if key in seen:
                raise BadRequest(f"invalid JSON: {path} is there twice")
            seen.add(key)
            # what a map holds is no map itself: `PortBindings` holds lists, `EndpointsConfig` endpoints
            made[name] = _checked(inner, path, depth + 1, is_map=not is_map and name.lower() in MAPS)
        return made
    if isinstance(value, list):
        return [_checked(inner, f"{where}[{at}]", depth + 1, is_map=False) for at, inner in enumerate(value)]
    return value


def folded(value: Any, *, is_map: bool = False) -> Any:
    """Return `value` with the names of members in lower case, and maps as they are."""
    if isinstance(value, dict):
        if is_map:
            return {name: folded(inner) for name, inner in value.items()}
        return {name.lower(): folded(inner, is_map=name.lower() in MAPS) for name, inner in value.items()}
    if isinstance(value, list):
        return [folded(inner) for inner in value]
    return value


def encode(value: Any) -> bytes:
    """Return `value` as an engine gets it."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def key_of(members: dict[str, Any], name: str) -> str:
    """Return how `members` spell `name`, or `name` itself if they do not have it."""
    return next((key for key in members if key.lower() == name.lower()), name)


def table(members: Folded, name: str, where: str = "") -> Folded:
    """Return the member `name` that is an object; an empty one if it is missing or null. Raises BadRequest."""
    value = members.get(name.lower())
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"invalid JSON: {where}{name} should be an object")
    return value


def texts(members: Folded, name: str, where: str = "") -> list[str]:
    """Return the member `name` that is a list of texts, or one text, as Go takes some. Raises BadRequest."""
    value = members.get(name.lower())
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadRequest(f"invalid JSON: {where}{name} should be a list of texts")
    return value


def tables(members: Folded, name: str, where: str = "") -> list[Folded]:
    """Return the member `name` that is a list of objects. Raises BadRequest."""
    value = members.get(name.lower()) or []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise BadRequest(f"invalid JSON: {where}{name} should be a list of objects")
    return value


def text(members: Folded, name: str, where: str = "") -> str:
    """Return the member `name` that is a text; empty if it is missing or null. Raises BadRequest."""
    value = members.get(name.lower())
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"invalid JSON: {where}{name} should be a text")
    return value


def number(members: Folded, name: str, where: str = "") -> int:
    """Return the member `name` that is a whole number; 0 if it is missing or null. Raises BadRequest."""
    value = members.get(name.lower())
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise BadRequest(f"invalid JSON: {where}{name} should be a whole number")
    return value
