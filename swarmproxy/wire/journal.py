"""Those that keep account of requests, as the server protocol tells them."""

from typing import Protocol

from swarmproxy.wire.exchange import AsgiExchange, ClientConnection
from swarmproxy.wire.head import Fields, RequestHead

UNREAD = RequestHead(b"", b"", False, Fields((), (), b"", -1, False, frozenset(), b"", False), False, False)
"""Stands for the head of a request that could not be read."""


class Journal(Protocol):
    """Is told of every request. Both are called on the way of the request: they may take no time, nor raise."""

    def begun(self, exchange: AsgiExchange) -> None:
        """Take in a request whose head was read, or could not be."""

    def ended(self, exchange: AsgiExchange) -> None:
        """Take in its end. Called once for each `begun`: answered, refused, cut off, or a stream that is over."""


def note_unread(journal: Journal | None, connection: ClientConnection, status: int) -> None:
    """Tell of a request that was answered with `status` because its head could not be read."""
    if journal is not None:
        exchange = AsgiExchange(connection, UNREAD)
        exchange.status = status
        journal.begun(exchange)
        journal.ended(exchange)
