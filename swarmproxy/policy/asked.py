"""A request as a policy sees it, and all that it needs and uses."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarmproxy.errors import BadRequest
from swarmproxy.policy import body as bodies
from swarmproxy.policy.kinds import GROUPS, OF_OBJECTS
from swarmproxy.policy.limits import is_image_id
from swarmproxy.policy.needs import (
    Found,
    Need,
    Use,
    bind,
    of_checkpoint,
    of_container,
    of_endpoint,
    of_exec,
    of_network,
    of_start,
    of_update,
    of_volume,
)
from swarmproxy.policy.services import of_service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OF_BODY: dict[str, Callable[[bodies.Folded], Found]] = {
    "containers/create": of_container,
    "containers/exec": of_exec,
    "containers/update": of_update,
    "networks/create": of_network,
    "networks/connect": of_endpoint,
    "networks/disconnect": of_endpoint,
    "services/create": of_service,
    "services/update": of_service,
    "swarmproxy/explain": of_container,
}
MAY_BE_EMPTY = {"containers/start": of_start, "containers/checkpoint": of_checkpoint, "volumes/create": of_volume}
_LABELLED = frozenset(f"{kind}/{verb}" for kind in ("secrets", "configs") for verb in ("create", "update"))
WITH_BODY = frozenset((*_OF_BODY, *MAY_BE_EMPTY, *_LABELLED))
"""The kinds whose body is looked at: read whole, and written anew."""

ON_HOST = frozenset(f"plugins/{verb}" for verb in ("pull", "create", "enable", "set", "upgrade"))
_DIRECTORIES = {  # of the host, where an engine keeps checkpoints
    "containers/start": ("checkpoint-dir",),
    "containers/checkpoint": ("dir",),
    "containers/checkpoints": ("dir",),
}
LOOKED_INTO = frozenset((*WITH_BODY, *_DIRECTORIES))
PS_ARGS = frozenset(("", "-ef", "-e", "-A", "aux", "-aux", "auxw", "auxww", "ax", "axu"))
"""What `docker top` may be asked for without showing the environment of processes."""

_PRIMARY = frozenset((*OF_OBJECTS, "exec"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: what kind, about which object, with which parameters and which body."""

    kind: str
    name: str = ""  # of the object in the path
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: Any = None  # as sent, parsed; None where it is not looked at
    folded: Any = None

    @classmethod
    def read(cls, kind: str, name: str, parameters: Mapping[str, tuple[str, ...]], body: bytes | None = None) -> Asked:
        """Return the request. Raises BadRequest if its body can be read in two ways, or is not what the API says."""
        if kind not in WITH_BODY or body is None:
            return cls(kind=kind, name=name, parameters=parameters)
        parsed = bodies.parse(body, empty=kind in MAY_BE_EMPTY)
        if parsed is not None and not isinstance(parsed, dict):
            raise BadRequest("invalid JSON: the body should be an object")
        return cls(kind=kind, name=name, parameters=parameters, body=parsed, folded=bodies.folded(parsed))

    def parameter(self, name: str) -> str:
        """Return a parameter of the query. Raises BadRequest if it is there twice: two readers would differ."""
        values = self.parameters.get(name, ())
        if len(values) > 1:
            raise BadRequest(f"the parameter {name} is there {len(values)} times")
        return values[0] if values else ""

    @property
    def new_name(self) -> str | None:
        """The name that an object is given; None if none is, empty if the engine chooses one."""
        if self.kind in ("containers/create", "containers/rename"):
            return self.parameter("name").removeprefix("/")
        if self.kind.endswith("/create") and self.kind.partition("/")[0] in OF_OBJECTS and self.folded is not None:
            return bodies.text(self.folded, "Name")
        return None

    @property
    def makes(self) -> str:
        """The kind of the objects that this makes or describes anew, of those that have labels; else empty."""
        of, _, verb = self.kind.partition("/")
        is_whole = verb == "create" or (verb == "update" and of in ("services", "secrets", "configs"))
        return of if is_whole and of in OF_OBJECTS else ""

    def found(self) -> Found:
        """Return what the request needs, and which objects it uses, that in the path first. Raises BadRequest."""
        needs: list[Need] = []
        uses: list[Use] = []
        of = self.kind.partition("/")[0]
        if self.name and of in _PRIMARY:
            uses.append(Use(of, self.name, "path"))
        if self.kind == "commit":
            uses.append(Use("containers", self.parameter("container"), "container"))
        for name in _DIRECTORIES.get(self.kind, ()):
            if path := self.parameter(name):
                needs += bind(path, name, read_only=False)
        if self.kind in ON_HOST:
            needs.append(Need("privileged", "a plugin, which runs on the host itself", self.kind))
        needs += self._images()
        if self.kind == "build":
            needs += self._build()
        read = _OF_BODY.get(self.kind) or MAY_BE_EMPTY.get(self.kind)
        if read is not None and self.folded is not None:
            more, used = read(self.folded)
            needs += more
            uses += used
        by_id = (each for each in needs if each.what == "images" and is_image_id(str(each.value)))
        uses += (Use("images", str(each.value), each.where) for each in by_id)
        return needs, uses

    def _images(self) -> list[Need]:
        match self.kind:
            case "images/pull":
                return [Need("images", _tagged(self.parameter("fromImage"), self.parameter("tag")), "fromImage")]
            case "images/import" | "commit":
                name = self.parameter("repo")
                return [Need("images", _tagged(name, self.parameter("tag")), "repo")] if name else []
            case "images/tag":
                target = _tagged(self.parameter("repo"), self.parameter("tag"))
                return [Need("images", self.name, "path"), Need("images", target, "repo")]
            case "images/push":
                return [Need("images", _tagged(self.name, self.parameter("tag")), "path")]
            case "images/remove":
                return [Need("images", self.name, "path")]
            case "images/save":
                names = (
                    (self.name, *self.parameters.get("names", ())) if self.name else self.parameters.get("names", ())
                )
                return [Need("images", each, "names") for name in names for each in name.split(",")]
            case "images/load":
                return [Need("images", "(any, in an archive)", "body")]
            case "build":
                return [Need("images", each, "t") for each in self.parameters.get("t", ())]
        return []

    def _build(self) -> list[Need]:
        needs = []
        mode, parent = self.parameter("networkmode"), self.parameter("cgroupparent")
        if mode == "host" or mode.startswith(("container:", "ns:")):
            needs.append(Need("host_namespaces", "network", "networkmode"))
        if parent:
            needs.append(Need("cgroup_parent", parent, "cgroupparent"))
        if options := self.parameter("securityopt"):
            try:
                needs += [Need("security_options", str(each), "securityopt") for each in json.loads(options) or ()]
            except (ValueError, TypeError, RecursionError) as error:
                raise BadRequest("the parameter securityopt should be a JSON list") from error
        return needs


def _tagged(name: str, tag: str) -> str:
    if not tag:
        return name
    return f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"


def is_read(kind: str) -> bool:
    """Return whether `kind` changes nothing."""
    return kind in GROUPS["@read"]
