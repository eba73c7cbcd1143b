"""`docker create`: what is read from the request, and what the engine gets."""

import asyncio
import re

from swarmproxy.manager import new_swarm_id
from tests.cluster.image_daemon import Asked, lose
from tests.compat.daemon import Daemon
from tests.compat.row import Table
from tests.compat.swarm import create, message, refusal, swarm

table = Table("docker create")

CREATED = "POST /containers/create"
CONSTRAINTS, POLICIES = "com.docker.swarm.constraints", "com.docker.swarm.reschedule-policies"
SWARM_ID = "com.docker.swarm.id"
CONFLICT = (
    'Conflict. The container name "/{name}" is already in use{by}. '
    "You have to remove (or rename) that container to be able to reuse that name."
)


async def pulls(asked: Asked) -> None:
    await asked.body()
    await asked.begin()
    await asked.say(status="Downloaded newer image")
    await asked.end()


@table.kept("environment", "`-e constraint:storage==ssd -e reschedule:on-node-failure -e FOO=1`")
async def environment() -> None:
    """The engine gets `FOO=1` as environment, and the rest as labels that hold JSON lists."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        env = ["constraint:storage==ssd", "reschedule:on-node-failure", "FOO=1"]
        assert (await create(manager, "c", Env=env)).status_code == 201
        (body,) = daemon.bodies_of(CREATED)
        assert body["Env"] == ["FOO=1"]
        assert re.fullmatch("[0-9a-f]{64}", body["Labels"].pop(SWARM_ID))
        assert body["Labels"] == {CONSTRAINTS: '["storage==ssd"]', POLICIES: '["on-node-failure"]'}


@table.kept("labels", "the same as labels")
async def labels() -> None:
    """A label with a JSON list does what the environment does; both together are one list, the label's first."""
    daemon = Daemon(labels=["aa=1", "bb=2"])
    async with swarm(daemon) as manager:
        await create(manager, Labels={CONSTRAINTS: '["aa==1"]'}, Env=["constraint:bb==2", "constraints:x", "A:b=c"])
        (body,) = daemon.bodies_of(CREATED)
        assert body["Labels"][CONSTRAINTS] == '["aa==1","bb==2"]'
        assert body["Env"] == ["constraints:x", "A:b=c"]


@table.changed(
    "broken-label",
    "such a label that is no JSON list, as in `--label com.docker.swarm.constraints=storage==floppy`",
    classic="Taken for an empty one.",
    why="The container went where its author did not want it. Those that have such a label move as before.",
)
async def broken_label() -> None:
    """400, which names the label. An empty one still asks for nothing."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        refused = await create(manager, Labels={CONSTRAINTS: "storage==floppy"})
        said = f"invalid label {CONSTRAINTS}: 'storage==floppy' is not a JSON list of texts"
        assert (refused.status_code, refused.json()) == (400, {"message": said})
        assert not daemon.bodies_of(CREATED)
        assert (await create(manager, Labels={CONSTRAINTS: ""})).status_code == 201


@table.changed(
    "no-environment",
    "an environment of which nothing remains",
    classic="`null` for the engine.",
    why="Both mean the same to every engine.",
)
async def no_environment() -> None:
    """An empty list."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        await create(manager, Env=["constraint:storage==ssd"])
        assert daemon.bodies_of(CREATED)[0]["Env"] == []


@table.changed(
    "bad-policy",
    "a reschedule policy that is none, or two of them",
    classic="500 `invalid reschedule policy: x`, 500 `too many reschedule policies`.",
    why="The mistake is the client's.",
)
async def bad_policy() -> None:
    """400 in the same words."""
    async with swarm(Daemon()) as manager:
        assert message(await create(manager, Env=["reschedule:x"])) == (400, "invalid reschedule policy: x")
        twice = await create(manager, Env=["reschedule:off", "reschedule:off"])
        assert message(twice) == (400, "too many reschedule policies")


@table.changed(
    "rescheduling-rm",
    "`--rm -e reschedule:on-node-failure`",
    classic="Made anew on another node when its node failed.",
    why="Its engine removes it when it ends, and with its node it has ended.",
)
async def rescheduling_of_removed() -> None:
    """It is not made anew, and the create's answer says so."""
    async with swarm(Daemon("node-1")) as manager:
        policy = ["reschedule:on-node-failure"]
        made = await create(manager, "c", Env=policy, HostConfig={"AutoRemove": True})
        assert made.status_code == 201
        assert ["is not rescheduled" in each for each in made.json()["Warnings"]] == [True]
        assert not (await create(manager, "d", Env=policy)).json()["Warnings"]


@table.kept("shares", "`-c`, which counts CPU cores")
async def shares() -> None:
    """Scaled to the engine: one core of ten is 103 shares, rounded up, and reads back as one core."""
    daemon = Daemon(cpus=10)
    async with swarm(daemon) as manager:
        await create(manager, "c", HostConfig={"CpuShares": 1})
        assert daemon.bodies_of(CREATED)[0]["HostConfig"]["CpuShares"] == 103
        rows = dict(map(tuple, (await manager.client.get("/info")).json()["SystemStatus"]))
        assert rows["  └ Reserved CPUs"] == "1 / 10"
        refused = await create(manager, HostConfig={"CpuShares": 10240})
        assert refusal(refused) == (500, "no resources available to schedule container")


@table.kept("legacy", "Memory, MemorySwap, CpuShares and Cpuset at the top of the body, as before API 1.18")
async def legacy() -> None:
    """They outrank those of HostConfig."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        await create(manager, Memory=1 << 30, Cpuset="0", HostConfig={"Memory": 5, "CpusetCpus": "1"})
        assert daemon.bodies_of(CREATED)[0]["HostConfig"] == {"Memory": 1 << 30, "CpusetCpus": "0"}


@table.changed(
    "other-members",
    "all else in the body",
    classic="Written anew from what API 1.40 knows, with MemorySwappiness -1 added.",
    why="Newer options reach the engine; engines with cgroup v2 refuse a swappiness.",
)
async def other_members() -> None:
    """The engine gets it as the client wrote it; names of members count in any case."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        await create(manager, unheard={"Of": 1}, hostconfig={"Annotations": {"a": "b"}, "memory": 5})
        (body,) = daemon.bodies_of(CREATED)
        assert (body["unheard"], body["hostconfig"]) == ({"Of": 1}, {"Annotations": {"a": "b"}, "memory": 5})


@table.changed(
    "platform",
    "`docker create --platform`",
    classic="Dropped.",
    why="The client asked for it.",
)
async def platform() -> None:
    """Passed on."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        await manager.post("/containers/create?platform=linux%2Farm64", json={"Image": "busybox"})
        assert daemon.written[-1][0].query == {"platform": "linux/arm64"}


@table.changed(
    "answer",
    "the answer",
    classic='201 `{"Id": ...}`.',
    why="The docker CLI prints what the engine warns of.",
)
async def answer() -> None:
    """201 with Id and the engine's Warnings."""
    async with swarm(Daemon()) as manager:
        made = await create(manager, "c")
        assert made.status_code == 201
        assert sorted(made.json()) == ["Id", "Warnings"]


@table.changed(
    "conflict",
    "a name that is taken",
    classic="409 `Conflict: The name c is already assigned. You have to delete (or rename) ...`.",
    why="A daemon's words, in which compose and CI scripts find the name and the container.",
)
async def conflict() -> None:
    """409 in a daemon's words, wherever the container is, also on a node that is down."""
    daemon = Daemon()
    taken = daemon.put("c")
    async with swarm(daemon, Daemon("node-2")) as manager:
        by = f' by container "{taken}"'
        assert message(await create(manager, "c")) == (409, CONFLICT.format(name="c", by=by))
        await lose(manager.cluster, daemon)
        assert message(await create(manager, "/c")) == (409, CONFLICT.format(name="c", by=by))


@table.kept("names-in-flight", "two creates of one name at the same time")
async def names_in_flight() -> None:
    """One of them is 409: a name is held until the container is known."""
    daemons = [Daemon("node-1"), Daemon("node-2")]
    for daemon in daemons:
        daemon.slow_s["/containers/create"] = 0.05
    async with swarm(*daemons) as manager:
        answers = await asyncio.gather(*(create(manager, "c") for _ in range(3)))
        assert sorted(each.status_code for each in answers) == [201, 409, 409]


@table.kept("id-as-name", "a name that begins another container's ID")
async def id_as_name() -> None:
    """Is free."""
    daemon = Daemon()
    taken = daemon.put("c")
    async with swarm(daemon) as manager:
        assert (await create(manager, taken[:12])).status_code == 201


@table.kept("swarm-id", "the label com.docker.swarm.id")
async def swarm_id() -> None:
    """The client's if there is one, else 64 random digits, of which the first twelve are never a decimal number."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        await create(manager, Labels={SWARM_ID: "mine"})
        assert daemon.bodies_of(CREATED)[0]["Labels"] == {SWARM_ID: "mine"}
    assert not any(new_swarm_id()[:12].isdecimal() for _ in range(2000))


@table.changed(
    "engine-errors",
    "a create that the engine refuses",
    classic="500, whatever the engine's status was.",
    why="Clients act on 400, 404 and 409.",
)
async def engine_errors() -> None:
    """The engine's own status and message."""
    daemon = Daemon()
    daemon.answers["/containers/create"] = (400, b'{"message":"invalid mount"}')
    async with swarm(daemon) as manager:
        assert message(await create(manager)) == (400, "invalid mount")


@table.kept("bad-body", "a body that is no JSON")
async def bad_body() -> None:
    """400."""
    async with swarm(Daemon()) as manager:
        assert message(await manager.post("/containers/create", content=b"{"))[0] == 400
        assert message(await manager.post("/containers/create"))[0] == 400


@table.kept("pull", "an image that the chosen node has not")
async def pull() -> None:
    """Pulled there, without a tag its `latest`, with the client's credentials; then the container is made."""
    daemon = Daemon()

    async def pulls_and_holds(asked: Asked) -> None:
        daemon.hold("aa22", "app:latest")
        await pulls(asked)

    daemon.script = pulls_and_holds
    async with swarm(daemon) as manager:
        headers = {"X-Registry-Auth": "c2VjcmV0"}
        made = await manager.post("/containers/create", json={"Image": "app"}, headers=headers)
        assert made.status_code == 201
        (asked,) = daemon.asked_for
        assert (asked.query["fromImage"], asked.headers["x-registry-auth"]) == ("app:latest", "c2VjcmV0")


@table.changed(
    "image-elsewhere",
    "an image that cannot be pulled, but that another node has",
    classic="The container went to that node, however full it was.",
    why="The place was chosen for a reason. tests/integration/test_image_moves.py shows moves between real engines.",
)
async def image_elsewhere() -> None:
    """The image is moved to the chosen node; if that fails or is switched off the container goes to that node."""

    async def denies(asked: Asked) -> None:
        await asked.body()
        await asked.answer(404, {"message": "pull access denied for app"})

    empty, holder = Daemon("node-1"), Daemon("node-2")
    empty.script = holder.script = denies
    holder.hold("aa22", "app:latest")
    holder.put("busy")
    async with swarm(empty, holder) as manager:
        assert (await create(manager, image="app")).status_code == 201
        assert len(holder.bodies_of(CREATED)) == 1


@table.kept("image-nowhere", "an image that cannot be pulled and that no node has")
async def image_nowhere() -> None:
    """500 with what the engine said: a 404 would make the docker CLI pull once more, on all nodes."""

    async def denies(asked: Asked) -> None:
        await asked.body()
        await asked.answer(404, {"message": "pull access denied for app"})

    async with swarm(Daemon(script=denies)) as manager:
        assert message(await create(manager, image="app")) == (500, "pull access denied for app")


@table.mended(
    "missing-network",
    "a 404 of the engine that is not about the image",
    classic="The image was pulled all the same, then the create failed once more.",
    why="A typing error in a network's name cost a pull.",
)
async def missing_network() -> None:
    """Passed on at once; nothing is pulled."""
    daemon = Daemon()
    daemon.answers |= {
        "/containers/create": (404, b'{"message":"network blue not found"}'),
        "/images/busybox/json": (200, b"{}"),
    }
    async with swarm(daemon) as manager:
        assert message(await create(manager)) == (404, "network blue not found")
        assert daemon.asked_for == []


@table.kept("retry", "`swarm.createretry`")
async def retry() -> None:
    """A create that fails is tried again so often, each time from the choice of the node on."""
    daemon = Daemon()
    daemon.answers["/containers/create"] = (500, b'{"message":"broken"}')
    async with swarm(daemon, create_retry=2) as manager:
        assert message(await create(manager, "c")) == (500, "broken")
        assert len(daemon.bodies_of(CREATED)) == 3


@table.changed(
    "no-retry",
    "`swarm.createretry`, when the engine says that the request is wrong",
    classic="Tried again all the same.",
    why="The same request is wrong everywhere.",
)
async def no_retry() -> None:
    """Not tried again."""
    daemon = Daemon()
    daemon.answers["/containers/create"] = (400, b'{"message":"invalid mount"}')
    async with swarm(daemon, create_retry=2) as manager:
        await create(manager)
        assert len(daemon.bodies_of(CREATED)) == 1


@table.changed(
    "image-os",
    "the constraint `ostype==linux` on each container",
    classic="Added after a look at the image's manifest in the registry, and visible in the label.",
    why="A request to a registry for each create, and a label nobody wrote.",
)
async def image_os() -> None:
    """Nothing is added, nor asked where all nodes are alike; else it is looked up once for each image."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        await create(manager)
        assert list(daemon.bodies_of(CREATED)[0]["Labels"]) == [SWARM_ID]
        assert not any("distribution" in target for target in daemon.targets)


@table.mended(
    "unread",
    "a container that is made, but cannot be read then",
    classic="`Container created but refresh didn't report it back`: an error, and a container that nobody wanted.",
    why="A client that tried again met its own name.",
)
async def unread() -> None:
    """201; the next look at the engine finds it."""
    daemon = Daemon()
    async with swarm(daemon) as manager:
        daemon.answers["/containers/json"] = (500, b'{"message":"broken"}')
        assert (await create(manager, "c")).status_code == 201


@table.kept("in-flight", "many creates at the same time")
async def in_flight() -> None:
    """What is being made counts already: of three creates for two slots exactly one is refused."""
    daemons = [Daemon(name, labels=["containerslots=1"]) for name in ("node-1", "node-2")]
    for daemon in daemons:
        daemon.slow_s["/containers/create"] = 0.05
    async with swarm(*daemons) as manager:
        answers = await asyncio.gather(*(create(manager, f"c{number}") for number in range(3)))
        assert sorted(each.status_code for each in answers) == [201, 201, 500]
        assert [len(daemon.containers) for daemon in daemons] == [1, 1]
