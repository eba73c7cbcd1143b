"""Which engines belong to the cluster: what discovery says, one running `Engine` for each entry."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from swarmproxy.engine.engine import Engine
from swarmproxy.errors import BadRequest
from swarmproxy.wire.address import Address

log = logging.getLogger("swarmproxy.cluster")


GRACE_S = 30.0


class Members(Protocol):
    """What membership tells of its changes. Both are synchronous: what a list says holds from then on."""

    def joined(self, engine: Engine) -> None:
        """An engine takes part: one that is about to run, or one that has come back with what it knows."""

    def left(self, engine: Engine) -> None:
        """An engine takes no part any more."""


@dataclass(frozen=True, slots=True)
class _Member:
    engine: Engine
    task: asyncio.Task[None]


class Membership:
    """Keeps one `Engine` running for each address that discovery lists.

    One that is not listed any more takes no part from then on, but is kept for `grace_s`: an entry that expired
    and is registered again comes back with all that was known of it.
    """

    def __init__(self, build: Callable[[Address], Engine], members: Members, *, grace_s: float = GRACE_S) -> None:
        self._build = build
        self._members = members
        self._grace_s = grace_s
        self._listed: dict[str, Address] = {}
        self._present: dict[Address, _Member] = {}
        self._parted: dict[Address, tuple[_Member, asyncio.TimerHandle]] = {}

    def engines(self) -> list[Engine]:
        """Every member, whatever its state, in the order in which they joined."""
        return [member.engine for member in self._present.values()]

    def change(self, texts: Iterable[str], tasks: asyncio.TaskGroup) -> None:
        """Make the members those that `texts` name: leavers go first, then newcomers come, the rest is not touched.

        An entry that is no address is logged and harms no other.
        """
        before, self._listed = self._listed, {}
        for text in texts:
            try:
                self._listed[text] = before.get(text) or Address.parse(text)
            except BadRequest as error:
                log.warning("Discovery error", extra={"entry": text, "error": str(error)})
        # By text, whose hash is known: to hash a thousand addresses is most of what a change would cost.
        for text in [each for each in before if each not in self._listed]:
            # Two texts can name one address.
            if before[text] in self._present and before[text] not in self._listed.values():
                self._part(before[text])
        for text in [each for each in self._listed if each not in before]:
            address = self._listed[text]
            if address not in self._present:
                self._present[address] = member = self._returned(address) or self._new(address, tasks)
                self._members.joined(member.engine)

    def close(self) -> None:
        """End all engines, without grace."""
        for address in list(self._present):
            self._part(address)
        for address in list(self._parted):
            self._end(address)

    def _new(self, address: Address, tasks: asyncio.TaskGroup) -> _Member:
        engine = self._build(address)
        return _Member(engine, tasks.create_task(engine.run(), name=f"engine {address}"))

    def _part(self, address: Address) -> None:
        member = self._present.pop(address)
        timer = asyncio.get_running_loop().call_later(self._grace_s, self._end, address)
        self._parted[address] = member, timer
        self._members.left(member.engine)
        log.info("Removed Engine", extra={"engine": member.engine.name, "addr": str(address)})

    def _returned(self, address: Address) -> _Member | None:
        """Return the member of this address that is still kept, if any, and no other has taken its place."""
        if address not in self._parted:
            return None
        member, timer = self._parted.pop(address)
        timer.cancel()
        if member.engine.facts is not None and self._is_taken(member.engine.facts.id):
            member.task.cancel()
            return None
        return member

    def _is_taken(self, daemon_id: str) -> bool:
        """Return whether a member is the daemon `daemon_id`."""
        return any(
            engine.is_member and engine.facts is not None and engine.facts.id == daemon_id for engine in self.engines()
        )

    def _end(self, address: Address) -> None:
        member, timer = self._parted.pop(address)
        timer.cancel()
        member.task.cancel()
