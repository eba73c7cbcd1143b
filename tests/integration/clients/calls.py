"""What a program does with docker-py, call by call, told in a way that two endpoints can be compared by.

Each call gets a `Session` and returns what its caller would look at: values and the names of members, never ids or
times. An error is told by its kind, its status and its words.
"""

import contextlib
import io
import re
import tarfile
import time
from collections.abc import Callable
from typing import Any

import docker
from docker.errors import DockerException
from docker.models.containers import Container

from tests.hosts.images import busybox_archive

Call = Callable[[docker.DockerClient], Any]
CALLS: dict[str, Call] = {}
ENDLESS = ["sh", "-c", "trap 'exit 7' TERM; echo out; echo err >&2; while :; do sleep 0.1; done"]
NOBODY = "127.0.0.1:1"
HEX = re.compile(r"\b[0-9a-f]{12,64}\b")


def call(function: Call) -> Call:
    """Add a call to those that are compared; they are made in the order in which they are written."""
    CALLS[function.__name__] = function
    return function


def told(function: Call, client: docker.DockerClient) -> Any:
    """Return what a call returns, or its error in comparable form."""
    try:
        return function(client)
    except DockerException as error:
        words = str(getattr(error, "explanation", None) or error)
        return type(error).__name__, getattr(error, "status_code", None), HEX.sub("ID", words)


def failures(**attempts: Callable[[], Any]) -> dict[str, Any]:
    """Return how each of several attempts fails."""
    return {name: told(lambda _, attempt=attempt: attempt(), None) for name, attempt in attempts.items()}  # type: ignore[misc]


def tar_of(name: str, content: bytes) -> bytes:
    """Return a tar of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def names_in(chunks: Any) -> list[str]:
    """Return the names in a tar that comes in pieces."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        return sorted(tar.getnames())


def web(client: docker.DockerClient) -> Container:
    return client.containers.get("web")


# System


@call
def ping(client: docker.DockerClient) -> Any:
    return client.ping()


@call
def version(client: docker.DockerClient) -> Any:
    said = client.version()
    return said["ApiVersion"], said["Os"], said["Arch"]


@call
def info(client: docker.DockerClient) -> Any:
    return sorted(client.info())


@call
def login(client: docker.DockerClient) -> Any:
    kind, status, _words = told(lambda c: c.login("u", "p", registry=NOBODY, reauth=True), client)
    return kind, status


@call
def disk_usage(client: docker.DockerClient) -> Any:
    return sorted(client.df())


# Images


@call
def image_load(client: docker.DockerClient) -> Any:
    image, *_ = client.images.load(busybox_archive("one:1", "two:1", cmd=["echo", "hello"], labels={"made": "here"}))
    return image.tags, image.labels


@call
def image_list(client: docker.DockerClient) -> Any:
    found = client.images.list(filters={"label": "made=here"})
    return [(image.tags, image.labels) for image in found], sorted(tag for i in client.images.list() for tag in i.tags)


@call
def image_inspect(client: docker.DockerClient) -> Any:
    image = client.images.get("one:1")
    return sorted(image.attrs), image.attrs["Config"]["Cmd"], [sorted(layer) for layer in image.history()]


@call
def image_save(client: docker.DockerClient) -> Any:
    return len(names_in(client.images.get("one:1").save(named=True)))


@call
def image_tag(client: docker.DockerClient) -> Any:
    return client.images.get("one:1").tag("three", "1"), client.images.get("three:1").tags


@call
def image_remove(client: docker.DockerClient) -> Any:
    client.images.remove("three:1")
    return client.images.get("one:1").tags


@call
def image_import(client: docker.DockerClient) -> Any:
    client.api.import_image_from_data(tar_of("file", b"content"), repository="imported", tag="1")
    return client.images.get("imported:1").tags


@call
def image_build(client: docker.DockerClient) -> Any:
    dockerfile = io.BytesIO(b"FROM busybox\nARG WHO\nLABEL who=$WHO\nRUN echo $WHO > /who\n")
    image, lines = client.images.build(fileobj=dockerfile, tag="built:1", buildargs={"WHO": "us"}, rm=True)
    return image.tags, image.labels, any("Successfully built" in line.get("stream", "") for line in lines)


@call
def image_build_fails(client: docker.DockerClient) -> Any:
    return client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 3\n"), rm=True, forcerm=True)


@call
def image_prune(client: docker.DockerClient) -> Any:
    client.images.load(busybox_archive("unused:1", labels={"used": "no"}))
    pruned = client.images.prune(filters={"dangling": False, "label": "used=no"})
    return [each for each in pruned["ImagesDeleted"] if "Untagged" in each], sorted(pruned)


@call
def image_errors(client: docker.DockerClient) -> Any:
    said = failures(
        get=lambda: client.images.get("nothing:1"),
        history=lambda: client.api.history("nothing:1"),
        remove=lambda: client.images.remove("nothing:1"),
        tag=lambda: client.api.tag("nothing:1", "a"),
        save=lambda: list(client.api.get_image("nothing:1")),
    )
    user = client.containers.create("imported:1", ["x"], name="user")
    said["used"] = told(lambda c: c.images.remove("imported:1"), client)
    user.remove()
    pulled = told(lambda c: c.images.pull(f"{NOBODY}/a", tag="1"), client)
    return {**said, "pull": pulled[:2]}


# Containers


@call
def container_run(client: docker.DockerClient) -> Any:
    said = client.containers.run("busybox", ["sh", "-c", "echo out; echo err >&2"], remove=True, stderr=True)
    return sorted(said.splitlines())


@call
def container_run_fails(client: docker.DockerClient) -> Any:
    return client.containers.run("busybox", ["sh", "-c", "exit 3"], remove=True)


@call
def container_start(client: docker.DockerClient) -> Any:
    started = client.containers.run(
        "busybox",
        ENDLESS,
        detach=True,
        name="web",
        environment={"A": "1"},
        labels={"tier": "front"},
        ports={"80/tcp": None},
        volumes={"data": {"bind": "/data", "mode": "rw"}},
        mem_limit="64m",
        healthcheck={"test": ["CMD", "true"], "interval": 10**9},
    )
    started.reload()
    return started.status, started.name, started.labels["tier"], sorted(started.attrs)


@call
def container_list(client: docker.DockerClient) -> Any:
    [item] = client.api.containers(filters={"label": "tier=front"})
    return sorted(item), item["Names"][0], item["State"], [each.name for each in client.containers.list(all=True)]


@call
def container_inspect(client: docker.DockerClient) -> Any:
    attrs = web(client).attrs
    inner = {key: sorted(attrs[key]) for key in ("Config", "HostConfig", "NetworkSettings", "State")}
    return inner, attrs["HostConfig"]["Memory"], sorted(attrs["NetworkSettings"]["Networks"])


@call
def container_logs(client: docker.DockerClient) -> Any:
    container = web(client)
    while b"err" not in container.logs():
        time.sleep(0.05)
    stream = container.logs(stream=True, follow=True, stderr=False)
    first = next(stream)
    stream.close()
    return container.logs(stderr=False), container.logs(stdout=False), container.logs(tail=0), first


@call
def container_stats(client: docker.DockerClient) -> Any:
    stream = web(client).stats(decode=True)
    first = sorted(next(stream))
    stream.close()
    return first, sorted(web(client).stats(stream=False))


@call
def container_top_and_diff(client: docker.DockerClient) -> Any:
    container = web(client)
    container.exec_run(["touch", "/new"])
    return container.top()["Titles"], [each for each in container.diff() if each["Path"] == "/new"]


@call
def container_exec(client: docker.DockerClient) -> Any:
    container = web(client)
    script = ["sh", "-c", "echo $B; pwd; echo err >&2; exit 3"]
    code, (out, err) = container.exec_run(script, demux=True, environment={"B": "2"}, workdir="/tmp")
    streamed = b"".join(container.exec_run(["echo", "streamed"], stream=True).output)
    made = client.api.exec_create("web", ["true"])["Id"]
    client.api.exec_start(made)
    return code, out, err, streamed, sorted(client.api.exec_inspect(made))


@call
def container_archive(client: docker.DockerClient) -> Any:
    container = web(client)
    put = container.put_archive("/tmp", tar_of("file", b"content"))
    chunks, stat = container.get_archive("/tmp/file")
    return put, names_in(chunks), stat["name"], stat["size"]


@call
def container_export(client: docker.DockerClient) -> Any:
    return "bin/busybox" in names_in(web(client).export())


@call
def container_attach(client: docker.DockerClient) -> Any:
    return web(client).attach(logs=True, stream=False, stderr=False)


@call
def container_commit(client: docker.DockerClient) -> Any:
    image = web(client).commit("committed", "1", changes=["LABEL x=y"])
    return image.tags, image.labels["x"]


@call
def container_changes_state(client: docker.DockerClient) -> Any:
    container, seen = web(client), []
    for action in ("pause", "unpause", "restart", "stop", "start"):
        getattr(container, action)(**({"timeout": 5} if action in ("restart", "stop") else {}))
        container.reload()
        seen.append((action, container.status))
    return seen


@call
def container_update_and_rename(client: docker.DockerClient) -> Any:
    container = web(client)
    container.update(mem_limit="80m", memswap_limit="80m")
    container.rename("shop")
    container.reload()
    container.rename("web")
    return container.name, container.attrs["HostConfig"]["Memory"]


@call
def container_wait(client: docker.DockerClient) -> Any:
    container = web(client)
    container.kill("TERM")
    return container.wait()["StatusCode"]


@call
def container_errors(client: docker.DockerClient) -> Any:
    def missing(name: str, *arguments: Any) -> Callable[[], Any]:
        return lambda: getattr(client.api, name)("nobody", *arguments)

    return failures(
        get=lambda: client.containers.get("nobody"),
        logs=lambda: client.api.logs("nobody"),
        stats=lambda: client.api.stats("nobody", stream=False),
        archive=lambda: client.api.get_archive("nobody", "/"),
        no_file=lambda: web(client).get_archive("/no/file"),
        no_directory=lambda: web(client).put_archive("/no", tar_of("f", b"")),
        wait=missing("wait"),
        kill=missing("kill"),
        rename=missing("rename", "a"),
        exec=missing("exec_create", "true"),
        exec_inspect=lambda: client.api.exec_inspect("f" * 64),
        not_running=lambda: web(client).exec_run("true"),
        not_paused=lambda: web(client).unpause(),
        kill_stopped=lambda: web(client).kill(),
        taken=lambda: client.containers.create("busybox", name="web"),
        bad_name=lambda: client.containers.create("busybox", name="a b"),
        bad_memory=lambda: client.containers.create("busybox", mem_limit="1k"),
        bad_filter=lambda: client.containers.list(filters={"colour": "red"}),
        bad_command=lambda: client.containers.run("busybox", ["no-such-program"], name="bad"),
    )


@call
def container_remove_and_prune(client: docker.DockerClient) -> Any:
    web(client).remove()
    client.containers.get("bad").remove()
    client.containers.create("busybox", name="done", labels={"old": "yes"})
    pruned = client.containers.prune(filters={"label": "old=yes"})
    return len(pruned["ContainersDeleted"]), sorted(pruned), client.containers.list(all=True)


# Networks


@call
def network_create(client: docker.DockerClient) -> Any:
    made = client.networks.create("mine", driver="bridge", labels={"tier": "back"})
    made.reload()
    return made.attrs["Driver"], made.attrs["Labels"], sorted(made.attrs)


@call
def network_list(client: docker.DockerClient) -> Any:
    found = client.networks.list(filters={"label": "tier=back"})
    return [each.attrs["Driver"] for each in found], len(client.networks.list(ids=[found[0].id]))


@call
def network_connect(client: docker.DockerClient) -> Any:
    mine = client.networks.get("mine")
    container = client.containers.run("busybox", ENDLESS, detach=True, name="joined", network="mine")
    mine.reload()
    seen = [len(mine.containers)]
    mine.disconnect(container)
    mine.reload()
    seen.append(len(mine.containers))
    mine.connect(container, aliases=["shop"])
    container.reload()
    return seen, "shop" in container.attrs["NetworkSettings"]["Networks"]["mine"]["Aliases"]


@call
def network_errors(client: docker.DockerClient) -> Any:
    mine = client.networks.get("mine")
    said = failures(
        get=lambda: client.networks.get("nothing"),
        connect=lambda: client.api.connect_container_to_network("joined", "nothing"),
        disconnect=lambda: mine.disconnect("nobody"),
        predefined=lambda: client.networks.get("bridge").remove(),
        duplicate=lambda: client.networks.create("mine", check_duplicate=True),
        bad_subnet=lambda: client.api.create_network("other", ipam={"Config": [{"Subnet": "10.0.0.0"}]}),
    )
    in_use = told(lambda _: mine.remove(), client)
    return {**said, "in_use": in_use[:2]}


@call
def network_remove_and_prune(client: docker.DockerClient) -> Any:
    client.containers.get("joined").remove(force=True)
    client.networks.get("mine").remove()
    client.networks.create("unused", labels={"old": "yes"})
    pruned = client.networks.prune(filters={"label": "old=yes"})
    return [name.rpartition("/")[2] for name in pruned["NetworksDeleted"]], client.networks.list(names=["unused"])


# Volumes


@call
def volume_create(client: docker.DockerClient) -> Any:
    made = client.volumes.create("kept", labels={"tier": "back"})
    return made.attrs["Driver"], made.attrs["Labels"], made.attrs["Scope"], sorted(made.attrs)


@call
def volume_list(client: docker.DockerClient) -> Any:
    found = client.volumes.list(filters={"label": "tier=back"})
    return sorted({each.name.rpartition("/")[2] for each in found}), sorted(client.api.volumes())


@call
def volume_use(client: docker.DockerClient) -> Any:
    for script in ("echo here > /kept/file", "cat /kept/file"):
        said = client.containers.run("busybox", ["sh", "-c", script], remove=True, volumes=["kept:/kept"])
    return said


@call
def volume_errors(client: docker.DockerClient) -> Any:
    client.containers.create("busybox", name="holder", volumes=["kept:/kept"])
    said = failures(
        get=lambda: client.volumes.get("nothing"),
        remove=lambda: client.api.remove_volume("nothing"),
        bad_name=lambda: client.volumes.create("a b"),
    )
    in_use = told(lambda c: c.volumes.get("kept").remove(), client)
    return {**said, "in_use": in_use[:2]}


@call
def volume_remove_and_prune(client: docker.DockerClient) -> Any:
    client.containers.get("holder").remove()
    client.volumes.get("kept").remove()
    client.volumes.create("unused", labels={"old": "yes"})
    pruned = client.volumes.prune(filters={"label": "old=yes"})
    return sorted({name.rpartition("/")[2] for name in pruned["VolumesDeleted"]}), sorted(pruned)


# Plugins, swarm mode, and what happened


@call
def plugins(client: docker.DockerClient) -> Any:
    return client.plugins.list(), told(lambda c: c.plugins.get("nothing"), client)[:2]


@call
def swarm_mode(client: docker.DockerClient) -> Any:
    return failures(
        swarm=lambda: client.swarm.reload(),
        leave=lambda: client.swarm.leave(),
        nodes=lambda: client.nodes.list(),
        services=lambda: client.services.list(),
        service=lambda: client.services.get("a"),
        create=lambda: client.services.create("busybox"),
        secrets=lambda: client.secrets.list(),
        configs=lambda: client.configs.list(),
    )


@call
def events(client: docker.DockerClient) -> Any:
    since = time.time() - 1
    client.containers.run("busybox", ["true"], name="short", labels={"seen": "yes"})
    client.containers.get("short").remove()
    until = time.time() + 1
    seen = client.events(since=since, until=until, decode=True, filters={"type": "container", "label": "seen=yes"})
    with contextlib.closing(seen):
        return [each["Action"] for each in seen]
