"""One request to several engines, side by side."""

import asyncio

from swarmproxy.cluster.broadcast import Begun, Broadcast, Ended, Report, Said, StreamRequest
from swarmproxy.cluster.tee import Tee
from swarmproxy.errors import EngineUnreachable
from tests.cluster.image_daemon import Asked, ImageDaemon, clustered

BLOCK = b"x" * 65536
BLOCKS = 512  # 32 MiB: more than the sockets on the way hold
PATIENCE_S = 30.0


async def counts(asked: Asked) -> None:
    size = 0
    await asked.begin()
    async for chunk in asked.chunks():
        size += len(chunk)
    await asked.say(stream=f"read {size}")
    await asked.end()


async def test_engine_that_takes_nothing_is_left_out() -> None:
    """An engine that is healthy and takes no data for the bounded time is dropped; the others get everything."""

    async def takes_nothing(asked: Asked) -> None:
        await asyncio.sleep(PATIENCE_S)

    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    daemons[0].script, daemons[1].script = takes_nothing, counts
    async with clustered(daemons) as cluster:
        tee = Tee(stall_s=3.0)
        request = StreamRequest(path="/images/load", version=(1, 44))
        broadcast = Broadcast(cluster.healthy(), request, tee=tee)
        reports: list[Report] = []
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(broadcast.run(), name="broadcast")
            for _ in range(BLOCKS):
                await tee.feed(BLOCK)
            tee.complete()
            while (report := await broadcast.next()) is not None:
                reports.append(report)
        ended = {report.engine.name: report.error for report in reports if isinstance(report, Ended)}
        assert isinstance(ended["n0"], EngineUnreachable)
        assert "took no data" in str(ended["n0"])
        assert ended["n1"] is None
        said = [report.line.stream for report in reports if isinstance(report, Said)]
        assert said == [f"read {len(BLOCK) * BLOCKS}"]


async def test_reader_that_waits_misses_amounts_only() -> None:
    """Amounts that nobody reads do not hold up an engine; all else it says is kept."""
    told = 5000

    async def talks(asked: Asked) -> None:
        await asked.begin()
        for number in range(told):
            await asked.say(status="Downloading", progressDetail={"current": number, "total": told}, id="aa")
        await asked.say(status="Pull complete", id="aa")
        finished.set()
        await asked.end()

    daemon = ImageDaemon("n0")
    daemon.script = talks
    finished = asyncio.Event()
    async with clustered([daemon]) as cluster:
        broadcast = Broadcast(cluster.healthy(), StreamRequest(path="/images/create", version=(1, 44)))
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(broadcast.run(), name="broadcast")
            await finished.wait()
            reports: list[Report] = []
            while (report := await broadcast.next()) is not None:
                reports += [report, *broadcast.ready()]
        assert isinstance(reports[0], Begun)
        assert isinstance(reports[-1], Ended)
        said = [report.line.status for report in reports if isinstance(report, Said)]
        assert said[-1] == "Pull complete"
        assert len(said) < told


async def test_what_is_no_json_is_passed_over() -> None:
    """A line that cannot be read is skipped; the rest of the stream counts."""

    async def mumbles(asked: Asked) -> None:
        await asked.begin()
        asked.writer.write(b"7\r\nhello\r\n\r\n")
        await asked.say(status="Done", progressDetail={"current": 5})
        await asked.end()

    daemon = ImageDaemon("n0")
    daemon.script = mumbles
    async with clustered([daemon]) as cluster:
        broadcast = Broadcast(cluster.healthy(), StreamRequest(path="/images/create", version=(1, 44)))
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            tasks.create_task(broadcast.run(), name="broadcast")
            reports = []
            while (report := await broadcast.next()) is not None:
                reports.append(report)
        assert [report.line.status for report in reports if isinstance(report, Said)] == ["Done"]
        assert reports[-1] == Ended(cluster.healthy()[0], None)
