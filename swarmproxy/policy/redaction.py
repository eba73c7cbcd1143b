"""Answers without what is no reading: environments, tokens of swarms, contents of configs, commands of builds."""

from __future__ import annotations

import json
from typing import Any

HIDDEN = "(hidden)"

REDACTED = frozenset(
    (
        "configs/inspect",
        "configs/list",
        "containers/inspect",
        "images/inspect",
        "plugins/inspect",
        "plugins/list",
        "secrets/inspect",
        "secrets/list",
        "services/inspect",
        "services/list",
        "swarm/inspect",
        "system/df",
        "tasks/inspect",
        "tasks/list",
    )
)
"""The kinds whose answers can hold such things."""

# By the name of the member, wherever it stands: engines nest the same specs in many places.
_SECRET = frozenset(("jointokens", "unlockkey", "signingcakey", "createdby", "description"))


def redacted(kind: str, body: bytes) -> bytes:
    """Return an answer without them. Raises ValueError if it is no JSON."""
    return json.dumps(_without(json.loads(body), kind), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _without(value: Any, kind: str) -> Any:
    if isinstance(value, dict):
        return {name: _member(name.lower(), inner, kind) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, kind) for inner in value]
    return value


def _member(name: str, value: Any, kind: str) -> Any:
    if name == "labels":
        return value
    if name == "env" and isinstance(value, list):
        return [_variable(each) for each in value]
    if name == "data" and kind.startswith("configs/"):
        return ""
    if name == "tokens" or name in _SECRET:
        if name == "description" and kind != "system/df":
            return value
        return _hidden(value)
    return _without(value, kind)


def _variable(entry: Any) -> Any:
    if isinstance(entry, str):
        return f"{entry.partition('=')[0]}={HIDDEN}"
    if isinstance(entry, dict):  # of a plugin
        return {name: HIDDEN if name.lower() == "value" else value for name, value in entry.items()}
    return entry


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(inner) for name, inner in value.items()}
    return HIDDEN if value else value
