"""TLS in both roles. The half-closes are in test_hijack, which runs over TLS too."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from swarmproxy.errors import ConfigError, EngineUnreachable
from swarmproxy.wire import tls
from swarmproxy.wire.address import Address
from swarmproxy.wire.fetch import fetch
from swarmproxy.wire.limits import Limits
from swarmproxy.wire.pool import EngineConnection, Pool
from swarmproxy.wire.tls import RenewableContext
from tests.wire.conftest import Certificates, Start, fixed, make_certificates, make_pair
from tests.wire.peers import GUARD_S, Peer, ScriptedEngine, answer_ok, connect

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Files:
    """What the operator's files hold just now."""

    of: Certificates


def context_of(certificates: Certificates) -> ssl.SSLContext:
    """Return the context of a client that shows its certificate."""
    c = certificates
    return tls.client_context(cert=c.client_cert, key=c.client_key, ca=c.ca, verify=True)


async def test_real_clients(start: Start, certificates: Certificates) -> None:
    """The real clients curl and openssl speak to it: TLS 1.2 and 1.3, ALPN http/1.1, nothing older."""
    proxy = await start("tls1.3")
    proxy.engine.script = answer_ok

    async def run(*command: object) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), GUARD_S)
        return process.returncode or 0, output.decode()

    for version in ("1.2", "1.3"):
        how = ("-sS", f"--tlsv{version}", "--tls-max", version, "--cacert", certificates.ca)
        assert await run("curl", *how, f"https://localhost:{proxy.port}/") == (0, "ok")
    target = ("-connect", f"localhost:{proxy.port}", "-CAfile", certificates.ca)
    _, output = await run("openssl", "s_client", *target, "-alpn", "h2,http/1.1")
    assert "ALPN protocol: http/1.1" in output
    code, _ = await run("openssl", "s_client", *target, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert code != 0


@pytest.mark.parametrize("preferred", ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"])
async def test_client_chooses_the_cipher(start: Start, preferred: str) -> None:
    """Of the ciphers that both sides have, the client's first is taken."""
    proxy = await start("tls1.3")
    order = f"{preferred}:TLS_AES_256_GCM_SHA384"
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"localhost:{proxy.port}", "-ciphersuites", order),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), GUARD_S)
    assert f"Cipher is {preferred}".encode() in output


async def test_plain_http_on_a_tls_port(start: Start) -> None:
    """Plain HTTP is told what is wrong, in the words of Go's servers."""
    proxy = await start("tls1.3")
    client = await connect(proxy.port)
    await client.send(GET)
    answer = await client.rest()
    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert answer.endswith(b"Client sent an HTTP request to an HTTPS server.\n")
    client.close()


async def test_client_certificates(start: Start, certificates: Certificates) -> None:
    """With a CA, a client without a certificate gets no answer, and one with a certificate of the CA does."""
    proxy = await start("tls1.3", client_ca=True)
    proxy.engine.script = answer_ok
    bare = await proxy.connect()
    with contextlib.suppress(ConnectionError):
        await bare.send(GET)
    with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
        await bare.answer()
    proxy.client_tls = context_of(certificates)
    client = await proxy.connect()
    await client.send(GET)
    assert (await client.answer())[2] == b"ok"


async def test_handshake_deadline(start: Start) -> None:
    """A client that does not shake hands in time is cut off."""
    proxy = await start("tls1.3", limits=Limits(handshake_timeout_s=0.3))
    client = await connect(proxy.port)
    with pytest.raises((EOFError, ConnectionError)):
        await client.exactly(1)
    client.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_sessions_are_resumed_by_clients(start: Start, version: ssl.TLSVersion) -> None:
    """A client that comes back with its session is spared the certificates."""
    proxy = await start("tls1.3")
    proxy.engine.script = answer_ok
    assert proxy.client_tls is not None
    proxy.client_tls.maximum_version = version
    session = None
    for resumed in (False, True, True):
        client = await proxy.connect(session=session)
        await client.send(GET)
        await client.answer()
        assert client.tls is not None
        assert client.tls.session_reused is resumed
        session = client.tls.session


async def test_sessions_are_resumed_towards_engines(start: Start, mode: str) -> None:
    """A new connection to a known engine resumes the session of the last one."""
    if mode == "plain":
        return
    proxy = await start(mode)
    reused: list[bool] = []

    async def script(peer: Peer) -> None:
        assert peer.tls is not None
        reused.append(bool(peer.tls.session_reused))
        await answer_ok(peer)

    proxy.engine.script = script
    first = await proxy.pool.acquire()
    first.release()
    client = await proxy.connect()
    await client.send(GET)
    await client.answer()
    busy = proxy.pool.take_idle()
    assert busy is not None
    second = await proxy.pool.acquire()
    while len(reused) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert reused == [False, True]
    second.abort()
    busy.abort()


@pytest.mark.parametrize("name", ["other", "127.0.0.1"])
async def test_engine_name_is_checked(start: Start, certificates: Certificates, tmp_path: Path, name: str) -> None:
    """An engine whose certificate is not for its address, or not of the CA, is unreachable; the reason is said."""
    proxy = await start("tls1.3")
    proxy.engine.script = answer_ok
    port = proxy.engine.port
    verifying = tls.client_context(cert=None, key=None, ca=certificates.ca, verify=True)
    unverifying = tls.client_context(cert=None, key=None, ca=None, verify=False)
    strange = tls.client_context(cert=None, key=None, ca=None, verify=True)
    host = "127.0.0.1" if name == "127.0.0.1" else socket.gethostname()
    address = Address("127.0.0.2", port) if name == "other" else Address(host, port)
    if name == "127.0.0.1":
        (await Pool(address, tls=fixed(verifying)).acquire()).abort()
        (await Pool(address, tls=fixed(unverifying)).acquire()).abort()
        with pytest.raises(EngineUnreachable, match="certificate verify failed"):
            await Pool(address, tls=fixed(strange)).acquire()
        return
    server = await asyncio.start_server(proxy.engine._serve, "127.0.0.2", port)
    with pytest.raises(EngineUnreachable, match=r"not valid for '127\.0\.0\.2'"):
        await Pool(address, tls=fixed(verifying)).acquire()
    server.close()


async def test_renewed_towards_clients(start: Start, certificates: Certificates, tmp_path: Path) -> None:
    """Renewed files serve the next handshakes, with another authority as well, and what is open goes on.

    Files that cannot be used change nothing.
    """
    ours, other = certificates, make_certificates(tmp_path)
    files = Files(ours)
    context = RenewableContext(lambda: tls.server_context(cert=files.of.cert, key=files.of.key, ca=files.of.ca))
    proxy = await start("tls1.3", listener=context)
    proxy.engine.script = answer_ok
    proxy.client_tls = context_of(ours)
    before = await proxy.connect()
    await before.send(GET)
    assert (await before.answer())[2] == b"ok"

    files.of = other
    context.renew()
    stranger = await connect(proxy.port)
    with pytest.raises(ssl.SSLCertVerificationError):
        await Peer(stranger.reader, stranger.writer, context_of(ours)).shake_hands()
    stranger.close()
    proxy.client_tls = context_of(other)
    after = await proxy.connect()
    for client in (after, before):
        await client.send(GET)
        assert (await client.answer())[2] == b"ok"

    files.of = replace(other, key=ours.key)  # as in the middle of a renewal: the one file is new, the other is old
    with pytest.raises(ConfigError, match="Couldn't load X509 key pair"):
        context.renew()
    late = await proxy.connect()
    await late.send(GET)
    assert (await late.answer())[2] == b"ok"


async def test_renewed_towards_engines(certificates: Certificates, tmp_path: Path) -> None:
    """The next connection to an engine shows the renewed certificate, in a session of its own."""
    ours = certificates
    cert, key = make_pair(tmp_path, "renewed", ours.ca, ours.ca.with_suffix(".key"))
    engine = ScriptedEngine(tls.server_context(cert=ours.cert, key=ours.key, ca=ours.ca))
    shown: list[tuple[object, bool]] = []

    async def script(peer: Peer) -> None:
        assert peer.tls is not None
        shown.append(((peer.tls.getpeercert() or {})["subject"], bool(peer.tls.session_reused)))
        await answer_ok(peer)

    engine.script = script
    await engine.start()
    files = Files(ours)
    pool = Pool(Address("127.0.0.1", engine.port), tls=RenewableContext(lambda: context_of(files.of)))

    async def dial() -> EngineConnection:
        """Return a connection that has served a request, and so knows its session."""
        before = len(shown)
        connection = await pool.acquire(fresh=True)
        while len(shown) == before:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        connection.release()
        assert (await fetch(pool, "GET", "/", timeout_s=GUARD_S)).body == b"ok"
        assert pool.take_idle() is connection
        return connection

    first, second = await dial(), await dial()
    files.of = replace(ours, client_cert=cert, client_key=key)
    assert pool.tls is not None
    pool.tls.renew()
    third, fourth = await dial(), await dial()
    client, renewed = ((("commonName", "client"),),), ((("commonName", "renewed"),),)
    assert shown == [(client, False), (client, True), (renewed, False), (renewed, True)]
    for connection in (first, second, third, fourth):
        assert connection.is_usable()
        connection.release()
    await pool.close()
    await engine.stop()


def test_bad_files(certificates: Certificates, tmp_path: Path) -> None:
    """Errors are in the words of classic Swarm, and an encrypted key asks nobody."""
    c = certificates
    encrypted = tmp_path / "encrypted.key"
    how = ("-aes256", "-passout", "pass:secret", "-in", str(c.key), "-out", str(encrypted))
    subprocess.run(["openssl", "rsa", *how], check=True, capture_output=True)
    for key in (encrypted, tmp_path / "missing.key", c.client_key):
        with pytest.raises(ConfigError) as caught:
            tls.server_context(cert=c.cert, key=key, ca=None)
        assert str(caught.value).startswith(f"Couldn't load X509 key pair ({c.cert}, {key}): ")
        assert str(caught.value).endswith(". Key encrypted?")
    for ca in (tmp_path / "missing.pem", c.key):
        with pytest.raises(ConfigError, match="Couldn't read CA certificate: "):
            tls.client_context(cert=None, key=None, ca=ca, verify=True)
