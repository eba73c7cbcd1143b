"""Nodes: how they are taken in, watched and given up."""

import time

from swarmproxy.engine.engine import State
from swarmproxy.engine.health import Health
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.errors import EngineError, EngineUnreachable
from tests.cluster.image_daemon import clustered, engine_of, lose
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import NOBODY, names, swarm
from tests.engine.harness import eventually

table = Table("Nodes")


async def _refused(daemon: Daemon) -> str:
    """Return why `daemon` does not become a member."""
    async with clustered([]) as cluster, daemon.running():
        cluster.follow([str(daemon.address)])
        await eventually(lambda: cluster.engines()[0].error)
        (engine,) = cluster.engines()
        assert engine.state is State.PENDING
        return engine.error


def _account(retry: int = 3) -> Health:
    return Health(EngineSettings(failure_retry=retry, failure_spacing_s=0.0), lambda _before, _after: None)


@table.kept("states", "the states of a node")
def states() -> None:
    """Pending, Healthy, Unhealthy, Disconnected."""
    assert [state.value for state in State] == ["Pending", "Healthy", "Unhealthy", "Disconnected"]


@table.kept("indicator", "the health of a node in numbers")
async def indicator() -> None:
    """100 less 100/retry for each failure in a row; 0 from the last one on, and unless it is healthy."""
    health = _account()
    assert health.indicator == 0
    health.enter(State.HEALTHY)
    shown = [health.indicator]
    for _ in range(3):
        health.note_failure(EngineUnreachable("refused"))
        shown.append(health.indicator)
    assert shown == [100, 67, 34, 0]
    assert (health.state, health.error) == (State.UNHEALTHY, "refused")


@table.kept("what-counts", "what counts as a failure of a node")
async def what_counts() -> None:
    """Only that it could not be reached; one success makes it healthy and forgets all failures."""
    health = _account(retry=1)
    health.enter(State.HEALTHY)
    health.note_failure(EngineError(500, "broken"))
    assert (health.failures, health.state) == (0, State.HEALTHY)
    health.note_failure(EngineUnreachable("refused"))
    health.note_success()
    assert (health.failures, health.state, health.error) == (0, State.HEALTHY, "")


@table.changed(
    "burst",
    "many requests that fail at the same moment",
    classic="Each counted: three requests in one second gave a node up.",
    why="They meet one cause; and failures are followed up at once, so that a dead node is known within seconds.",
)
async def burst() -> None:
    """Count as one failure."""
    health = Health(EngineSettings(failure_spacing_s=60.0), lambda _before, _after: None)
    health.enter(State.HEALTHY)
    for _ in range(100):
        health.note_failure(EngineUnreachable("refused"))
    assert health.failures == 1


@table.changed(
    "hung",
    "a node that takes connections and says nothing",
    classic="Calls had no deadline: it stayed Healthy until the kernel gave the connection up.",
    why="`docker ps` went on to show containers of a machine that hung.",
)
async def hung() -> None:
    """Unhealthy within seconds: every call has a deadline, and a node that is silent is pinged."""
    assert EngineSettings().probe_s + 3 * EngineSettings().probe_timeout_s < 15
    daemon = Daemon()
    async with clustered([daemon], probe_timeout_s=0.2) as cluster:
        daemon.frozen = True
        daemon.reset()
        await eventually(lambda: engine_of(cluster, daemon).state is State.UNHEALTHY)


@table.kept("no-resources", "a node without CPUs or memory")
async def no_resources() -> None:
    """Stays Pending: it must be a manager."""
    daemon = Daemon(cpus=0)
    assert await _refused(daemon) == (
        f"cannot get resources for this engine, make sure {daemon.address} is a Docker Engine, not a Swarm manager"
    )


@table.mended(
    "manager",
    "a manager that has nodes, listed as a node",
    classic="Taken in, and all its containers counted once more; two managers of each other never came to rest.",
    why="Every container was there twice.",
)
async def manager() -> None:
    """Stays Pending, whether it is classic's or ours."""
    assert "not a Swarm manager" in await _refused(Daemon(version="swarm/1.2.9"))
    assert "not a Swarm manager" in await _refused(Daemon(version="swarmproxy/0.1.0"))


@table.kept("bad-label", "a daemon with a label that has no `=`")
async def bad_label() -> None:
    """Stays Pending."""
    error = await _refused(Daemon(labels=["oops"]))
    assert error.startswith("Engine (ID: ID-node-1, Addr: 127.0.0.1:")
    assert error.endswith(') contains an invalid label (oops) not formatted as "key=value".')


@table.changed(
    "reason-shown",
    "why a node stays Pending",
    classic="Mostly in the debug log only.",
    why="The first question of every operator.",
)
async def reason_shown() -> None:
    """In the row Error of `docker info`."""
    async with swarm(dead=[NOBODY]) as front:
        await eventually(lambda: front.cluster.engines()[0].error)
        rows = (await front.client.get("/info")).json()["SystemStatus"]
        assert [label for label, value in rows if value and "Error" in label]


@table.kept("own-labels", "labels of a node")
async def own_labels() -> None:
    """What the engine says of itself, and the daemon's own, which cannot override it; `node` is not usable."""
    daemon = Daemon(labels=["storage=ssd", "ostype=plan9", "node=mine"])
    async with clustered([daemon]) as cluster:
        facts = engine_of(cluster, daemon).facts
        assert facts is not None
        assert (facts.labels["storage"], facts.labels["ostype"]) == ("ssd", "linux")
        assert (facts.labels["storagedriver"], facts.labels["kernelversion"]) == ("overlay2", "6.1.0")
        assert "node" not in facts.labels


@table.kept("old-engines", "the oldest engine")
async def old_engines() -> None:
    """API 1.24, Docker 1.12; what does not name a version counts as that."""
    assert "1.24 (Docker 1.12) is the oldest that can be used" in await _refused(Daemon(api="1.23", min_api="1.12"))
    async with swarm(Daemon(api="1.24", min_api="1.12")) as front:
        assert (await front.client.get("/version")).json()["ApiVersion"] == "1.24"


@table.changed(
    "retry",
    "when a pending node is tried again",
    classic="After 30 s, then 2^failures s more, up to 4 hours; looked at every 10 s.",
    why="A machine that boots for five minutes must not be missing for hours.",
)
def retry() -> None:
    """After 1 s, doubled up to a minute."""
    assert (EngineSettings().retry_min_s, EngineSettings().retry_max_s) == (1.0, 60.0)


@table.kept("intervals", "how often a node is read again")
def intervals() -> None:
    """Every 30 to 60 s, what it is every 5 minutes; three failures make it unhealthy."""
    settings = EngineSettings()
    assert (settings.refresh_min_s, settings.refresh_max_s, settings.specs_s, settings.failure_retry) == (
        30,
        60,
        300,
        3,
    )


@table.mended(
    "skew",
    "a node whose clock is more than two seconds off",
    classic="Its times were corrected, but times that were never set, too: `Exited (0) 292 years ago` for `Created`.",
    why="Containers that had never run were shown as ended, and were removed as such.",
)
async def skew() -> None:
    """Times are corrected, and those that were never set stay so."""
    daemon = Daemon(clock_ahead_s=-3600.0)
    daemon.put("fresh", state="created", created=int(time.time()) - 3600)
    async with swarm(daemon) as front:
        (item,) = (await front.client.get("/containers/json?all=1")).json()
        assert (item["Status"], item["State"]) == ("Created", "created")
        assert abs(item["Created"] - time.time()) < 60


@table.mended(
    "one-daemon-twice",
    "one daemon under two addresses",
    classic="Two nodes, each with all containers; the clean-up of duplicates then removed them, data and all.",
    why="Running containers were lost to a line too many in a file.",
)
async def one_daemon_twice() -> None:
    """One node; the other address stays Pending, and says why. Nothing is ever removed as a duplicate."""
    daemon = Daemon()
    daemon.put("c", labels={"com.docker.swarm.id": "5a" * 32})
    async with swarm(daemon) as front:
        first, second = (f"{host}:{daemon.address.port}" for host in ("127.0.0.1", "localhost"))
        front.cluster.follow([first, second])
        await eventually(lambda: len(front.cluster.engines()) == 2 and front.cluster.engines()[1].error)
        error = front.cluster.engines()[1].error
        assert error.startswith(f"Engine ID ID-node-1 of {second} is in the cluster already as node-1 at {first}")
        assert names(await front.client.get("/containers/json")) == ["c"]
        assert daemon.written == []


@table.changed(
    "cloned-id",
    "two machines with one daemon ID, cloned from an image",
    classic="Two nodes.",
    why="Nothing tells them from one daemon under two addresses, which is worse; the reason names the file.",
)
async def cloned_id() -> None:
    """The second stays Pending until /etc/docker/key.json, the copied file, is removed from one of them."""
    async with clustered([Daemon("node-1")]) as cluster, Daemon("node-2", id="ID-node-1").running() as clone:
        cluster.follow([str(cluster.engines()[0].address), str(clone.address)])
        await eventually(lambda: len(cluster.engines()) == 2 and cluster.engines()[1].error)
        assert cluster.engines()[1].error.endswith("or a copied /etc/docker/key.json")


@table.mended(
    "another-id",
    "another daemon at the address of a node",
    classic="The node went to Pending and stayed there until discovery dropped it and listed it again.",
    why="A machine that was installed anew had to be removed by hand.",
)
async def another_id() -> None:
    """The old one leaves with its containers, and the new one is taken in."""
    daemon = Daemon()
    daemon.put("old")
    async with swarm(daemon) as front:
        daemon.id = "ANOTHER"
        daemon.containers.clear()
        daemon.emit("daemon", "reload", "ANOTHER")
        await eventually(lambda: engine_of(front.cluster, daemon).id.startswith("ANOTHER|"))
        await eventually(front.cluster.healthy)
        assert names(await front.client.get("/containers/json?all=1")) == []


@table.mended(
    "unresolved",
    "an entry whose host name was never found, and is removed",
    classic="The manager crashed.",
    why="A typing error in a file, corrected, stopped the whole cluster.",
)
async def unresolved() -> None:
    """It is gone, and the rest goes on."""
    daemon = Daemon()
    async with swarm(daemon) as front:
        front.cluster.follow([str(daemon.address), "no-such-host.invalid:2375"])
        await eventually(lambda: len(front.cluster.engines()) == 2 and front.cluster.engines()[1].error)
        front.cluster.follow([str(daemon.address)])
        assert (await front.client.get("/info")).status_code == 200
        assert len(front.cluster.healthy()) == 1


@table.mended(
    "often-away",
    "a node that goes and comes back again and again",
    classic="A signal of which one could wait blocked the second: the node was not read any more.",
    why="Such a node showed old containers for ever.",
)
async def often_away() -> None:
    """Each time it is read anew."""
    daemon = Daemon()
    async with swarm(daemon) as front:
        for number in range(3):
            await lose(front.cluster, daemon)
            daemon.put(f"c{number}", created=1_700_000_000 + number)
            await daemon.listen()
            await eventually(lambda: len(engine_of(front.cluster, daemon).containers) == number + 1)  # noqa: B023
        assert names(await front.client.get("/containers/json")) == ["c2", "c1", "c0"]


@table.changed(
    "missed-events",
    "what happens while the event stream is broken",
    classic="Lost until the next refresh, up to a minute later.",
    why="Engines remember: the stream is opened again from where it broke.",
)
async def missed_events() -> None:
    """Told when the stream is open again, each event once."""
    daemon = Daemon()
    async with swarm(daemon) as front:
        container = daemon.put("c", state="created")
        daemon.end_streams()
        daemon.emit("container", "create", container, {"name": "c"})
        await eventually(lambda: engine_of(front.cluster, daemon).containers)


@table.kept("removed", "a node that discovery does not list any more")
async def removed() -> None:
    """Gone at once with its containers, whose names are free then."""
    first, second = Daemon("node-1"), Daemon("node-2")
    first.put("c")
    async with swarm(first, second) as front:
        front.cluster.follow([str(second.address)])
        assert names(await front.client.get("/containers/json?all=1")) == []
        made = await front.post("/containers/create?name=c", json={"Image": "busybox"})
        assert made.status_code == 201


@table.changed(
    "returned",
    "a node whose entry expires and is registered again",
    classic="A new node, read from the beginning.",
    why="An expired entry is often a slow store; the node is back with all its containers at once.",
)
async def returned() -> None:
    """Gone meanwhile, and back with what was known of it."""
    daemon = Daemon()
    daemon.put("c")
    async with swarm(daemon) as front:
        front.cluster.follow([])
        assert names(await front.client.get("/containers/json?all=1")) == []
        front.cluster.follow([str(daemon.address)])
        assert names(await front.client.get("/containers/json?all=1")) == ["c"]
