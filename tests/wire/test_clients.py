"""Who a client is, for each question that is asked of that."""

import asyncio
import hashlib
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from swarmproxy.wire import clients
from tests.wire.conftest import Certificates


@asynccontextmanager
async def connected(*, path: Path | None = None, made: Certificates | None = None) -> AsyncIterator[asyncio.Transport]:
    """Connect to ourselves, by a unix socket or with a certificate if there is one; yield the server's side."""
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepted.put(writer)

    ours = theirs = None
    if made is not None:
        ours, theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context(cafile=made.ca)
        ours.load_cert_chain(made.cert, made.key)
        ours.load_verify_locations(made.ca)
        ours.verify_mode = ssl.CERT_REQUIRED
        theirs.load_cert_chain(made.client_cert, made.client_key)
    if path is not None:
        server: asyncio.Server = await asyncio.start_unix_server(accept, path)
        _, client = await asyncio.open_unix_connection(path)
    else:
        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=ours)
        _, client = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=theirs)
    writer = await accepted.get()
    try:
        yield writer.transport  # type: ignore[misc]
    finally:
        client.close()
        writer.close()
        server.close()
        await server.wait_closed()


async def test_by_address() -> None:
    """Over TCP a client is its address, and anybody may read along."""
    async with connected() as transport:
        port = transport.get_extra_info("peername")[1]
        assert clients.remote_of(transport) == f"127.0.0.1:{port}"
        assert {each(transport) for each in (clients.host_of, clients.account_of, clients.peer_of)} == {"127.0.0.1"}
        assert not clients.is_private(transport)
        assert not clients.certificate_of(transport)
        assert clients.user_of(transport) is None


async def test_by_user(tmp_path: Path) -> None:
    """At a unix socket it is a user of this machine, whatever the process."""
    async with connected(path=tmp_path / "socket") as transport:
        user = f"uid={os.getuid()}"
        assert clients.remote_of(transport) == "unix"
        assert {each(transport) for each in (clients.host_of, clients.account_of, clients.peer_of)} == {user}
        assert clients.is_private(transport)
        assert clients.user_of(transport) == (os.getuid(), os.getgid())


async def test_by_certificate(certificates: Certificates) -> None:
    """Connections are counted by address, requests by the name in the certificate, and one client has both the same."""
    async with connected(made=certificates) as transport:
        encoded = ssl.PEM_cert_to_DER_cert(certificates.client_cert.read_text())
        assert clients.encoded_certificate_of(transport) == encoded
        assert clients.host_of(transport) == "127.0.0.1"
        assert clients.account_of(transport) == "CN=client"
        assert clients.peer_of(transport) == f"127.0.0.1 {hashlib.sha256(encoded).hexdigest()}"
        assert clients.is_private(transport)
