"""Make what is shipped: `python -m deploy.ship [DIRECTORY]` (`make dist`).

The directory, by default dist/, then holds the source distribution and the wheel, the same bytes whenever they are made
from one commit, the manual page, and a bill of materials (CycloneDX) of what an installation has.
The wheel is installed in a clean environment and has to start there; nothing that is installed may have a licence that
nobody has agreed to.
pip is steered by its own variables, such as PIP_NO_INDEX and PIP_FIND_LINKS.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
NAME = "swarmproxy"
EPOCH = "315619200"  # 1980, where a zip file begins: for a tree that is in no repository

# What may be installed with us, in SPDX's words or as projects call it themselves.
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache Software License",
        "Apache-2.0",
        "BSD License",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CNRI-Python",
        "ISC",
        "MIT",
        "MIT License",
        "MPL-2.0",
        "Mozilla Public License 2.0 (MPL 2.0)",
        "PSF-2.0",
        "Unlicense",
    }
)
TOLD_ELSEWHERE = {"protobuf": {"BSD-3-Clause"}}  # in a file of its own, which the bill does not read
NOT_INSTALLED_WITH_US = frozenset({"pip", "setuptools"})  # an environment brings them along


class NotFitError(Exception):
    """What was made must not be shipped."""


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Return what `command` prints. Raises NotFitError with its output if it fails."""
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, cwd=REPOSITORY, env=variables
    )
    if done.returncode:
        raise NotFitError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def epoch() -> str:
    """Return the time that files in archives get: that of the commit, in seconds."""
    try:
        return run("git", "log", "-1", "--format=%ct").strip()
    except (NotFitError, OSError):
        return EPOCH


def build(out: Path) -> tuple[Path, Path]:
    """Return the source distribution and the wheel, which is made of that, in `out`. Raises NotFitError."""
    environment = {"SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or epoch()}
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ".", environment=environment)
    [source], [wheel] = out.glob("*.tar.gz"), out.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", source, wheel)
    return source, wheel


def install(wheel: Path, environment: Path) -> str:
    """Return what the program says of its version, installed in a clean `environment`. Raises NotFitError."""
    venv.create(environment, with_pip=True, clear=True)
    python = environment / "bin" / "python"
    own = {"PYTHONPATH": ""}  # nothing but what is installed there
    run(python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", wheel, environment=own)
    run(python, "-m", "pip", "--disable-pip-version-check", "check", environment=own)
    return run(environment / "bin" / NAME, "--version", environment=own)


def bill(environment: Path, path: Path) -> list[dict[str, Any]]:
    """Return the components of `environment`, as the bill of materials in `path` has them. Raises NotFitError."""
    run(
        *(sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--mc-type", "application"),
        *("--pyproject", REPOSITORY / "pyproject.toml", "--output-format", "JSON", "--output-file", path),
        environment / "bin" / "python",
        environment={"PYTHONPATH": ""},
    )
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["components"]
    return found


def licences(component: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of all licences of a component of a bill of materials."""
    for each in component.get("licenses", ()):
        if "expression" in each:
            yield from re.split(r"\s+(?:AND|OR|WITH)\s+|[()\s]+", each["expression"])
        else:
            name = each["license"].get("id") or each["license"].get("name", "")
            yield name.rpartition(" :: ")[2]  # of a classifier


def unknown(components: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the components that have a licence which nobody agreed to, or none, with these licences."""
    found = {}
    for component in components:
        names = set(filter(None, licences(component))) or TOLD_ELSEWHERE.get(component["name"], set())
        if component["name"] not in NOT_INSTALLED_WITH_US | {NAME} and not (names and names <= ALLOWED):
            found[component["name"]] = ", ".join(sorted(names - ALLOWED)) or "none"
    return found


def main(arguments: Sequence[str]) -> int:
    """Return 0 if all of it may be shipped."""
    out = Path(arguments[0] if arguments else REPOSITORY / "dist").resolve()
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.tar.gz"), *out.glob("*.whl"), *out.glob("*.json"), *out.glob("*.1")):
        old.unlink()
    try:
        _, wheel = build(out)
        with tempfile.TemporaryDirectory() as directory:
            environment = Path(directory) / "environment"
            print(install(wheel, environment).strip())
            (out / f"{NAME}.1").write_text(run(environment / "bin" / NAME, "manual"), encoding="utf-8")
            components = bill(environment, out / f"{wheel.name.split('-')[0]}-{wheel.name.split('-')[1]}.cdx.json")
        if strangers := unknown(components):
            raise NotFitError(f"licences that nobody agreed to: {strangers}")
    except NotFitError as error:
        print(error, file=sys.stderr)
        return 1
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:>9} {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
