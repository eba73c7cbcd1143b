"""Streams out of containers: logs, top, stats."""

import re

from tests.integration.client import Docker
from tests.integration.ways import each_endpoint, every_way, one_way
from tests.waiting import PATIENCE_S, wait_until

COUNT = "i=0; while [ $i -lt 5 ]; do echo line $i; i=$((i+1)); done"


@every_way
def test_logs_followed(docker: Docker) -> None:
    """`logs -f` gives each line when it is written, and ends with its container."""
    docker.start("aa", "-i", command=("cat",))
    with (
        docker.background("logs", "-f", "aa") as reader,
        docker.background("attach", "aa") as writer,
    ):
        assert writer.stdin is not None
        assert reader.stdout is not None
        for line in (b"one\n", b"two\n"):
            writer.stdin.write(line)
            writer.stdin.flush()
            assert reader.stdout.readline() == line
        writer.stdin.close()
        docker("kill", "aa")
        assert reader.stdout.read() == b""
        assert reader.wait(PATIENCE_S) == 0


def test_logs(docker: Docker) -> None:
    """Output and errors stay apart; `--tail`, `--since`, `--until` and `-t` choose and dress the lines."""
    docker.start("aa", command=("sh", "-c", f"{COUNT}; until [ -e /go ]; do sleep 0.1; done; echo wrong >&2"))
    wait_until(lambda: len(docker("logs", "aa").lines) == 5, "the output")  # an engine reads the two side by side
    docker("exec", "aa", "touch", "/go")
    docker("wait", "aa")
    done = docker("logs", "aa")
    assert done.lines == [f"line {number}" for number in range(5)]
    assert done.stderr == "wrong\n"
    assert docker("logs", "--tail", "3", "aa").lines == ["line 3", "line 4"]
    stamps = [line.split()[0] for line in docker("logs", "-t", "aa").lines]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", stamp) for stamp in stamps)
    assert docker("logs", "--since", stamps[3], "aa").lines == ["line 3", "line 4"]
    assert docker("logs", "--until", stamps[1], "aa").lines == ["line 0", "line 1"]


@each_endpoint
def test_long_logs(docker: Docker) -> None:
    """Thirty thousand lines come whole and in order."""
    docker("run", "--name", "aa", "busybox", "sh", "-c", "seq 30000 >/tmp/n; cat /tmp/n")
    assert docker("logs", "aa").lines == [str(number) for number in range(1, 30_001)]


def test_top(docker: Docker) -> None:
    """`top` lists the processes of a container, with the columns asked for."""
    docker.start("aa", command=("sleep", "12345"))
    assert "sleep 12345" in docker("top", "aa").stdout
    assert docker("top", "aa", "-o", "pid,comm").lines[0].split() == ["PID", "COMMAND"]


def test_stats_once(docker: Docker) -> None:
    """`stats --no-stream` has a line for each running container of all nodes."""
    for name in ("aa", "bb"):
        docker.start(name)
    lines = docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}").lines
    assert sorted(line.split()[0] for line in lines) == ["aa", "bb"]
    assert all(re.search(r"\d+(\.\d+)?[KM]iB / ", line) for line in lines)


@one_way
def test_stats_streamed(docker: Docker) -> None:
    """`stats` shows the container again and again, and one that is started meanwhile."""
    docker.start("aa")
    with docker.background("stats", "--format", "{{.Name}} {{.MemUsage}}") as client:
        assert client.stdout is not None
        seen = ""
        while seen.count("aa ") < 2:
            seen += client.stdout.readline().decode()
        docker.start("bb")
        while "bb " not in seen:
            seen += client.stdout.readline().decode()
