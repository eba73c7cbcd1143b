"""The units of systemd and what stands beside them: read by systemd itself, and by our own program."""

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from swarmproxy.cli.app import app
from tests.hosts.manager import REPOSITORY

SYSTEMD = REPOSITORY / "deploy" / "systemd"
PROGRAM = "/opt/swarmproxy/bin/swarmproxy"
UNITS = {"swarmproxy": "manage", "swarmproxy-join": "join", "swarmproxy-hub": "hub"}
MOST_EXPOSED = 2.0  # of 10, as `systemd-analyze security` counts


def analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *arguments], check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return the units as on a machine where all that they name is there."""
    for path in SYSTEMD.glob("*.service"):
        text = path.read_text().replace(PROGRAM, shutil.which("true") or "")
        (tmp_path / path.name).write_text(text)
    (tmp_path / "docker.service").write_text("[Service]\nExecStart=/bin/true\n")
    return tmp_path


@pytest.mark.parametrize("unit", UNITS)
def test_verified(installed: Path, unit: str) -> None:
    """Each line of a unit is one that systemd understands."""
    done = analyze("verify", "--man=no", installed / f"{unit}.service")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_hardened(installed: Path, unit: str) -> None:
    """A unit gives its service next to nothing of the machine."""
    done = analyze("security", "--offline=true", installed / f"{unit}.service")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize(("unit", "command"), UNITS.items())
def test_options(unit: str, command: str) -> None:
    """A unit runs its command, with the options of its file of variables, and all flags and variables there exist."""
    text = (SYSTEMD / f"{unit}.service").read_text()
    assert f"ExecStart={PROGRAM} {command} " in text
    assert f"EnvironmentFile=/etc/swarmproxy/{command}.env\n" in text
    options = [each for each in app.commands[command].params if isinstance(each, click.Option)]
    flags = {spelling for each in options for spelling in each.opts}
    variables = {str(each.envvar) for each in options if each.envvar} | {"OPTIONS", "SWARM_DISCOVERY"}
    used = (SYSTEMD / f"{command}.env").read_text()
    assert set(re.findall(r"(?<=[ =])--?[a-zA-Z][\w-]*", used)) <= flags
    assert set(re.findall(r"^#?([A-Z_]+)=", used, re.MULTILINE)) <= variables
    assert re.search(r"^OPTIONS=", used, re.MULTILINE)


def test_variables_are_systemds() -> None:
    """Files of variables hold no shell: each line is a comment, empty, or one assignment without quotes."""
    for path in SYSTEMD.glob("*.env"):
        lines = path.read_text().splitlines()
        assert not [line for line in lines if line and not re.fullmatch(r"#.*|[A-Z_]+=[^\"'$`\\]*", line)]
