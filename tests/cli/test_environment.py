"""`swarmproxy env`: real shells take what it prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarmproxy.cli.environment import shell_of
from swarmproxy.errors import ConfigError

SHOW = 'echo "$DOCKER_HOST|$DOCKER_TLS_VERIFY|$DOCKER_CERT_PATH|$DOCKER_TLS"'


def env(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "swarmproxy", "env", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "SHELL": "/bin/bash"}
    )


def in_sh(script: str) -> str:
    stale = {"DOCKER_HOST": "tcp://old:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/old", "DOCKER_TLS": "1"}
    done = subprocess.run(["sh", "-c", f"{script}\n{SHOW}"], capture_output=True, text=True, check=True, env=stale)
    return done.stdout.strip()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Return a directory whose name a shell has to be told with care."""
    directory = tmp_path / "it's $HOME"
    directory.mkdir()
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (directory / name).touch()
    return directory


def test_plain() -> None:
    """The host is set, and what an earlier manager had set besides is taken back."""
    assert in_sh(env("-H", "tcp://proxy:2376").stdout) == "tcp://proxy:2376|||"
    assert in_sh(env().stdout) == "tcp://127.0.0.1:2375|||"


def test_tls(certificates: Path) -> None:
    """TLS and the directory of certificates arrive as they are, whatever is in the name."""
    done = env("-H", "proxy:2376", "--tlsverify", "--cert-path", str(certificates))
    assert in_sh(done.stdout) == f"tcp://proxy:2376|1|{certificates}|"
    assert in_sh(env("-H", "proxy:2376", "--tls").stdout) == "tcp://proxy:2376|||1"


def test_unset() -> None:
    """All is taken back."""
    assert in_sh(env("--unset").stdout) == "|||"


def test_the_hint_does_it() -> None:
    """The line at the end is what to type."""
    assert env("-H", "tcp://proxy:2376").stdout.splitlines()[-1].endswith(" env -H tcp://proxy:2376)")


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("fish", "set -gx DOCKER_CERT_PATH '{fish}';"),
        ("powershell", "$Env:DOCKER_CERT_PATH = '{powershell}'"),
        ("cmd", 'SET "DOCKER_CERT_PATH={cmd}"'),
    ],
)
def test_other_shells(certificates: Path, shell: str, line: str) -> None:
    """fish, PowerShell and cmd are told in their own words."""
    text = str(certificates)
    quoted = {"fish": text.replace("'", "\\'"), "powershell": text.replace("'", "''"), "cmd": text}
    said = env("-H", "proxy:2376", "--tlsverify", "--cert-path", text, "--shell", shell).stdout
    assert line.format_map(quoted) in said.splitlines()


def test_which_shell() -> None:
    """The user's shell is taken, one that we do not know for a Bourne shell; one asked for must be known."""
    assert shell_of("", {"SHELL": "/usr/bin/fish"}) == "fish"
    assert shell_of("", {"SHELL": "/bin/zsh"}) == shell_of("", {}) == shell_of("", {"SHELL": "/bin/xonsh"}) == "sh"
    with pytest.raises(ConfigError, match="unknown shell"):
        shell_of("xonsh", {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-H", "http://x:1"), "unsupported protocol"),
        (("-H", ":2376"), "names no host"),
        (("-H", "x:1", "--tlsverify", "--cert-path", "/nowhere"), "has no ca.pem"),
        (("-H", "unix:///run/d.sock", "--tls"), "a unix socket has no TLS"),
    ],
)
def test_refused(arguments: tuple[str, ...], words: str) -> None:
    """What cannot work is refused, and nothing is printed that a shell would run."""
    done = env(*arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stdout == ""
