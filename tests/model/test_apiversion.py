"""Versions of the API: parsed, advertised, clamped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.errors import BadRequest
from swarmproxy.model import apiversion

versions = st.tuples(st.just(1), st.integers(0, 99))


@pytest.mark.parametrize(
    ("path", "version", "rest"),
    [
        ("/v1.41/containers/json", (1, 41), "/containers/json"),
        ("/containers/json", None, "/containers/json"),
        ("/v1.24/_ping", (1, 24), "/_ping"),
        ("/version", None, "/version"),
        ("/v1x41/_ping", None, "/v1x41/_ping"),
        ("/v1.41", None, "/v1.41"),
        ("/volumes/v1.41/x", None, "/volumes/v1.41/x"),
    ],
)
def test_split_path(path: str, version: tuple[int, int] | None, rest: str) -> None:
    """A version is the first part of a path, and nothing that only looks like one is."""
    assert apiversion.split_path(path) == (version, rest)


def test_too_old_in_the_daemons_words() -> None:
    """A client that is too old is told the oldest version that is spoken."""
    with pytest.raises(BadRequest, match=r"client version 1\.12 is too old\. Minimum supported API version is 1\.21"):
        apiversion.split_path("/v1.12/info")


def test_too_new_in_the_daemons_words() -> None:
    """A client that is too new is told the newest version that is spoken."""
    with pytest.raises(BadRequest, match=r"client version 1\.99 is too new\. Maximum supported API version is 1\.55"):
        apiversion.split_path("/v1.99/info")


@pytest.mark.parametrize(
    ("engines", "agent", "version"),
    [
        ([], "", (1, 51)),
        (["1.41", "1.51"], "", (1, 41)),
        (["1.51"], "Docker-Client/28.2.2 (linux)", (1, 51)),
        (["1.41"], "Docker-Client/29.1.0 (linux)", (1, 44)),
        (["1.41"], "Docker-Client/29.4.0 (linux)", (1, 41)),
        (["1.99"], "", (1, 55)),
    ],
)
def test_advertised(engines: list[str], agent: str, version: tuple[int, int]) -> None:
    """All engines have what is advertised, but for the clients that refuse to talk below 1.44."""
    assert apiversion.advertised(frozenset(engines), agent) == version


@given(asked=versions, least=versions, span=st.integers(0, 60))
def test_spoken_is_one_the_engine_has(asked: tuple[int, int], least: tuple[int, int], span: int) -> None:
    """A clamped version is within what the engine speaks, and is the asked one whenever that is."""
    most = (1, least[1] + span)
    spoken = apiversion.parse(apiversion.spoken(asked, apiversion.text(least), apiversion.text(most)))
    assert least <= spoken <= most
    if least <= asked <= most:
        assert spoken == asked


@pytest.mark.parametrize("text", ["", "1", "1.", ".4", "1.x", "v1.4", "1.4.1"])
def test_parse_refuses(text: str) -> None:
    """What is no version is refused."""
    with pytest.raises(BadRequest):
        apiversion.parse(text)
