"""The operators' book, kept where it survives this manager: written before it counts, and read before we lead."""

import asyncio
import logging
from collections.abc import Callable

from discovery import ChangedElsewhereError, DiscoveryError, Keeper
from swarmproxy.cluster.operators import NodeBook, NodeRecord, Unreadable
from swarmproxy.errors import Conflict, SwarmError, Unavailable

log = logging.getLogger("swarmproxy.cluster")

LOOK_S = 5.0
"""How often a replica, which answers `info` itself, looks at what the leader wrote."""

RETRY_S = 1.0
WRITE_S = 15.0
"""The longest that an operator waits for the store, whatever it does."""

IN_MEMORY = "kept in memory only, until this manager ends: there is neither a store nor a --state-file"


class Bookkeeping:
    """Has the book kept by `keeper`; without one it is only in memory.

    `leads` says whether this manager answers for the cluster: only that one writes. `is_shared`: there are others that
    may have led before.
    """

    def __init__(
        self,
        book: NodeBook,
        keeper: Keeper | None = None,
        leads: Callable[[], bool] = lambda: True,
        *,
        is_shared: bool = False,
        look_s: float = LOOK_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.book = book
        self._keeper = keeper
        self._leads = leads
        self._is_shared = is_shared
        self._look_s = look_s
        self._retry_s = retry_s
        self._lock = asyncio.Lock()  # one after the other, or a change would be lost
        self._is_known = False  # we have read the document since we lead
        self._kept: bytes | None = None  # the document that the book is; None: there is none
        self._doubtful: bytes | None = None  # what may stand in the store instead: nobody told us
        self._warned = False
        self._failing = ""  # why the document cannot be read now
        self._lost = ""  # why the book may not be all that was ever said, though it can be read now

    @property
    def problem(self) -> str:
        """Why the book may not be all that was said; empty if all is well."""
        if self._failing:
            return f"what operators said of nodes cannot be read: {self._failing}"
        return self._lost

    @property
    def warnings(self) -> list[str]:
        """What an operator should know of a change that was made."""
        return [IN_MEMORY] if self._keeper is None else []

    async def change(self, edit: Callable[[], NodeRecord]) -> NodeRecord:
        """Have what `edit` makes of a record kept, then take it in and return it.

        `edit` is called when no other change is under way. Raises what it does, Unavailable if it cannot be kept, and
        Conflict if another manager has written meanwhile, whose word then counts. Nothing has changed in all cases.
        """
        async with self._lock:
            if self._keeper is None:
                if not self._warned:
                    self._warned = True
                    log.warning("what operators say of nodes is %s", IN_MEMORY)
                record = edit()
                self.book.document(record)
            else:
                try:
                    async with asyncio.timeout(WRITE_S):
                        record = await self._keep(self._keeper, edit)
                except (DiscoveryError, TimeoutError) as error:
                    reason = str(error) or "the store does not answer in time"
                    raise Unavailable(f"nothing was changed, for it cannot be kept: {reason}") from error
            self.book.put(record)
            return record

    async def catch_up(self) -> None:
        """Read what is kept, before this manager leads. It goes on without if that fails, and `run` tries again."""
        self._is_known = False
        async with self._lock:
            await self._look(takes_over=True)

    async def run(self) -> None:
        """See to it that what is kept and what we know become the same again when they are not, until cancelled."""
        try:
            while self._keeper is not None:
                leads = self._leads()
                if not leads or not self._is_known or self._doubtful is not None:
                    async with self._lock:
                        await self._look(takes_over=leads)
                await asyncio.sleep(
                    self._look_s if self._doubtful is None and (self._is_known or not leads) else self._retry_s
                )
        finally:
            if self._keeper is not None:
                await self._keeper.close()

    async def _keep(self, keeper: Keeper, edit: Callable[[], NodeRecord]) -> NodeRecord:
        """Write what `edit` makes, and return it. Raises DiscoveryError, Unavailable or Conflict."""
        if not self._is_known or self._doubtful is not None:
            await self._bring_together(keeper, takes_over=True)  # never write over what we have not seen
        for is_last in (False, True):
            record = edit()
            document, before = self.book.document(record), self._kept
            if not self._leads():
                raise Unavailable("nothing was changed: this manager leads no more, try again")
            self._doubtful = document
            try:
                await keeper.write(document)
            except ChangedElsewhereError as error:
                self._doubtful = None
                await self._bring_together(keeper, takes_over=True)
                if is_last or self._kept != before:
                    raise Conflict(f"nothing was changed, look at the nodes and try again: {error}") from error
            else:
                self._kept, self._doubtful, self._lost = document, None, ""
                self.book.serial += 1
                break
        return record

    async def _look(self, *, takes_over: bool) -> None:
        if self._keeper is None:
            return
        try:
            await self._bring_together(self._keeper, takes_over=takes_over)
        except (DiscoveryError, SwarmError) as error:
            problem = str(error)
        else:
            return
        if takes_over and problem != self._failing:
            log.error("what operators said of nodes cannot be read", extra={"error": problem})
        self._failing = problem

    async def _bring_together(self, keeper: Keeper, *, takes_over: bool) -> None:
        """Make the document and the book the same. Raises DiscoveryError.

        A change of ours that nobody was told of is undone, unless others led in between, who took it for good.
        """
        found = await keeper.read()
        if self._doubtful is not None and found == self._doubtful and takes_over and self._is_known:
            await self._write_anew(keeper)
        elif found != self._kept:
            try:
                self.book.load(found)
                self._kept = found
            except Unreadable as error:
                if not takes_over:
                    raise DiscoveryError(str(error)) from error
                await self._set_aside(keeper, found or b"", error)
        if found is not None and takes_over and self._is_shared and not self._is_known:
            await self._write_anew(keeper)  # so that what our predecessor may still be writing comes too late
        self._doubtful = None
        self._failing = ""
        self._is_known = self._is_known or takes_over

    async def _set_aside(self, keeper: Keeper, found: bytes, error: Unreadable) -> None:
        place = await keeper.set_aside(found)
        extra = {"kept": place, "error": str(error)}
        log.error("what operators said of nodes is not readable and was set aside", extra=extra)
        await self._write_anew(keeper)
        self._lost = f"what operators said of nodes was not readable ({error}), and is kept in {place}"

    async def _write_anew(self, keeper: Keeper) -> None:
        document = self.book.document()
        await keeper.write(document)
        self._kept = document
        self.book.serial += 1
