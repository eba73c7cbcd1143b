"""What URLs and options say of a store."""

from pathlib import Path

import pytest

from discovery import DiscoveryError, Entry
from discovery.options import Place, parse_place, refuse_unknown, secret, tls_context
from tests.hosts.certificates import Certificates


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
