"""Loading and importing: one body for several daemons, through the real server."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import pytest

from tests.api.image_front import PATIENCE_S, front, of_node, progress
from tests.cluster.image_daemon import Asked, ImageDaemon, lose

BLOCK = bytes(range(256)) * 256  # 64 KiB
BLOCKS = 256  # 16 MiB: more than sockets hold


async def body() -> AsyncIterator[bytes]:
    for _ in range(BLOCKS):
        yield BLOCK


WHOLE = hashlib.sha256(BLOCK * BLOCKS).hexdigest()


async def loads(asked: Asked) -> None:
    """Read the whole body and load it; the digest shows what came."""
    digest = hashlib.sha256()
    await asked.begin()
    await asked.say(status="Loading layer", progressDetail=progress(1, 10), id="aa")
    async for chunk in asked.chunks():
        digest.update(chunk)
    await asked.say(stream=f"Loaded image: {digest.hexdigest()}\n")
    await asked.end()


async def refuses_early(asked: Asked) -> None:
    """Answer without reading and close the connection, as a daemon does that finds no tar."""
    await asked.answer(400, {"message": "not a tar"})
    asked.writer.close()


async def fails_early(asked: Asked) -> None:
    """Begin, and fail before the body was read."""
    await anext(asked.chunks())
    await asked.begin()
    await asked.say(error="unexpected EOF", errorDetail={"message": "unexpected EOF"})
    await asked.end()
    asked.writer.close()


async def test_load_on_all_nodes() -> None:
    """Every healthy node gets the whole body; what was loaded is said once, in the words that docker-py reads."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1"), ImageDaemon("n2")]
    for daemon in daemons:
        daemon.script = loads
    async with front(daemons) as manager:
        await lose(manager.cluster, daemons[2])
        lines = await manager.lines(
            "/v1.44/images/load?quiet=0", content=body(), headers={"Content-Type": "application/x-tar"}
        )
        for node in ("n0", "n1"):
            assert of_node(lines, node) == [
                "Loading Image...",
                "Loading Image... : Loading layer",
                f"Loading Image... : Loaded image: {WHOLE}",
            ]
        assert of_node(lines, "n2") == ["Loading Image... : skipped, the node is Unhealthy"]
        assert lines[-1] == {"stream": f"Loaded image: {WHOLE}\n"}
        assert daemons[0].asked_for[0].target == "/v1.44/images/load?quiet=0"
        assert daemons[0].asked_for[0].headers["content-type"] == "application/x-tar"


async def test_quiet_load() -> None:
    """A quiet load says what was loaded and nothing else."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    for daemon in daemons:
        daemon.script = loads
    async with front(daemons) as manager:
        lines = await manager.lines("/images/load?quiet=1", content=b"tar")
        assert lines == [{"stream": f"Loaded image: {hashlib.sha256(b'tar').hexdigest()}\n"}]


async def test_load_on_one_node() -> None:
    """A node that is asked for loads alone."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    for daemon in daemons:
        daemon.script = loads
    async with front(daemons) as manager:
        await manager.lines("/images/load?node=n1&quiet=1", content=b"tar")
        assert daemons[0].asked_for == []
        assert daemons[1].asked_for[0].target == "/v1.51/images/load?quiet=1"


@pytest.mark.parametrize("script", [refuses_early, fails_early])
async def test_node_that_fails_early_spoils_nothing(script: object) -> None:
    """A node that gives up in the middle is named at the end; the others get every byte. Classic cut them off."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    daemons[0].script, daemons[1].script = script, loads  # type: ignore[assignment]
    async with front(daemons) as manager:
        *lines, result, last = await manager.lines("/images/load", content=body())
        assert result == {"stream": f"Loaded image: {WHOLE}\n"}
        assert last["error"] in ("n0: not a tar", "n0: unexpected EOF")
        assert of_node(lines, "n0")[-1] == f"Loading Image... : {last['error'].removeprefix('n0: ')}"


async def test_node_that_dies_spoils_nothing() -> None:
    """A node that dies while it loads is named at the end; the others get every byte."""

    async def dies(asked: Asked) -> None:
        await asked.begin()
        await anext(asked.chunks())
        asked.writer.transport.abort()

    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    daemons[0].script, daemons[1].script = dies, loads
    async with front(daemons) as manager:
        *_, result, last = await manager.lines("/images/load", content=body())
        assert result == {"stream": f"Loaded image: {WHOLE}\n"}
        assert last["error"].startswith("n0: ")


async def test_load_that_all_nodes_refuse() -> None:
    """If no engine takes the body the client gets the status and the message of a single daemon."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    for daemon in daemons:
        daemon.script = refuses_early
    async with front(daemons) as manager:
        answer = await manager.post("/images/load", content=b"no tar")
        assert (answer.status_code, answer.json()) == (400, {"message": "not a tar"})


async def test_answers_come_while_the_body_is_sent() -> None:
    """The reply begins before the body has ended, and goes on beside it."""
    daemon = ImageDaemon("n0")

    async def echoes(asked: Asked) -> None:
        await asked.begin()
        async for chunk in asked.chunks():
            await asked.say(status=f"read {chunk.decode()}")
        await asked.end()

    daemon.script = echoes
    async with front([daemon]) as manager:
        reader, writer = await asyncio.open_connection("127.0.0.1", manager.port)
        writer.write(b"POST /images/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            for word in (b"one", b"two", b"three"):
                writer.write(b"%x\r\n%s\r\n" % (len(word), word))
                while b"read " + word not in await reader.readline():
                    pass
            writer.write(b"0\r\n\r\n")
            assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()


async def test_client_that_leaves_in_the_middle() -> None:
    """A body that is cut never looks whole to an engine: its request is cut too."""
    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    for daemon in daemons:
        daemon.script = loads
    async with front(daemons) as manager:
        reader, writer = await asyncio.open_connection("127.0.0.1", manager.port)
        writer.write(b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsome")
        async with asyncio.timeout(PATIENCE_S):
            await reader.readuntil(b"Loading Image...")
            writer.close()
            await writer.wait_closed()
            for daemon in daemons:
                await daemon.left.wait()


async def test_import_of_a_body() -> None:
    """An import sends body and parameters to all nodes as they are, and tells what each made of it."""

    async def imports(asked: Asked) -> None:
        data = await asked.body()
        await asked.begin()
        await asked.say(status=f"sha256:{hashlib.sha256(data).hexdigest()}")
        await asked.end()

    daemons = [ImageDaemon("n0"), ImageDaemon("n1")]
    for daemon in daemons:
        daemon.script = imports
    async with front(daemons) as manager:
        query = "fromSrc=-&repo=app&tag=1&message=made+here&changes=CMD%20sh&platform=linux"
        lines = await manager.lines(f"/images/create?{query}", content=body())
        assert sorted(json.dumps(line) for line in lines) == [
            json.dumps({"status": f"sha256:{WHOLE}", "progressDetail": {}, "id": node}) for node in ("n0", "n1")
        ]
        for daemon in daemons:
            assert daemon.asked_for[0].target == f"/v1.51/images/create?{query}"
        await manager.lines("/images/create?fromSrc=http://example.com/x.tar&repo=b")
        assert daemons[0].asked_for[1].query == {"fromSrc": "http://example.com/x.tar", "repo": "b"}
