"""`--policy` and `--authz-plugin`: who decides."""

import pytest

from swarmproxy.cli.deciding import read_plugins
from swarmproxy.errors import ConfigError
from swarmproxy.settings import AuthzPlugin


@pytest.mark.parametrize(
    ("text", "plugin"),
    [
        ("http://127.0.0.1:8181", AuthzPlugin("127.0.0.1:8181", "127.0.0.1:8181")),
        ("http://[::1]:8181/", AuthzPlugin("[::1]:8181", "[::1]:8181")),
        ("opa=http://opa.example:80", AuthzPlugin("opa", "opa.example:80")),
        ("unix:///run/docker/plugins/opa.sock", AuthzPlugin("opa", "unix:///run/docker/plugins/opa.sock")),
        ("gate=unix:///run/x.sock", AuthzPlugin("gate", "unix:///run/x.sock")),
    ],
)
def test_plugin(text: str, plugin: AuthzPlugin) -> None:
    """A plugin is at an address or a socket, and called as the flag says, or by its place."""
    assert read_plugins((text,), policy="") == (plugin,)


@pytest.mark.parametrize(
    ("texts", "policy", "words"),
    [
        (("opa",), "", '--authz-plugin "opa" should be'),
        (("https://opa:443",), "", "should be"),
        (("http://opa",), "", "should be"),
        (("http://opa:70000",), "", "should be"),
        (("http://opa:80/path",), "", "should be"),
        (("unix://run/opa.sock",), "", "should be"),
        (("a=http://x:1", "a=http://y:1"), "", "two plugins have the same name"),
        (("http://x:1",), "policy.toml", "exclude each other"),
    ],
)
def test_what_will_not_do(texts: tuple[str, ...], policy: str, words: str) -> None:
    """What names no plugin is refused, and so are a policy and plugins at once."""
    with pytest.raises(ConfigError, match=words):
        read_plugins(texts, policy=policy)
