"""The NAMES column."""

import msgspec
import pytest

from swarmproxy.errors import ConfigError
from swarmproxy.model.container import Container
from swarmproxy.model.names import NameStyle, names_json, style_for


@pytest.mark.parametrize(
    ("user_agent", "style"),
    [
        ("Docker-Client/18.09.9 (linux)", NameStyle.NODE),
        ("Docker-Client/20.10.24+dfsg1 (linux)", NameStyle.NODE),
        ("Docker-Client/28.5.2+dfsg4 (linux)", NameStyle.NODE),
        ("Docker-Client/29.3.1 (linux)", NameStyle.NODE),
        ("Docker-Client/29.3.1", NameStyle.NODE),
        ("Docker-Client/29.4.0 (linux)", NameStyle.BOTH),
        ("Docker-Client/29.10.0 (linux)", NameStyle.BOTH),
        ("Docker-Client/30.0.0-rc.1 (darwin)", NameStyle.BOTH),
        ("Docker-Client/unknown-version (linux)", NameStyle.BOTH),
        ("compose/2.40.3-3", NameStyle.BOTH),
        ("docker-compose/1.29.2 docker-py/5.0.3 Linux/6.18", NameStyle.BOTH),
        ("docker-sdk-python/7.2.0", NameStyle.BOTH),
        ("curl/8.0", NameStyle.BOTH),
        ("", NameStyle.BOTH),
    ],
)
def test_style_by_user_agent(user_agent: str, style: NameStyle) -> None:
    """Each client gets names in the form that it can print."""
    assert style_for(user_agent, "auto") is style
    assert style_for(user_agent, "plain") is NameStyle.PLAIN


def test_unknown_option() -> None:
    """A style that does not exist is a mistake in the configuration."""
    with pytest.raises(ConfigError, match=r"swarm\.names must be auto, node, both or plain, not 'short'"):
        style_for("curl/8", "short")


@pytest.mark.parametrize(
    ("style", "names"),
    [
        (NameStyle.PLAIN, ["/web", "/other/alias"]),
        (NameStyle.NODE, ["/node-1/web", "/node-1/other/alias"]),
        (NameStyle.BOTH, ["/web", "/node-1/web", "/other/alias"]),
    ],
)
def test_names(style: NameStyle, names: list[str]) -> None:
    """The container's own name comes first; names that links give follow."""
    container = Container(id="a", name="web", names=("/other/alias", "/web"))
    assert msgspec.json.decode(names_json(container, "node-1", style)) == names


@pytest.mark.parametrize("style", list(NameStyle))
def test_no_name(style: NameStyle) -> None:
    """A container without a name has an empty list, never null."""
    assert names_json(Container(id="a"), "node-1", style) == b"[]"
