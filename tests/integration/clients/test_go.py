"""A program in Go, on Docker's own client library, at the proxy over two engines and at one of these engines itself."""

import json
import subprocess
from typing import Any

from tests.hosts import suites
from tests.integration.clients.pools import Pool

# what differs, "step" or "step.part" -> why the proxy's answer is another one
DIFFERENCES = {
    "errors.imageless": "an image that is missing is pulled, as in classic: the error is that of the registry",
}


def said_at(address: str) -> dict[str, Any]:
    """Return what each step of the program comes to."""
    command = [str(suites.go_program()), f"tcp://{address}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    steps: dict[str, Any] = json.loads(done.stdout)
    errors = steps.pop("errors")
    return steps | {f"errors.{name}": value for name, value in errors.items()}


def test_same_answers(two: Pool) -> None:
    """Every step says the same, but for what is listed."""
    alone = said_at(two.engines[0].address)
    assert not [said for said in alone.values() if str(said).startswith("failed")], alone
    proxied = said_at(two.address)
    different = {name: (alone[name], proxied.get(name)) for name in alone if alone[name] != proxied.get(name)}
    assert set(different) == (set(DIFFERENCES) if two.manager is not None else set()), different
