"""A real uvicorn server in this process, with our protocol and an application that relays to a scripted engine."""

import asyncio
import contextlib
import functools
import json
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop

from swarmproxy.errors import EngineUnreachable
from swarmproxy.wire import tls
from swarmproxy.wire.address import Address
from swarmproxy.wire.admission import Admission
from swarmproxy.wire.factory import protocol_factory
from swarmproxy.wire.fetch import Answer
from swarmproxy.wire.journal import Journal
from swarmproxy.wire.limits import Limits
from swarmproxy.wire.pool import Pool
from swarmproxy.wire.relay import DEFAULT, Exchange, RelayOptions
from swarmproxy.wire.tls import RenewableContext
from tests.wire.peers import GUARD_S, Peer, ScriptedEngine, connect


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass(frozen=True)
class Certificates:
    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_pair(folder: Path, name: str, ca: Path, ca_key: Path) -> tuple[Path, Path]:
    key, request, cert, ext = (folder / f"{name}.{end}" for end in ("key", "csr", "pem", "ext"))
    ext.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    sign = ("-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", 30, "-extfile", ext)
    _openssl("x509", "-req", "-in", request, "-out", cert, *sign)
    return cert, key


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def make_certificates(folder: Path) -> Certificates:
    """Return a new authority and what it signed."""
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    made = ("-keyout", ca_key, "-out", ca, "-days", 30, "-subj", "/CN=test CA")
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *made)
    return Certificates(ca, *make_pair(folder, "server", ca, ca_key), *make_pair(folder, "client", ca, ca_key))


@dataclass
class Proxy:
    """The server under test and what is around it."""

    engine: ScriptedEngine
    pool: Pool
    port: int
    server: uvicorn.Server
    client_tls: ssl.SSLContext | None
    admission: Admission
    options: RelayOptions = DEFAULT
    results: list[Any] = field(default_factory=list)  # what `relay` returned or raised
    own: Callable[..., Awaitable[None]] | None = None  # answers instead of the relay
    asked: int = 0  # how often the application was
    replies_at_once: bool = False  # with the target, instead of forwarding
    question_timeout_s: float = 0.0  # if not 0, the engine is asked for what an answer of our own is made of

    clients: list[Peer] = field(default_factory=list)

    async def connect(self, **how: Any) -> Peer:
        client = await connect(self.port, self.client_tls, **how)
        self.clients.append(client)
        return client

    async def result(self) -> Any:
        """Return what `relay` returned or raised next."""
        async with asyncio.timeout(GUARD_S):
            while not self.results:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return self.results.pop(0)

    def at_once(self, exchange: Exchange) -> bool:
        """Answer or forward as a manager does what needs no waiting."""
        if self.replies_at_once:
            exchange.answer_at_once(200, b"", exchange.request.target)
            return True
        if self.question_timeout_s:
            method, target = exchange.request.method.decode(), exchange.request.target.decode()
            then = functools.partial(self._answer, exchange)
            body, timeout_s = exchange.whole_body(), self.question_timeout_s
            return exchange.ask_at_once(self.pool, method, target, then, body=body, timeout_s=timeout_s)
        if self.own is not None or self.options.upgrade or exchange.request.has_body or self.options.body is not None:
            return False
        return exchange.relay_at_once(self.pool, exchange.request.target, self.options, self._ended)

    def _answer(self, exchange: Exchange, answer: Answer | EngineUnreachable) -> None:
        self.results.append(answer)
        body = answer.body + b", and more" if isinstance(answer, Answer) else str(answer).encode()
        exchange.answer_at_once(answer.status if isinstance(answer, Answer) else 500, b"x-own: 1\r\n", body)

    def _ended(self, status: int) -> None:
        if status:  # else the application was asked after all, or the client has gone
            self.results.append(status)

    async def app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.asked += 1
        exchange = scope["extensions"]["swarmproxy.exchange"]
        if self.own is not None:
            await self.own(scope, receive, send)
            return
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        try:
            self.results.append(await exchange.relay(self.pool, target, options=self.options))
        except EngineUnreachable as error:
            self.results.append(error)
            body = json.dumps({"message": str(error)}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 500, "headers": headers})
            await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def fixed(context: ssl.SSLContext | None) -> RenewableContext | None:
    """Return what servers and pools take, for a context that stays."""
    return RenewableContext(lambda: context) if context is not None else None


Start = Callable[..., Awaitable[Proxy]]


@pytest.fixture
async def start(certificates: Certificates) -> AsyncIterator[Start]:
    """Return what starts a proxy: `mode` is plain, tls1.2 or tls1.3, on both hops."""
    ends: list[Callable[[], Awaitable[None]]] = []

    async def start_proxy(
        mode: str = "plain",
        *,
        limits: Limits | None = None,
        client_ca: bool = False,
        journal: Journal | None = None,
        listener: RenewableContext | None = None,
        **pool_options: Any,
    ) -> Proxy:
        c = certificates
        secure = mode != "plain"
        server_tls = tls.server_context(cert=c.cert, key=c.key, ca=c.ca if client_ca else None) if secure else None
        engine_tls = tls.server_context(cert=c.cert, key=c.key, ca=None) if secure else None
        client_tls = tls.client_context(cert=None, key=None, ca=c.ca, verify=True) if secure else None
        pool_tls = tls.client_context(cert=None, key=None, ca=c.ca, verify=True) if secure else None
        if mode == "tls1.2":
            for context in (client_tls, pool_tls):
                assert context is not None
                context.maximum_version = ssl.TLSVersion.TLSv1_2
        engine = ScriptedEngine(engine_tls)
        await engine.start()
        pool = Pool(Address("127.0.0.1", engine.port), tls=fixed(pool_tls), **pool_options)
        listens = socket.create_server(("127.0.0.1", 0))
        admission = Admission(limits or Limits())
        proxy = Proxy(engine, pool, listens.getsockname()[1], None, client_tls, admission)  # type: ignore[arg-type]
        config = uvicorn.Config(
            proxy.app,
            http=protocol_factory(  # type: ignore[arg-type]
                tls=listener or fixed(server_tls),
                limits=limits,
                shortcut=proxy.at_once,
                journal=journal,
                admission=admission,
            ),
            lifespan="off",
            interface="asgi3",
            proxy_headers=False,
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=int(GUARD_S),
        )
        proxy.server = _Server(config)
        serving = asyncio.get_running_loop().create_task(proxy.server.serve(sockets=[listens]), name="server")
        while not proxy.server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

        async def end() -> None:
            await pool.close()
            for client in proxy.clients:
                client.writer.transport.abort()
            proxy.server.should_exit = True
            for connection in list(proxy.server.server_state.connections):
                connection.transport.abort()
            await asyncio.wait_for(serving, GUARD_S)
            await engine.stop()
            await asyncio.sleep(0.01)  # uvloop closes handles in its next round

        ends.append(end)
        return proxy

    yield start_proxy
    for end in ends:
        await end()


@pytest.fixture(params=["plain", "tls1.2", "tls1.3"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def proxy(start: Start) -> Proxy:
    """A plain proxy."""
    return await start()
