"""docker-py's calls about containers; see `calls`."""

import time
from collections.abc import Callable
from typing import Any

import docker
from docker.models.containers import Container

from tests.integration.clients.calls import ENDLESS, call, failures, names_in, tar_of


def web(client: docker.DockerClient) -> Container:
    return client.containers.get("web")


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
    # docker-py reads beneath its own buffer: what came together with the answer's head, as logs do, is lost to it
    ticking = client.containers.run("busybox", ["sh", "-c", "while :; do echo tick; sleep 0.2; done"], detach=True)
    said = next(iter(ticking.attach(stream=True, stderr=False)))
    ticking.remove(force=True)
    return said


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
