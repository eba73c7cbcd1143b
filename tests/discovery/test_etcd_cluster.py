"""Three members of one etcd cluster, of which one hangs or dies."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.processes import free_port
from discovery import open_backend, parse_entry
from discovery.opening import open_election
from tests.discovery.readers import HEARTBEAT_S, running, watching
from tests.discovery.servers.etcd import Etcd
from tests.discovery.store_contract import NODES

TTL_S = 4.0


@pytest.fixture
def members(tmp_path: Path) -> Iterator[list[Etcd]]:
    """Yield three members that form a cluster."""
    peers = [f"http://127.0.0.1:{free_port()}" for _ in range(3)]
    members = [Etcd(tmp_path / str(n), peers=[*peers[n:], *peers[:n]], serves_v2=True) for n in range(3)]
    try:
        for member in members:
            member.launch()
        for member in members:
            member.start()
        yield members
    finally:
        for member in members:
            member.close()


def _url(members: Sequence[Etcd]) -> str:
    return f"etcd://{','.join(member.address for member in members)}/cluster"


@pytest.mark.parametrize(("api", "failure"), [("v3", "kill"), ("v3", "freeze"), ("v2", "freeze")])
async def test_one_member_fails(members: list[Etcd], api: str, failure: str) -> None:
    """When the member we talk to fails, another is asked: nobody is told, nothing is missed, the leader stays."""
    url, options = _url(members), {"etcd.api": api}
    backend = open_backend(url, heartbeat_s=HEARTBEAT_S, ttl_s=60, options=options)
    await backend.register(parse_entry("a:1"))
    election = open_election(url, ttl_s=TTL_S, options=options)
    async with (
        watching(open_backend(url, heartbeat_s=HEARTBEAT_S, options=options)) as watched,
        running(election, "one:1") as candidate,
    ):
        await watched.until("a:1")
        await candidate.until(leading=True)
        getattr(members[0], failure)()
        await backend.register(parse_entry("b:1"))
        await watched.until("a:1", "b:1")
        await watched.stays_silent(TTL_S)
        await candidate.stays_silent(0)
        await backend.unregister(parse_entry("a:1"))
        await watched.until("b:1")
    if failure == "freeze":
        members[0].thaw()
    assert members[1].read(f"cluster/{NODES}/a:1") is None
