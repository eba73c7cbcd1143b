"""The labels that the cluster writes on containers, and the expressions in a container's environment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.members import NOT_JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NAMESPACE = "com.docker.swarm"
ID = f"{NAMESPACE}.id"
TASK = f"{NAMESPACE}.task"  # of a service of Docker's swarm mode, as all that follow
TASK_NAME = f"{NAMESPACE}.task.name"
SERVICE_ID = f"{NAMESPACE}.service.id"
AFFINITIES = f"{NAMESPACE}.affinities"
CONSTRAINTS = f"{NAMESPACE}.constraints"
WHITELISTS = f"{NAMESPACE}.whitelists"
RESCHEDULE_POLICIES = f"{NAMESPACE}.reschedule-policies"
RESOURCES = f"{NAMESPACE}.resources"

OF_EVERY_NODE = frozenset(
    ("architecture", "engineversion", "kernelversion", "node", "operatingsystem", "ostype", "storagedriver")
)
"""The keys of constraints that a node answers itself: nobody gives it a label of that name."""

ON_NODE_FAILURE = "on-node-failure"
RESCHEDULE_VALUES = ("off", ON_NODE_FAILURE)
SHOWN = 80  # characters of a label that cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Expressions:
    """What a user asked of the placement of one container, in the user's own words and order."""

    affinities: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    whitelists: tuple[str, ...] = ()
    reschedule_policies: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()

    def as_labels(self) -> dict[str, str]:
        """Return the labels that carry these expressions: one compact JSON list for each kind used."""
        return {
            label: msgspec.json.encode(values).decode()
            for label, field in _FIELD_OF_LABEL.items()
            if (values := getattr(self, field))
        }


_FIELD_OF_LABEL = {
    AFFINITIES: "affinities",
    CONSTRAINTS: "constraints",
    WHITELISTS: "whitelists",
    RESCHEDULE_POLICIES: "reschedule_policies",
    RESOURCES: "resources",
}
_FIELD_OF_WORD = {
    "affinity": "affinities",
    "constraint": "constraints",
    "whitelist": "whitelists",
    "reschedule": "reschedule_policies",
    "resource": "resources",
}


def take_expressions(labels: Mapping[str, str], env: Iterable[str]) -> tuple[Expressions, tuple[str, ...]]:
    """Return the expressions in `labels` and `env` (labels first), and what remains of `env`.

    An environment entry is an expression if what stands before its first colon is exactly `constraint`,
    `affinity`, `whitelist`, `reschedule` or `resource`. Raises BadRequest for a label that cannot be read.
    Source: classic Swarm 1.2, cluster/config.go, which took such a label for an empty one.
    """
    found = {field: list(_asked_by(label, labels.get(label, ""))) for label, field in _FIELD_OF_LABEL.items()}
    rest = []
    for entry in env:
        word, colon, expression = entry.partition(":")
        field = _FIELD_OF_WORD.get(word) if colon else None
        if field is None:
            rest.append(entry)
        else:
            found[field].append(expression)
    expressions = replace(Expressions(), **{field: tuple(values) for field, values in found.items()})
    return expressions, tuple(rest)


def is_expression(entry: str) -> bool:
    """Return whether an environment entry, or the name of a build argument, is an expression."""
    word, colon, _ = entry.partition(":")
    return bool(colon) and word in _FIELD_OF_WORD


def check_reschedule_policies(policies: Sequence[str]) -> None:
    """Raise BadRequest unless there is at most one policy, and it is `off` or `on-node-failure`."""
    if len(policies) > 1:
        raise BadRequest("too many reschedule policies")
    for policy in policies:
        if policy not in RESCHEDULE_VALUES:
            raise BadRequest(f"invalid reschedule policy: {policy}")


def is_rescheduled(labels: Mapping[str, str]) -> bool:
    """Return whether a container with these labels is to be made anew elsewhere when its node fails."""
    text = labels.get(RESCHEDULE_POLICIES)
    return text is not None and ON_NODE_FAILURE in read_list(text)


def without_unreadable(labels: Mapping[str, str]) -> dict[str, str]:
    """Return `labels` without those of ours that cannot be read: on a container that exists they ask for nothing."""
    return {label: text for label, text in labels.items() if label not in _FIELD_OF_LABEL or _decoded(text) is not None}


def read_list(text: str) -> tuple[str, ...]:
    """Return the texts of the JSON list in a container's label; none if it is not one, as in classic."""
    return _decoded(text) or ()


def _asked_by(label: str, text: str) -> tuple[str, ...]:
    texts = _decoded(text)
    if texts is None:
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
        raise BadRequest(f"invalid label {label}: '{shown}' is not a JSON list of texts")
    return texts


def _decoded(text: str) -> tuple[str, ...] | None:
    """Return the texts of a JSON list, or of null or nothing; None if `text` is anything else."""
    if not text.strip():
        return ()
    try:
        return msgspec.json.decode(text, type=tuple[str, ...] | None) or ()
    except NOT_JSON:
        return None
