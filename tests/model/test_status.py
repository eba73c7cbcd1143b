"""The STATUS column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.model.container import Container
from swarmproxy.model.status import status_text, status_until

NS = 1_000_000_000
HOUR = 3600
DAY = 24 * HOUR
NOW_NS = 1_700_000_000 * NS


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0.4, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (HOUR, "About an hour"),
        (HOUR + 1799, "About an hour"),
        (HOUR + 1800, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    """Durations are said in Docker's words."""
    container = Container(id="a", state="running", started_ns=NOW_NS - int(seconds * NS))
    assert status_text(container, now_ns=NOW_NS) == f"Up {text}"


@pytest.mark.parametrize(
    ("container", "text"),
    [
        (Container(id="a", state="running", started_ns=NOW_NS - 300 * NS), "Up 5 minutes"),
        (
            Container(id="a", state="running", health="healthy", started_ns=NOW_NS - 300 * NS),
            "Up 5 minutes (healthy)",
        ),
        (
            Container(id="a", state="running", health="starting", started_ns=NOW_NS - 3 * NS),
            "Up 3 seconds (health: starting)",
        ),
        (Container(id="a", state="paused", started_ns=NOW_NS - HOUR * NS), "Up About an hour (Paused)"),
        (
            Container(id="a", state="restarting", exit_code=1, finished_ns=NOW_NS - 2 * NS),
            "Restarting (1) 2 seconds ago",
        ),
        (
            Container(id="a", state="exited", exit_code=0, finished_ns=NOW_NS - 2 * HOUR * NS),
            "Exited (0) 2 hours ago",
        ),
        (Container(id="a", state="exited"), ""),
        (Container(id="a", state="created"), "Created"),
        (Container(id="a", state="dead"), "Dead"),
        (Container(id="a", state="removing"), "Removal In Progress"),
    ],
)
def test_status(container: Container, text: str) -> None:
    """The status is what the container's own daemon would print."""
    assert status_text(container, now_ns=NOW_NS) == text


@given(st.sampled_from(["running", "paused", "restarting", "exited"]), st.integers(), st.integers(0, 255))
def test_status_of_any_age(state: str, age_ns: int, exit_code: int) -> None:
    """Every age, a clock ahead of ours included, has a text with no number below zero."""
    moment = NOW_NS - age_ns
    container = Container(
        id="a", state=state, started_ns=moment, finished_ns=moment, exit_code=exit_code, health="unhealthy"
    )
    assert "-" not in status_text(container, now_ns=NOW_NS)


@given(
    st.sampled_from(["running", "paused", "restarting", "removing", "dead", "created", "exited"]),
    st.integers(-3600, 4 * 365 * DAY) | st.integers(0, 2 * DAY),
    st.integers(0, NS - 1),
    st.floats(0, 1, exclude_max=True),
)
def test_until(state: str, ago_s: int, fraction_ns: int, share: float) -> None:
    """A status stays what it is until the moment that is said with it, and no longer if it tells of time."""
    moment_ns = NOW_NS - ago_s * NS - fraction_ns
    container = Container(id="a", state=state, started_ns=moment_ns, finished_ns=moment_ns)
    text, until_ns = status_until(container, now_ns=NOW_NS)
    assert until_ns > NOW_NS
    for later_ns in (NOW_NS + int((until_ns - NOW_NS) * share), until_ns - 1):
        assert status_text(container, now_ns=later_ns) == text
    if state in ("running", "paused", "restarting", "exited"):
        assert status_text(container, now_ns=until_ns) != text
