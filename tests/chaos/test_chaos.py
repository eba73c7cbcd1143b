"""Ten minutes of faults in which every promise is kept."""

import pytest

from tests.chaos.running import run, seed_of_commit
from tests.chaos.stand import run_directory

SECONDS = 600


@pytest.mark.chaos
def test_chaos(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever happens to engines, managers and store, nothing is doubled, lost, overbooked, unanswered or leaked."""
    report = run(seed_of_commit(), SECONDS, directory=run_directory())
    with capsys.disabled():
        print(f"\n{report.table()}")
    assert report.violations == []
