"""Under a policy the page shows to each reader what lists would."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from swarmproxy.cluster.hub import origin_of
from swarmproxy.model.event import container_event
from swarmproxy.page import app as page
from swarmproxy.page.permitted import Permitted, permitted_by
from swarmproxy.policy.document import Policy, parse
from swarmproxy.policy.identity import Identity, hash_of
from swarmproxy.policy.role import OWNER
from swarmproxy.settings import Listen
from tests.page.scene import Scene, names_in, nodes_in, served
from tests.page.test_app import messages, until

BINDING = '[[bind]]\nrole = "{role}"\ntoken = "{token}"\nname = "{name}"\n'
ROLES = """
[roles.team]
allow = ["@read"]
owner = "{token}"

[roles.builds]
allow = ["containers/list"]
objects = { names = ["build-*"] }

[roles.pullers]
allow = ["@pull"]
"""


def with_tokens(text: str, **roles: str) -> Policy:
    """Return the policy in `text`, in which each token gives a role."""
    tables = (BINDING.format(role=role, token=hash_of(name), name=name) for name, role in roles.items())
    return parse("\n".join(["version = 1", text, *tables]))


POLICY = with_tokens(ROLES, boss="admin", viewer="read-only", shop="team", ci="builds", puller="pullers")


def furnished() -> Scene:
    scene = Scene(2)
    scene.put(scene.engines[0], "web", labels={OWNER: "shop"})
    scene.put(scene.engines[0], "shopping", labels={OWNER: "blog", "note": "shop"})
    scene.put(scene.engines[1], "build-1")
    return scene


@asynccontextmanager
async def reader(scene: Scene, policy: list[Policy], directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the page under the last of `policy`, at a unix socket: only there tokens are taken."""
    app = page.build(scene.cluster, audience_of=permitted_by(lambda: policy[-1]))
    where = Listen(path=str(directory / "page.sock"))
    async with served(app, where):
        transport = httpx.AsyncHTTPTransport(uds=where.path)
        async with httpx.AsyncClient(transport=transport, base_url="http://page", timeout=60) as client:
            yield client


@pytest.mark.parametrize(
    ("token", "containers", "nodes"),
    [
        ("boss", ["build-1", "shopping", "web"], ["node-0", "node-1"]),
        ("viewer", ["build-1", "shopping", "web"], ["node-0", "node-1"]),
        ("shop", ["web"], ["node-0", "node-1"]),
        ("ci", ["build-1"], []),
        ("puller", [], []),
    ],
)
async def test_roles(token: str, containers: list[str], nodes: list[str], tmp_path: Path) -> None:
    """Each role sees its own, also in a search for others, and nodes if it may ask for them."""
    async with reader(furnished(), [POLICY], tmp_path) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        text = (await client.get("/containers?sort=name")).text
        assert names_in(text) == containers
        assert ("CPU reserved" in text) is bool(nodes)
        found = (await client.get("/part/containers?q=shop&sort=name")).text
        assert names_in(found) == [name for name in containers if name in ("shopping", "web")]
        assert nodes_in((await client.get("/")).text) == nodes
        assert not re.search("10[.]0[.]0[.]1:", text + found) or nodes


async def test_strangers(tmp_path: Path) -> None:
    """Whom the policy does not know is told so, whatever is asked for; a bad token is no better than none."""
    async with reader(furnished(), [POLICY], tmp_path) as client:
        for headers in ({}, {"Authorization": "Bearer guessed"}):
            for path in ("/", "/containers", "/events", "/part/nodes", "/part/containers", "/live"):
                answer = await client.get(path, headers=headers)
                assert (answer.status_code, answer.headers["cache-control"]) == (403, "no-store")
                assert "no role" in answer.text or "token is not known" in answer.text


async def test_unix_user(tmp_path: Path) -> None:
    """A server on this machine is known as the user that it runs as."""
    policy = parse('version = 1\n[[bind]]\nrole = "read-only"\nunix = { uid = 0 }\n')
    async with reader(furnished(), [policy], tmp_path) as client:
        assert len(names_in((await client.get("/containers")).text)) == 3


async def test_events(tmp_path: Path) -> None:
    """A team hears of what is its own; one that loses its role while its page is open hears nothing more."""
    scene, policies = furnished(), [POLICY]
    async with reader(scene, policies, tmp_path) as client:
        client.headers["Authorization"] = "Bearer shop"

        def tell(owner: str, name: str, number: int) -> None:
            event = container_event("start", "f" * 64, {OWNER: owner, "name": name}, time_ns=number)
            scene.cluster.hub.publish(event, origin_of(scene.engines[0]))

        async with messages(client) as each:
            tell("blog", "theirs", 1)
            tell("shop", "ours", 2)
            assert "theirs" not in await until(each, "ours")
            policies.append(with_tokens(ROLES, shop="pullers"))
            tell("shop", "secret", 3)
            assert "secret" not in await until(each, "Managers", "overview")
        policies.append(POLICY)
        assert "theirs" not in (await client.get("/events")).text


def test_nobody_s() -> None:
    """Who does not say whose objects are meant sees none, rather than all."""
    policy = parse(
        'version = 1\n[roles.team]\nallow = ["@read"]\nowner = "{ou}"\n'
        '[[bind]]\nrole = "team"\ncertificate = { cn = "*" }\n'
    )
    scene = furnished()
    web = next(iter(scene.engines[0].containers.values()))
    assert not Permitted(Identity(kind="certificate", cn="x"), lambda: policy).may_see(web)
    assert Permitted(Identity(kind="certificate", cn="x", ou=("shop",)), lambda: policy).may_see(web)
