"""Tests of benchmarks/soak/, of which the last is a soak in small."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from benchmarks.soak import __main__ as soak
from benchmarks.soak.figures import Sample, plot, trend

SVG = "{http://www.w3.org/2000/svg}"
SHORT = {"--requests": 24_000, "--events": 4_800, "--streams": 240, "--rounds": 24, "--tolerance": 2.5}
DEADLINE_S = 400


def samples(growth_mib: float) -> list[Sample]:
    """Return what a manager uses that warms up over ten rounds, and then grows by so much in each."""
    return [
        Sample(
            requests=1000 * (number + 1),
            memory_mib=60 + min(number, 10) + growth_mib * max(0, number - 10),
            descriptors=30 + number % 2,
            tasks=40,
            threads=3,
            cpu_s=number,
        )
        for number in range(40)
    ]


def test_trend() -> None:
    """What grows in the second half is told from what has grown only at first, and from noise."""
    flat, grown = soak.judge(samples(0)), soak.judge(samples(0.2))
    assert all(each.flat for each in flat.values())
    assert {name for name, each in grown.items() if not each.flat} == {"memory, MiB"}
    assert grown["memory, MiB"].growth == pytest.approx(0.2 * 19)
    assert all(each.flat for each in soak.judge(samples(0.2), tolerance=2).values())
    assert trend([(1.0, 5.0)], allowed=0).growth == 0


def test_document(tmp_path: Path) -> None:
    """Table and plot are put into the document, and what grows is called so."""
    page = tmp_path / soak.PAGE
    page.write_text(f"before\n{soak.BEGIN}\nold\n{soak.END}\nafter\n")
    taken = samples(1)
    result = soak.Result(
        machine="here", requests=40_000, done={"top": 1}, seconds=1, samples=taken, trends=soak.judge(taken)
    )
    soak.write_docs(soak.table(result), plot(taken), docs=tmp_path)
    text = page.read_text()
    assert text.startswith(f"before\n{soak.BEGIN}\n\n| |")
    assert text.endswith(f"{soak.END}\nafter\n")
    assert [line.split("|")[-2].strip() for line in text.splitlines() if line.startswith("| ")][2:] == [
        "GROWS",
        "flat",
        "flat",
        "flat",
    ]
    drawing = ET.fromstring((tmp_path / soak.PLOT).read_text())  # noqa: S314
    lines = drawing.findall(f"{SVG}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [40, 40, 40, 40]


def test_short_soak(tmp_path: Path) -> None:
    """Thousands of requests, streams and events, and engines that come and go, leave nothing in a manager."""
    options = [f"{name}={value}" for name, value in SHORT.items()]
    command = [sys.executable, "-m", "benchmarks.soak", f"--results={tmp_path}", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    [figures] = tmp_path.glob("soak-*/figures.json")
    result = msgspec.json.decode(figures.read_bytes(), type=soak.Result)
    assert len(result.samples) == SHORT["--rounds"]
    assert all(each.tasks for each in result.samples)
    assert result.done["events"] == SHORT["--events"]
    assert sum(result.done[kind] for kind in ("logs", "event readers", "exec")) == SHORT["--streams"]
    assert all(result.done[kind] for kind in ("top", "ps", "inspect", "info", "ping", "create"))
