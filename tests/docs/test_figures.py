"""The figures and files that docs/architecture.md names are those of the code."""

import re
from xml.etree import ElementTree as ET

import pytest

from swarmproxy.cluster.credentials import MOST
from swarmproxy.cluster.hub import QUEUE_LIMIT
from swarmproxy.cluster.membership import GRACE_S
from swarmproxy.engine.settings import EngineSettings
from swarmproxy.monitoring.writing import MAX_WAITING_BYTES
from swarmproxy.scheduler.expression import MAX_EXPRESSIONS, MAX_LENGTH
from swarmproxy.scheduler.rebalance import MAX_MOVES
from swarmproxy.settings import Settings
from swarmproxy.wire.descriptors import ENGINES_PART
from swarmproxy.wire.whole import MAX_BODY_BYTES
from tests.docs.links import DOCS, REPOSITORY

TEXT = " ".join((DOCS / "architecture.md").read_text(encoding="utf-8").split())
ENGINE = EngineSettings()
MIB = 1024 * 1024
SAID = [
    f"events | {QUEUE_LIMIT:,} that wait",
    f"{MAX_WAITING_BYTES // MIB} MiB; then they are lost",
    f"are kept | {MOST:,} |",
    f"{MAX_EXPRESSIONS} of a kind, {MAX_LENGTH:,} characters each",
    f"read as a whole | {MAX_BODY_BYTES // MIB} MiB |",
    f"moves of a rebalance | {MAX_MOVES} |",
    f"returns within {GRACE_S:g} s",
    f"opened again every {ENGINE.beat_s:g} s",
    f"silent for {ENGINE.probe_s:g} s is pinged",
    f"a light list every {ENGINE.refresh_min_s:g} to {ENGINE.refresh_max_s:g} s",
    f"Unhealthy {ENGINE.probe_s + 3 * ENGINE.probe_timeout_s + 2 * ENGINE.probe_again_s:g} s after",
    f"after {Settings(discovery='').reschedule_after_s:g} s (`swarm.reschedule-after`)",
    "a quarter is for engines" if ENGINES_PART == 4 else f"one in {ENGINES_PART} is for engines",
]


@pytest.mark.parametrize("words", SAID)
def test_figure(words: str) -> None:
    """What is said of bounds and times is what they are."""
    assert words in TEXT


def test_files() -> None:
    """Each file and package that is named is there."""
    named = {name for name in re.findall(r"`([a-z_/]+(?:\.py|/))`", TEXT) if "/" in name}
    assert len(named) > 8
    roots = (REPOSITORY / "swarmproxy", REPOSITORY)
    assert [name for name in sorted(named) if not any((root / name).exists() for root in roots)] == []


def test_drawing() -> None:
    """The picture is XML that a browser can draw, tells what it shows, and is drawn for dark backgrounds, too."""
    text = (DOCS / "architecture.svg").read_text(encoding="utf-8")
    found = {element.tag.rpartition("}")[2] for element in ET.fromstring(text)}  # noqa: S314 - a file of our own
    assert {"title", "desc", "style"} <= found
    assert "prefers-color-scheme: dark" in text
