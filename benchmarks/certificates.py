"""Certificates for the TLS rows, made anew for each run with the openssl command."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.certificates import Pair, make_authority, sign


@dataclass(frozen=True, slots=True)
class Certificates(Pair):
    """A directory with an authority, and one certificate that servers and clients share."""

    @property
    def bundle(self) -> Path:
        """Certificate and key in one file, as HAProxy wants them."""
        return self.directory / "bundle.pem"


def make_certificates(directory: Path) -> Certificates:
    """Return fresh certificates for 127.0.0.1 and localhost, written below `directory`."""
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    pair = sign(make_authority(directory / "authority"), directory / "shared", "serverAuth,clientAuth", names)
    made = Certificates(pair.directory)
    made.bundle.write_bytes(made.cert.read_bytes() + made.key.read_bytes())
    made.bundle.chmod(0o600)
    return made


def ciphers_as_docker(directory: Path) -> tuple[str, ...]:
    """Return what to put before a command so that it prefers the ciphers that Docker's clients and engines prefer.

    Go takes AES-128 first where the processor has it, OpenSSL AES-256; Python 3.11 cannot choose in TLS 1.3.
    """
    config = directory / "openssl.cnf"
    config.write_text(
        "openssl_conf = begin\n[begin]\nssl_conf = modules\n[modules]\nsystem_default = order\n[order]\n"
        "Ciphersuites = TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256\n"
    )
    return ("env", f"OPENSSL_CONF={config}")


def server_context(certificates: Certificates) -> ssl.SSLContext:
    """Return a context that demands a client certificate of our authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _loaded(context, certificates)


def client_context(certificates: Certificates) -> ssl.SSLContext:
    """Return a context that shows our certificate and checks the server's."""
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificates)


def _loaded(context: ssl.SSLContext, certificates: Certificates) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certificates.ca)
    context.load_cert_chain(certificates.cert, certificates.key)
    return context
