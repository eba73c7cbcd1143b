"""The policy file: TOML, read as a whole and checked, with the line and the place of all that is wrong in it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from swarmproxy.errors import ConfigError
from swarmproxy.policy.identity import HASHED, Binding, Identity, holder_of
from swarmproxy.policy.kinds import GROUPS, OF_OBJECTS, covered
from swarmproxy.policy.limits import LISTS, NAMES, UNLIMITED, Limits, parse_size
from swarmproxy.policy.places import Path, lines_of, shown
from swarmproxy.policy.role import BUILT_IN, PLACES, Reach, Role, kinds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_BYTES = 4 * 1024 * 1024
_REQUIRED = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who has which role. A file that was read and found right."""

    roles: Mapping[str, Role] = field(default_factory=lambda: dict(BUILT_IN))
    bindings: tuple[Binding, ...] = ()
    default: Role | None = None  # of identities that no binding means; None: they are refused
    hide: bool = False  # what a role has nothing to do with is answered as if it were not there

    @property
    def has_tokens(self) -> bool:
        """Whether there is a token that somebody may show."""
        return any(binding.kind == "token" for binding in self.bindings)

    def binding_of(self, identity: Identity) -> Binding | None:
        """Return the first binding that means `identity`."""
        return next((binding for binding in self.bindings if binding.means(identity)), None)

    def role_of(self, identity: Identity) -> Role | None:
        """Return the role of `identity`: that of the first binding that means it, or the default; None: no role."""
        binding = self.binding_of(identity)
        return self.roles[binding.role] if binding is not None else self.default

    def holder_of(self, token: str) -> Identity | None:
        """Return who holds `token`."""
        return holder_of(token, self.bindings)


def parse(text: str) -> Policy:
    """Return the policy in `text`. Raises ConfigError, which names all that is wrong, a line for each."""
    if len(text) > _MOST_BYTES:
        raise ConfigError(f"a policy may have {_MOST_BYTES} characters")
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"the policy is no TOML: {error}") from error
    reader = _Reader(lines_of(text))
    policy = reader.policy(document)
    if reader.problems:
        raise ConfigError("\n".join(reader.problems))
    return policy


class _Reader:
    """Reads tables, and collects what is wrong with them."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines
        self.problems: list[str] = []

    def wrong(self, path: Path, problem: str) -> None:
        """Note what is wrong at `path`."""
        at = path
        while at and at not in self._lines:
            at = at[:-1]
        line = f"line {self._lines[at]}: " if at else ""
        self.problems.append(f"{line}{shown(path) + ': ' if path else ''}{problem}")

    def policy(self, document: dict[str, Any]) -> Policy:
        """Return the policy of the whole document."""
        self.only((), document, ("version", "default", "hide", "bind", "roles"))
        version = self.take((), document, "version", int, _REQUIRED)
        if version is not None and version != VERSION:
            self.wrong(("version",), f"this is swarmproxy's format {VERSION}, {version} is not known")
        roles = dict(BUILT_IN)
        for name, members in self.take((), document, "roles", dict, {}).items():
            path = ("roles", name)
            if name in BUILT_IN:
                self.wrong(path, "this role is built in and cannot be changed: give yours another name")
            elif not _NAME.fullmatch(name):
                self.wrong(path, "a role's name has small letters, digits, '-', '_' and '.', 63 at most")
            elif not isinstance(members, dict):
                self.wrong(path, "this should be a table")
            else:
                roles[name] = self.role(path, name, members)
        bindings = self.bindings(self.take((), document, "bind", list, []), roles)
        default = self.take((), document, "default", str, "")
        if default and default not in roles:
            self.wrong(("default",), f"there is no role {default!r}")
        hide = self.take((), document, "hide", bool, False)
        return Policy(roles=roles, bindings=bindings, default=roles.get(default), hide=bool(hide))

    def role(self, path: Path, name: str, members: dict[str, Any]) -> Role:
        """Return a role."""
        self.only(path, members, ("allow", "deny", "environment", "owner", "objects", "limits"))
        for key in ("allow", "deny"):
            for pattern in self.texts(path, members, key, ()):
                if not covered(pattern):
                    known = (
                        f"one of {', '.join(GROUPS)}" if pattern.startswith("@") else "a kind such as containers/top"
                    )
                    self.wrong((*path, key), f"{pattern!r} means nothing: it should be {known}, or a pattern of such")
        if "allow" not in members:
            self.wrong(path, "allow is missing: a role without it could do nothing")
        owner = self.take(path, members, "owner", str, "")
        for place in re.findall(r"\{[^}]*\}?", owner or ""):
            if place not in PLACES:
                self.wrong((*path, "owner"), f"{place} is not known: there are {', '.join(PLACES)}")
        return Role(
            name=name,
            kinds=kinds_of(self.texts(path, members, "allow", ()), self.texts(path, members, "deny", ())),
            environment=bool(self.take(path, members, "environment", bool, True)),
            owner=owner or "",
            reach=self.reach((*path, "objects"), self.take(path, members, "objects", dict, {})),
            limits=self.limits((*path, "limits"), self.take(path, members, "limits", dict, {})),
        )

    def reach(self, path: Path, members: dict[str, Any]) -> Reach:
        """Return which objects a role has to do with."""
        self.only(path, members, ("names", "labels", "shared"))
        labels = self.take(path, members, "labels", dict, {})
        for key, value in labels.items():
            if not isinstance(value, str):
                self.wrong((*path, "labels", key), "this should be a text")
        shared = self.take(path, members, "shared", dict, {})
        self.only((*path, "shared"), shared, OF_OBJECTS)
        return Reach(
            names=self.texts(path, members, "names", ()),
            labels={key: value for key, value in labels.items() if isinstance(value, str)},
            shared={kind: self.texts((*path, "shared"), shared, kind, ()) for kind in OF_OBJECTS if kind in shared},
        )

    def limits(self, path: Path, members: dict[str, Any]) -> Limits:
        """Return what a role may ask for."""
        self.only(path, members, NAMES)
        if self.take(path, members, "unlimited", bool, False):
            for key in members:
                if key != "unlimited":
                    self.wrong((*path, key), "with unlimited = true, nothing else limits")
            return UNLIMITED
        given: dict[str, Any] = {}
        for key in LISTS:
            if key in members:
                given[key] = self.texts(path, members, key, ())
        for key in ("privileged", "docker_socket"):
            given[key] = bool(self.take(path, members, key, bool, False))
        if (size := members.get("memory")) is not None:
            try:
                given["memory"] = (
                    size if type(size) is int and size > 0 else parse_size(size if isinstance(size, str) else "")
                )
            except ConfigError as error:
                self.wrong((*path, "memory"), str(error))
        for key, kinds in (("cpus", (int, float)), ("pids", (int,))):
            if (value := members.get(key)) is not None:
                if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < 1e9:
                    self.wrong((*path, key), f"this should be a number above 0, not {value!r}")
                else:
                    given[key] = value
        limits = Limits(**given)
        try:
            limits.check()
        except ConfigError as error:
            key, _, problem = str(error).partition(": ")
            self.wrong((*path, key), problem)
        return replace(limits, capabilities=tuple(each.upper().removeprefix("CAP_") for each in limits.capabilities))

    def bindings(self, tables: list[Any], roles: Mapping[str, Role]) -> tuple[Binding, ...]:
        """Return who has which role."""
        found: list[Binding] = []
        for at, members in enumerate(tables):
            path: Path = ("bind", at)
            if not isinstance(members, dict):
                self.wrong(path, "this should be a table")
                continue
            self.only(path, members, ("role", "certificate", "unix", "token", "name", "manager"))
            role = self.take(path, members, "role", str, _REQUIRED)
            if role and role not in roles:
                self.wrong((*path, "role"), f"there is no role {role!r}")
            kinds = [kind for kind in ("certificate", "unix", "token") if kind in members]
            if len(kinds) != 1:
                self.wrong(path, "exactly one of certificate, unix and token says who is meant")
                continue
            binding = getattr(self, f"_{kinds[0]}")(path, members, role or "")
            if any(other.kind == "token" and other.name == binding.name for other in found) and kinds[0] == "token":
                self.wrong((*path, "name"), f"two tokens are called {binding.name!r}")
            manager = bool(self.take(path, members, "manager", bool, False))
            if manager and kinds[0] != "certificate":
                self.wrong((*path, "manager"), "managers know each other by their certificates")
            found.append(replace(binding, manager=manager))
        return tuple(found)

    def _certificate(self, path: Path, members: dict[str, Any], role: str) -> Binding:
        path = (*path, "certificate")
        table = self.take(path[:-1], members, "certificate", dict, {})
        self.only(path, table, ("cn", "o", "ou", "san"))
        said = {key: self.take(path, table, key, str, "") or "" for key in ("cn", "o", "ou", "san")}
        if not any(said.values()):
            self.wrong(path, 'it says nothing: cn = "*" means every certificate')
        return Binding(role=role, kind="certificate", cn=said["cn"] or "*", o=said["o"], ou=said["ou"], san=said["san"])

    def _unix(self, path: Path, members: dict[str, Any], role: str) -> Binding:
        path = (*path, "unix")
        table = self.take(path[:-1], members, "unix", dict, {})
        self.only(path, table, ("user", "group", "uid", "gid"))
        uid, gid = (self.take(path, table, key, int, -1) for key in ("uid", "gid"))
        user, group = (self.take(path, table, key, str, "") or "" for key in ("user", "group"))
        if not table:
            self.wrong(path, "it says nothing: user, group, uid or gid says who is meant")
        return Binding(role=role, kind="unix", user=user, group=group, uid=uid, gid=gid)

    def _token(self, path: Path, members: dict[str, Any], role: str) -> Binding:
        hashed = self.take(path, members, "token", str, "") or ""
        name = self.take(path, members, "name", str, _REQUIRED) or ""
        if not _HASH.fullmatch(hashed):
            self.wrong((*path, "token"), f"this should be {HASHED} and 64 digits: `swarmproxy policy token` prints it")
        return Binding(role=role, kind="token", token=hashed, name=name)

    def only(self, path: Path, members: dict[str, Any], known: tuple[str, ...]) -> None:
        """Note keys that are not known."""
        for key in members:
            if key not in known:
                self.wrong((*path, key), f"this is not known here: there are {', '.join(known)}")

    def take(self, path: Path, members: dict[str, Any], key: str, kind: type, default: Any) -> Any:
        """Return a member, `default` if it is not there or of another kind, which is noted."""
        if key not in members:
            if default is _REQUIRED:
                self.wrong(path, f"{key} is missing")
                return None
            return default
        value = members[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.wrong((*path, key), f"this should be {_CALLED[kind]}, not {value!r}")
            return None if default is _REQUIRED else default
        return value

    def texts(self, path: Path, members: dict[str, Any], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of texts that are not empty."""
        value = self.take(path, members, key, list, None)
        if value is None:
            return default
        if not all(isinstance(each, str) and each for each in value):
            self.wrong((*path, key), "this should be a list of texts")
            return default
        return tuple(cast("list[str]", value))


_CALLED = {int: "a whole number", str: "a text", bool: "true or false", list: "a list", dict: "a table"}
