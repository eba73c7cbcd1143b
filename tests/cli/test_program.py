"""The real program: exit codes, what goes to which stream, and what its log says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from swarmproxy import __version__

PROGRAM = Path(sys.executable).with_name("swarmproxy")
USAGE = "Usage: swarmproxy [OPTIONS] COMMAND [arg...]\n"
GUARD_S = 60.0


def _run(*args: str, program: list[str] | None = None, **env: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*(program or [str(PROGRAM)]), *args],
        env=_environment() | env,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def _environment() -> dict[str, str]:
    ours = {"DEBUG", "SWARM_DISCOVERY", "SWARM_ADVERTISE", "SWARM_HOST", "SWARMPROXY_COMMIT", "SWARMPROXY_HUB"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def _fatal(message: str) -> str:
    """Return a pattern for the log line that ends the program."""
    quoted = message.replace('"', '\\"')
    return rf'time="[^"]+" level=fatal msg="{re.escape(quoted)}"\n'


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"], ["help"], ["h"], ["-debug", "help"]])
def test_help(args: list[str]) -> None:
    """Help shows usage, version, flags and commands, and is no error."""
    code, out, err = _run(*args)
    assert (code, err) == (0, "")
    assert out.startswith(USAGE)
    assert f"\n\nVersion: {__version__} (release)\n\nOptions:\n  --debug" in out
    assert re.search(r'\n  --log-level, -l "info" +\S', out)
    assert re.search(r"\nCommands:\n  create, c +Create a cluster\n  list, l +List nodes in a cluster\n", out)
    assert out.endswith("\n\nRun 'swarmproxy COMMAND --help' for more information on a command.\n")


@pytest.mark.parametrize(
    ("args", "usage"),
    [
        ("manage --help", "manage [OPTIONS] <discovery>"),
        ("m -h", "manage [OPTIONS] <discovery>"),
        ("help m", "manage [OPTIONS] <discovery>"),
        ("list -help", "list [OPTIONS] <discovery>"),
        ("h join", "join [OPTIONS] <discovery>"),
        ("create --help", "create [OPTIONS]"),
        ("hub --help", "hub [OPTIONS]"),
        ("help hub", "hub [OPTIONS]"),
        ("node label -h", "node label [OPTIONS] NODE KEY=VALUE|KEY- ..."),
        ("help node drain", "node drain [OPTIONS] NODE [NODE...]"),
        ("rebalance --help", "rebalance [OPTIONS]"),
        ("manage --tls a:1 --help", None),
    ],
)
def test_command_help(args: str, usage: str | None) -> None:
    """Each command has its help, with exit code 0; a --help behind a positional is a positional."""
    code, out, err = _run(*args.split())
    if usage is None:
        assert code == 1
        return
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: swarmproxy {usage}\n\n")
    assert ("\nArguments:\n  <discovery>  discovery service to use [$SWARM_DISCOVERY]\n" in out) is ("<" in usage)
    assert "\nOptions:\n" in out
    assert "--help, -h" in out
    assert ("swarm.overcommit=0.05" in out) is usage.startswith("manage")


@pytest.mark.parametrize("args", [["node"], ["node", "-h"], ["help", "node"]])
def test_family_help(args: list[str]) -> None:
    """A family of commands has help of its own, with its commands."""
    code, out, err = _run(*args)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: swarmproxy node [OPTIONS] COMMAND [arg...]\n\n")
    assert re.search(r"\nCommands:\n  ls, list +List nodes\n", out)
    assert out.endswith("\nRun 'swarmproxy node COMMAND --help' for more information on a command.\n")


def test_unknown_in_a_family() -> None:
    """An unknown command of a family is an error: classic, which had no families, is no reason not to say so."""
    code, out, _ = _run("node", "nope")
    assert code == 1
    assert re.search(f"{_fatal('unknown command: swarmproxy node nope')}$", out)


@pytest.mark.parametrize("args", [["--version"], ["-v"], ["-version", "manage"]])
def test_version(args: list[str]) -> None:
    """The version comes with the commit that the image was built from, if it was."""
    assert _run(*args) == (0, f"swarmproxy version {__version__} (release)\n", "")
    assert _run(*args, SWARMPROXY_COMMIT="abc123") == (0, f"swarmproxy version {__version__} (abc123)\n", "")


@pytest.mark.parametrize("args", [["nope"], ["help", "nope"], ["-debug", "nope", "-x"]])
def test_unknown_command(args: list[str]) -> None:
    """An unknown command has no help, and as in classic that is all."""
    assert _run(*args) == (0, "No help topic for 'nope'\n", "")


@pytest.mark.parametrize(
    ("args", "first", "error"),
    [
        ("--nope", "Incorrect Usage.", "flag provided but not defined: -nope"),
        ("-l", "Incorrect Usage.", "flag needs an argument: -l"),
        ("--debug=x", "Incorrect Usage.", 'invalid boolean value "x" for -debug: parse error'),
        ("manage -nope", "Incorrect Usage.", "flag provided but not defined: -nope"),
        ("create --timeout 1s", "Incorrect Usage.", "flag provided but not defined: -timeout"),
        (
            "manage --engine-failure-retry x",
            "Incorrect Usage.",
            'invalid value "x" for flag -engine-failure-retry: parse error',
        ),
        ("-l info --log-level info", None, "Cannot use two forms of the same flag: l log-level"),
        ("join --addr a:1 --advertise a:1 x", None, "Cannot use two forms of the same flag: addr advertise"),
    ],
)
def test_bad_flags(args: str, first: str | None, error: str) -> None:
    """A bad flag is answered with what is wrong, the help that fits, and exit code 1."""
    code, out, err = _run(*args.split())
    assert (code, err) == (1, "")
    assert out.startswith(f"{first or error}\n\nUsage: swarmproxy")
    assert re.search(f"{_fatal(error)}$", out)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ("-l loud manage", 'not a valid logrus Level: "loud"'),
        ("join", "discovery required to join a cluster. See 'swarmproxy join --help'."),
        ("join a:1", "missing mandatory --advertise flag"),
        ("join a:1 --advertise x", "--advertise should be of the form ip:port or hostname:port"),
        ("join a:1 --advertise unix:///x", "--advertise should be of the form ip:port or hostname:port"),
        ("join a:1 --addr x:1 --delay x", 'invalid --delay: time: invalid duration "x"'),
        ("join a:1 --addr x:1 --delay -1s", "--delay should not be a negative number"),
        ("join a:1 --addr x:1 --heartbeat 9", 'invalid --heartbeat: time: missing unit in duration "9"'),
        ("join a:1 --addr x:1 --heartbeat 1ms", "--heartbeat should be at least one second"),
        ("join a:1 --addr x:1 --ttl 1y", 'invalid --ttl: time: unknown unit "y" in duration "1y"'),
        ("join a:1 --addr x:1 --ttl 1m", "--ttl must be strictly superior to the heartbeat value"),
        ("join a:1 --addr x:1 --discovery-opt x", "--discovery-opt must contain key=value strings"),
        ("join x://a --addr x:1", "discovery service not supported"),
        ("hub x", "the `hub` command takes no arguments. See 'swarmproxy hub --help'."),
        ("hub -H ftp://h:1", 'unsupported protocol: "ftp"'),
        ("hub --tls", "--tlscert and --tlskey must be provided when using --tls"),
        ("hub --tlsverify --tlscert x --tlskey x", "--tlscacert must be provided when using --tlsverify"),
        ("hub --max-tokens 0", "--max-tokens should be 1 or more, 0 is invalid"),
        ("hub --rate -1", "--rate should be 0 or more, -1 is invalid"),
        ("hub --forget-after 0", "--forget-after should be a positive number"),
        ("hub --drain-timeout -1s", "--drain-timeout should not be a negative number"),
        ("manage a:1 --strategy x", "strategy not supported"),
        ("m -strategy=x a:1", "strategy not supported"),
    ],
)
def test_bad_values(args: str, error: str) -> None:
    """A bad value ends the program with one log line on stdout and exit code 1."""
    code, out, err = _run(*args.split())
    assert (code, err) == (1, "")
    assert re.fullmatch(_fatal(error), out)


def test_advertise_of_the_environment() -> None:
    """An empty --advertise is empty, whatever $SWARM_ADVERTISE says."""
    code, out, _ = _run("join", "a:1", "--advertise", "", SWARM_ADVERTISE="m:1")
    assert code == 1
    assert "missing mandatory --advertise flag" in out


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ("list", "discovery required to list a cluster. See 'swarmproxy list --help'."),
        ("list a:1 --timeout x", 'invalid --timeout: time: invalid duration "x"'),
        ("list a:1 --timeout 0", "--timeout should be a positive number"),
        ("list a:1 --discovery-opt x", "--discovery-opt must contain key=value strings"),
        ("list a", "address a: missing port in address, please check you are using the correct discovery"),
        ("list a:1 --format xml", '--format should be text or json, not "xml"'),
        ("list token://x", "the public token service of Docker Hub was switched off in 2019. Run a hub of your own"),
        ("list token://127.0.0.1:1/x", "the hub at 127.0.0.1:1 cannot be asked: connection refused"),
        ("list file:///no/such", "failed to read '/no/such': open /no/such: no such file or directory"),
        ("create", "cannot create a token: the public token service of Docker Hub was switched off in 2019"),
        ("create --hub 127.0.0.1:1", "the hub at 127.0.0.1:1 cannot be asked: connection refused"),
        ("create --hub https://h --insecure", "bad address of a hub: https://h: token.insecure is for plain http"),
        ("create x", "the `create` command takes no arguments. See 'swarmproxy create --help'."),
    ],
)
def test_errors_of_list_and_create(args: str, error: str) -> None:
    """`list` and `create` complain on stderr in Go's form, and their stdout stays clean."""
    code, out, err = _run(*args.split())
    assert (code, out) == (1, "")
    assert re.fullmatch(rf"\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d {re.escape(error)}.*\n", err)


def test_flags_on_both_sides() -> None:
    """Flags behind a positional that flags precede are positionals, as in Go, but the log says so."""
    code, out, err = _run("list", "--timeout", "1s", "a:1", "--discovery-opt", "a=b")
    assert (code, out) == (1, "")
    assert 'level=warning msg="more than one discovery argument' in err
    assert 'arguments="a:1 --discovery-opt a=b"' in err
    assert "discovery required to list a cluster." in err


def test_list(tmp_path: Path) -> None:
    """`list` prints the entries as they stand, one a line, and nothing else."""
    (tmp_path / "cluster").write_text("# mine\n10.0.0.[1:2]:2375\n[::1]:2375 # v6\n10.0.0.1:2375\n")
    expected = "10.0.0.1:2375\n10.0.0.2:2375\n[::1]:2375\n10.0.0.1:2375\n"
    assert _run("-debug", "l", f"file://{tmp_path}/cluster", "-timeout", "5s") == (0, expected, "")
    assert _run("list", SWARM_DISCOVERY="a:1,b:1", DEBUG="maybe") == (0, "a:1\nb:1\n", "")


def test_list_to_a_reader_who_left() -> None:
    """A reader who has enough ends `list` without a traceback."""
    line = f"{PROGRAM} list 'a:[1:60000]' | head -n 1"
    done = subprocess.run(
        ["bash", "-c", line], env=_environment(), capture_output=True, text=True, timeout=GUARD_S, check=True
    )
    assert (done.stdout, done.stderr) == ("a:1\n", "")


@pytest.mark.parametrize("name", ["swarm", "docker-proxy"])
def test_called_by_another_name(name: str, tmp_path: Path) -> None:
    """The program goes by the name it was called with."""
    (tmp_path / name).symlink_to(PROGRAM)
    code, out, _ = _run("join", program=[str(tmp_path / name)])
    assert code == 1
    assert f"See '{name} join --help'." in out


def test_module() -> None:
    """`python -m swarmproxy` is the same program."""
    assert _run(program=[sys.executable, "-m", "swarmproxy"]) == _run()


def test_json_log() -> None:
    """With --log-format json the log is JSON, and a format that does not exist is refused."""
    code, out, _ = _run("--log-format", "json", "join")
    assert code == 1
    assert re.fullmatch(r'\{"time": "[^"]+", "level": "fatal", "msg": "discovery required.*"\}\n', out)
    assert '--log-format should be text or json, not \\"xml\\"' in _run("--log-format=xml", "join")[1]
