"""Records on their way to a file: the loop hands them over in bundles, and a thread waits for the disk."""

import asyncio
import logging
import os
import stat
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

import msgspec

from swarmproxy.errors import ConfigError

log = logging.getLogger("swarmproxy.audit")

MODE = 0o640
STDOUT = Path("-")
BUNDLE_S = 0.05  # a record is so old at most when it is handed over
MAX_WAITING_BYTES = 16 * 1024 * 1024
CLOSE_S = 5.0
LOST = "audit records are lost"
_LINE_END = ord("\n")


class Writer:
    """Appends records as lines of JSON. No caller ever waits: what cannot be written is counted, and told in the log.

    Once records can be written again, one of our own says how many are missing before them.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`, `-` for the standard output. Raises ConfigError."""
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._lines: list[bytes] = []
        self._bundles: SimpleQueue[bytes | int | None] = SimpleQueue()  # an int is another file, None the end
        self._timer: asyncio.TimerHandle | None = None
        # Each of these is changed by one side only, so no lock is needed: by the loop
        self._offered_bytes = 0
        self._refused = 0  # records for which there was no room
        self._is_full = False
        # and by the thread.
        self._done_bytes = 0
        self._failed = 0  # records that could not be written
        self._reported = 0  # records that the file says are missing
        self._failing = False
        self._torn = False  # the last line of the file is not complete
        self.written = 0
        self._fd = self._open()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def write(self, record: msgspec.Struct) -> None:
        """Have `record` written soon."""
        line = self._encoder.encode(record) + b"\n"
        if self._offered_bytes - self._done_bytes + len(line) > MAX_WAITING_BYTES:
            self._refused += 1
            if not self._is_full:
                self._is_full = True
                log.error(LOST, extra={"path": str(self._path), "error": "they come faster than they can be written"})
            return
        self._is_full = False
        self._offered_bytes += len(line)
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BUNDLE_S, self._hand_over)

    @property
    def lost(self) -> int:
        """How many records have not been written, and will not be."""
        return self._refused + self._failed

    def reopen(self) -> None:
        """Go on in a file of the same name, which somebody else has moved away. Raises ConfigError, and stays then."""
        if self._path != STDOUT:
            fd = self._open()
            self._hand_over()
            self._bundles.put(fd)

    def close(self) -> None:
        """Write what is left, and return soon."""
        self._hand_over()
        self._bundles.put(None)
        self._thread.join(CLOSE_S)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines:
            self._bundles.put(b"".join(lines))

    def _open(self) -> int:
        if self._path == STDOUT:
            return os.dup(sys.stdout.fileno())
        try:
            # without O_NONBLOCK a FIFO that nobody reads would stop us here for ever
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, MODE)
        except OSError as error:
            raise ConfigError(f"--audit: cannot write to {self._path}: {error.strerror}") from error
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.close(fd)
            raise ConfigError(f"--audit: {self._path} is a directory")
        os.set_blocking(fd, True)
        return fd

    # The thread.

    def _run(self) -> None:
        while (bundle := self._bundles.get()) is not None:
            if isinstance(bundle, int):
                os.close(self._fd)
                self._fd, self._torn = bundle, False
                continue
            count = bundle.count(b"\n")
            try:
                self._append(bundle)
            except OSError as error:
                self._failed += count
                if not self._failing:
                    self._failing = True
                    log.error(LOST, extra={"path": str(self._path), "error": error.strerror})  # noqa: TRY400
            else:
                self.written += count
                if self._failing:
                    self._failing = False
                    log.warning("audit log is written again", extra={"path": str(self._path)})
            self._done_bytes += len(bundle)
        os.close(self._fd)

    def _append(self, bundle: bytes) -> None:
        """Write lines, and before them what is missing. Raises OSError, after a part of them perhaps."""
        lost = self.lost
        before = b"\n" if self._torn else b""
        if lost > self._reported:
            before += b'{"missing_records":%d}\n' % (lost - self._reported)
        left = memoryview(before + bundle)
        while left:
            count = os.write(self._fd, left)
            self._torn = left[count - 1] != _LINE_END
            left = left[count:]
        self._reported = lost
