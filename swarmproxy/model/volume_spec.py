"""What a volume create asks for, and the body that its engines get.

Only the members that the cluster acts on are read; all others stay byte for byte as the client wrote them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.model.labels import Expressions, take_expressions
from swarmproxy.model.members import NOT_JSON, folded, members_decoder, put
from swarmproxy.model.volume import LOCAL

if TYPE_CHECKING:
    from collections.abc import Mapping

ANONYMOUS = "com.docker.volume.anonymous"  # the label by which an engine knows that it may prune a volume


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    """What a create body asks for, as far as the cluster acts on it; `raw` holds all of it."""

    name: str = ""  # `node/name` asks for a node
    driver: str = LOCAL
    of_swarm: bool = False  # a cluster volume, which only swarm mode has
    labels: Mapping[str, str] = field(default_factory=dict)
    expressions: Expressions = field(default_factory=Expressions)  # from labels
    raw: bytes = b"{}"

    @classmethod
    def parse(cls, body: bytes) -> VolumeSpec:
        """Return what the body of `POST /volumes/create` asks for; nothing at all asks for the defaults.

        Raises BadRequest.
        """
        body = body if body.strip() else b"{}"
        try:
            read = msgspec.convert(folded(msgspec.json.decode(body), _Body), _Body)
        except NOT_JSON as error:
            raise BadRequest(f"invalid JSON: {error}") from error
        labels = {key: value or "" for key, value in (read.Labels or {}).items()}
        return cls(
            name=read.Name or "",
            driver=read.Driver or LOCAL,
            of_swarm=read.ClusterVolumeSpec is not None,
            labels=labels,
            expressions=take_expressions(labels, ())[0],
            raw=body,
        )

    def body(self, name: str) -> bytes:
        """Return the create body for a volume of this name; one that a client left without a name stays anonymous."""
        members = members_decoder.decode(self.raw)
        if name != self.name:
            put(members, "Name", name)
        if not self.name:
            put(members, "Labels", {**self.labels, ANONYMOUS: ""})
        return msgspec.json.encode(members)


class _Body(msgspec.Struct, gc=False):
    Name: str | None = None
    Driver: str | None = None
    Labels: dict[str, str | None] | None = None
    ClusterVolumeSpec: dict[str, Any] | None = None
