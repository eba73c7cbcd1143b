"""What a build asks for: where it may run, and the query that its engine gets.

Source: classic Swarm 1.2, api/handlers.go and cluster/config.go; docker/cli, cli/command/image/build.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote_plus

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.container import shares_of_cores
from swarmproxy.model.labels import (
    AFFINITIES,
    CONSTRAINTS,
    RESCHEDULE_POLICIES,
    WHITELISTS,
    is_expression,
    take_expressions,
)
from swarmproxy.model.members import NOT_JSON
from swarmproxy.model.spec import ContainerSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

UPLOAD = "upload-request:"  # in front of the id of the build that waits for this body
_OURS = frozenset((AFFINITIES, CONSTRAINTS, RESCHEDULE_POLICIES, WHITELISTS))
_arguments = msgspec.json.Decoder(dict[str, str | None] | None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """A parsed `POST /build`. `spec` is what the scheduler places: a container with the limits of the build."""

    spec: ContainerSpec
    pairs: tuple[tuple[str, str], ...] = ()  # the query, in order, without what was said to us
    session: str = ""  # of BuildKit: the stream over which its client serves files
    build_id: str = ""
    uploads_for: str = ""  # this request only brings the body that another build waits for
    tags: tuple[str, ...] = field(default=())

    @classmethod
    def parse(cls, query: str) -> BuildRequest:
        """Return what the query of `POST /build` asks for. Raises BadRequest.

        Expressions among the build arguments (`constraint:node==x`), and labels that hold some, are for the
        scheduler: no engine gets to see them. An argument without a value keeps having none.
        """
        pairs = parse_qsl(query, keep_blank_values=True)
        first = dict(reversed(pairs))
        arguments = _read(first, "buildargs")
        labels = _read(first, "labels")
        entries = [f"{name}={value}" for name, value in arguments.items() if value is not None]
        expressions, _ = take_expressions({name: value or "" for name, value in labels.items()}, entries)
        kept = {
            "buildargs": {name: value for name, value in arguments.items() if not is_expression(name)},
            "labels": {name: value for name, value in labels.items() if name not in _OURS},
        }
        before = {"buildargs": arguments, "labels": labels}
        build_id = first.get("buildid", "")
        return cls(
            spec=ContainerSpec(
                expressions=expressions,
                labels=expressions.as_labels(),
                memory_bytes=_amount(first, "memory"),
                cpus=_amount(first, "cpushares"),
                cpuset=first.get("cpusetcpus", ""),
            ),
            pairs=tuple(
                (name, msgspec.json.encode(kept[name]).decode())
                if name in kept and kept[name] != before[name]
                else (name, value)
                for name, value in pairs
                if name != "node"
            ),
            session=first.get("session", ""),
            build_id="" if build_id.startswith(UPLOAD) else build_id,
            uploads_for=build_id.removeprefix(UPLOAD) if build_id.startswith(UPLOAD) else "",
            tags=tuple(value for name, value in pairs if name == "t" and value),
        )

    def query_for(self, engine_cpus: int) -> str:
        """Return the query for an engine with `engine_cpus` cores: CPU shares are whole cores, as in a create."""
        scaled = str(shares_of_cores(self.spec.cpus, engine_cpus)) if self.spec.cpus else ""
        return "&".join(
            f"{quote_plus(name)}={quote_plus(scaled if scaled and name == 'cpushares' else value)}"
            for name, value in self.pairs
        )


def _read(parameters: Mapping[str, str], name: str) -> dict[str, str | None]:
    """Return the JSON object in a parameter."""
    text = parameters.get(name, "")
    if not text:
        return {}
    try:
        return _arguments.decode(text) or {}
    except NOT_JSON as error:
        raise BadRequest(f"invalid {name}: {error}") from error


def _amount(parameters: Mapping[str, str], name: str) -> int:
    text = parameters.get(name, "").strip() or "0"
    try:
        value = int(text)
    except ValueError as error:
        raise BadRequest(f"invalid {name}: {text!r} is not a number") from error
    return max(value, 0)
