"""Certificates for tests: an authority, and what it signs, made with the openssl program."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
DAYS = "3650"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate, its key and the authority to trust; the file names are those of DOCKER_CERT_PATH."""

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


@dataclass(frozen=True, slots=True)
class Certificates:
    """What one authority signed, and what a stranger's authority did."""

    server: Pair
    client: Pair
    stranger: Pair  # a client certificate of another authority; its ca.pem is ours

    @classmethod
    def make(cls, directory: Path, names: Iterable[str] = ()) -> "Certificates":
        """Return new certificates in `directory`.

        The server's is for `names` besides localhost, the loopback addresses and those of the engines.
        """
        hosts = ["localhost", *names]
        addresses = ["127.0.0.1", "::1", *(f"10.77.0.{last}" for last in range(1, 60))]
        alternatives = ",".join([*(f"DNS:{name}" for name in hosts), *(f"IP:{ip}" for ip in addresses)])
        authority, strangers = make_authority(directory / "ca"), make_authority(directory / "stranger-ca")
        return cls(
            server=sign(authority, directory / "server", "serverAuth,clientAuth", f"subjectAltName={alternatives}"),
            client=sign(authority, directory / "client", "clientAuth"),
            stranger=sign(strangers, directory / "stranger", "clientAuth", trusts=authority),
        )


def make_authority(directory: Path) -> Path:
    """Return `directory`, in which there now is a self-signed authority: ca.pem and ca-key.pem."""
    directory.mkdir(parents=True)
    openssl(
        *(
            "-keyout",
            directory / "ca-key.pem",
            "-out",
            directory / "ca.pem",
            "-subj",
            f"/CN=swarmproxy {directory.name}",
        ),
        *extensions("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    return directory


def sign(
    authority: Path, directory: Path, purpose: str, *more: str, trusts: Path | None = None, subject: str = ""
) -> Pair:
    """Return a pair for `purpose` signed by `authority`; its ca.pem is from there, or from `trusts`.

    `subject` is in openssl's form, such as /OU=team/CN=joe; by default it holds the directory's name.
    """
    directory.mkdir(parents=True)
    pair = Pair(directory)
    openssl(
        *(
            "-CA",
            authority / "ca.pem",
            "-CAkey",
            authority / "ca-key.pem",
            "-subj",
            subject or f"/CN=swarmproxy {directory.name}",
        ),
        *("-keyout", pair.key, "-out", pair.cert),
        *extensions("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"),
        *extensions(f"extendedKeyUsage={purpose}", *more),
    )
    pair.ca.write_bytes(((trusts or authority) / "ca.pem").read_bytes())
    return pair


def extensions(*lines: str) -> list[str]:
    """Return the options that put `lines` into a certificate."""
    return [part for line in lines for part in ("-addext", line)]


def openssl(*options: str | Path) -> None:
    """Make a certificate. Raises CalledProcessError."""
    subprocess.run(["openssl", "req", "-x509", "-days", DAYS, *KEY, *options], check=True, capture_output=True)
