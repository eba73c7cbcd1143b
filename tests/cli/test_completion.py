"""Shells complete our commands and flags, by a script that the program prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("swarmproxy")
SHELLS = ("bash", "zsh", "fish")
LINE = r"""
source <(swarmproxy completion bash)
COMP_WORDS=(%s) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_swarmproxy_completion swarmproxy
printf '%%s\n' "${COMPREPLY[@]}"
"""


def run(*command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", **variables}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("swarmproxy re", ["rebalance"]),
        ("swarmproxy manage --tlsc", ["--tlscacert", "--tlscert"]),
        ("swarmproxy --log-level debug node dr", ["drain"]),
        ("swarmproxy list --no-such-flag --disc", ["--discovery-opt"]),
        ("swarmproxy no-such-command x", []),
        ("swarmproxy manage --strategy", ["--strategy"]),
    ],
)
def test_bash(words: str, offered: list[str]) -> None:
    """In a real bash, commands, families and flags are completed; a line that is wrong already is left alone."""
    done = run("bash", "-c", LINE % words)
    assert (done.returncode, done.stderr, done.stdout.split()) == (0, "", offered)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell(shell: str) -> None:
    """Each shell has a script, which asks us, and the answer to `swarmproxy no` names the command with its summary."""
    printed = run(str(PROGRAM), "completion", shell)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert f"_SWARMPROXY_COMPLETE={shell}_complete" in printed.stdout
    # What each of them sends: zsh and fish have the line so far in COMP_WORDS as well.
    current = "no" if shell == "fish" else "1"
    words = "swarmproxy" if shell == "fish" else "swarmproxy no"
    asked = {"_SWARMPROXY_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": current}
    assert "node" in run(str(PROGRAM), **asked).stdout


def test_files() -> None:
    """Where a flag names a file, the shell completes its own."""
    asked = {"_SWARMPROXY_COMPLETE": "bash_complete", "COMP_WORDS": "swarmproxy manage --tlskey k", "COMP_CWORD": "3"}
    assert run(str(PROGRAM), **asked).stdout.strip() == "file,k"


@pytest.mark.parametrize(("arguments", "complaint"), [((), "takes one argument"), (("tcsh",), "unknown shell")])
def test_refusals(arguments: tuple[str, ...], complaint: str) -> None:
    """A shell that we do not know is refused with the names of those that we do."""
    done = run(str(PROGRAM), "completion", *arguments)
    assert done.returncode == 1
    assert complaint in done.stdout
    assert "bash, zsh, fish" in done.stdout
