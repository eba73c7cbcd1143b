"""`--limit`: what a client may take."""

import pytest

from swarmproxy.cli.limits import NOTES, read_limits
from swarmproxy.errors import ConfigError
from swarmproxy.wire.limits import Limits


def test_nothing_given() -> None:
    """Without the flag the defaults hold, and what the help says are they."""
    assert read_limits(()) == Limits()
    said = tuple(pair for pair, _ in NOTES)
    assert read_limits(said) == Limits()


def test_each_key() -> None:
    """Each key sets what it names; sizes and times are written as elsewhere."""
    given = (
        *("connections=2000", "connections-per-client=100", "requests-per-second=0.5", "requests-burst=20"),
        *("head-bytes=64k", "body-bytes=1048576", "head-timeout=5s", "body-timeout=1m30s", "idle-timeout=500ms"),
        "stall-timeout=1h",
    )
    assert read_limits(given) == Limits(
        connections=2000,
        connections_per_client=100,
        requests_per_second=0.5,
        requests_burst=20,
        head_bytes=65536,
        body_bytes=1048576,
        head_timeout_s=5.0,
        body_timeout_s=90.0,
        keep_alive_s=0.5,
        stall_s=3600.0,
    )
    assert len(given) == len(NOTES)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("conections=5", 'there is no limit "conections", only connections, connections-per-client'),
        ("connections", "connections needs a value"),
        ("connections=", 'connections should be a whole number, 0 for no limit, "" is invalid'),
        ("connections=-1", 'connections should be a whole number, 0 for no limit, "-1" is invalid'),
        ("connections=1.5", "should be a whole number"),
        ("connections=5,connections=6", "connections is given twice"),
        ("connections=5,connections-per-client=6", "connections-per-client is more than connections"),
        ("requests-per-second=many", "should be a number"),
        ("requests-per-second=nan", "should be a number"),
        ("requests-per-second=-1", "should be a number"),
        ("requests-burst=5", "requests-burst is of no use without requests-per-second"),
        ("head-bytes=1k", "head-bytes should be 8192 bytes at least"),
        ("head-bytes=big", '"big" is not a size such as 512m'),
        ("body-bytes=0", "body-bytes should be 65536 bytes at least"),
        ("head-timeout=30", 'invalid --limit head-timeout: time: missing unit in duration "30"'),
        ("body-timeout=0s", "body-timeout should be a positive time"),
    ],
)
def test_what_will_not_do(given: str, words: str) -> None:
    """What cannot be meant is refused, with the key and the reason."""
    with pytest.raises(ConfigError) as caught:
        read_limits(tuple(given.split(",")))
    assert "--limit" in str(caught.value)
    assert words in str(caught.value)
