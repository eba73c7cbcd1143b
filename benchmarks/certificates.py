"""Certificates for the TLS rows, made anew for each run with the openssl command."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

DAYS = "2"


@dataclass(frozen=True, slots=True)
class Certificates:
    """A directory with one authority, and one certificate that servers and clients share."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def cert(self) -> Path:
        return self.directory / "cert.pem"

    @property
    def key(self) -> Path:
        return self.directory / "key.pem"

    @property
    def bundle(self) -> Path:
        """Certificate and key in one file, as HAProxy wants them."""
        return self.directory / "bundle.pem"


def make_certificates(directory: Path) -> Certificates:
    """Return fresh certificates for 127.0.0.1 and localhost, written to `directory`."""
    made = Certificates(directory)
    authority_key = directory / "ca-key.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
    _openssl("req", "-x509", *curve, "-days", DAYS, "-subj", "/CN=benchmark authority",
             "-keyout", authority_key, "-out", made.ca)  # fmt: skip
    _openssl("req", "-x509", *curve, "-days", DAYS, "-subj", "/CN=localhost",
             "-CA", made.ca, "-CAkey", authority_key,
             "-addext", "basicConstraints=critical,CA:FALSE",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-addext", "extendedKeyUsage=serverAuth,clientAuth",
             "-keyout", made.key, "-out", made.cert)  # fmt: skip
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


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


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
