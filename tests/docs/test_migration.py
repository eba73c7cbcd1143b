"""docs/migration.md and docs/differences.md say what the program does."""

import re

import click
import pytest

from swarmproxy.cli.app import app
from swarmproxy.cli.cluster_options import CLUSTER_OPTIONS
from swarmproxy.model import labels
from tests.compat.table import ROWS
from tests.docs import differences
from tests.docs.links import DOCS, REPOSITORY

TEXT = (DOCS / "migration.md").read_text(encoding="utf-8")

# Source: classic Swarm 1.2.9, cli/flags.go and cli/commands.go.
CLASSIC = {
    "": "--debug --log-level -l --experimental --help -h --version -v",
    "create": "",
    "list": "--timeout --discovery-opt",
    "join": "--advertise --addr --delay --heartbeat --ttl --discovery-opt",
    "manage": (
        "--strategy --filter -f --host -H --replication --replication-ttl --advertise --addr --tls --tlsverify "
        "--tlscacert --tlscert --tlskey --engine-refresh-min-interval --engine-refresh-max-interval "
        "--engine-failure-retry "
        "--engine-refresh-retry --heartbeat --api-enable-cors --cors --cluster-driver -c --discovery-opt --cluster-opt "
        "--refresh-on-node-filter --container-name-refresh-filter"
    ),
}
COMMANDS = [*CLASSIC, "help"]

_FLAG = re.compile(r"`(--?[A-Za-z][a-z-]*)`")
_ROW = re.compile(r"^\| ([^|]*) \|", re.MULTILINE)
_NEW = re.compile(r"New: (.*?)\.\n", re.DOTALL)


def _section(command: str) -> str:
    title = f"### `{command}`\n" if command else "### Before the command\n"
    return TEXT[TEXT.index(title) + len(title) :].partition("\n##")[0]


def _documented(command: str) -> tuple[set[str], set[str]]:
    """Return the flags in the table of `command`, and those that are new."""
    section = _section(command)
    in_table = {flag for cell in _ROW.findall(section) for flag in _FLAG.findall(cell)}
    return in_table, {flag for listed in _NEW.findall(section) for flag in _FLAG.findall(listed)}


def _flags_of(command: str) -> set[str]:
    """Return the flags that the program has, with those for help, which all commands have."""
    found = app.commands[command] if command else app
    context = click.Context(found)
    flags = {each for option in found.get_params(context) if isinstance(option, click.Option) for each in option.opts}
    return flags - {"--help", "-h"} if command else flags


@pytest.mark.parametrize("command", CLASSIC)
def test_flags(command: str) -> None:
    """Classic's flags are all in the table, ours below it, and together they are those of the program."""
    classic, new = _documented(command)
    assert classic == set(CLASSIC[command].split())
    assert classic & new == set()
    assert classic | new == _flags_of(command)


def test_commands() -> None:
    """Every command of the program is classic's, or named as new."""
    new = re.findall(r"`([a-z]+)`", TEXT.partition("### Commands that are new\n")[2].partition("\n##")[0])
    assert sorted([*filter(None, COMMANDS), *new]) == sorted(app.commands)


def test_labels() -> None:
    """Every label that the cluster writes on containers is explained, and no other is."""
    ours = {
        labels.ID,
        labels.AFFINITIES,
        labels.CONSTRAINTS,
        labels.WHITELISTS,
        labels.RESCHEDULE_POLICIES,
        labels.RESOURCES,
    }
    assert set(re.findall(r"`(com\.docker\.swarm\.[a-z-]+)`", TEXT)) == ours


def test_cluster_options() -> None:
    """What is said of cluster options is about ones that there are; README.md names all that classic did not have."""
    named = set(re.findall(r"`(?:--cluster-opt )?(swarm\.[a-z-]+)", TEXT))
    assert {"swarm.createretry", "swarm.names"} <= named <= set(CLUSTER_OPTIONS)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [option for option in CLUSTER_OPTIONS if option not in readme and option != "swarm.createretry"] == []


def test_differences() -> None:
    """Every difference stands in the document. To write it anew: python -m tests.docs.differences."""
    written = differences.DOCUMENT.read_text(encoding="utf-8")
    assert written == differences.document()
    assert sum(line.startswith("| ") for line in written.splitlines()) == len(
        [row for row in ROWS if row.verdict in differences.DIFFERENT]
    ) + written.count("\n| what |")


def test_readme_has_all_flags() -> None:
    """README.md names each flag of `manage` that classic does not have."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    new = _flags_of("manage") - set(CLASSIC["manage"].split())
    assert [flag for flag in sorted(new) if not re.search(rf"{flag}\b", readme)] == []
