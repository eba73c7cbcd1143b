"""Who is at the other end of a client's connection, as its socket and its TLS tell.

Below the facts are the answers to four questions, which differ: where a client is for those who read the log, whose
connections are counted together, whose requests are, and which connections are of one client. Who a client is for a
policy, which knows names and groups, is for `api/identifying` to say, from the same facts.
"""

import asyncio
import contextlib
import hashlib
import socket
import ssl
import struct
from collections.abc import Iterable
from typing import Any, cast

from swarmproxy.wire.rates import client_of

_CREDENTIALS = struct.Struct("3i")  # of a unix socket's peer: process, user, group

# What is so.


def certificate_of(transport: asyncio.BaseTransport) -> dict[str, Any]:
    """Return the client's certificate, if it has shown one that was verified, as `ssl.SSLSocket.getpeercert` does."""
    secure: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return (secure.getpeercert() if secure is not None else None) or {}


def encoded_certificate_of(transport: asyncio.BaseTransport) -> bytes:
    """Return that certificate as it was sent (DER); empty without one."""
    secure: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return (secure.getpeercert(binary_form=True) if secure is not None else None) or b""


def user_of(transport: asyncio.BaseTransport) -> tuple[int, int] | None:
    """Return user and group at the other end of a unix socket; None for any other. Raises OSError for a closed one.

    The process is not told: what comes through ssh has one for each connection.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    _, uid, gid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return uid, gid


def is_private(transport: asyncio.BaseTransport) -> bool:
    """Return whether nobody else can read along: by TLS, or since it is a unix socket."""
    return transport.get_extra_info("ssl_object") is not None or isinstance(
        transport.get_extra_info("sockname"), str | bytes
    )


# What follows.


def remote_of(transport: asyncio.BaseTransport) -> str:
    """Return where a client is, for those who look for it: address and port, or `unix`."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return "unix"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_of(transport: asyncio.BaseTransport) -> str:
    """Return whose connections are counted together: those of an address, a network of IPv6, or a local user."""
    return client_of(_host(transport))


def account_of(transport: asyncio.BaseTransport) -> str:
    """Return whose requests are counted together: those of a name in certificates, wherever from, or of a host."""
    subject = cast("Iterable[Iterable[tuple[str, str]]]", certificate_of(transport).get("subject", ()))
    names = [value for part in subject for key, value in part if key == "commonName"]
    return f"CN={names[-1]}" if names else host_of(transport)  # of several the last, as for a policy


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Return what is the same for all connections of one client, and for no other's: address or user, and certificate.

    What a client has begun on one connection it can go on with on another.
    """
    host, certificate = _host(transport), encoded_certificate_of(transport)
    return f"{host} {hashlib.sha256(certificate).hexdigest()}" if certificate else host


def _host(transport: asyncio.BaseTransport) -> str:
    """Return an address, or a user as `uid=0`; empty if neither is known any more."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple):
        return str(name[0])
    with contextlib.suppress(OSError):
        if (user := user_of(transport)) is not None:
            return f"uid={user[0]}"
    return ""
