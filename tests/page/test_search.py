"""The search finds, sorts and pages as one would by hand, whatever there is."""

import re
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmproxy.cluster.newest import Block, Newest
from swarmproxy.engine.engine import State
from swarmproxy.model.container import Container
from swarmproxy.page.audience import EVERYBODY
from swarmproxy.page.search import PER_PAGE, SORTS, STATES, Search, find, mentioning
from tests.page.scene import Scene, names_in


@pytest.fixture(scope="module")
def scene() -> Scene:
    scene = Scene(3)
    first, second, third = scene.engines
    scene.put(first, "web-1", image="nginx:1.29", labels={"team": "shop"}, health="unhealthy")
    scene.put(first, "web-2", image="nginx:1.27", labels={"team": "blog"})
    scene.put(second, "db", image="postgres:18", state="exited", labels={"note": "for web-1"})
    scene.put(third, "Cache", image="valkey", networks={"front": "1"})
    third._health.enter(State.UNHEALTHY, "gone")
    return scene


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Cache", "db", "web-2", "web-1"]),
        ("q=web", ["db", "web-2", "web-1"]),
        ("q=name:web", ["web-2", "web-1"]),
        ("q=NGINX team=shop", ["web-1"]),
        ("q=image:1.27", ["web-2"]),
        ("q=cache", ["Cache"]),
        ("q=node-1", ["db"]),
        ("q=id:0003", ["db"]),
        ("q=no:such", []),
        ("q=label:team=blog", ["web-2"]),
        ("state=running", ["web-2", "web-1"]),
        ("state=stopped", ["db"]),
        ("state=unhealthy", ["web-1"]),
        ("state=unreachable", ["Cache"]),
        ("state=nonsense", ["Cache", "db", "web-2", "web-1"]),
        ("node=node-0", ["web-2", "web-1"]),
        ("node=node-", []),
        ("sort=name", ["Cache", "db", "web-1", "web-2"]),
        ("sort=image.down", ["Cache", "db", "web-1", "web-2"]),
        ("sort=created", ["web-1", "web-2", "db", "Cache"]),
        ("sort=memory&page=x", ["Cache", "db", "web-2", "web-1"]),
        ("page=99", ["Cache", "db", "web-2", "web-1"]),
    ],
)
async def test_finds(scene: Scene, query: str, names: list[str]) -> None:
    """Words are parts of what is shown, all of them; one with a colon is of that field."""
    async with scene.client() as client:
        assert names_in((await client.get(f"/part/containers?{query}")).text) == names


async def test_pages() -> None:
    """Each container is on one page, and the links lead through all of them."""
    scene = Scene(1)
    for number in range(2 * PER_PAGE + 1):
        scene.put(scene.engines[0], f"job-{number}")
    seen, link = [], "?q=job&sort=name.down"
    async with scene.client() as client:
        while link:
            text = (await client.get(f"/containers{link}")).text
            seen += names_in(text)
            found = re.search(r'href="([^"]+)"[^>]*rel="next"', text)
            link = found[1].replace("&amp;", "&") if found else ""
    assert seen == sorted((f"job-{number}" for number in range(2 * PER_PAGE + 1)), reverse=True)


containers = st.builds(
    lambda number, name, state: Container(
        id=f"{number:02x}".ljust(64, "0"), name=name, names=(f"/{name}",), created_ns=number % 5, state=state
    ),
    st.integers(0, 255),
    st.sampled_from(["a", "b", "ab", "B"]),
    st.sampled_from(["running", "exited"]),
)


@given(
    st.lists(containers, max_size=130, unique_by=lambda each: each.id),
    st.sampled_from(["", "a", "b", "state:run"]),
    st.sampled_from(STATES),
    st.sampled_from(SORTS),
    st.booleans(),
    st.integers(1, 4),
)
async def test_any(held: list[Container], words: str, state: str, sort: str, falls: Any, page: int) -> None:
    """A page is the part of all that pass, in order; of pages that are not there, it is the last."""
    scene = Scene(1)
    scene.cluster.index.newest = Newest(most=7)
    for each in held:
        scene.cluster.container_seen(scene.engines[0], each)
    search = Search(words=words, state=state, sort=sort, falls=falls, page=page)
    found = await find(scene.cluster.index.newest, search, EVERYBODY)
    rows = list(scene.cluster.index.newest)
    passing = [row for row in mentioning(Block(rows), search.anywhere()) if all(test(row) for test in search.tests())]
    assert found.count == len(passing)
    assert found.pages == max(1, -(-len(passing) // PER_PAGE))
    assert found.page == min(page, found.pages)
    everything = [
        row.id
        for number in range(1, found.pages + 1)
        for row in (await find(scene.cluster.index.newest, search_at(search, number), EVERYBODY)).rows
    ]
    assert sorted(everything) == sorted(row.container.id for row in passing)
    assert [row.id for row in found.rows] == everything[(found.page - 1) * PER_PAGE : found.page * PER_PAGE]
    if sort == "name":
        names = [scene.cluster.index.by_id[each].container.name.lower() for each in everything]
        assert names == sorted(names, reverse=falls)


def search_at(search: Search, page: int) -> Search:
    """Return `search`, on another page."""
    return Search.parse({key: values[0] for key, values in parse_qs(search.link(page=page)[1:]).items()})
