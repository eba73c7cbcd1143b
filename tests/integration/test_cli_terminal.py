"""Terminals: `-it`, sizes, the detach keys, attaching again."""

import pytest

from tests.integration.client import Docker, Terminal
from tests.integration.ways import every_way

PROMPT = r"/ # "

# Not on plain TCP, where clients built with a newer Go do not know their own detach keys any more, whatever they
# talk to: the error that tells of the keys comes out of TCPConn.ReadFrom wrapped in another.
detaching = pytest.mark.parametrize("docker", ["20.10-unix", "28-unix", "20.10-tls", "28-tls"], indirect=True)


@every_way
def test_shell(docker: Docker) -> None:
    """A shell in a terminal echoes what is typed, knows the size of the window, and gives its exit status."""
    with docker.terminal("run", "-it", "--rm", "busybox", "sh", rows=31, columns=97) as terminal:
        terminal.expect(PROMPT)
        terminal.type("echo $((6 * 7)); tty\n")
        terminal.expect(r"tty\r\n42\r\n/dev/pts/0\r\n")  # the shell draws a line anew that comes in pieces
        expect_size(terminal, 31, 97)
        terminal.resize(40, 120)
        expect_size(terminal, 40, 120)
        terminal.type("exit 7\n")
        assert terminal.wait() == 7


@detaching
def test_detach(docker: Docker) -> None:
    """The detach keys leave the container running, and `attach` takes up the same shell."""
    with docker.terminal("run", "-it", "--name", "shell", "busybox", "sh") as terminal:
        terminal.expect(PROMPT)
        terminal.type("kept=here\n")
        terminal.expect(PROMPT)
        terminal.detach()
    assert docker.inspect("shell", "{{.State.Running}}") == "true"
    with docker.terminal("attach", "shell", rows=20, columns=60) as terminal:
        terminal.type("echo it is $kept\n")
        terminal.expect(r"\r\nit is here\r\n")
        expect_size(terminal, 20, 60)
        terminal.type("exit 5\n")
        assert terminal.wait() == 5


@detaching
def test_detach_keys_of_ones_own(docker: Docker) -> None:
    """`--detach-keys` replaces the detach keys of one attach."""
    docker.start("shell", "-it", command=("sh",))
    with docker.terminal("attach", "--detach-keys", "ctrl-x,x", "shell") as terminal:
        terminal.type("echo $((6 * 7))\n")
        terminal.expect("\r\n42\r\n")
        terminal.detach(b"\x18x")
    assert docker.inspect("shell", "{{.State.Running}}") == "true"


@every_way
def test_exec(docker: Docker) -> None:
    """`exec -it` is a terminal of its own size, and its exit status is the client's."""
    docker.start("aa")
    with docker.terminal("exec", "-it", "aa", "sh", rows=25, columns=81) as terminal:
        terminal.expect(PROMPT)
        expect_size(terminal, 25, 81)
        terminal.resize(50, 132)
        expect_size(terminal, 50, 132)
        terminal.type("exit 8\n")
        assert terminal.wait() == 8


def test_interrupt(docker: Docker) -> None:
    """ctrl-c in a terminal interrupts the program in the container, not the client."""
    script = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.1; done"
    with docker.terminal("run", "-it", "--rm", "busybox", "sh", "-c", script) as terminal:
        terminal.expect("ready\r\n")
        terminal.type(b"\x03")
        terminal.expect("caught\r\n")
        assert terminal.wait() == 3


def expect_size(terminal: Terminal, rows: int, columns: int) -> None:
    """Wait until the program in the container sees this size; a client sends it after the start."""
    for _ in range(200):
        terminal.type("stty size; sleep 0.1\n")
        if terminal.expect(r"\r\n(\d+ \d+)\r\n")[1] == f"{rows} {columns}":
            terminal.expect(PROMPT)
            return
        terminal.expect(PROMPT)
    raise AssertionError(f"the terminal never had the size {rows} {columns}")
