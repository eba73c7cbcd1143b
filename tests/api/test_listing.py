"""A listing that is made of what was kept is the one that would be made from scratch."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.api import listing
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.listing import listed
from swarmproxy.cluster.newest import Newest
from swarmproxy.engine.engine import Engine, Facts, State
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.model.container import Container, PortBinding
from swarmproxy.model.image import Image
from swarmproxy.model.listing import ContainerQuery, Place, matches, order
from swarmproxy.model.names import NameStyle
from swarmproxy.wire.address import Address

NS = 10**9
IMAGES = {f"sha256:{name}": Image(id=f"sha256:{name}", tags=(f"{name}:latest",)) for name in ("aaaa", "bbbb")}


class Members:
    """A cluster of two engines that nobody dials, with blocks of a few containers."""

    def __init__(self) -> None:
        self.cluster = Cluster(_nobody, lambda: 0.0)
        self.cluster.index.newest = Newest(most=3)
        self.now_ns = 1_700_000_000 * NS
        self.engines = [self._join(number) for number in range(2)]

    def _join(self, number: int) -> Engine:
        address = Address("127.0.0.1", 2375 + number)
        engine = Engine(address, settings=EngineSettings(), observer=self.cluster)
        engine.facts = Facts(id=f"E{number}", name=f"node-{number}", ip="127.0.0.1", cpus=1, memory_bytes=1)
        engine._inventory.images = dict(IMAGES)
        self.cluster.membership._present[address] = cast("Any", SimpleNamespace(engine=engine))
        self.cluster.joined(engine)
        engine._health.enter(State.HEALTHY)
        return engine

    def act(self, what: str, number: int, choice: int) -> None:
        engine = self.engines[number % 2]
        container_id = f"{number:02x}".ljust(64, "0")
        match what:
            case "put":
                with engine._inventory.reading() as reading:
                    engine._inventory.put(self._container(container_id, number, choice), choice, reading)
            case "drop":
                engine._inventory.drop(container_id)
            case "down":
                engine._health.enter(State.UNHEALTHY, "it does not answer")
            case "up":
                engine._health.enter(State.HEALTHY)
            case "rename":
                assert engine.facts is not None
                engine.facts = replace(engine.facts, name=f"node-{number % 2}-{choice}")
                engine._inventory.touch()
            case "wait":
                self.now_ns += (1, 40, 4000, 400_000)[choice] * NS

    def _container(self, container_id: str, number: int, choice: int) -> Container:
        state = ("running", "exited", "paused", "created")[choice]
        name = ("web", f"db-{number}", "a.b", "")[(number + choice) % 4]
        return Container(
            id=container_id,
            name=name,
            names=(f"/{name}", "/other/link"),
            image_id=f"sha256:{('aaaa', 'bbbb')[choice % 2]}",
            created_ns=number // 4 * NS,
            state=state,
            started_ns=self.now_ns - 30 * NS if choice < 3 else 0,
            finished_ns=self.now_ns - NS,
            exit_code=choice,
            health=("none", "healthy")[number % 2],
            labels={"app": f"a{choice}", **({"rare": ""} if choice == 3 else {})},
            mounts=(("data", f"/data/{choice}"),),
            networks={"bridge": f"f00d{choice}"},
            published=(PortBinding(container_port=("80/tcp", "53/udp", "81/tcp")[number % 3]),) if choice else (),
            exposed=("53/udp", f"800{choice}/tcp"),
            fields=b'"Id":"%b"' % container_id.encode(),
        )


def _nobody(_cluster: Cluster, address: Address) -> Engine:
    raise AssertionError(address)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "put", "drop", "down", "up", "rename", "wait"]),
        st.integers(0, 20),
        st.integers(0, 3),
    ),
    max_size=30,
)
FILTERS: list[dict[str, list[str]]] = [
    {"id": ["0"]},
    {"id": ["^0a", "1"]},
    {"id": ["0a".ljust(64, "0")]},
    {"id": ["03".ljust(64, "0"), "04".ljust(64, "0"), "ff".ljust(64, "0")]},
    {"id": ["03".ljust(64, "0"), "4"]},
    {"name": ["web"]},
    {"name": ["^/db-1"]},
    {"name": [r"a\.b", "^/?web$"]},
    {"name": ["(?i)WEB"]},
    {"name": ["w[e]b", "db("]},
    {"name": [".*"]},
    {"label": ["app=a1"]},
    {"label": ["rare", "app=a3"]},
    {"label": ["app"]},
    {"status": ["running", "created"]},
    {"status": ["exited"], "name": ["db"]},
    {"health": ["healthy"]},
    {"exited": ["1", "+2"]},
    {"volume": ["data"]},
    {"volume": ["/data/1", ""]},
    {"network": ["bridge"]},
    {"network": ["f00d1", ""]},
    {"publish": ["80"]},
    {"publish": ["79-81/tcp", "53/udp"]},
    {"expose": ["8000-8001", "53/udp"]},
    {"node": ["node-1"]},
    {"node": ["node-1"], "status": ["running"]},
    {"ancestor": ["aaaa"]},
]


@given(STEPS)
def test_whole_list(steps: list[tuple[str, int, int]]) -> None:
    """After any history, in one piece or in several, every container is told as it is now."""
    members = Members()
    for step in steps:
        members.act(*step)
        for style in (NameStyle.NODE, NameStyle.BOTH):
            for all_states in (True, False):
                assert kept(members, style, all_states=all_states) == scratch(members, style, all_states=all_states)


def kept(members: Members, style: NameStyle, *, all_states: bool) -> Any:
    newest = members.cluster.index.newest

    async def pieces() -> bytes:
        found = listing._pieces(newest, style, all_states=all_states, clock_ns=lambda: members.now_ns)
        return b"".join([piece async for piece in found])

    return json.loads(asyncio.run(pieces()))


def scratch(members: Members, style: NameStyle, *, all_states: bool) -> Any:
    query = ContainerQuery(all=all_states)
    return [json.loads(listing.item_json(row, style, now_ns=members.now_ns)) for row in by_brute_force(members, query)]


def by_brute_force(members: Members, query: ContainerQuery) -> list[Any]:
    rows = sorted(members.cluster.index.by_id.values(), key=lambda row: order(row.container))
    return [
        row
        for row in rows
        if matches(row.container, Place(row.engine.name, row.engine.state is State.HEALTHY, row.engine.images), query)
    ][: query.limit or None]


@given(STEPS, st.lists(st.sampled_from(FILTERS), min_size=1, max_size=4), st.sampled_from(["", "2"]))
def test_filtered(steps: list[tuple[str, int, int]], filters: list[dict[str, list[str]]], limit: str) -> None:
    """After any history, a query shows what a look at every container would show."""
    members = Members()
    for step in steps:
        members.act(*step)
        for each in filters:
            parameters = {"all": "1", "limit": limit, "filters": json.dumps(each)}
            found = listed(members.cluster, ContainerQuery.parse(parameters))
            assert found == by_brute_force(members, ContainerQuery.parse(parameters))


def test_changes_while_it_is_sent() -> None:
    """Of a list that is sent in pieces, whatever does not change meanwhile is told once."""
    members = Members()
    for number in range(20):
        members.act("put", number, 0)

    async def read() -> list[str]:
        newest = members.cluster.index.newest
        found = listing._pieces(newest, NameStyle.PLAIN, all_states=True, clock_ns=lambda: members.now_ns)
        text = b""
        for number in range(3):
            text += await anext(found)
            text += await anext(found)
            members.act("drop", number, 0)
            members.act("drop", 19 - number, 0)
            members.act("put", 40 + number, 0)
        text += b"".join([piece async for piece in found])
        return [each["Id"][:2] for each in json.loads(text)]

    told = asyncio.run(read())
    assert len(told) == len(set(told))
    assert {f"{number:02x}" for number in range(3, 17)} <= set(told)


def test_not_kept() -> None:
    """Of a list that is too long to be kept, nothing is, and it reads the same."""
    members = Members()
    for number in range(3):
        members.act("put", number, 0)
    [block] = members.cluster.index.newest.blocks()
    texts = [
        listing.items_of(block, NameStyle.BOTH, all_states=True, now_ns=members.now_ns, keeps=keeps)
        for keeps in (False, True)
    ]
    assert texts[0] == texts[1]
    assert len(block.kept) == 1  # by the second look


def test_renamed() -> None:
    """What readers made of the networks is made anew when a node has another name."""
    members = Members()
    kept = members.cluster.networks.kept
    kept["made"] = b"node-0/bridge"
    members.act("rename", 0, 3)
    assert not kept
