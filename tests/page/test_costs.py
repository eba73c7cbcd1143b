"""What the page costs those who use the cluster: it does its work in pieces, and only what has to be done."""

import asyncio
from collections.abc import Awaitable

import pytest

from swarmproxy.engine.engine import State
from swarmproxy.page.audience import EVERYBODY
from swarmproxy.page.cards import MAKING, SLICE, Cards
from swarmproxy.page.node_view import NodeView
from swarmproxy.page.search import Search, find
from tests.page.scene import Scene

CONTAINERS = 30_000
PER_PIECE = 512  # at most


async def turns_during(work: Awaitable[object]) -> int:
    """Return how often others had their turn while `work` was done."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(others(), name="others")
        await work
        waiting.cancel()
    return turns


@pytest.fixture(scope="module")
def crowded() -> Scene:
    scene = Scene(10)
    for number in range(CONTAINERS):
        scene.put(scene.engines[number % 10], f"job-{number}")
    return scene


@pytest.mark.parametrize("query", [{}, {"q": "job-29"}, {"sort": "name", "page": "600"}, {"sort": "node.down"}])
async def test_search_in_pieces(crowded: Scene, query: dict[str, str]) -> None:
    """However much there is to look through, requests wait for no more than a few hundred containers."""
    turns = await turns_during(find(crowded.cluster.index.newest, Search.parse(query), EVERYBODY))
    assert turns >= CONTAINERS // PER_PIECE


async def test_cards_in_pieces() -> None:
    """The first look at many nodes is one in pieces, the next draws only what has changed, and for all readers once."""
    scene, drawn = Scene(200), list[str]()

    def draw(view: NodeView) -> str:
        drawn.append(view.name)
        return view.name

    cards = Cards(scene.cluster, 0.05, draw)
    assert await turns_during(cards.look()) >= 200 * MAKING // SLICE
    assert len(drawn) == 200
    drawn.clear()
    scene.put(scene.engines[7], "new")
    scene.engines[9]._health.enter(State.UNHEALTHY, "gone")
    scene.engines[11]._inventory.touch()  # as when it was read again, and is as it was
    await asyncio.sleep(0.3)
    revision = cards.revision
    await asyncio.gather(*(cards.look() for _ in range(5)))
    assert sorted(drawn) == ["node-7", "node-9"]
    assert sorted(card.view.name for card in cards.since(revision)) == ["node-7", "node-9"]
    assert (cards.totals.running, cards.totals.healthy) == (1, 199)
