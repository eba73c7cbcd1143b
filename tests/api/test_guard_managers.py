"""A policy in a group of managers, by certificate, and while one is learnt."""

import asyncio
from pathlib import Path

import pytest

from discovery.election import Standing
from swarmproxy.api.learning import Learner
from swarmproxy.leader.leadership import Leadership
from swarmproxy.leader.replica import Replica
from swarmproxy.policy.document import parse
from swarmproxy.policy.identity import Identity
from tests.api.guarded import MINE, client_of, guarded, scripted, with_tokens
from tests.engine.harness import eventually
from tests.hosts.certificates import Pair, make_authority, sign
from tests.leader.election import ScriptedElection
from tests.leader.test_replica import Peer

GROUP = """
version = 1

[[bind]]
role = "read-only"
certificate = { cn = "manager-*" }
manager = true

[[bind]]
role = "admin"
certificate = { cn = "alice", ou = "ops" }

[[bind]]
role = "nothing"
certificate = { san = "URI:spiffe://example/*" }

[roles.nothing]
allow = []
"""
EXPORT = f"/containers/{MINE}/export"
ALICE = Identity(kind="certificate", cn="alice", ou=("ops",))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """Return the certificates of a server, another manager, alice, and somebody with an address only."""
    directory = tmp_path_factory.mktemp("policy")
    authority = make_authority(directory / "ca")
    return {
        "server": sign(authority, directory / "s", "serverAuth,clientAuth", "subjectAltName=DNS:localhost"),
        "manager": sign(authority, directory / "m", "serverAuth,clientAuth", subject="/CN=manager-2"),
        "alice": sign(authority, directory / "a", "clientAuth", subject="/OU=ops/CN=alice"),
        "alicia": sign(authority, directory / "b", "clientAuth", subject="/OU=dev/CN=alice"),
        "spiffe": sign(
            authority, directory / "u", "clientAuth", "subjectAltName=URI:spiffe://example/x", subject="/O=x"
        ),
    }


async def test_certificates(pairs: dict[str, Pair], tmp_path: Path) -> None:
    """The certificate says who asks; a manager's says for whom, and nobody else's does."""
    async with guarded([scripted()], parse(GROUP), tls=pairs["server"]) as front:

        async def status(who: str, **headers: str) -> int:
            async with client_of(front.socket, pairs[who]) as client:
                return (await client.get(EXPORT, headers=headers)).status_code

        told = {"Swarmproxy-Identity": ALICE.encode().decode(), "Swarmproxy-Passed-On": "1"}
        assert await status("alice") == 200
        assert await status("alicia") == await status("alicia", **told) == 403
        assert await status("spiffe") == await status("spiffe", **told) == 403
        assert await status("manager") == 403
        assert await status("manager", **told) == 200
        assert await status("manager", **{**told, "Swarmproxy-Identity": "00"}) == 400


async def test_replica_tells_who_asks(tmp_path: Path) -> None:
    """A manager that does not lead leaves the decision to the one that does, and tells it who asks."""
    policy = with_tokens('version = 1\n[roles.some]\nallow = ["info"]', "some")
    async with Peer(answer=b"[]").running() as leader:
        election = ScriptedElection(Standing(leader=leader.address))
        replica = Replica(Leadership(election, "10.0.0.1:2375"), patience_s=30.0)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(replica.run(), name="replica")
            async with guarded([], policy, replica=replica) as front:
                await eventually(lambda: replica.leadership.other)
                forged = {"Swarmproxy-Identity": "00", "Swarmproxy-Client": "forged"}
                assert (await front.ask("some", "GET", "/containers/json", **forged)).content == b"[]"
                assert (await front.ask("", "GET", "/containers/json")).status_code == 403
                assert (await front.ask("some", "GET", "/info")).status_code == 200  # its own answer, and its decision
                assert (await front.ask("some", "GET", "/version")).status_code == 403
            task.cancel()
            await replica.close()
        [asked] = leader.asked
        lines = asked.lower().split(b"\r\n")
        told = [line for line in lines if line.startswith(b"swarmproxy-identity: ")]
        assert told == [b"swarmproxy-identity: " + holder("some").encode()]
        assert [line for line in lines if line.startswith(b"swarmproxy-client: ")] != [b"swarmproxy-client: forged"]
        assert b"authorization" not in asked.lower()


def holder(name: str) -> Identity:
    """Return the holder of the token that the policy calls `name`."""
    return Identity(kind="token", token=name)


async def test_learning(tmp_path: Path) -> None:
    """Nothing is refused, bodies go on as they came, and the file is the policy that the run needs."""
    daemon, path = scripted(), tmp_path / "learnt.toml"
    async with guarded([daemon], parse("version = 1"), learn=path) as front:
        assert isinstance(front.first, Learner)
        sent = b'{"Cmd": ["a"],  "Privileged": true}'
        assert (await front.ask("", "POST", f"/containers/{MINE}/exec", sent)).status_code == 201
        assert daemon.bodies[daemon.requests.index(f"POST /containers/{MINE}/exec")] == sent
        assert (await front.ask("ci", "GET", EXPORT)).status_code == 200
        assert (await front.ask("ci", "GET", "/nothing")).status_code == 404
        front.first.write()
    assert path.stat().st_mode & 0o777 == 0o600
    policy = parse(path.read_text())
    holder = policy.holder_of("ci")
    assert holder is not None
    assert [sorted(role.kinds) for name, role in policy.roles.items() if name.startswith("learnt")] == [
        ["containers/export"],
        ["containers/exec"],
    ]
    socket_user = policy.role_of(Identity(kind="unix", uid=0))
    assert socket_user is not None
    assert socket_user.limits.privileged
