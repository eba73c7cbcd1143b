"""How much each client may ask for, under a clock that the test winds."""

import logging

import pytest

from swarmproxy.errors import TooManyRequests
from swarmproxy.wire import rates
from swarmproxy.wire.rates import Rates, client_of


class Dial:
    """A clock that stands still."""

    at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


def taken(limit: Rates, client: str, times: int) -> int:
    """Return how many of so many requests are let through."""
    passed = 0
    for _ in range(times):
        try:
            limit.take(client)
        except TooManyRequests:
            continue
        passed += 1
    return passed


def test_burst_and_average() -> None:
    """A burst passes, then as much as time brings, and idling saves up a burst at most."""
    dial = Dial()
    limit = Rates("requests", 2, 10, dial)
    assert taken(limit, "10.0.0.1", 20) == 10
    dial.at_s += 3
    assert taken(limit, "10.0.0.1", 20) == 6
    dial.at_s += 1000
    assert taken(limit, "10.0.0.1", 20) == 10
    with pytest.raises(TooManyRequests) as refusal:
        limit.take("10.0.0.1")
    assert refusal.value.retry_after_s == 0.5


def test_each_client_has_its_own() -> None:
    """One client's flood costs no other."""
    limit = Rates("requests", 1, 1, Dial())
    assert taken(limit, "10.0.0.1", 100) == 1
    assert taken(limit, "10.0.0.2", 1) == 1


def test_no_limit() -> None:
    """0 is no limit."""
    assert taken(Rates("requests", 0, 0, Dial()), "10.0.0.1", 100) == 100


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("odd", "odd"),
    ],
)
def test_client(host: str, client: str) -> None:
    """A client is an IPv4 address, or a whole network of IPv6."""
    assert client_of(host) == client


def test_memory_is_bounded() -> None:
    """Of very many clients, the last are remembered."""
    limit = Rates("requests", 1, 1, Dial())
    for number in range(rates.MAX_CLIENTS + 100):
        limit.take(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert len(limit._buckets) == rates.MAX_CLIENTS


def test_one_line_a_flood(caplog: pytest.LogCaptureFixture) -> None:
    """A flood is logged when it begins, not at every refusal."""
    dial = Dial()
    limit = Rates("requests", 1, 10, dial)
    with caplog.at_level(logging.WARNING, "swarmproxy.wire"):
        for _ in range(5):
            taken(limit, "10.0.0.1", 20)
            dial.at_s += 1
        assert len(caplog.records) == 1
        dial.at_s += 1000
        taken(limit, "10.0.0.1", 20)
        assert len(caplog.records) == 2
