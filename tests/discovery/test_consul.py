"""Discovery through a real consul, without and with TLS and access control."""

import asyncio
import base64
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from benchmarks.processes import free_port
from discovery import DiscoveryError, DiscoveryRefusedError, Entry, open_backend, parse_entry
from tests.discovery.readers import STEADY_S, backend_of, campaigning, watching
from tests.discovery.servers.consul import Consul
from tests.discovery.servers.process import serve
from tests.discovery.store_contract import (
    LEADER,
    NODES,
    BasicContract,
    CredentialsContract,
    ElectionContract,
    TlsContract,
)
from tests.hosts.certificates import Certificates

FLAGS = 0x2DDCCBC058A50C18


class TestPlain(ElectionContract):
    """consul without TLS or access control."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
        yield from serve(Consul(tmp_path_factory.mktemp("consul") / "plain"))

    async def test_as_classic_registers(self, store: Consul, prefix: str) -> None:
        """An entry hangs on a session of its own, with half the TTL and Go's flags, and goes with it."""
        backend = backend_of(store, prefix, ttl_s=STEADY_S)
        await backend.register(parse_entry("a:1"))
        key, session = store.inspect(f"{prefix}/{NODES}/a:1"), store.session_of(f"{prefix}/{NODES}/a:1")
        assert key["Flags"] == FLAGS
        assert (session["TTL"], session["Behavior"], session["LockDelay"]) == (
            f"{STEADY_S / 2 * 1000:g}ms",
            "delete",
            1_000_000,
        )
        await backend.register(parse_entry("a:1"))
        assert store.inspect(f"{prefix}/{NODES}/a:1") == key, "a heartbeat wakes nobody"
        store.put(f"/v1/session/destroy/{session['ID']}")
        assert await backend.fetch() == ()
        await backend.register(parse_entry("a:1"))
        assert await backend.fetch() == (Entry("a", 1),)
        await backend.unregister(parse_entry("a:1"))
        assert session["ID"] not in {one["ID"] for one in store.get("/v1/session/list")}

    async def test_as_classic_leads(self, store: Consul, prefix: str) -> None:
        """The leader's key hangs on a session that lets it go, with Go's flags; its value stays when nobody leads."""
        async with campaigning(store, prefix, "one:1", ttl_s=STEADY_S) as candidate:
            await candidate.until(leading=True)
            key, session = store.inspect(f"{prefix}/{LEADER}"), store.session_of(f"{prefix}/{LEADER}")
            assert key["Flags"] == FLAGS
            assert (session["TTL"], session["Behavior"], session["LockDelay"]) == (
                f"{STEADY_S / 2 * 1000:g}ms",
                "release",
                1_000_000,
            )
        key = store.inspect(f"{prefix}/{LEADER}")
        assert base64.b64decode(key["Value"]) == b"one:1"
        assert "Session" not in key

    async def test_lock_of_another(self, store: Consul, prefix: str) -> None:
        """A lock that somebody else has is respected, and taken once its session is gone."""
        other = store.put("/v1/session/create", TTL="600s", LockDelay="1ms")["ID"]
        store.write({f"{prefix}/{LEADER}?acquire={other}&flags={FLAGS}": "classic:1"})
        async with campaigning(store, prefix, "one:1") as candidate:
            await candidate.until(leading=False, leader="classic:1")
            store.put(f"/v1/session/destroy/{other}")
            await candidate.until(leading=True, leader="one:1")

    async def test_session_of_the_leader_ends(self, store: Consul, prefix: str) -> None:
        """A leader whose session somebody ends is told so, and takes the lock again."""
        async with campaigning(store, prefix, "one:1") as candidate:
            await candidate.until(leading=True)
            store.put(f"/v1/session/destroy/{store.session_of(f'{prefix}/{LEADER}')['ID']}")
            await candidate.until(leading=False)
            await candidate.until(leading=True)

    async def test_registered_twice(self, store: Consul, prefix: str) -> None:
        """Who comes back under its address takes the key from its earlier life, and the key is never gone."""
        before, after = backend_of(store, prefix, ttl_s=STEADY_S), backend_of(store, prefix, ttl_s=STEADY_S)
        await before.register(parse_entry("a:1"))
        old = store.session_of(f"{prefix}/{NODES}/a:1")["ID"]
        async with watching(backend_of(store, prefix)) as watched:
            await watched.until("a:1")
            await after.register(parse_entry("a:1"))
            await before.unregister(parse_entry("a:1"))
            await watched.stays_silent(0.5)
        assert store.session_of(f"{prefix}/{NODES}/a:1")["ID"] != old
        await after.unregister(parse_entry("a:1"))

    async def test_what_classic_leaves_there(self, store: Consul, prefix: str) -> None:
        """The key of the directory itself, which classic's managers make, is no entry."""
        store.write({f"{prefix}/{NODES}": "", f"{prefix}/{NODES}/": "", f"{prefix}/{NODES}/a:1": "a:1"})
        assert await backend_of(store, prefix).fetch() == (Entry("a", 1),)

    async def test_server_that_begins_anew(self, store: Consul, prefix: str) -> None:
        """A consul that lost its data, and counts from the start again, is followed at once."""
        store.write({f"{prefix}/{NODES}/x:{number}": "x:1" for number in range(1, 200)})
        store.write({f"{prefix}/{NODES}/a:1": "a:1"})
        async with watching(backend_of(store, prefix)) as watched:
            await watched.next()
            store.kill()
            store.wipe()
            store.start()
            store.write({f"{prefix}/{NODES}/b:1": "b:1"})
            await watched.until("b:1")
            store.write({f"{prefix}/{NODES}/c:1": "c:1"})
            await watched.until("b:1", "c:1")


class TestSecure(BasicContract, TlsContract, CredentialsContract):
    """consul with TLS and access control."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Consul]:
        yield from serve(Consul(tmp_path_factory.mktemp("consul") / "secure", certificates=certificates))

    @pytest.fixture
    def wrong_ca(self, certificates: Certificates) -> Mapping[str, str]:
        """Return the options of somebody who trusts another authority."""
        return {"kv.cacertfile": str(certificates.stranger.directory.parent / "stranger-ca" / "ca.pem")}

    @pytest.fixture(params=["unknown", "without rights", "none"])
    def wrong_credentials(self, request: pytest.FixtureRequest, store: Consul) -> Mapping[str, str]:
        """Return the options of somebody who may not look."""
        tokens = {"unknown": "00000000-1111-2222-3333-444444444444", "without rights": store.grant(""), "none": ""}
        return {"consul.token": tokens[request.param]}

    async def test_least_rights(self, store: Consul, prefix: str) -> None:
        """A token that may write below the prefix, and make sessions, is all that an agent or a manager needs."""
        token = store.grant(f'key_prefix "{prefix}/" {{ policy = "write" }} session_prefix "" {{ policy = "write" }}')
        backend = backend_of(store, prefix, options={"consul.token": token})
        async with watching(backend) as watched:
            await watched.until()
            await backend.register(parse_entry("a:1"))
            await watched.until("a:1")
            await backend.unregister(parse_entry("a:1"))
            await watched.until()
        async with campaigning(store, prefix, "one:1", options={"consul.token": token}) as candidate:
            await candidate.until(leading=True)

    async def test_rights_that_are_lost(self, store: Consul, prefix: str) -> None:
        """A token that may not look any more empties no cluster."""
        token = store.grant(f'key_prefix "{prefix}/" {{ policy = "read" }}')
        store.write({f"{prefix}/{NODES}/a:1": "a:1"})
        async with watching(backend_of(store, prefix, options={"consul.token": token})) as watched:
            await watched.until("a:1")
            store.restrict(token)
            listing = await watched.error()
            assert listing.entries == (Entry("a", 1),)
            assert listing.error == f"consul at {store.address}: Permission denied"

    async def test_token_in_a_file(self, store: Consul, prefix: str, tmp_path: Path) -> None:
        """The token may stand in a file."""
        (tmp_path / "token").write_text(f"{store.master}\n")
        options = {"consul.token": "", "consul.token.file": str(tmp_path / "token")}
        assert await backend_of(store, prefix, options=options).fetch() == ()

    async def test_name_of_the_host(self, store: Consul) -> None:
        """A certificate for another host is refused."""
        url = f"consul://127.1:{store.address.partition(':')[2]}/x"
        with pytest.raises(DiscoveryError, match=r"(?i)hostname mismatch"):
            await open_backend(url, heartbeat_s=1, options=store.options).fetch()


class TestFloor:
    """consul as it comes, which refuses sessions under 10 s."""

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
        yield from serve(Consul(tmp_path_factory.mktemp("consul") / "stock", session_ttl_min=""))

    async def test_refused(self, store: Consul) -> None:
        """A TTL that is too short for the server is an error that names the least one, for agents and managers."""
        message = (
            f"consul at {store.address} refuses a TTL of 2 s: it has to be from 20 to 172800 s "
            "(the server's session_ttl_min is half of the least)"
        )
        with pytest.raises(DiscoveryRefusedError) as error:
            await backend_of(store, "floor").register(parse_entry("a:1"))
        assert str(error.value) == message
        run = partial(subprocess.run, capture_output=True, text=True, timeout=60, check=False)
        agent = [sys.executable, "-m", "swarmproxy", "join", "--advertise", "127.0.0.1:1"]
        agent += ["--heartbeat", "1s", "--ttl", "2s", f"consul://{store.address}/floor"]
        ended = await asyncio.to_thread(run, agent)
        assert (ended.returncode, message in ended.stdout + ended.stderr) == (1, True)
        manager = [sys.executable, "-m", "swarmproxy", "manage", "-H", f"127.0.0.1:{free_port()}", "--replication"]
        manager += ["--advertise", "127.0.0.1:1", "--replication-ttl", "2s", f"consul://{store.address}/floor"]
        ended = await asyncio.to_thread(
            subprocess.run, manager, capture_output=True, text=True, timeout=60, check=False
        )
        assert (ended.returncode, message in ended.stdout + ended.stderr) == (1, True)
        backend = backend_of(store, "floor", ttl_s=20)
        await backend.register(parse_entry("a:1"))
        await backend.unregister(parse_entry("a:1"))
