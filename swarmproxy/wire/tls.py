"""TLS contexts, one per role: building one costs tens of milliseconds. A new one takes its place when files change."""

import ssl
from collections.abc import Callable
from pathlib import Path

from swarmproxy.errors import ConfigError


class RenewableContext:
    """The context of one role: `make` reads its files. What is open keeps the one that it was opened with.

    It is made anew as a whole, since a context can be given another authority and never be told to forget one.
    """

    __slots__ = ("_make", "current")

    def __init__(self, make: Callable[[], ssl.SSLContext]) -> None:
        self._make = make
        self.current = make()

    def renew(self) -> None:
        """Read the files again, for the handshakes from now on. Raises ConfigError, and then all stays as it is."""
        self.current = self._make()


def server_context(*, cert: Path, key: Path, ca: Path | None) -> ssl.SSLContext:
    """Return the context of a listener; with `ca`, clients must show a certificate signed by it.

    Raises ConfigError. Source: classic Swarm 1.2, cli/manage.go (words of the errors).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 1
    # The client knows what its processor is good at: Docker's own prefer AES-128, a phone ChaCha20.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _restrict(context)
    _load_certificate(context, cert=cert, key=key)
    if ca is not None:
        _load_ca(context, ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(*, cert: Path | None, key: Path | None, ca: Path | None, verify: bool) -> ssl.SSLContext:
    """Return the context for connections to engines; `verify`: their certificates must be theirs.

    Without `ca` the system's certificate authorities are trusted. Raises ConfigError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context)
    if cert is not None and key is not None:
        _load_certificate(context, cert=cert, key=key)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is not None:
        _load_ca(context, ca)
    else:
        context.load_default_certs()
    return context


def _load_certificate(context: ssl.SSLContext, *, cert: Path, key: Path) -> None:
    try:
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise ConfigError(f"Couldn't load X509 key pair ({cert}, {key}): {error}. Key encrypted?") from error


def _load_ca(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(ca)
    except (OSError, ValueError) as error:
        raise ConfigError(f"Couldn't read CA certificate: {error}") from error


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
