"""The command line: flags, environment, messages and exit codes."""

import asyncio
import os
import re
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from fastapi import FastAPI

from swarmproxy.errors import SwarmError
from swarmproxy.server import Server, listening
from swarmproxy.settings import Listen, Settings, Tls
from swarmproxy.wire.tls import RenewableContext
from tests.cli.test_program import _run
from tests.cli.test_reading import TLS, VERIFY, _read
from tests.compat.row import Table

table = Table("Command line")

MESSAGES = {
    "--tls a:1": "--tlscert and --tlskey must be provided when using --tls",
    f"{TLS} --tlsverify a:1": "--tlscacert must be provided when using --tlsverify",
    "--tlscert c a:1": "--tlscert, --tlskey and --tlscacert require the use of either --tls or --tlsverify",
    "--engine-refresh-min-interval x a:1": "min refresh interval should be a positive number",
    "--engine-refresh-max-interval 1s a:1": "max refresh interval cannot be less than min refresh interval",
    "--engine-refresh-retry 4 a:1": "--engine-refresh-retry is deprecated. Use --engine-failure-retry",
    "--engine-failure-retry 0 a:1": "invalid failure retry count",
    "": "discovery required to manage a cluster. See 'swarm manage --help'.",
    "--heartbeat 999ms a:1": "--heartbeat should be at least one second",
    "--discovery-opt x a:1": "--discovery-opt must contain key=value strings",
    "x://a": "discovery service not supported",
    "--strategy best a:1": "strategy not supported",
    "--filter best a:1": "filter not supported",
    "-c mesos a:1": 'unsupported cluster "mesos"',
    "--cluster-opt swarm.overcommit=-2 a:1": "swarm.overcommit should be larger than -1, -2.000000 is invalid",
    "--cluster-opt swarm.createretry=-1 a:1": "swarm.createretry can not be negative, -1 is invalid",
    "--replication a:1": "--advertise address must be provided when using --leader-election",
    "--replication --advertise m2 a:1": "--advertise should be of the form ip:port or hostname:port",
    "--replication --advertise m:2 a:1": (
        "Leader election is only supported with consul, etcd and zookeeper discovery."
    ),
    "-H ftp://x a:1": 'unsupported protocol: "ftp"',
}
JOIN = {
    "join": "discovery required to join a cluster. See 'swarmproxy join --help'.",
    "join a:1": "missing mandatory --advertise flag",
    "join a:1 --advertise x": "--advertise should be of the form ip:port or hostname:port",
}


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Have the environment say `values` to `manage`, and nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SWARM_DISCOVERY", "SWARM_ADVERTISE", "SWARM_HOST", "DEBUG"):
            patch.delenv(name, raising=False)
        for name, value in values.items():
            patch.setenv(name, value)
        yield


def _settings(line: str, **environment: str) -> Settings:
    with _environment(**environment):
        return _read(line)


@table.kept("help", "`--help`, `help`, and no command at all")
def help_text() -> None:
    """The help in classic's layout on stdout, exit code 0."""
    said = _run()
    assert said == _run("help")
    assert (said[0], said[2]) == (0, "")
    assert said[1].startswith("Usage: swarmproxy [OPTIONS] COMMAND [arg...]\n\n")
    assert re.search(r"\n\nVersion: .*\n\nOptions:\n  --debug .*debug mode \[\$DEBUG\]\n", said[1])
    assert re.search(r"\n\nCommands:\n  create, c +Create a cluster\n  list, l +List nodes in a cluster\n", said[1])


@table.mended(
    "command-help",
    "`manage --help`, `help manage`",
    classic="A panic and exit code 2, for every command.",
    why="The flags could not be looked up.",
)
def command_help() -> None:
    """The help of the command, exit code 0."""
    code, out, err = _run("manage", "--help")
    assert (code, err) == (0, "")
    assert out.startswith("Usage: swarmproxy manage [OPTIONS] <discovery>\n\nManage a docker cluster\n\nArguments:\n")
    assert "swarm.overcommit=0.05" in out


@table.mended(
    "bad-flag",
    "a flag that a command does not have",
    classic="`Incorrect Usage.`, a panic and exit code 2.",
    why="Supervisors took it for a crash.",
)
def bad_flag() -> None:
    """`Incorrect Usage.`, the help, a log line in Go's words, exit code 1, as for flags of the program."""
    for args in (["--nope"], ["manage", "-nope"]):
        code, out, err = _run(*args)
        assert (code, err) == (1, "")
        assert out.startswith("Incorrect Usage.\n\nUsage: swarmproxy")
        assert out.endswith('level=fatal msg="flag provided but not defined: -nope"\n')


@table.kept("unknown-command", "an unknown command")
def unknown_command() -> None:
    """`No help topic for 'x'` on stdout, exit code 0."""
    assert _run("x") == (0, "No help topic for 'x'\n", "")


@table.mended(
    "two-forms",
    "both spellings of one flag, as `--advertise` and `--addr`",
    classic="`Cannot use two forms of the same flag: addr advertise`, a panic and exit code 2.",
    why="Supervisors took it for a crash.",
)
def two_forms() -> None:
    """The same words, exit code 1."""
    code, out, _ = _run("join", "--addr", "a:1", "--advertise", "a:1", "x")
    assert code == 1
    assert out.startswith("Cannot use two forms of the same flag: addr advertise\n")


@table.kept("version", "`--version`")
def version() -> None:
    """`<program> version <version> (<commit>)`, exit code 0."""
    code, out, err = _run("-version", SWARMPROXY_COMMIT="abc123")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"swarmproxy version \S+ \(abc123\)\n", out)


@table.kept("join-messages", "what `join` refuses, and how")
def join_messages() -> None:
    """One logrus line `level=fatal` on stdout, exit code 1, the same words in the same order."""
    for line, error in JOIN.items():
        code, out, err = _run(*line.split())
        assert (code, err) == (1, ""), line
        assert re.fullmatch(rf'time="[^"]+" level=fatal msg="{re.escape(error)}"\n', out), line


@table.kept("manage-messages", "what `manage` refuses, and how")
def manage_messages() -> None:
    """The same words."""
    for line, error in MESSAGES.items():
        with pytest.raises(SwarmError) as caught:
            _settings(line)
        assert str(caught.value) == error, line


@table.kept("order", "the order of the checks")
def order() -> None:
    """TLS, intervals, retries, discovery, strategy, filters, cluster options, replication."""
    lines = ["--tls", "--engine-refresh-min-interval 0", "--engine-failure-retry 0", "--heartbeat 0", "--strategy x"]
    lines += ["--filter x", "-c x", "--cluster-opt swarm.overcommit=-3", "--replication"]
    seen = []
    for index in range(len(lines)):
        with pytest.raises(SwarmError) as caught:
            _settings(" ".join([*lines[index:], "a:1"]))
        seen.append(str(caught.value).split()[0])
    expected = "--tlscert min invalid --heartbeat strategy filter unsupported swarm.overcommit --advertise"
    assert seen == expected.split()


@table.kept("defaults", "the defaults")
def defaults() -> None:
    """`spread`, seven filters, 127.0.0.1:2375, 30 to 60 s, three failures, 60 s heartbeat, 5 %, no retry, 20 s TTL."""
    settings = _settings("a:1")
    assert (settings.strategy, len(settings.filters), settings.overcommit, settings.create_retry) == (
        "spread",
        7,
        0.05,
        0,
    )
    assert settings.hosts == (Listen("127.0.0.1", 2375),)
    assert settings.heartbeat_s == 60
    engine = settings.engine
    assert (engine.refresh_min_s, engine.refresh_max_s, engine.failure_retry) == (30, 60, 3)


@table.kept("go-flags", "how flags are written")
def go_flags() -> None:
    """One dash or two, `--f v` or `--f=v`, booleans with `=` only, and positionals before the flags."""
    settings = _settings("a:1 -strategy=binpacking --cors=false -refresh-on-node-filter --heartbeat 5s")
    assert (settings.discovery, settings.strategy, settings.cors) == ("a:1", "binpack", False)
    assert (settings.refresh_on_node_filter, settings.heartbeat_s) == (True, 5)


@table.kept("filters", "`--filter`")
def filters() -> None:
    """Replaces the default, in the order given."""
    assert _settings("-f port -f health a:1").filters == ("port", "health")


@table.kept("environment", "$SWARM_HOST and $SWARM_DISCOVERY")
def environment() -> None:
    """Commas divide hosts; empty variables do not count; one positional outranks $SWARM_DISCOVERY, two do not."""
    settings = _settings("", SWARM_HOST=":1,unix:///s", SWARM_DISCOVERY="e:1")
    assert (settings.hosts, settings.discovery) == ((Listen(port=1), Listen(path="/s")), "e:1")
    assert _settings("a:1 b:1", SWARM_DISCOVERY="e:1", SWARM_HOST="").discovery == "e:1"


@table.mended(
    "hosts",
    "`-H` where $SWARM_HOST has several",
    classic="Only the first of the environment's was replaced: the others were listened on as well.",
    why="A port was open that the command line did not name.",
)
def hosts() -> None:
    """`-H` replaces all."""
    assert _settings("-H :3 a:1", SWARM_HOST=":1,:2").hosts == (Listen(port=3),)


@table.mended(
    "cluster-opt",
    "`--cluster-opt swarm.overcommit` without a value",
    classic="A panic.",
    why="The reason was in a traceback.",
)
def cluster_opt() -> None:
    """Refused in a sentence."""
    with pytest.raises(SwarmError, match=r"^swarm\.overcommit needs a value"):
        _settings("--cluster-opt swarm.overcommit a:1")


@table.changed(
    "unreadable-options",
    "cluster options that are no numbers",
    classic="Counted as 0, so that `swarm.overcommit=5%` meant none.",
    why="A typing error must not change what a cluster can hold.",
)
def unreadable_options() -> None:
    """Refused."""
    for option in ("swarm.overcommit=5%", "swarm.createretry=x"):
        with pytest.raises(SwarmError, match=r"is invalid$"):
            _settings(f"--cluster-opt {option} a:1")


@table.changed(
    "no-discovery",
    "`manage` with no discovery at all",
    classic="Refused.",
    why="A first look needs no file: the engine of this machine is served. Without one it is refused as before.",
)
def no_discovery() -> None:
    """The engine behind this machine's Docker socket; refused if there is none."""
    with _environment(), pytest.raises(SwarmError, match=r"^discovery required to manage a cluster"):
        _read("", Path("/nonexistent"))
    with TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory}/docker.sock")
        with _environment():
            assert _read("", Path(directory, "docker.sock")).discovery == f"nodes://unix://{directory}/docker.sock"


@table.kept("engine-tls", "TLS towards engines")
def engine_tls() -> None:
    """The same certificate and the same demands as for clients; our own --engine-tls* flags can tell them apart."""
    tls = Tls(cert=Path("c"), key=Path("k"), ca=Path("a"), verify=True)
    settings = _settings(f"{VERIFY} a:1")
    assert (settings.tls, settings.engine_tls) == (tls, tls)


@table.changed(
    "socket-mode",
    "the mode of a unix socket",
    classic="0600: only root could use it.",
    why="As Docker's own socket: with --socket-group its group may use it.",
)
def socket_mode() -> None:
    """0660; what was at the path before is replaced only if it was a socket."""
    with TemporaryDirectory() as directory:
        path = f"{directory}/swarm.sock"
        with listening([Listen(path=path)]):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        assert not os.path.exists(path)


@table.mended(
    "socket-tls",
    "a unix socket beside `--tls`",
    classic="Spoke TLS, which no client of Docker's does there.",
    why="As dockerd: its file says who may use it.",
)
async def socket_tls() -> None:
    """Plain HTTP."""
    keyless = RenewableContext(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    with TemporaryDirectory() as directory, listening([Listen(path=f"{directory}/swarm.sock")]) as sockets:
        server = Server(FastAPI(), tls=keyless, drain_timeout_s=1)
        transport = httpx.AsyncHTTPTransport(uds=f"{directory}/swarm.sock")
        async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(transport=transport) as client:
            tasks.create_task(server.serve(sockets), name="server")
            assert (await client.get("http://swarm/_ping")).json() == {"detail": "Not Found"}
            server.drain()


@table.kept("list", "`list`")
def list_entries() -> None:
    """The entries, one a line, ranges spelt out; errors go to stderr in Go's form."""
    with TemporaryDirectory() as directory:
        file = Path(directory, "cluster")
        file.write_text("# mine\n10.0.0.[9:10]:2375\n\n[::1]:2375 # v6\n10.0.0.9:2375\n")
        expected = "10.0.0.9:2375\n10.0.0.10:2375\n[::1]:2375\n10.0.0.9:2375\n"
        assert _run("list", f"file://{file}") == (0, expected, "")
    code, out, err = _run("list")
    assert (code, out) == (1, "")
    assert re.fullmatch(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d discovery required to list a cluster\. See .*\n", err)
