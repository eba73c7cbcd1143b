"""The policy that a run needs, learnt from what was asked for: a beginning to be read and narrowed, no judgement."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmproxy.errors import ConfigError
from swarmproxy.policy.identity import HASHED
from swarmproxy.policy.kinds import GROUPS, OPEN
from swarmproxy.policy.limits import AMOUNTS, Limits, canonical_image, is_image_id
from swarmproxy.policy.needs import Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swarmproxy.policy.identity import Identity

_MOST_IDENTITIES = 1000
_MOST_VALUES = 1000


@dataclass(slots=True)
class _Seen:
    """What one identity asked for."""

    identity: Identity
    kinds: set[str] = field(default_factory=set)
    values: dict[str, set[str]] = field(default_factory=dict)  # by limit
    amounts: dict[str, float | None] = field(default_factory=dict)  # the most; None: without bound
    unknown: set[str] = field(default_factory=set)


class Learnt:
    """What was asked for, by whom. Of too many identities, or values of one limit, the rest is left out and said so."""

    def __init__(self) -> None:
        self._seen: dict[Identity, _Seen] = {}
        self._left_out = False

    def note(self, identity: Identity, kind: str | None, needs: Iterable[Need] = (), *, what: str = "") -> None:
        """Take in a request; `what` is how one that is not known is called."""
        if kind in OPEN:
            return
        seen = self._seen.get(identity)
        if seen is None:
            if len(self._seen) >= _MOST_IDENTITIES:
                self._left_out = True
                return
            seen = self._seen[identity] = _Seen(identity)
        if kind is None:
            self._add(seen.unknown, what)
            return
        seen.kinds.add(kind)
        for need in needs:
            self._need(seen, need)

    def _add(self, values: set[str], value: str) -> None:
        if len(values) < _MOST_VALUES:
            values.add(value)
        else:
            self._left_out = True

    def _need(self, seen: _Seen, need: Need) -> None:
        if need.what in AMOUNTS:
            most = seen.amounts.get(need.what, 0.0)
            if need.value is None or most is None:
                seen.amounts[need.what] = None
            else:
                seen.amounts[need.what] = max(most, float(need.value))
        elif need.what == "unknown":
            self._add(seen.unknown, str(need.value))
        elif need.what == "images":
            value = str(need.value)
            self._add(seen.values.setdefault("images", set()), "*" if is_image_id(value) else canonical_image(value))
        else:
            self._add(seen.values.setdefault(need.what, set()), str(need.value))

    def text(self) -> str:
        """Return the policy, in the format of the file."""
        lines = [
            "# Learnt from what was asked for: read it, narrow it, and try it with `swarmproxy policy check`.",
            "version = 1",
        ]
        ordered = sorted(self._seen.values(), key=lambda each: each.identity.title)
        nobody = next((at for at, seen in enumerate(ordered, 1) if seen.identity.kind == "anonymous"), 0)
        if nobody:
            lines.append(f'default = "learnt-{nobody}"')
        if self._left_out:
            lines.append("# There was more than fits in here: this policy would refuse some of it.")
        for number, seen in enumerate(ordered, 1):
            lines += ["", *_role(f"learnt-{number}", seen)]
        return "\n".join(lines) + "\n"


def _role(name: str, seen: _Seen) -> Sequence[str]:
    lines = [f"# {_toml(seen.identity.title)}", *_binding(name, seen.identity), "", f"[roles.{name}]"]
    lines.append(f"allow = {_toml(_grouped(seen.kinds))}")
    lines += [f"# not known, and refused: {_toml(each)}" for each in sorted(seen.unknown)]
    limits: list[str] = []
    for limit, values in sorted(seen.values.items()):
        if limit == "binds":
            limits += _binds(values)
            continue
        if limit in ("privileged", "docker_socket"):
            limits.append(f"{limit} = true")
        elif limit == "images" and "*" in values:
            limits.append('images = ["*"]')
        elif limit == "host_ports":
            limits.append(f"host_ports = {_toml(sorted(values))}")
        elif not set(getattr(Limits(), limit)) & {"*"} or limit == "images":
            limits.append(f"{limit} = {_toml(sorted(values))}")
    for limit, most in sorted(seen.amounts.items()):
        if most is not None:
            limits.append(f"{limit} = {most:g}" if limit == "cpus" else f"{limit} = {int(most)}")
    return [*lines, *(["", f"[roles.{name}.limits]", *limits] if limits else ())]


def _binding(role: str, identity: Identity) -> Sequence[str]:
    lines = ["[[bind]]", f"role = {_toml(role)}"]
    match identity.kind:
        case "certificate":
            said = {"cn": identity.cn, "o": next(iter(identity.o), ""), "ou": next(iter(identity.ou), "")}
            said |= {"san": identity.san[0]} if not any(said.values()) and identity.san else {}
            fields = ", ".join(f"{key} = {_toml(value)}" for key, value in said.items() if value)
            lines.append(f"certificate = {{ {fields} }}")
        case "unix":
            lines.append(f"unix = {{ uid = {identity.uid} }}")
        case "token":
            lines += [
                f"token = {_toml(identity.token)}",
                f"name = {_toml(identity.token[len(HASHED) :][:12])}",
            ]
        case _:
            return ["# everybody else, see default"]
    return lines


def _grouped(kinds: set[str]) -> list[str]:
    """Return `kinds`, those of a whole group as the group."""
    whole = [group for group, members in GROUPS.items() if members <= kinds]
    return [*whole, *sorted(kinds.difference(*(GROUPS[group] for group in whole)))]


def _binds(values: set[str]) -> list[str]:
    """Return the line for the paths; one that was written needs no second entry to be read."""
    paths = sorted(value for value in values if not value.endswith(":ro") or value.removesuffix(":ro") not in values)
    try:
        Limits(binds=tuple(paths)).check()
    except ConfigError as error:
        return [f"# not together: {_toml(str(error))}", f"# binds = {_toml(paths)}"]
    return [f"binds = {_toml(paths)}"]


def _toml(value: object) -> str:
    """Return a text, or a list of texts, as TOML has it: as JSON does, but for two things."""
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return text.encode("utf-8", "replace").decode("utf-8")
