"""Several journals as one."""

from collections.abc import Sequence

from swarmproxy.wire.exchange import AsgiExchange
from swarmproxy.wire.journal import Journal


class Journals:
    """Tells each of several."""

    def __init__(self, journals: Sequence[Journal]) -> None:
        self._journals = tuple(journals)

    def begun(self, exchange: AsgiExchange) -> None:
        """See Journal."""
        for each in self._journals:
            each.begun(exchange)

    def ended(self, exchange: AsgiExchange) -> None:
        """See Journal."""
        for each in self._journals:
            each.ended(exchange)


def joined(journals: Sequence[Journal]) -> Journal | None:
    """Return what tells all of `journals`; None if there are none."""
    return Journals(journals) if len(journals) > 1 else next(iter(journals), None)
