"""What a candidate believes between two answers of its store. The stores themselves: store_contract.py."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from discovery.candidacy import Candidacy, campaign
from discovery.election import Standing
from discovery.errors import DiscoveryError, DiscoveryRefusedError

GUARD_S = 30.0
LONG_S = 1000.0
FOLLOWING = Standing(leader="two:1")
LEADING = Standing(leading=True, leader="one:1")


class Scripted(Candidacy):
    """Takes what the store says from a list, and asks in vain after that. A number: it hangs for so many seconds."""

    def __init__(self, *answers: Standing | DiscoveryError | float, promised_s: float) -> None:
        super().__init__("one:1", promised_s)
        self._answers = list(answers)
        self.resigned = False

    async def step(self) -> Standing:
        answer = self._answers.pop(0) if self._answers else DiscoveryError("down")
        asked_at = time.monotonic()
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = LEADING
        if isinstance(answer, DiscoveryError):
            raise answer
        self.renewed_at, self.leads = asked_at, answer.leading
        return answer

    async def resign(self) -> None:
        self.resigned = True
        raise DiscoveryError("down")


@asynccontextmanager
async def opened(candidacy: Scripted) -> AsyncIterator[Candidacy]:
    """Yield the candidacy, which has resigned before its connection ends."""
    yield candidacy
    assert candidacy.resigned


async def told(candidacy: Scripted, last: Standing) -> list[Standing]:
    """Return the standings up to the first that is `last`."""
    standings: list[Standing] = []
    async with asyncio.timeout(GUARD_S), aclosing(campaign(opened(candidacy))) as source:
        while last not in standings:
            standings.append(await anext(source))
    assert candidacy.resigned
    return standings


async def test_a_follower_still_knows_its_leader() -> None:
    """Who cannot ask the store any more follows whom it followed, for as long as that one may lead without it."""
    still = Standing(leader="two:1", error="down")
    assert await told(Scripted(FOLLOWING, promised_s=LONG_S), still) == [FOLLOWING, still]
    assert (await told(Scripted(FOLLOWING, promised_s=0.3), Standing(error="down")))[0] == FOLLOWING


async def test_a_leader_trusts_the_promise_and_no_longer() -> None:
    """A leader without its store leads until the end of what it was promised, and is told that it is in doubt."""
    doubted = Standing(leading=True, leader="one:1", error="down")
    first, second = await told(Scripted(LEADING, promised_s=LONG_S), doubted)
    assert first == LEADING
    assert second.until == first.until < time.monotonic() + LONG_S
    first, *_, last = await told(Scripted(LEADING, promised_s=3.0), Standing(error="down"))
    assert first.until <= time.monotonic()
    assert last.until == math.inf


async def test_a_late_answer_is_none() -> None:
    """A renewal is waited for until the promise ends; one that won the lock too late for it is not believed."""
    late = Standing(error="the store does not answer in time to renew the lock")
    assert await told(Scripted(LEADING, LONG_S, promised_s=3.0), late) == [LEADING, late]
    down = Standing(error="down")  # a reason that the store gave is the better one
    assert (await told(Scripted(LEADING, DiscoveryError("down"), LONG_S, promised_s=3.0), down))[-1] == down
    frozen = Standing(error="the lock was not renewed in time")
    assert await told(Scripted(0.1, promised_s=0.05), frozen) == [frozen]


async def test_one_failure_is_no_news() -> None:
    """Of a failure that is over at the next try nothing is told; of one that lasts each reason once, and its end."""
    once, down, slow = DiscoveryError("reset"), DiscoveryError("down"), DiscoveryError("slow")
    renewed = Standing(leader="three:1")
    short = (FOLLOWING, once, FOLLOWING, once, renewed)
    assert await told(Scripted(*short, promised_s=LONG_S), renewed) == [FOLLOWING, renewed]
    long = (FOLLOWING, down, down, slow, down, slow, FOLLOWING, FOLLOWING, renewed)
    assert await told(Scripted(*long, promised_s=LONG_S), renewed) == [
        FOLLOWING,
        Standing(leader="two:1", error="down"),
        Standing(leader="two:1", error="slow"),
        FOLLOWING,
        renewed,
    ]


async def test_a_store_that_refuses() -> None:
    """A store that can never give the lock ends the campaign in the beginning, and is an error like others later."""
    refused = DiscoveryRefusedError("never")
    with pytest.raises(DiscoveryRefusedError):
        await told(Scripted(refused, promised_s=LONG_S), FOLLOWING)
    later = Standing(leader="two:1", error="never")
    assert await told(Scripted(FOLLOWING, refused, refused, promised_s=LONG_S), later) == [FOLLOWING, later]
