"""Ask a vulnerability service about all that is installed here: `python -m deploy.audit` (`make audit`).

Exits with 1 if a package has a known vulnerability, and with 2 if nobody could tell. A service that knows of none in
CANARY, which has one, knows nothing: what it says of the others is no news. With `--or-tell`, a service that cannot be
reached is told of, and no failure: for machines that have no way to one.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import click

CANARY = ("requests", "2.19.0")
"""A release with a vulnerability that every service knows (CVE-2018-18074); it is asked about, never installed."""
NOT_OURS_TO_ASK = frozenset({"swarmproxy"})  # no index has it
VULNERABLE, UNKNOWN = 1, 2


class UnheardError(Exception):
    """The service did not say what was asked."""


def installed() -> dict[str, str]:
    """Return the version of each package of this environment, but us."""
    found = {each.metadata["Name"].lower().replace("_", "-"): each.version for each in metadata.distributions()}
    return {name: version for name, version in sorted(found.items()) if name not in NOT_OURS_TO_ASK}


def ask(packages: Mapping[str, str], service: str) -> dict[str, list[str]]:
    """Return the identifiers of the vulnerabilities of each of `packages`. Raises UnheardError.

    `service`: the URL of a service that speaks OSV's protocol; empty: the package index's own.
    """
    with tempfile.TemporaryDirectory() as directory:
        wanted = Path(directory) / "wanted.txt"
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(wanted), "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--progress-spinner", "off", "--cache-dir", str(Path(directory) / "cache")]
        command += ["--vulnerability-service", "osv", "--osv-url", service] if service else []
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        answers: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError as error:
        raise UnheardError((done.stderr.strip().splitlines() or ["no answer"])[-1]) from error
    for answer in answers:
        if "skip_reason" in answer:
            raise UnheardError(answer["skip_reason"])
    return {answer["name"]: [each["id"] for each in answer["vulns"]] for answer in answers}


def vulnerabilities(packages: Mapping[str, str], service: str) -> dict[str, list[str]]:
    """Return those of `packages` that have any, and which. Raises UnheardError."""
    name, version = CANARY
    if not ask({name: version}, service).get(name):
        raise UnheardError(f"the service knows of no vulnerability in {name} {version}, which has one")
    return {name: found for name, found in ask(packages, service).items() if found}


@click.command()
@click.option("--service", default="", metavar="URL", help="Ask this service, which speaks OSV's protocol.")
@click.option("--or-tell", is_flag=True, help="A service that cannot be asked is told of, and no failure.")
def main(*, service: str, or_tell: bool) -> None:
    """Ask a vulnerability service about all packages of this environment."""
    packages = installed()
    try:
        found = vulnerabilities(packages, service)
    except UnheardError as error:
        click.echo(f"NOT AUDITED, {len(packages)} packages: {error}", err=True)
        sys.exit(0 if or_tell else UNKNOWN)
    for name, identifiers in found.items():
        click.echo(f"VULNERABLE: {name} {packages[name]}: {', '.join(identifiers)}", err=True)
    if found:
        sys.exit(VULNERABLE)
    click.echo(f"no known vulnerability in {len(packages)} packages")


if __name__ == "__main__":
    main()
