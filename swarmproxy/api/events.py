"""`GET /events`: the past from the engines, then the cluster's own stream as it happens."""

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from swarmproxy.api.forwarding import exchange_of
from swarmproxy.api.requests import cluster_of, version_of
from swarmproxy.cluster.asking import ask
from swarmproxy.cluster.cluster import Cluster
from swarmproxy.cluster.fanout import on_all
from swarmproxy.cluster.hub import Subscription, Telling, origin_of
from swarmproxy.engine.engine import Engine
from swarmproxy.errors import SwarmError
from swarmproxy.model.apiversion import DEFAULT
from swarmproxy.model.event import Event, EventQuery, dress, from_engine
from swarmproxy.wire.relay import Exchange

router = APIRouter()
REPLAY_TIMEOUT_S = 30.0


@router.get("/events")
async def events(request: Request) -> StreamingResponse:
    """Stream the events of all nodes, one JSON object a line."""
    query = EventQuery.parse(dict(request.query_params), now_ns=time.time_ns(), version=version_of(request))
    lines = _lines(cluster_of(request), query, exchange_of(request.scope))
    return StreamingResponse(lines, media_type="application/json")


async def _lines(cluster: Cluster, query: EventQuery, exchange: Exchange) -> AsyncIterator[bytes]:
    """Yield event lines: what engines remember since `since`, then live ones until `until` or the client leaves.

    The live stream is opened before the past is asked for, so that nothing falls between the two; what comes
    twice is told apart by time, kind and object.
    """
    subscription = cluster.hub.subscribe(query)
    try:
        told: set[tuple[int, str, str, str]] = set()
        if query.since_ns is not None:
            for event, line in await _past(cluster, query):
                told.add(event.mark)
                yield line
        if query.until_ns is not None and query.until_ns <= time.time_ns():
            return
        if not told and query.until_ns is None:  # nothing has to be looked at once more: straight to the client
            subscription.push = exchange.push
        async for batch in _until(subscription, query.until_ns):
            yield b"".join(line for event, line in batch if not told or event.mark not in told)
    finally:
        cluster.hub.unsubscribe(subscription)


async def _until(subscription: Subscription, until_ns: int | None) -> AsyncIterator[list[tuple[Event, bytes]]]:
    """Yield the live batches and stop when the clock reaches `until_ns`."""
    batches = subscription.batches()
    while True:
        wait_s = None if until_ns is None else max(0.0, (until_ns - time.time_ns()) / 1e9)
        try:
            async with asyncio.timeout(wait_s):
                batch = await anext(batches)
        except (TimeoutError, StopAsyncIteration):
            return
        yield [each for each in batch if until_ns is None or each[0].time_ns <= until_ns]


async def _past(cluster: Cluster, query: EventQuery) -> list[tuple[Event, bytes]]:
    """Return what the healthy engines remember of the time asked for, in the order of their clocks.

    One that does not answer in time is left out: the stream must begin.
    """
    until_ns = min(query.until_ns or time.time_ns(), time.time_ns())
    outcome = await on_all(
        cluster.healthy(), lambda engine: _past_of(engine, query, until_ns), timeout_s=REPLAY_TIMEOUT_S
    )
    found = [each for _, events_of_one in outcome.done for each in events_of_one]
    found.sort(key=lambda each: each[0].time_ns)
    telling = Telling()
    return [each for each in found if telling.is_new(each[0])]


async def _past_of(engine: Engine, query: EventQuery, until_ns: int) -> list[tuple[Event, bytes]]:
    """Ask one engine for its past. Raises EngineUnreachable."""
    since, until = (f"{ns // 10**9}.{ns % 10**9:09d}" for ns in (query.since_ns or 0, until_ns))
    path = f"/events?since={since}&until={until}"
    answer = await ask(engine, DEFAULT, "GET", path, timeout_s=REPLAY_TIMEOUT_S)
    node = origin_of(engine)
    found: list[tuple[Event, bytes]] = []
    for line in answer.body.splitlines() if answer.status == 200 else ():
        try:
            event = from_engine(line, skew_ns=engine.skew_ns)
        except SwarmError:
            continue
        if query.matches(event, node):
            found.append((event, dress(event, node)))
    return found
