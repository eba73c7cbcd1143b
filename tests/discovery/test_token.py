"""`token://` against our own hub as a process, plain and with TLS, and against scripted ones that are odd."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from discovery import Backend, DiscoveryError, Entry, Listing, open_backend, parse_entry
from discovery.token import Hub as Client
from tests.discovery.member import Member
from tests.discovery.servers.hub import UNLIMITED, Hub
from tests.hosts.certificates import Certificates

GUARD_S = 60.0
PLAIN = {"token.insecure": "true"}
TOKEN = "0123456789abcdef0123456789abcdef"


def open_hub(hub: Hub, token: str, *, ttl_s: float = 60, heartbeat_s: float = 20) -> Backend:
    """Return a backend. A hub has half a heartbeat for each step of an answer."""
    return open_backend(hub.url(token), heartbeat_s=heartbeat_s, ttl_s=ttl_s, options=hub.options)


async def next_of(listings: AsyncIterator[Listing]) -> Listing:
    """Return the next listing."""
    async with asyncio.timeout(GUARD_S):
        return await anext(listings)


async def next_good(listings: AsyncIterator[Listing]) -> Listing:
    """Return the next listing without an error: that a hub is late is one."""
    while (listing := await next_of(listings)).error:
        pass
    return listing


def texts(entries: tuple[Entry, ...]) -> list[str]:
    """Return the addresses."""
    return [str(entry) for entry in entries]


@pytest.fixture(scope="module", params=["plain", "tls"])
def hub(
    request: pytest.FixtureRequest, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    """Yield a hub without TLS, and one that demands a certificate."""
    pairs = {"tls": certificates.server, "client": certificates.client} if request.param == "tls" else {}
    made = Hub(tmp_path_factory.mktemp("hub"), *UNLIMITED, **pairs)
    made.start()
    yield made
    made.process.kill()


async def test_register(hub: Hub) -> None:
    """Who registers is listed, in the order of addresses, until it is taken away by whoever registered it."""
    token = hub.create()
    one, two = open_hub(hub, token), open_hub(hub, token)
    assert await one.fetch() == ()
    for address in ("b:1", "[2001:db8::1]:2376", "a:1"):
        await one.register(parse_entry(address))
        await one.register(parse_entry(address))
    expected = ["[2001:db8::1]:2376", "a:1", "b:1"]
    assert texts(await two.fetch()) == hub.entries(token) == expected
    await two.unregister(parse_entry("a:1"))
    assert texts(await two.fetch()) == expected
    for _ in range(2):
        await one.unregister(parse_entry("[2001:db8::1]:2376"))
    assert texts(await two.fetch()) == ["a:1", "b:1"]


@pytest.mark.parametrize("hub", ["plain"], indirect=True)
async def test_come_and_go(hub: Hub) -> None:
    """A watch tells of each change within a heartbeat, and is silent without one."""
    token = hub.create()
    backend = open_hub(hub, token)
    async with aclosing(open_hub(hub, token, heartbeat_s=3).watch()) as listings:  # type: ignore[type-var]
        assert (await next_good(listings)).entries == ()
        before = time.time()
        await backend.register(parse_entry("a:1"))
        listing = await next_good(listings)
        assert texts(listing.entries) == ["a:1"]
        assert before <= listing.read_at <= time.time()
        await backend.register(parse_entry("a:1"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3.3):
                await anext(listings)


async def test_restart(hub: Hub) -> None:
    """A hub that is down removes nobody, is told once, and is followed again when it is back, entries kept."""
    token = hub.create()
    backend = open_hub(hub, token)
    await backend.register(parse_entry("a:1"))
    watch = open_hub(hub, token, heartbeat_s=1).watch()
    async with aclosing(watch) as listings, asyncio.TaskGroup() as tasks:  # type: ignore[type-var]
        before = await next_good(listings)
        hub.process.kill()
        try:
            while not (down := await next_of(listings)).error.endswith("connection refused"):
                assert down.error  # of what was asked when the hub went down
            assert texts(down.entries) == ["a:1"]
            assert before.read_at <= down.read_at <= time.time()
            assert down.error == f"the hub at {hub.address} cannot be asked: connection refused"
            coming = tasks.create_task(next_of(listings), name="next listing")
            await asyncio.sleep(1.5)
            assert not coming.done()
            with pytest.raises(DiscoveryError, match="connection refused"):
                await backend.register(parse_entry("a:1"))
        finally:
            hub.start()
        after = await coming
        if after.error:
            after = await next_good(listings)
        assert texts(after.entries) == ["a:1"]
        assert after.read_at > down.read_at


@pytest.mark.parametrize("hub", ["plain"], indirect=True)
async def test_frozen(hub: Hub) -> None:
    """A hub that hangs is found out within about a heartbeat, and removes nobody."""
    token = hub.create()
    backend = open_hub(hub, token)
    await backend.register(parse_entry("a:1"))
    async with aclosing(open_hub(hub, token, heartbeat_s=1).watch()) as listings:  # type: ignore[type-var]
        await next_good(listings)
        hub.process.freeze()
        try:
            listing = await next_of(listings)
            assert texts(listing.entries) == ["a:1"]
            assert listing.error == f"the hub at {hub.address} does not answer in time"
        finally:
            hub.process.thaw()
        assert texts((await next_good(listings)).entries) == ["a:1"]


async def test_unknown_token(hub: Hub) -> None:
    """A token that the hub does not know is an error with its reason, for readers and agents."""
    backend = open_hub(hub, TOKEN)
    with pytest.raises(
        DiscoveryError,
        match=r"^Failed to fetch entries, Discovery service returned 404 HTTP status code: no such token$",
    ):
        await backend.fetch()
    with pytest.raises(DiscoveryError, match=r"Failed to register, .* 404 .*: no such token$"):
        await backend.register(parse_entry("a:1"))
    await backend.unregister(parse_entry("a:1"))


async def test_a_thousand(hub: Hub) -> None:
    """A thousand agents are listed."""
    token = hub.create()
    backend = open_hub(hub, token)
    addresses = [f"10.0.{number // 100}.{number % 100}:2375" for number in range(1000)]
    with hub.connect() as client:
        for address in addresses:
            assert client.post(f"/clusters/{token}?ttl=60", content=address).status_code == 204
    assert sorted(texts(await backend.fetch())) == sorted(addresses)


@pytest.mark.parametrize("hub", ["plain"], indirect=True)
async def test_killed_agent(hub: Hub) -> None:
    """Who is killed is gone after its time to live, however often it renewed before."""
    token = hub.create()
    member = Member("register", "a:1", hub.url(token), 4, hub.options)
    try:
        watch = open_hub(hub, token, heartbeat_s=1).watch()
        async with aclosing(watch) as listings, asyncio.TaskGroup() as tasks:  # type: ignore[type-var]
            while texts((await next_of(listings)).entries) != ["a:1"]:
                pass
            coming = tasks.create_task(next_good(listings), name="next listing")
            await asyncio.sleep(4.1)
            assert not coming.done()
            member.kill()
            assert (await coming).entries == ()
    finally:
        member.kill()


async def test_create_token(hub: Hub) -> None:
    """Our client gets a token, by a host, a URL or a path of the hub."""
    for location in (hub.address, hub.base, f"{hub.address}/v1", f"{hub.address}/"):
        options = {} if location.startswith("http://") else hub.options
        client = Client.parse(location, options)
        assert hub.entries(await client.create_token()) == []


async def test_hub_by_option(hub: Hub) -> None:
    """A bare token belongs to the hub that the option names."""
    token = hub.create()
    options = {**hub.options, "token.hub": hub.address}
    backend = open_backend(f"token://{token}", heartbeat_s=20, ttl_s=60, options=options)
    await backend.register(parse_entry("a:1"))
    assert hub.entries(token) == ["a:1"]
    assert backend.source == f"token://{hub.address}/{token[:6]}..."


@pytest.mark.parametrize("trust", ["system", "strangers", "no client certificate", "plain"])
async def test_tls_that_does_not_fit(certificates: Certificates, tmp_path: Path, trust: str) -> None:
    """A hub that we do not trust, that does not trust us, or that speaks TLS when we do not, is an error."""
    hub = Hub(tmp_path, *UNLIMITED, tls=certificates.server, client=certificates.client)
    hub.start()
    try:
        options, problem = {
            "system": ({}, "its certificate is not trusted"),
            "strangers": ({"token.cacertfile": str(certificates.stranger.cert)}, "its certificate is not trusted"),
            "no client certificate": (
                {"token.cacertfile": str(certificates.server.ca)},
                "TLS: .*certificate required|broken pipe|reset",
            ),
            "plain": (PLAIN, "400 HTTP status code: Client sent an HTTP request to an HTTPS server"),
        }[trust]
        with pytest.raises(DiscoveryError, match=problem):
            await open_backend(hub.url(TOKEN), heartbeat_s=9, options=options).fetch()
    finally:
        hub.process.kill()


async def test_https_to_a_plain_hub() -> None:
    """A hub without TLS is not spoken to in the clear unless asked to, and the error says how."""
    async with scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        with pytest.raises(DiscoveryError, match=r"does not speak TLS \(token\.insecure=true is for plain http\)"):
            await open_backend(f"token://{address}/{TOKEN}", heartbeat_s=9).fetch()


# Hubs of others.


@asynccontextmanager
async def scripted(*answers: bytes, seen: list[bytes] | None = None) -> AsyncIterator[str]:
    """Yield the address of a server that gives these answers, one a connection, the last one for ever."""
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read(65536)
        if seen is not None:
            seen.append(data)
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def ok(body: bytes) -> bytes:
    """Return an answer with this body."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"null", []),
        (
            b'["a:1", "", "bad", 7, null, "unix:///run/docker.sock", "b:99999", {"c": 1}, "d:1", "a:1"]',
            ["a:1", "d:1", "a:1"],
        ),
    ],
)
async def test_bad_entries_harm_no_other(body: bytes, expected: list[str]) -> None:
    """What is no address in a foreign hub's list is passed over, and nobody names a socket of the manager's."""
    async with scripted(ok(body)) as address:
        backend = open_backend(f"token://{address}/{TOKEN}", heartbeat_s=9, options=PLAIN)
        assert texts(await backend.fetch()) == expected


async def test_order_does_not_count() -> None:
    """A hub that lists in another order each time has not changed."""
    async with scripted(ok(b'["a:1","b:1"]'), ok(b'["b:1","a:1"]'), ok(b'["b:1"]')) as address:
        backend = open_backend(f"token://{address}/{TOKEN}", heartbeat_s=1, options=PLAIN)
        async with aclosing(backend.watch()) as listings:  # type: ignore[type-var]
            assert sorted(texts((await next_good(listings)).entries)) == ["a:1", "b:1"]
            assert texts((await next_good(listings)).entries) == ["b:1"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (ok(b"{}"), r"Failed to decode response: "),
        (ok(b"<html>"), r"Failed to decode response: "),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\n<html>", r"returned 500 HTTP status code$"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", r"returned 302 HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]", r"cannot be asked: "),
        (b"not HTTP at all", r"cannot be asked: "),
        (ok(b"[" + b'"a:1",' * 3_000_000 + b'"a:1"]'), r"sends more than 16777216 bytes"),
        (ok(b"[" + b'"a:1",' * 70_000 + b'"a:1"]'), r"more than 65536 addresses"),
    ],
    ids=["object", "html", "500", "redirect", "cut", "not HTTP", "huge", "many"],
)
async def test_bad_answers(answer: bytes, problem: str) -> None:
    """A bad answer is an error that says why, and never an empty cluster."""
    async with scripted(answer) as address:
        with pytest.raises(DiscoveryError, match=problem) as error:
            await open_backend(f"token://{address}/{TOKEN}", heartbeat_s=30, options=PLAIN).fetch()
        assert TOKEN not in str(error.value)


async def test_what_is_sent() -> None:
    """The bytes of a registration are those of classic's agents, where hubs could see a difference."""
    seen: list[bytes] = []
    async with scripted(ok(b"OK"), seen=seen) as address:
        backend = open_backend(f"token://{address}/some/path/{TOKEN}", heartbeat_s=9, ttl_s=90.7, options=PLAIN)
        await backend.register(parse_entry("10.0.0.1:2375"))
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /some/path/clusters/%s?ttl=90 HTTP/1.1\r\n" % TOKEN.encode())
    assert b"\r\ncontent-type: application/json\r\n" in head.lower() + b"\r\n"
    assert body == b"10.0.0.1:2375"


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_hub_without_goodbye(status: int) -> None:
    """A hub like the retired one, which can take nothing away, is no error: the entry expires."""
    async with scripted(ok(b""), b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status) as address:
        backend = open_backend(f"token://{address}/{TOKEN}", heartbeat_s=9, ttl_s=9, options=PLAIN)
        await backend.register(parse_entry("a:1"))
        await backend.unregister(parse_entry("a:1"))


async def test_no_token_given() -> None:
    """Something that answers, but with no token, is no hub."""
    async with scripted(ok(b"<html>hello</html>")) as address:
        with pytest.raises(DiscoveryError, match="is no hub: it answers without a token"):
            await Client.parse(address, PLAIN).create_token()


@pytest.mark.parametrize(
    ("url", "options", "problem"),
    [
        ("token://", {}, r"^token is empty$"),
        ("token://hub:2390/", {}, r"^token is empty$"),
        (f"token://{TOKEN}", {}, r"switched off in 2019\. Run a hub of your own with `swarmproxy hub`"),
        ("token://hub:2390", {}, r"a token has letters, digits and"),
        ("token://hub:2390/a b", {}, r"a token has letters, digits and"),
        ("token://hub:x/abc", {}, r"bad address of a hub: hub:x"),
        ("token://me:secret@hub/abc", {}, r"bad address of a hub"),
        ("token://hub/x?y/abc", {}, r"bad address of a hub"),
        ("token://ftp://hub/abc", {}, r"a hub is reached by http or https"),
        ("token://https://hub/abc", PLAIN, r"token\.insecure is for plain http"),
        ("token://hub/abc", {"token.insecure": "maybe"}, r"token\.insecure is true or false, not 'maybe'"),
        ("token://hub/abc", {"token.insecur": "true"}, r"token\.insecur\b"),
        ("token://hub/abc", {"token.cacertfile": "/no/such"}, r"cannot use the TLS files for the hub: No such file"),
        ("token://hub/abc", {"token.certfile": "/x"}, r"token\.certfile and token\.keyfile go together"),
        ("token://hub/abc", PLAIN | {"token.cacertfile": "/x"}, r"of no use with plain http"),
    ],
)
def test_bad_urls(url: str, options: dict[str, str], problem: str) -> None:
    """What is wrong in a URL or an option shows when it is opened."""
    with pytest.raises(DiscoveryError, match=problem):
        open_backend(url, heartbeat_s=1, options=options)


@pytest.mark.parametrize(("token", "shown"), [(TOKEN, "012345..."), ("short", "...")])
def test_source_hides_the_token(token: str, shown: str) -> None:
    """Logs tell clusters apart, but nobody can join by reading them."""
    assert open_backend(f"token://hub/path/{token}", heartbeat_s=1).source == f"token://hub/path/{shown}"


async def test_unix_sockets_are_not_registered() -> None:
    """A path on one machine is of no use to others."""
    backend = open_backend(f"token://127.0.0.1:1/{TOKEN}", heartbeat_s=1, ttl_s=9, options=PLAIN)
    with pytest.raises(DiscoveryError, match="a hub lists host:port only"):
        await backend.register(parse_entry("unix:///run/docker.sock"))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
async def test_no_proxies(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The environment's proxies are for other things than the cluster's own service."""
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with scripted(ok(b'["a:1"]')) as address:
        backend = open_backend(f"token://{address}/{TOKEN}", heartbeat_s=9, options=PLAIN)
        assert texts(await backend.fetch()) == ["a:1"]
