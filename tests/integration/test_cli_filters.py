"""Where containers go that need a port of the host, another container, or an image."""

import json
from concurrent.futures import ThreadPoolExecutor

from tests.hosts.images import busybox_archive
from tests.integration.client import Docker
from tests.integration.ways import one_way
from tests.waiting import wait_until

pytestmark = one_way
REFUSED = "Unable to find a node that satisfies the following conditions"


def node_of(docker: Docker, name: str) -> str:
    """Return the node that a container is on."""
    return docker.inspect(name, "{{.Node.Name}}")


def test_ports(docker: Docker) -> None:
    """Of containers with one port each node gets one, and the next is refused in classic's words until one goes."""
    for name in ("aa", "bb"):
        docker.start(name, "-p", "8080:80")
    assert {node_of(docker, name) for name in ("aa", "bb")} == {engine.name for engine in docker.engines}
    docker("stop", "-t", "0", "aa")
    complaint = docker.refused("run", "-d", "-p", "8080:80", "busybox")
    assert f"{REFUSED} \n[port 8080 (Bridge mode)]" in complaint
    docker("create", "-p", "8080:80/udp", "busybox")
    freed = node_of(docker, "aa")
    docker("rm", "aa")
    docker.start("cc", "-p", "127.0.0.1:8080:81")
    assert node_of(docker, "cc") == freed


def test_ports_of_the_host(docker: Docker) -> None:
    """A container in the host's network keeps its exposed port from those that publish it."""
    docker.start("host", "--net", "host", "--expose", "8080")
    for name in ("aa", "bb"):
        docker.start(name, "-p", f"{8080 if name == 'aa' else 8081}:80")
    assert node_of(docker, "aa") != node_of(docker, "host")
    assert "[port 8070-8090 (Bridge mode)]" in docker.refused("create", "-p", "8070-8090:80", "busybox")


def test_ports_at_once(docker: Docker) -> None:
    """Of many who ask for one port at the same time each node takes one, and all that are made do start."""
    with ThreadPoolExecutor(10) as clients:
        asked = [
            clients.submit(docker, "run", "-d", "-p", "8080:80", "busybox", "sleep", "1d", check=False)
            for _ in range(10)
        ]
        done = [each.result() for each in asked]
    assert sorted(each.code for each in done) == [0, 0] + [125] * 8
    assert all("[port 8080 (Bridge mode)]" in each.stderr for each in done if each.code)
    assert [engine.count_running() for engine in docker.engines] == [1, 1]


def test_volumes_from(docker: Docker) -> None:
    """A container goes to the one whose volumes it uses, however full that node is and however it is named."""
    data_id = docker.start("data", "-v", "/data", command=("sh", "-c", "echo kept > /data/file; sleep 1d"))
    home = node_of(docker, "data")
    for name in ("full", "fuller"):
        docker.start(name, "-e", f"constraint:node=={home}")
    wait_until(lambda: not docker("exec", "data", "cat", "/data/file", check=False).code, "the file")
    for number, name in enumerate(("data", f"{home}/data", data_id[:12])):
        done = docker("run", "--name", f"user-{number}", "--volumes-from", f"{name}:ro", "busybox", "cat", "/data/file")
        assert done.stdout == "kept\n"
        assert node_of(docker, f"user-{number}") == home
    assert "[--volumes-from=nobody]" in docker.refused("create", "--volumes-from", "nobody", "busybox")


def test_shared_namespaces(docker: Docker) -> None:
    """What shares the network, processes or links of a container runs beside it, also by the name that `ps` prints."""
    docker.start("main", "-p", "8080:80")
    home = node_of(docker, "main")
    docker.start("full", "-e", f"constraint:node=={home}")
    for option in ("--net", "--pid"):
        done = docker("run", "--name", f"in{option}", option, f"container:{home}/main", "busybox", "hostname")
        assert (done.code, node_of(docker, f"in{option}")) == (0, home)
    hosts = docker("run", "--name", "linked", "--link", f"{home}/main", "busybox", "cat", "/etc/hosts").stdout
    assert "main" in hosts
    elsewhere = next(engine.name for engine in docker.engines if engine.name != home)
    complaint = docker.refused("create", "--link", "main:m", "-e", f"constraint:node=={elsewhere}", "busybox")
    assert f"[--link=main:m]\n[node=={elsewhere}]" in complaint


def test_affinity(docker: Docker) -> None:
    """A container goes to, or keeps away from, another one by its name, ID or label."""
    first_id = docker.start("first", "--label", "tier=front")
    home = node_of(docker, "first")
    docker.start("full", "-e", f"constraint:node=={home}")
    for number, value in enumerate(("container==first", f"container=={first_id[:12]}", "tier==/^fr/")):
        docker.start(f"near-{number}", "-e", f"affinity:{value}")
        assert node_of(docker, f"near-{number}") == home
    docker.start("far", "--label", "tier=front", "-e", "affinity:tier!=front")
    assert node_of(docker, "far") != home
    docker.start("soft", "-e", "affinity:tier!=~front")
    assert "[tier!=front (soft=false)]" in docker.refused("create", "-e", "affinity:tier!=front", "busybox")


def test_affinity_to_an_image(docker: Docker) -> None:
    """A container goes to a node that has another image."""
    holder = docker.engines[1]
    holder.load(busybox_archive("greeting:1", cmd=["echo", "hello"], labels={"made": "here"}))
    wait_until(lambda: docker("images", "-q", "greeting").lines, "the image")
    docker.start("full", "-e", f"constraint:node=={holder.name}")
    for number, value in enumerate(("greeting", "greeting:1", "gree*", docker("images", "-q", "greeting").lines[0])):
        docker.start(f"near-{number}", "-e", f"affinity:image=={value}")
        assert node_of(docker, f"near-{number}") == holder.name
    docker.start("far", "-e", "affinity:image!=greeting")
    assert node_of(docker, "far") == docker.engines[0].name


def test_network_of_a_node(docker: Docker) -> None:
    """`--net node/net` runs on that node, in the network that its engine knows by the second part."""
    second = docker.engines[1]
    assert second.request("POST", "/networks/create", json.dumps({"Name": "blue"}).encode())[0] == 201
    docker.start("full", "-e", f"constraint:node=={second.name}")
    docker.start("inside", "--net", f"{second.name}/blue")
    assert node_of(docker, "inside") == second.name
    assert docker.inspect("inside", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}") == "blue"


def test_what_is_not_rescheduled(docker: Docker) -> None:
    """Who asks for rescheduling is told if it will not happen, and else nothing."""
    policy = ("-e", "reschedule:on-node-failure")
    assert "WARNING: a container that its engine removes" in docker("create", "--rm", *policy, "busybox").stderr
    assert docker("create", *policy, "busybox").stderr == ""
