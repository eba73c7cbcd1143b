"""`policy`: what a policy file says, before a manager obeys it."""

import secrets
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click

from swarmproxy.cli.commands import GoCommand, family
from swarmproxy.cli.options import text
from swarmproxy.cli.table import table
from swarmproxy.errors import ConfigError
from swarmproxy.model import apiversion
from swarmproxy.policy.asked import MAY_BE_EMPTY, WITH_BODY, Asked
from swarmproxy.policy.decision import Refused, Thing, decide, permit, required_labels
from swarmproxy.policy.document import Policy
from swarmproxy.policy.identity import Identity, hash_of
from swarmproxy.policy.needs import Use
from swarmproxy.policy.role import Role
from swarmproxy.policy_file import read_policy

TOKEN_BYTES = 32
REFUSED = 1
_LISTS = ("ou", "o", "san", "group")


def _check(*, args: tuple[str, ...], who: str) -> int:
    """Say what a file says, or what it says of one request."""
    if not args:
        raise ConfigError("policy check takes a file: policy check FILE [--as WHO METHOD PATH [BODY]]")
    policy = read_policy(Path(args[0]))
    if len(args) == 1:
        click.echo(_summary(policy) if not who else _of_one(policy, _identity(who)), nl=False)
        return 0
    if len(args) not in (3, 4) or not who:
        raise ConfigError("to ask about a request, say who and what: policy check FILE --as WHO METHOD PATH [BODY]")
    return _ask(policy, _identity(who), args[1], args[2], args[3] if len(args) == 4 else None)


def _summary(policy: Policy) -> str:
    rows = []
    for at, binding in enumerate(policy.bindings):
        said = [
            f"{key}={value}" for key in ("cn", "o", "ou", "san", "user", "group") if (value := getattr(binding, key))
        ]
        said = [each for each in said if binding.kind == "certificate" or not each.startswith("cn=")]
        said += [f"{key}={value}" for key in ("uid", "gid") if (value := getattr(binding, key)) >= 0]
        said += [binding.name] if binding.kind == "token" else []
        rows.append([str(at + 1), f"{binding.kind} {' '.join(said)}", binding.role + " (manager)" * binding.manager])
    rows.append(["-", "all others", policy.default.name if policy.default is not None else "(refused)"])
    return table(["BINDING", "WHO", "ROLE"], rows)


def _of_one(policy: Policy, identity: Identity) -> str:
    role = policy.role_of(identity)
    if role is None:
        return f"{identity.title} has no role and is refused.\n"
    return f"{identity.title} has the role {role.name}, which may ask for:\n" + "".join(
        f"  {kind}\n" for kind in sorted(role.kinds)
    )


def _identity(who: str) -> Identity:
    """Return whom `cn=alice,ou=team-a`, `user=root` or `token=ci` describes. Raises ConfigError."""
    said: dict[str, Any] = {}
    for part in who.split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in ("cn", "user", "uid", "gid", "token", *_LISTS):
            raise ConfigError(f"--as: {part!r} should be cn=, ou=, o=, san=, user=, group=, uid=, gid= or token=")
        if key in _LISTS:
            key = "groups" if key == "group" else key
            said[key] = (*said.get(key, ()), value)
        else:
            try:
                said[key] = int(value) if key in ("uid", "gid") else value
            except ValueError as error:
                raise ConfigError(f"--as: {part!r} should be a number") from error
    if "token" in said:
        return Identity(kind="token", **said)
    is_unix = not {"user", "uid", "gid", "groups"}.isdisjoint(said)
    return Identity(kind="unix" if is_unix else "certificate", **said)


def _ask(policy: Policy, identity: Identity, method: str, target: str, body_file: str | None) -> int:
    """Print whether a request would be allowed, as far as the objects that it names are the role's own."""
    from swarmproxy.api.asked_kinds import certain_kind_of  # the whole application, which takes a while

    role = policy.role_of(identity)
    if role is None:
        click.echo(f"refused: {identity.title} has no role, and there is no default")
        return REFUSED
    parts = urlsplit(target)
    _, path = apiversion.split_path(parts.path)
    kind, name = certain_kind_of(method, path, parts.query.encode())
    try:
        permit(role, kind)
        uses = _decide(role, identity, kind, name, parts.query, body_file)
    except Refused as error:
        click.echo(str(error))
        return REFUSED
    click.echo(f"allowed: {identity.title} has the role {role.name}, and this is {kind or 'not known'}")
    for use in uses if role.is_narrow else ():
        click.echo(f"  if {use.kind.removesuffix('s')} {use.name} is one of its own, or shared with it")
    return 0


def _decide(
    role: Role, identity: Identity, kind: str | None, name: str, query: str, body_file: str | None
) -> list[Use]:
    parameters = {key: tuple(values) for key, values in parse_qs(query, keep_blank_values=True).items()}
    if kind is None:
        return []
    body = None
    if kind in WITH_BODY and (body_file is not None or kind not in MAY_BE_EMPTY):
        if body_file is None:
            raise ConfigError(f"{kind} is decided by what it asks for: give a file with the body, or - for stdin")
        try:
            body = sys.stdin.buffer.read() if body_file == "-" else Path(body_file).read_bytes()
        except OSError as error:
            raise ConfigError(f"{body_file} cannot be read: {error.strerror}") from error
    asked = Asked.read(kind, name, parameters, body)
    needs, uses = asked.found()
    own = required_labels(role, identity)
    uses = [use for use in uses if use.kind != "images"]
    things = {
        use: (Thing(kind="containers" if use.kind == "exec" else use.kind, name=use.name, labels=own),) for use in uses
    }
    decide(role, identity, asked, needs, things)
    return uses


def _token(*, args: tuple[str, ...]) -> int:
    """Print a new token, or the hash of one that comes from stdin."""
    if args not in ((), ("-",)):
        raise ConfigError("policy token takes no arguments, or - to hash a token that is read from stdin")
    token = sys.stdin.readline().strip() if args else secrets.token_urlsafe(TOKEN_BYTES)
    if not token:
        raise ConfigError("there is no token on stdin")
    if not args:
        click.echo(f"Authorization: Bearer {token}", err=True)
    click.echo(f'token = "{hash_of(token)}"')
    return 0


policy = family("policy", "Check a policy file, and ask what it allows to whom")
for command in (
    GoCommand(
        "check",
        discovery=False,
        flags_anywhere=True,
        operands="FILE [METHOD PATH [BODY]]",
        callback=_check,
        help="Say what is wrong with a policy, who has which role, or whether a request would be allowed",
        params=[text("who", "--as", help="who asks, such as cn=alice,ou=team-a, user=root or token=ci")],
    ),
    GoCommand(
        "token",
        discovery=False,
        operands="[-]",
        callback=_token,
        help="Make a bearer token, and the line that a policy has for it",
    ),
):
    policy.add_command(command)
