"""One body for several engines: each chunk is held once, and the slowest engine that lives sets the pace."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_BYTES = 256 * 1024
STALL_S = 60.0


class Branch:
    """One engine's copy of the body: an iterator of chunks."""

    def __init__(self, window_bytes: int, stall_s: float) -> None:
        self.dropped = False  # it took nothing for too long
        self.on_drop: Callable[[], None] = lambda: None
        self._window_bytes = window_bytes
        self._stall_s = stall_s
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0
        self._complete = False
        self._closed = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._taken_at = 0.0

    def __aiter__(self) -> "Branch":
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk. It ends with the whole body: one that is cut short never looks complete."""
        while not self._chunks:
            if self._complete:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        chunk = self._chunks.popleft()
        self._held_bytes -= len(chunk)
        self._taken_at = asyncio.get_running_loop().time()
        self._room.set()
        return chunk

    def close(self) -> None:
        """Take no more: this engine has ended. The others do not wait for it any longer."""
        self._closed = True
        self._chunks.clear()
        self._room.set()

    async def put(self, chunk: bytes) -> None:
        """Hold `chunk` as soon as there is room, or let it go if the branch is closed or stalls."""
        while not self._closed and self._held_bytes >= self._window_bytes:
            self._room.clear()
            try:
                async with asyncio.timeout_at(self._taken_at + self._stall_s):
                    await self._room.wait()
            except TimeoutError:
                self.dropped = True
                self.close()
                self.on_drop()
        if self._closed:
            return
        if not self._held_bytes:
            self._taken_at = asyncio.get_running_loop().time()  # it had nothing to take until now
        self._chunks.append(chunk)
        self._held_bytes += len(chunk)
        self._changed.set()

    def complete(self) -> None:
        """Say that the body has ended."""
        self._complete = True
        self._changed.set()


class Tee:
    """A body that is copied to branches while it comes in.

    Each branch holds at most a chunk more than `window_bytes`. One that takes nothing for `stall_s` although
    it is full is dropped, so that a hung engine holds up the others once and for a bounded time. (Classic
    gave up on all engines when one failed.)
    """

    def __init__(self, *, window_bytes: int = WINDOW_BYTES, stall_s: float = STALL_S) -> None:
        self._window_bytes = window_bytes
        self._stall_s = stall_s
        self._branches: list[Branch] = []

    def branch(self) -> Branch:
        """Return a new copy. Branches are made before the first chunk."""
        branch = Branch(self._window_bytes, self._stall_s)
        self._branches.append(branch)
        return branch

    async def feed(self, chunk: bytes) -> None:
        """Give `chunk` to all branches; returns when each has taken it in or is out."""
        if chunk:
            for branch in self._branches:
                await branch.put(chunk)

    def complete(self) -> None:
        """Say that the body has ended as it should."""
        for branch in self._branches:
            branch.complete()
