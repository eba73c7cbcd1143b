"""What a hub keeps, on a real file, under a clock that the test winds."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from swarmproxy.errors import ConfigError, Forbidden, NotFound, Unavailable
from swarmproxy.hub.clock import LONGEST_STEP_S, UptimeClock
from swarmproxy.hub.store import TOUCH_S, Store

DAY_S = 24 * 3600.0


class Dial:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


class Kept:
    """A store whose time passes as the test says."""

    def __init__(self, path: Path | None = None, *, max_tokens: int = 10, max_entries: int = 10) -> None:
        self.dial = Dial()
        self.store = Store(path, max_tokens=max_tokens, max_entries=max_entries, monotonic=self.dial)

    def wait(self, seconds: float, forget_after_s: float = DAY_S) -> None:
        """Let `seconds` pass, in ticks."""
        while seconds > 0:
            step_s = min(seconds, LONGEST_STEP_S)
            self.dial.at_s += step_s
            seconds -= step_s
            self.store.tick(forget_after_s)


Keep = Callable[..., Kept]


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Yield what makes a store, which is closed after the test."""
    made: list[Kept] = []

    def make(path: Path | None = None, **bounds: int) -> Kept:
        made.append(Kept(path, **bounds))
        return made[-1]

    yield make
    for kept in made:
        with suppress(sqlite3.ProgrammingError):  # the test has closed it
            kept.store.close()


def test_clock_stops_while_nobody_is_at_work() -> None:
    """Time goes on from where it was, and a halt counts as one step."""
    dial = Dial()
    clock = UptimeClock(50, dial)
    assert clock.now() == 50
    dial.at_s += 2
    assert clock.now() == 52
    dial.at_s += 3600
    assert clock.now() == 52 + LONGEST_STEP_S


def test_entries_are_sorted_and_counted_once(keep: Keep) -> None:
    """A list is in the order of its addresses; who registers again is renewed."""
    store = keep().store
    token = store.create()
    for address in ("b:1", "a:1", "b:1", "a:10"):
        store.register(token, address, 60)
    assert store.addresses(token) == ["a:1", "a:10", "b:1"]
    store.unregister(token, "a:1")
    store.unregister(token, "a:1")
    assert store.addresses(token) == ["a:10", "b:1"]


def test_tokens_do_not_see_each_other(keep: Keep) -> None:
    """A cluster's list is its own."""
    store = keep().store
    one, two = store.create(), store.create()
    store.register(one, "a:1", 60)
    assert (one != two, store.addresses(two)) == (True, [])
    store.unregister(two, "a:1")
    assert store.addresses(one) == ["a:1"]


def test_unknown_token(keep: Keep) -> None:
    """What nobody created cannot be used."""
    store = keep().store
    for call in (
        lambda: store.addresses("x"),
        lambda: store.register("x", "a:1", 9),
        lambda: store.unregister("x", "a:1"),
    ):
        with pytest.raises(NotFound):
            call()


def test_expiry(keep: Keep) -> None:
    """An entry is gone after its time to live, counted from the last renewal, tick or no tick."""
    kept = keep()
    token = kept.store.create()
    kept.store.register(token, "a:1", 4)
    kept.store.register(token, "b:1", 4)
    kept.dial.at_s += 3
    kept.store.register(token, "b:1", 4)
    kept.dial.at_s += 2
    assert kept.store.addresses(token) == ["b:1"]
    kept.wait(10)
    assert kept.store.addresses(token) == []


def test_what_expired_makes_room(keep: Keep) -> None:
    """The bound on entries counts those that live."""
    kept = keep(max_entries=2)
    token = kept.store.create()
    for address in ("a:1", "b:1"):
        kept.store.register(token, address, 4)
    with pytest.raises(Forbidden, match="this token has its 2 entries"):
        kept.store.register(token, "c:1", 4)
    kept.store.register(token, "a:1", 4)
    kept.wait(5)
    kept.store.register(token, "c:1", 4)
    assert kept.store.addresses(token) == ["c:1"]


def test_too_many_tokens(keep: Keep) -> None:
    """There is a bound on tokens, which those have no part in that nobody used for long."""
    kept = keep(max_tokens=2)
    used, forgotten = kept.store.create(), kept.store.create()
    with pytest.raises(Unavailable, match="this hub has its 2 tokens"):
        kept.store.create()
    for _ in range(3):
        kept.wait(TOUCH_S + 1, forget_after_s=2 * TOUCH_S)
        assert kept.store.addresses(used) == []
    with pytest.raises(NotFound):
        kept.store.addresses(forgotten)
    assert kept.store.create() not in (used, forgotten)


def test_down_time_does_not_count(keep: Keep, tmp_path: Path) -> None:
    """After a restart, however late, an entry lives for as long as it had left: nobody could renew it."""
    path = tmp_path / "hub.db"
    kept = keep(path)
    token = kept.store.create()
    kept.store.register(token, "a:1", 60)
    kept.wait(30)
    kept.store.close()
    again = keep(path)
    again.dial.at_s += DAY_S
    assert again.store.addresses(token) == ["a:1"]
    again.wait(20)
    assert again.store.addresses(token) == ["a:1"]
    again.wait(10)
    assert again.store.addresses(token) == []
    again.store.close()


def test_file_is_private(keep: Keep, tmp_path: Path) -> None:
    """Others on the machine cannot read tokens."""
    kept = keep(tmp_path / "hub.db")
    kept.store.create()
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    kept.store.close()


def test_one_hub_a_file(keep: Keep, tmp_path: Path) -> None:
    """A second hub on the same file is refused."""
    kept = keep(tmp_path / "hub.db")
    with pytest.raises(ConfigError, match=r"--data .*hub\.db: another process uses it"):
        keep(tmp_path / "hub.db")
    kept.store.close()


def test_bad_files(keep: Keep, tmp_path: Path) -> None:
    """A file that is something else, of a later format or out of reach, is refused and left as it is."""
    (tmp_path / "text").write_text("not a database at all, but long enough to be looked at\n" * 10)
    with pytest.raises(ConfigError, match="not a database"):
        keep(tmp_path / "text")
    with pytest.raises(ConfigError, match="No such file or directory"):
        keep(tmp_path / "no" / "such")
    later = sqlite3.connect(tmp_path / "later")
    later.execute("PRAGMA user_version = 9")
    later.close()
    with pytest.raises(ConfigError, match="of format 9"):
        keep(tmp_path / "later")
