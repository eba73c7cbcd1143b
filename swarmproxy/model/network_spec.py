"""What a network create asks for, and the body that its engine gets.

Only the members that the cluster acts on are read; all others stay byte for byte as the client wrote them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.labels import Expressions, take_expressions
from swarmproxy.model.members import NOT_JSON, folded, members_decoder, put

if TYPE_CHECKING:
    from collections.abc import Mapping

OVERLAY, BRIDGE = "overlay", "bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """What a create body asks for, as far as the cluster acts on it; `raw` holds all of it."""

    name: str = ""  # `node/name` asks for a node
    driver: str = ""  # empty: the cluster's to choose
    scope: str = ""
    config_only: bool = False
    config_from: str = ""  # name of a network whose configuration is used
    ingress: bool = False
    check_duplicate: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    expressions: Expressions = field(default_factory=Expressions)  # from labels
    raw: bytes = b"{}"

    @classmethod
    def parse(cls, body: bytes) -> NetworkSpec:
        """Return what the body of `POST /networks/create` asks for. Raises BadRequest."""
        if not body.strip():
            raise BadRequest("invalid JSON: got EOF while reading request body")
        try:
            top = folded(msgspec.json.decode(body), _Body)
            if isinstance(top, dict):
                top["ConfigFrom"] = folded(top.get("ConfigFrom"), _ConfigFrom)
            read = msgspec.convert(top, _Body)
        except NOT_JSON as error:
            raise BadRequest(f"invalid JSON: {error}") from error
        labels = {key: value or "" for key, value in (read.Labels or {}).items()}
        return cls(
            name=read.Name or "",
            driver=read.Driver or "",
            scope=read.Scope or "",
            config_only=bool(read.ConfigOnly),
            config_from=(read.ConfigFrom.Network or "") if read.ConfigFrom else "",
            ingress=bool(read.Ingress),
            check_duplicate=bool(read.CheckDuplicate),
            labels=labels,
            expressions=take_expressions(labels, ())[0],
            raw=body,
        )

    def body(self, **members: object) -> bytes:
        """Return the create body with these members, under Docker's names, replaced."""
        return with_members(self.raw, **members)


def with_members(body: bytes, **replaced: object) -> bytes:
    """Return the JSON object `body` with members replaced; all others are byte for byte as they were."""
    members = members_decoder.decode(body)
    for name, value in replaced.items():
        put(members, name, value)
    return msgspec.json.encode(members)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """What the body of a connect or disconnect asks for."""

    container: str = ""
    force: bool = False
    raw: bytes = b"{}"

    @classmethod
    def parse(cls, body: bytes) -> EndpointSpec:
        """Return what a body asks for. Raises BadRequest."""
        if not body.strip():
            raise BadRequest("invalid JSON: got EOF while reading request body")
        try:
            read = msgspec.convert(folded(msgspec.json.decode(body), _Endpoint), _Endpoint)
        except NOT_JSON as error:
            raise BadRequest(f"invalid JSON: {error}") from error
        return cls(container=read.Container or "", force=bool(read.Force), raw=body)


class _ConfigFrom(msgspec.Struct, gc=False):
    Network: str | None = None


class _Body(msgspec.Struct, gc=False):
    Name: str | None = None
    Driver: str | None = None
    Scope: str | None = None
    ConfigOnly: bool | None = None
    ConfigFrom: _ConfigFrom | None = None
    Ingress: bool | None = None
    CheckDuplicate: bool | None = None
    Labels: dict[str, str | None] | None = None


class _Endpoint(msgspec.Struct, gc=False):
    Container: str | None = None
    Force: bool | None = None
