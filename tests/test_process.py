"""What a manager makes of its process."""

import resource
import subprocess
import sys

import pytest

from swarmproxy import process

LIMITS = """
import resource, gc
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
from swarmproxy import process
process.begin()
assert not gc.isenabled()
process.prepare()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
assert process.descriptors() == most
assert gc.get_freeze_count() > 1000
assert not gc.isenabled()
kept = [[] for _ in range(10_000)]
before = gc.get_freeze_count()
process.settle()
assert gc.get_freeze_count() >= before + 10_000
assert gc.isenabled()
"""


def test_prepare() -> None:
    """The process may open as many files as its hard limit allows; nothing that is there after a start is garbage."""
    subprocess.run([sys.executable, "-c", LIMITS], check=True)


def test_too_few_descriptors(caplog: pytest.LogCaptureFixture) -> None:
    """A limit that does not do for the engines is logged, one that does is not."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    process.warn_of_descriptors(limit - process.RESERVED)
    assert caplog.messages == []
    process.warn_of_descriptors(limit)
    assert ["too few file descriptors" in message for message in caplog.messages] == [True]
