"""Real dockerds: what they answer is understood, and what befalls them is noticed."""

import asyncio

import pytest

from swarmproxy.engine.engine import Engine, State
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.wire.address import Address
from swarmproxy.wire.tls import RenewableContext, client_context
from tests.conftest import StartEngines
from tests.engine.harness import Recorder, eventually, followed
from tests.hosts.engine import Engine as Dockerd

DEFAULTS = EngineSettings()
LATE_S = 5.0  # what a busy machine may waste in three pings and the waits between them
FLAGGED_WITHIN_S = 15.0 + LATE_S


async def docker(dockerd: Dockerd, *arguments: str) -> str:
    """Run the CLI against the daemon itself, behind our back; return what it printed."""
    return (await asyncio.to_thread(dockerd.docker, *arguments)).stdout.strip()


async def healthy(engine: Engine) -> None:
    await eventually(lambda: engine.state is State.HEALTHY)


@pytest.mark.parametrize("way", ["tcp", "bridge", "unix"])
async def test_accepted(engines: list[Dockerd], recorder: Recorder, way: str) -> None:
    """A daemon is accepted over TCP and a unix socket, with what it says of itself."""
    dockerd = engines[0]
    text = {"tcp": dockerd.address, "bridge": dockerd.own_address, "unix": f"unix://{dockerd.socket_path}"}[way]
    info = dockerd.get_json("/info")
    async with followed(Address.parse(text), recorder, base=DEFAULTS) as engine:
        await healthy(engine)
        facts = engine.facts
        assert facts is not None
        assert (facts.id, facts.name) == (info["ID"], dockerd.name)
        assert (facts.cpus, facts.memory_bytes) == (info["NCPU"], info["MemTotal"])
        assert facts.labels["storagedriver"] == "overlay2"
        assert engine.client.api_version == "1.41"
        assert engine.skew_ns == 0
        assert any("busybox:latest" in image.tags for image in engine.images.values())


async def test_accepted_over_tls(tls_engines: list[Dockerd], recorder: Recorder) -> None:
    """A daemon that demands certificates is accepted with them; without them the reason is shown."""
    dockerd = tls_engines[0]
    pair = dockerd.options.client
    assert pair is not None
    context = RenewableContext(lambda: client_context(cert=pair.cert, key=pair.key, ca=pair.ca, verify=True))
    address = Address.parse(dockerd.address)
    async with followed(address, recorder, base=DEFAULTS, tls=context) as engine:
        await healthy(engine)
    async with followed(address, recorder, base=DEFAULTS) as engine:
        await eventually(lambda: engine.error)
        assert "HTTPS" in engine.error


async def test_life_of_a_container(engines: list[Dockerd], recorder: Recorder) -> None:
    """What somebody does with a daemon directly is seen through its events."""
    dockerd = engines[0]
    async with followed(Address.parse(dockerd.address), recorder, base=DEFAULTS) as engine:
        await healthy(engine)
        container_id = await docker(
            dockerd, "run", "-d", "--name", "web", "--label", "a=b", "-m", "64m", "busybox", "sleep", "300"
        )
        await eventually(lambda: container_id in engine.containers)
        await eventually(lambda: engine.containers[container_id].state == "running")
        container = engine.containers[container_id]
        assert (container.name, container.labels["a"]) == ("web", "b")
        assert engine.usage.claims.memory_bytes == 64 * 1024**2
        assert container.started_ns > 0
        assert b'"Image":"busybox"' in container.fields

        await docker(dockerd, "exec", "web", "true")
        await docker(dockerd, "pause", "web")
        await eventually(lambda: engine.containers[container_id].state == "paused")
        await docker(dockerd, "unpause", "web")
        await docker(dockerd, "rename", "web", "web2")
        await eventually(lambda: engine.containers[container_id].name == "web2")
        await docker(dockerd, "update", "--memory-swap", "64m", "-m", "32m", "web2")
        await eventually(lambda: engine.usage.claims.memory_bytes == 32 * 1024**2)
        await docker(dockerd, "kill", "web2")
        await eventually(lambda: engine.containers[container_id].state == "exited")
        assert engine.containers[container_id].exit_code == 137
        await docker(dockerd, "rm", "web2")
        await eventually(lambda: container_id not in engine.containers)
        assert (engine.usage.claims.memory_bytes, recorder.gone) == (0, [container_id])
    actions = [event.action for event in recorder.events if event.actor_id == container_id]
    assert actions[:2] == ["create", "attach"] or actions[:2] == ["create", "start"]
    assert actions[-1] == "destroy"
    assert any(action.startswith("exec_create: true") for action in actions)


async def test_control(engines: list[Dockerd], recorder: Recorder) -> None:
    """A container can be started, read and removed through the client."""
    dockerd = engines[0]
    async with followed(Address.parse(dockerd.address), recorder, base=DEFAULTS) as engine:
        await healthy(engine)
        container_id = await docker(dockerd, "create", "--name", "made", "busybox", "sleep", "300")
        found = await engine.refresh_container(container_id)
        assert found is not None
        assert (found.name, found.state) == ("made", "created")
        await engine.client.start_container(container_id)
        await engine.client.start_container(container_id)  # which is no error
        found = await engine.refresh_container(container_id)
        assert found is not None
        assert found.is_running
        await engine.client.remove_container(container_id, force=True)
        engine.forget_container(container_id)
        assert container_id not in engine.containers


async def test_crash(start_engines: StartEngines, recorder: Recorder) -> None:
    """A daemon that dies is Unhealthy within seconds, and Healthy with its containers when it is back."""
    dockerd = start_engines()[0]
    container_id = await docker(dockerd, "run", "-d", "busybox", "sleep", "300")
    async with followed(Address.parse(dockerd.address), recorder, base=DEFAULTS) as engine:
        await healthy(engine)
        await asyncio.to_thread(dockerd.crash)
        async with asyncio.timeout(FLAGGED_WITHIN_S):
            await eventually(lambda: engine.state is State.UNHEALTHY)
        assert "Is the docker daemon running?" in engine.error
        assert container_id in engine.containers
        await asyncio.to_thread(dockerd.poweron)
        await healthy(engine)
        await eventually(lambda: engine.containers[container_id].state == "exited")
    assert recorder.states == [State.HEALTHY, State.UNHEALTHY, State.HEALTHY, State.DISCONNECTED]


async def test_frozen(start_engines: StartEngines, recorder: Recorder) -> None:
    """A daemon that hangs is flagged within 15 seconds, and comes back with its first answer."""
    dockerd = start_engines()[0]
    async with followed(Address.parse(dockerd.address), recorder, base=DEFAULTS) as engine:
        await healthy(engine)
        dockerd.freeze()
        async with asyncio.timeout(FLAGGED_WITHIN_S):
            await eventually(lambda: engine.state is State.UNHEALTHY)
        dockerd.thaw()
        await healthy(engine)


async def test_lost_network(start_engines: StartEngines, recorder: Recorder) -> None:
    """A host that loses its network is flagged, and what was done there meanwhile is known when it is back."""
    dockerd = start_engines()[0]
    address = Address.parse(dockerd.own_address)
    async with followed(address, recorder, base=DEFAULTS, probe_s=0.5, probe_timeout_s=0.5) as engine:
        await healthy(engine)
        dockerd.disconnect()
        await eventually(lambda: engine.state is State.UNHEALTHY)
        container_id = await docker(dockerd, "create", "busybox", "true")  # over the local address
        dockerd.reconnect()
        await healthy(engine)
        await eventually(lambda: container_id in engine.containers)
        created = [event for event in recorder.events if event.actor_id == container_id]
        assert [event.action for event in created] == ["create"]
