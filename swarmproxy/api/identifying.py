"""Who asks, as the connection and the request's head tell it."""

import functools
import grp
import os
import pwd
from asyncio import BaseTransport

from swarmproxy.errors import Forbidden
from swarmproxy.policy.document import Policy
from swarmproxy.policy.identity import ANONYMOUS, Identity, of_certificate
from swarmproxy.wire.clients import certificate_of, is_private, user_of
from swarmproxy.wire.head import Fields

IDENTITY = b"swarmproxy-identity"
"""The header in which a manager tells for whom it passes a request on."""

_AUTHORIZATION = b"authorization"
_BEARER = b"bearer "


def identity_of(transport: BaseTransport) -> Identity:
    """Return who is at the other end: the holder of a certificate that was verified, or a user of this machine."""
    if certificate := certificate_of(transport):
        return of_certificate(certificate)
    user = user_of(transport)
    return of_user(*user) if user is not None else ANONYMOUS


@functools.lru_cache(maxsize=256)
def of_user(uid: int, gid: int) -> Identity:
    """Return the user of these numbers, by the names that this machine knows; kept until the policy is read again."""
    try:
        user = pwd.getpwuid(uid).pw_name
        gids = os.getgrouplist(user, gid)
    except (KeyError, OSError):
        user, gids = str(uid), [gid]
    groups = []
    for each in gids:
        try:
            groups.append(grp.getgrgid(each).gr_name)
        except KeyError:
            groups.append(str(each))
    return Identity(kind="unix", user=user, groups=tuple(groups), uid=uid, gid=gid)


def holder_of_token(policy: Policy, fields: Fields, transport: BaseTransport) -> Identity | None:
    """Return who holds the bearer token that a request shows; None if it shows none. Raises Forbidden."""
    token = bearer_of(fields)
    if token is None:
        return None
    if not is_private(transport):
        raise Forbidden("a bearer token is taken over TLS or a unix socket only: this one may have been read")
    holder = policy.holder_of(token)
    if holder is None:
        raise Forbidden("the bearer token is not known")
    return holder


def bearer_of(fields: Fields) -> str | None:
    """Return the bearer token in the headers of a request, None if there is none."""
    for name, value in fields.headers:
        if name == _AUTHORIZATION and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip().decode("latin-1")
    return None
