"""Who asks: the holder of a client certificate or of a token, the user at the other end of a unix socket, or nobody."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from swarmproxy.errors import BadRequest
from swarmproxy.policy.globs import fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Kind = Literal["anonymous", "certificate", "unix", "token"]

HASHED = "sha256:"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. What does not go with its kind is empty."""

    kind: Kind = "anonymous"
    cn: str = ""  # of the certificate's subject
    o: tuple[str, ...] = ()
    ou: tuple[str, ...] = ()
    san: tuple[str, ...] = ()  # "DNS:ci.example.org", "URI:spiffe://…", "email:…", "IP:…"
    user: str = ""  # at the other end of a unix socket; its number if it has no name
    groups: tuple[str, ...] = ()
    uid: int = -1
    gid: int = -1
    token: str = ""  # the name that the policy gives to the token, never the token

    @property
    def title(self) -> str:
        """How the log names it."""
        match self.kind:
            case "certificate":
                return f"certificate:{self.cn or next(iter(self.san), '')}"
            case "unix":
                return f"unix:{self.user}"
            case "token":
                return f"token:{self.token}"
        return "anonymous"

    def encode(self) -> bytes:
        """Return what `decode` reads, in characters that a header may hold."""
        return msgspec.json.encode(self).hex().encode()

    @classmethod
    def decode(cls, text: bytes) -> Identity:
        """Return the identity that another manager tells of. Raises BadRequest."""
        try:
            return msgspec.json.decode(bytes.fromhex(text.decode("ascii")), type=cls)
        except (msgspec.MsgspecError, ValueError) as error:
            raise BadRequest("an identity that cannot be read") from error


ANONYMOUS = Identity()

_SUBJECT = {"commonName": "cn", "organizationName": "o", "organizationalUnitName": "ou"}
_SAN = {"DNS": "DNS", "URI": "URI", "email": "email", "IP Address": "IP"}


def of_certificate(certificate: Mapping[str, Any] | None) -> Identity:
    """Return who shows `certificate`, in the form of `ssl.SSLSocket.getpeercert`; nobody without one.

    Of several common names the last counts, which is the most specific.
    """
    if not certificate:
        return ANONYMOUS
    found: dict[str, list[str]] = {"cn": [], "o": [], "ou": []}
    for name, value in (pair for part in certificate.get("subject", ()) for pair in part):
        if name in _SUBJECT:
            found[_SUBJECT[name]].append(value)
    names = (f"{_SAN[kind]}:{value}" for kind, value in certificate.get("subjectAltName", ()) if kind in _SAN)
    return Identity(
        kind="certificate",
        cn=(found["cn"] or [""])[-1],
        o=tuple(found["o"]),
        ou=tuple(found["ou"]),
        san=tuple(names),
    )


def hash_of(token: str) -> str:
    """Return what a policy holds of a token. Tokens are long and random, so a plain hash of one tells nothing."""
    return HASHED + hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Which identities have a role: all that is said must be so. Exactly one kind of identity is meant."""

    role: str
    kind: Kind
    cn: str = "*"
    o: str = ""
    ou: str = ""
    san: str = ""
    user: str = ""
    group: str = ""
    uid: int = -1
    gid: int = -1
    token: str = ""  # hashed
    name: str = ""  # of the token
    manager: bool = False  # it may say for whom it passes a request on

    def means(self, identity: Identity) -> bool:
        """Return whether `identity` is one of those that are meant."""
        if identity.kind != self.kind:
            return False
        match self.kind:
            case "certificate":
                return (
                    fits(self.cn, identity.cn)
                    and _any(self.o, identity.o)
                    and _any(self.ou, identity.ou)
                    and _any(self.san, identity.san)
                )
            case "unix":
                return (
                    self.user in ("", identity.user)
                    and (not self.group or self.group in identity.groups)
                    and self.uid in (-1, identity.uid)
                    and self.gid in (-1, identity.gid)
                )
            case "token":
                return self.name == identity.token
        return True


def _any(pattern: str, values: Iterable[str]) -> bool:
    return not pattern or any(fits(pattern, value) for value in values)


def holder_of(token: str, bindings: Iterable[Binding]) -> Identity | None:
    """Return who holds `token`, None if no binding knows it. All are compared, each in constant time."""
    hashed = hash_of(token)
    found: Identity | None = None
    for binding in bindings:
        if binding.kind == "token" and hmac.compare_digest(binding.token, hashed) and found is None:
            found = Identity(kind="token", token=binding.name)
    return found
