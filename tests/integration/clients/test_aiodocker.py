"""aiodocker at the proxy over three engines: it hijacks, streams, opens websockets and follows events by itself."""

import asyncio
import gc
import io
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiodocker
import pytest
from aiodocker.containers import DockerContainer
from aiodocker.exceptions import DockerError

from tests.hosts.images import busybox_archive
from tests.integration.clients.calls import tar_of
from tests.integration.clients.pools import Pool

ENDLESS = ["sh", "-c", "trap 'exit 7' TERM; echo out; echo err >&2; while :; do sleep 0.1; done"]
PATIENCE_S = 60.0

# What is left of a stream that was not read to its end is closed by the garbage collector, in `client` below.
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")


@pytest.fixture
async def client(three: Pool) -> AsyncIterator[aiodocker.Docker]:
    """Yield a client that has agreed on a version."""
    async with asyncio.timeout(PATIENCE_S), aiodocker.Docker(f"http://{three.address}") as client:
        yield client
    gc.collect()


async def run(client: aiodocker.Docker, name: str, *command: str, **config: Any) -> DockerContainer:
    """Return a new container that runs."""
    return await client.containers.run({"Image": "busybox", "Cmd": command or ENDLESS, **config}, name=name)


async def test_life(client: aiodocker.Docker) -> None:
    """A container is made, listed, inspected, paused, restarted, renamed, killed, waited for and deleted."""
    container = await run(client, "web", Labels={"tier": "front"})
    [listed] = await client.containers.list(filters={"label": ["tier=front"]})
    assert listed.id == container.id
    await container.pause()
    assert (await container.show())["State"]["Status"] == "paused"
    await container.unpause()
    await container.restart(t=5)
    await container.rename("shop")
    assert (await client.containers.get("shop"))["Name"] == "/shop"
    assert "trap" in str(await container.top())
    [stats] = await container.stats(stream=False)
    assert stats["id"] == container.id
    await container.kill(signal="TERM")
    assert (await container.wait())["StatusCode"] == 7
    await container.delete()
    with pytest.raises(DockerError, match="No such container") as caught:
        await container.show()
    assert caught.value.status == 404


async def test_replace(client: aiodocker.Docker) -> None:
    """Create-or-replace takes the old container away, wherever it is."""
    made = [
        await client.containers.create_or_replace("web", {"Image": "busybox", "Cmd": ENDLESS, "Env": [f"N={number}"]})
        for number in range(3)
    ]
    assert len({each.id for each in made}) == 3
    assert len(await client.containers.list(all=True)) == 1


async def test_streams(client: aiodocker.Docker) -> None:
    """Logs are followed, stdin goes in by attach, exec and websocket, and what comes back is told apart."""
    container = await run(client, "web")
    lines = container.log(stdout=True, follow=True)
    assert await anext(lines) == "out\n"
    assert isinstance(lines, AsyncGenerator)
    await lines.aclose()

    instance = await container.exec(["sh", "-c", "cat; echo err >&2"], stdin=True)
    async with instance.start(detach=False) as stream:
        await stream.write_in(b"through")
        while (message := await stream.read_out()) is not None:
            assert (message.stream, message.data) == (1, b"through")
            break
    assert (await instance.inspect())["ID"] == instance.id

    cat = await client.containers.create({"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True}, name="cat")
    async with cat.attach(stdin=True, stdout=True) as stream:
        await stream._init()
        await cat.start()
        await stream.write_in(b"given\n")
        message = await stream.read_out()
        assert message is not None
        assert message.data == b"given\n"
    websocket = await cat.websocket(stdin=True, stdout=True, stream=True)
    await websocket.send_bytes(b"by websocket\n")
    assert (await websocket.receive()).data == b"by websocket\n"
    await websocket.close()


async def test_archives(client: aiodocker.Docker) -> None:
    """Files go in and come out, and a container becomes an image that runs."""
    container = await run(client, "web")
    await container.put_archive("/tmp", tar_of("file", b"content"))
    archive = await container.get_archive("/tmp/file")
    assert archive.getnames() == ["file"]
    await container.commit(repository="made", tag="1")
    again = await client.containers.run({"Image": "made:1", "Cmd": ["cat", "/tmp/file"]}, name="again")
    assert (await again.wait())["StatusCode"] == 0
    assert await again.log(stdout=True) == ["content"]


async def test_images(client: aiodocker.Docker) -> None:
    """Images are imported to all nodes, listed, tagged, exported, built and deleted; a failed pull raises."""
    await client.images.import_image(io.BytesIO(busybox_archive("greeting:1", cmd=["echo", "hello"])))
    await client.images.tag("greeting:1", "greeting", tag="2")
    tags = {tag for image in await client.images.list() for tag in image["RepoTags"]}
    assert tags == {"busybox:latest", "greeting:1", "greeting:2"}
    assert (await client.images.inspect("greeting:2"))["Config"]["Cmd"] == ["echo", "hello"]
    async with client.images.export_image("greeting:2") as exported:
        assert len(await exported.read(512)) == 512
    context = io.BytesIO(tar_of("Dockerfile", b"FROM busybox\nLABEL made=here\n"))
    await client.images.build(fileobj=context, tag="built:1", encoding="identity")
    assert (await client.images.inspect("built:1"))["Config"]["Labels"] == {"made": "here"}
    for name in ("greeting:1", "greeting:2"):
        await client.images.delete(name)
    with pytest.raises(DockerError, match="No such image") as caught:
        await client.images.inspect("greeting:1")
    assert caught.value.status == 404
    with pytest.raises(DockerError):
        await client.images.pull("127.0.0.1:1/a:1")


async def test_networks_and_volumes(client: aiodocker.Docker) -> None:
    """A container on a network of its own finds its volume again."""
    network = await client.networks.create({"Name": "mine", "Driver": "bridge"})
    volume = await client.volumes.create({"Name": "kept", "Labels": {"made": "here"}})
    assert (await volume.show())["Labels"] == {"made": "here"}
    host = {"NetworkMode": "mine", "Binds": ["kept:/kept"]}
    for command in ("echo here > /kept/file", "cat /kept/file"):
        container = await run(client, "user", "sh", "-c", command, HostConfig=host)
        await container.wait()
        said = await container.log(stdout=True)
        assert "mine" in (await container.show())["NetworkSettings"]["Networks"]
        await container.delete()
    assert said == ["here\n"]
    await network.delete()
    await volume.delete()
    with pytest.raises(DockerError):
        await network.show()


async def test_events(client: aiodocker.Docker) -> None:
    """The events of all nodes come while they happen."""
    subscriber = client.events.subscribe(filters='{"type":["container"],"event":["start"]}')
    while client.events.json_stream is None:  # noqa: ASYNC110  the library tells nobody
        await asyncio.sleep(0.01)
    started = [await run(client, name) for name in ("one", "two", "three")]
    seen = {(await subscriber.get())["Actor"]["ID"] for _ in started}
    assert seen == {each.id for each in started}
    await client.events.stop()
