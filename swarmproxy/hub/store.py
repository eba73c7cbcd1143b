"""Tokens and entries in SQLite: the state of a hub, safe from kill -9."""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swarmproxy.errors import ConfigError, Forbidden, NotFound, Unavailable
from swarmproxy.hub.clock import UptimeClock

FORMAT = 1
"""The `user_version` of the file."""

TOUCH_S = 3600.0
"""How exactly a token's last use is known: reading must not mean writing every time."""

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE clock (now_s REAL NOT NULL);
INSERT INTO clock VALUES (0);
CREATE TABLE tokens (token TEXT PRIMARY KEY, used_s REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    token TEXT NOT NULL REFERENCES tokens ON DELETE CASCADE,
    address TEXT NOT NULL,
    expires_s REAL NOT NULL,
    PRIMARY KEY (token, address)
) WITHOUT ROWID;
CREATE INDEX entries_by_expiry ON entries (expires_s);
PRAGMA user_version = 1;
COMMIT;
"""


class Store:
    """The lists of a hub. Every call is short, and all have to come from one thread at a time.

    All times are of the hub's own clock. Every call raises sqlite3.Error when the disk fails.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        max_tokens: int,
        max_entries: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the file, which is made if there is none; None is memory. Raises ConfigError.

        It is ours alone for as long as it is open: two hubs would each have a clock.
        """
        self._max_tokens = max_tokens
        self._max_entries = max_entries
        try:
            if path is not None:
                path.touch(mode=0o600)  # who has a token can register
            self._db = sqlite3.connect(path or ":memory:", timeout=1, isolation_level=None, check_same_thread=False)
            try:
                self._clock = UptimeClock(self._prepare(), monotonic)
            except BaseException:
                self._db.close()
                raise
        except (OSError, sqlite3.Error) as error:
            reason = "another process uses it" if "locked" in str(error) else error
            raise ConfigError(f"--data {path}: {reason}") from error

    def _prepare(self) -> float:
        """Make the tables if they are not there; return the time at which the hub was last seen at work."""
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        # What is committed survives our end, and the machine's for what `_durably` wraps.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._db.executescript(_SCHEMA)
        elif version != FORMAT:
            raise sqlite3.DatabaseError(f"it is of format {version}, and this version knows {FORMAT}")
        (now_s,) = self._db.execute("SELECT now_s FROM clock").fetchone()
        return float(now_s)

    def close(self) -> None:
        """Save the time and close the file."""
        try:
            with self._writing():
                pass
        finally:
            self._db.close()

    def create(self) -> str:
        """Return a new token. Raises Unavailable if there are too many."""
        token = secrets.token_hex(16)
        with self._durably(), self._writing() as now_s:
            (count,) = self._db.execute("SELECT count(*) FROM tokens").fetchone()
            if count >= self._max_tokens:
                raise Unavailable(f"this hub has its {self._max_tokens} tokens, and gives no more")
            self._db.execute("INSERT INTO tokens VALUES (?, ?)", (token, now_s))
        return token

    def addresses(self, token: str) -> list[str]:
        """Return the addresses under `token`, sorted: classic compares lists in their order. Raises NotFound."""
        now_s = self._clock.now()
        if now_s - self._used(token) > TOUCH_S:
            with suppress(sqlite3.Error), self._writing():  # a list can be read from a disk that is full
                self._db.execute("UPDATE tokens SET used_s = ? WHERE token = ?", (now_s, token))
        found = self._db.execute(
            "SELECT address FROM entries WHERE token = ? AND expires_s > ? ORDER BY address", (token, now_s)
        )
        return [address for (address,) in found]

    def register(self, token: str, address: str, ttl_s: float) -> None:
        """List `address` under `token` for `ttl_s` from now. Raises NotFound, or Forbidden if there are too many."""
        self._used(token)
        with self._writing() as now_s:
            key = (token, address)
            if not self._db.execute("SELECT 1 FROM entries WHERE token = ? AND address = ?", key).fetchone():
                (count,) = self._db.execute("SELECT count(*) FROM entries WHERE token = ?", (token,)).fetchone()
                if count >= self._max_entries:
                    raise Forbidden(f"this token has its {self._max_entries} entries, and takes no more")
            self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (*key, now_s + ttl_s))
            self._db.execute("UPDATE tokens SET used_s = ? WHERE token = ?", (now_s, token))

    def unregister(self, token: str, address: str) -> None:
        """Take `address` away, if it is there. Raises NotFound if the token is not."""
        self._used(token)
        with self._writing():
            self._db.execute("DELETE FROM entries WHERE token = ? AND address = ?", (token, address))

    def tick(self, forget_after_s: float) -> None:
        """Let time pass: drop expired entries, and tokens that were not used for `forget_after_s`.

        To be called more often than every LONGEST_STEP_S of the clock.
        """
        with self._writing() as now_s:
            self._db.execute("DELETE FROM entries WHERE expires_s <= ?", (now_s,))
            self._db.execute("DELETE FROM tokens WHERE used_s <= ?", (now_s - forget_after_s,))

    def _used(self, token: str) -> float:
        """Return when `token` was last used, about. Raises NotFound."""
        found = self._db.execute("SELECT used_s FROM tokens WHERE token = ?", (token,)).fetchone()
        if found is None:
            raise NotFound("no such token")
        return float(found[0])

    @contextmanager
    def _writing(self) -> Iterator[float]:
        """Run the block as one transaction, and yield the time, which is saved along."""
        now_s = self._clock.now()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield now_s
            self._db.execute("UPDATE clock SET now_s = ?", (now_s,))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _durably(self) -> Iterator[None]:
        """Let a transaction within survive a power failure: a new token is handed out only once."""
        self._db.execute("PRAGMA synchronous = FULL")
        try:
            yield
        finally:
            self._db.execute("PRAGMA synchronous = NORMAL")
