"""What URLs and options say of a store."""

import asyncio
import ssl
from pathlib import Path

import pytest

from discovery import DiscoveryError, Entry
from discovery.options import Place, parse_place, refuse_unknown, secret, tls_context
from tests.hosts.certificates import Certificates, openssl, sign


@pytest.mark.parametrize(
    ("rest", "hosts", "leader"),
    [
        ("h", [Entry("h", 99)], "docker/swarm/leader"),
        ("h:1/", [Entry("h", 1)], "docker/swarm/leader"),
        ("h1:1, h2,/a", [Entry("h1", 1), Entry("h2", 99)], "a/docker/swarm/leader"),
        ("[::1],[::1]:5//a//b/", [Entry("::1", 99), Entry("::1", 5)], "a/b/docker/swarm/leader"),
    ],
)
def test_place(rest: str, hosts: list[Entry], leader: str) -> None:
    """A place is some hosts, with or without ports, and a prefix however many slashes there are."""
    place = parse_place(rest, default_port=99)
    assert (list(place.hosts), place.leader) == (hosts, leader)


@pytest.mark.parametrize("rest", ["", "/prefix", ",", "::1", "user:password@h:1", "h:port", "h:0"])
def test_bad_place(rest: str) -> None:
    """What is no host is refused when it is opened."""
    with pytest.raises(DiscoveryError):
        parse_place(rest, default_port=99)


def test_path() -> None:
    """`kv.path` moves the nodes, below the prefix, and not the leader."""
    place = Place((Entry("h", 1),), "a")
    assert place.nodes({}) == "a/docker/swarm/nodes"
    assert place.nodes({"kv.path": "/docker/nodes/"}) == "a/docker/nodes"


def test_secret(tmp_path: Path) -> None:
    """A secret stands in its option, or in the file that another names, but not in both."""
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    assert secret({}, "x.token") == ""
    assert secret({"x.token": "s3cret"}, "x.token") == "s3cret"
    assert secret({"x.token": "", "x.token.file": str(path)}, "x.token") == "s3cret"
    with pytest.raises(DiscoveryError, match=r"^x\.token and x\.token\.file exclude each other$"):
        secret({"x.token": "s3cret", "x.token.file": str(path)}, "x.token")
    with pytest.raises(DiscoveryError, match=r"^cannot read x\.token\.file .*none: No such file or directory$"):
        secret({"x.token.file": str(tmp_path / "none")}, "x.token")
    path.write_bytes(b"\xff")
    with pytest.raises(DiscoveryError, match="not UTF-8 text"):
        secret({"x.token.file": str(path)}, "x.token")


def test_unknown() -> None:
    """An option that its store does not know is refused; those of other stores are not its business."""
    refuse_unknown({"x.token": "1", "y.tokn": "1", "kv.path": "1"}, "x", frozenset({"x.token"}))
    with pytest.raises(DiscoveryError, match=r"^unknown discovery option x\.tokn, there is only x\.token$"):
        refuse_unknown({"x.tokn": "1"}, "x", frozenset({"x.token"}))


def test_tls(certificates: Certificates) -> None:
    """TLS takes an authority, and a certificate with its key or neither; without any of the three there is none."""
    pair = certificates.client
    authority = {"kv.cacertfile": str(pair.ca)}
    both = {"kv.certfile": str(pair.cert), "kv.keyfile": str(pair.key)}
    assert tls_context({}) is None
    for options in (authority, {**authority, **both}):
        context = tls_context(options)
        assert context is not None
        assert context.check_hostname
        assert len(context.get_ca_certs()) == 1
    for options in (both, {**authority, "kv.keyfile": str(pair.key)}):
        with pytest.raises(DiscoveryError, match=r"^TLS to the store needs kv\.cacertfile"):
            tls_context(options)
    with pytest.raises(DiscoveryError, match=r"^cannot use the TLS files of the store: No such file or directory$"):
        tls_context({"kv.cacertfile": "/nowhere"})
    with pytest.raises(DiscoveryError, match=r"^cannot use the TLS files of the store: "):
        tls_context({**authority, **both, "kv.keyfile": str(pair.ca)})


async def test_authority_of_older_instructions(tmp_path: Path) -> None:
    """An authority made by `openssl req -x509` says nothing of the use of its key; every Python trusts it."""
    authority = tmp_path / "ca"
    authority.mkdir()
    openssl(*("-keyout", authority / "ca-key.pem", "-out", authority / "ca.pem", "-subj", "/CN=ours"))
    pair = sign(authority, tmp_path / "server", "serverAuth", "subjectAltName=DNS:localhost")
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(pair.cert, pair.key)

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server_side) as server:
        port = server.sockets[0].getsockname()[1]
        context = tls_context({"kv.cacertfile": str(pair.ca)})
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        assert await reader.read() == b"hello"
        writer.close()
