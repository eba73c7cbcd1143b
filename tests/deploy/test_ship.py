"""What is shipped: the same from the same commit, fit for a package index, and started in a clean environment."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy import ship
from swarmproxy import __version__
from tests.hosts import base_image
from tests.hosts.manager import REPOSITORY

pytestmark = pytest.mark.image  # which has all packages in reach, and no network

WHEEL, SOURCE = f"swarmproxy-{__version__}-py3-none-any.whl", f"swarmproxy-{__version__}.tar.gz"


def make(out: Path) -> dict[str, bytes]:
    """Return the digest of each file that `make dist` makes in `out`."""
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(base_image.wheels())}
    command = [sys.executable, "-m", "deploy.ship", str(out)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=REPOSITORY, env={**os.environ, **offline}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"swarmproxy version {__version__} (release)\n" in done.stdout
    return {path.name: hashlib.sha256(path.read_bytes()).digest() for path in out.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with all that is shipped."""
    out = tmp_path_factory.mktemp("dist")
    make(out)
    return out


def test_what_there_is(made: Path) -> None:
    """There are a source distribution, a wheel, the manual page, and a bill of materials."""
    bill = f"swarmproxy-{__version__}.cdx.json"
    assert {path.name for path in made.iterdir()} == {WHEEL, SOURCE, bill, "swarmproxy.1"}
    assert (made / "swarmproxy.1").read_text().startswith(".TH SWARMPROXY 1")


def test_reproducible(made: Path, tmp_path: Path) -> None:
    """Made again, sdist and wheel are the same bytes."""
    for path in ship.build(tmp_path):
        assert path.read_bytes() == (made / path.name).read_bytes()


def test_contents(made: Path) -> None:
    """A wheel has the program, its licence, its types, and what runs it as a service; and no tests."""
    with zipfile.ZipFile(made / WHEEL) as wheel:
        names = wheel.namelist()
        [metadata] = [name for name in names if name.endswith("METADATA")]
        told = wheel.read(metadata).decode()
    roots = {name.partition("/")[0] for name in names}
    assert roots == {"swarmproxy", "discovery", *(f"swarmproxy-{__version__}.{kind}" for kind in ("dist-info", "data"))}
    for end in ("/py.typed", "licenses/LICENSE", "systemd/swarmproxy.service", "compose/compose.yaml"):
        assert any(name.endswith(end) for name in names), end
    for line in (
        "License-Expression: Apache-2.0",
        "Requires-Python: >=3.11",
        "Description-Content-Type: text/markdown",
    ):
        assert f"\n{line}\n" in told
    with tarfile.open(made / SOURCE) as source:
        inside = {name.partition("/")[2] for name in source.getnames()}
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"} <= inside


def test_bill(made: Path) -> None:
    """The bill of materials lists us, and each package that we ask for, with its version and its licence."""
    bill = json.loads((made / f"swarmproxy-{__version__}.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "swarmproxy")
    listed = {each["name"].lower().replace("_", "-"): each for each in bill["components"]}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = {text.partition(">")[0].lower() for text in project["dependencies"]}
    assert wanted <= listed.keys()
    assert all(each["version"] for each in listed.values())
    assert ship.unknown(bill["components"]) == {}


@pytest.mark.parametrize(
    ("component", "found"),
    [
        ({"licenses": [{"license": {"id": "MIT"}}]}, {}),
        ({"licenses": [{"expression": "MIT AND (Apache-2.0 OR BSD-3-Clause)"}]}, {}),
        ({"licenses": [{"license": {"name": "License :: OSI Approved :: BSD License"}}]}, {}),
        ({"licenses": [{"expression": "MIT OR GPL-3.0-only"}]}, {"x": "GPL-3.0-only"}),
        ({"licenses": [{"license": {"name": "Own"}}]}, {"x": "Own"}),
        ({}, {"x": "none"}),
    ],
)
def test_licences(component: Mapping[str, object], found: Mapping[str, str]) -> None:
    """A licence that is not on the list stops what is shipped, and so does none."""
    assert ship.unknown([{"name": "x", **component}]) == found
