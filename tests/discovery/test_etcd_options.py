"""URLs and options of etcd discovery."""

from pathlib import Path

import pytest

from discovery import DiscoveryError, open_backend
from discovery.etcd_options import parse_options


@pytest.mark.parametrize(
    ("rest", "endpoints", "nodes", "leader"),
    [
        ("h", ("h:2379",), "docker/swarm/nodes", "docker/swarm/leader"),
        ("h:1/", ("h:1",), "docker/swarm/nodes", "docker/swarm/leader"),
        ("h:1,[::1]:2,[::2],10.0.0.1/a/b/", ("h:1", "[::1]:2", "[::2]:2379", "10.0.0.1:2379"), None, None),
        ("h/a/b", ("h:2379",), "a/b/docker/swarm/nodes", "a/b/docker/swarm/leader"),
    ],
)
def test_url(rest: str, endpoints: tuple[str, ...], nodes: str | None, leader: str | None) -> None:
    """A URL names hosts, with etcd's port if it names none, and a prefix for both keys."""
    options = parse_options(rest, {})
    assert options.endpoints == endpoints
    assert nodes in (None, options.nodes)
    assert leader in (None, options.leader)
    assert (options.api, options.leader_api) == ("v3", "v3")


@pytest.mark.parametrize(
    ("options", "apis"),
    [
        ({"etcd.api": "v2"}, ("v2", "v2")),
        ({"etcd.api": "v3"}, ("v3", "v3")),
        ({"etcd.api": "auto"}, ("auto", "v3")),
        ({"etcd.api": "auto", "etcd.leader": "v2"}, ("auto", "v2")),
    ],
)
def test_api(options: dict[str, str], apis: tuple[str, str]) -> None:
    """Nodes may be in both stores, the leader is in one."""
    parsed = parse_options("h", options)
    assert (parsed.api, parsed.leader_api) == apis


@pytest.mark.parametrize(
    ("rest", "options", "problem"),
    [
        ("", {}, "host"),
        ("h:99999", {}, "invalid port in address"),
        ("user:pw@h", {}, "address"),
        ("h", {"etcd.api": "v4"}, "etcd.api is one of v2, v3, auto, not 'v4'"),
        ("h", {"etcd.leader": "v2"}, "etcd.leader is for etcd.api=auto"),
        ("h", {"etcd.passwd": "x"}, "etcd.passwd"),
        ("h", {"etcd.user": "u"}, "go together"),
        ("h", {"etcd.password": "p"}, "go together"),
        ("h", {"etcd.user": "u", "etcd.password": "p"}, "over TLS only"),
        ("h", {"etcd.user": "u", "etcd.password.file": "/none"}, "cannot read etcd.password.file"),
    ],
)
def test_refused(rest: str, options: dict[str, str], problem: str) -> None:
    """What makes no sense, or would send a password in the clear, is refused when it is opened."""
    with pytest.raises(DiscoveryError, match=problem):
        open_backend(f"etcd://{rest}", heartbeat_s=1, options=options)


def test_secrets_stay_secret(tmp_path: Path) -> None:
    """A password comes from an option or a file, and is not in what may be logged."""
    (tmp_path / "password").write_text("hidden\n")
    for source in ({"etcd.password": "hidden"}, {"etcd.password.file": str(tmp_path / "password")}):
        options = parse_options("h/p", {"etcd.user": "u", "kv.cacertfile": "/ca.pem", **source})
        assert options.password == "hidden"
        assert "hidden" not in repr(options)
        assert options.source == "etcd://h:2379/p"


async def test_bad_certificates(tmp_path: Path) -> None:
    """Files that are no certificates are an error of their own, not of the connection."""
    (tmp_path / "ca.pem").write_text("nonsense")
    for file in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        for api in ("v2", "v3"):
            options = {"kv.cacertfile": str(file), "etcd.api": api}
            with pytest.raises(DiscoveryError, match="cannot use the TLS files of the store"):
                await open_backend("etcd://127.0.0.1:1/p", heartbeat_s=1, options=options).fetch()
