"""Discovery URLs."""

import pytest

from discovery import DiscoveryError, open_backend, split_url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("a:1,b:2", ("nodes", "a:1,b:2")),
        ("nodes://a:1", ("nodes", "a:1")),
        ("file:///etc/cluster", ("file", "/etc/cluster")),
        ("unix:///run/docker.sock", ("nodes", "unix:///run/docker.sock")),
        ("a:1,unix:///run/docker.sock", ("nodes", "a:1,unix:///run/docker.sock")),
        ("nodes://unix:///run/docker.sock", ("nodes", "unix:///run/docker.sock")),
        ("etcd://h1,h2/prefix", ("etcd", "h1,h2/prefix")),
    ],
)
def test_split(url: str, parts: tuple[str, str]) -> None:
    """A URL without a scheme is a list of nodes, and a unix socket may stand in it."""
    assert split_url(url) == parts


@pytest.mark.parametrize("url", ["boltdb://x", "http://x", "NODES://a:1"])
def test_unknown_scheme(url: str) -> None:
    """A scheme that nobody knows is refused in classic's words."""
    with pytest.raises(DiscoveryError, match=r"^discovery service not supported$"):
        open_backend(url, heartbeat_s=1)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "nodes://foo",
            "address foo: missing port in address, please check you are using the correct discovery "
            "(missing token:// ?)",
        ),
        ("consul://a:1,b:1/path", "consul does not support multiple endpoints"),
        ("zk://", "a store needs the address of a host: scheme://host:port/prefix"),
        ("file://", "file discovery needs a path: file:///path/to/file"),
    ],
)
def test_bad_rest(url: str, message: str) -> None:
    """What is wrong in a URL shows when it is opened, before anything is read."""
    with pytest.raises(DiscoveryError) as error:
        open_backend(url, heartbeat_s=1)
    assert str(error.value) == message


async def test_nodes_forgives_blanks() -> None:
    """Empty places and blanks around commas do not count."""
    backend = open_backend(" a:1, ,b:2,", heartbeat_s=1)
    assert [str(entry) for entry in await backend.fetch()] == ["a:1", "b:2"]
