"""The groups of `make test` run every test once."""

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run import CACHE, PYTEST, Group, run

REPOSITORY = Path(__file__).parents[1]


def collect(*options: str) -> list[str]:
    """Return the tests that pytest would run with `options`."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY)
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_shares(tmp_path: Path) -> None:
    """Those who share tests have none in common, and none is left, whoever is faster; one who comes late has none."""
    places = ("tests/model/test_names.py", "tests/model/test_glob.py", "tests/model/test_times.py")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", f"--share={tmp_path}", *places]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) for _ in range(3)]
    passed = [
        [line.partition(" PASSED")[0] for line in each.communicate()[0].splitlines() if " PASSED" in line]
        for each in running
    ]
    assert [each.returncode for each in running] == [0, 0, 0]
    assert sorted(itertools.chain(*passed)) == sorted(collect(*places))
    assert all(
        not {name.partition("::")[0] for name in some} & {name.partition("::")[0] for name in others}
        for some, others in itertools.combinations(passed, 2)
    )


def test_marks() -> None:
    """What needs engines is known by its fixtures or its place, without a mark in the test."""
    places = ("tests/hosts/test_engines.py", "tests/integration", "tests/test_architecture.py")
    with_engines = collect("-m", "engines", *places)
    assert {name.partition("::")[0] for name in with_engines} >= {places[0]}
    assert any(name.startswith(places[1]) for name in with_engines)
    assert not any(name.startswith(places[2]) for name in with_engines)


@pytest.fixture
def place() -> Iterator[Path]:
    """Lend a directory in the repository: pytest names tests by where they are in it."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as made:
        yield Path(made)


@pytest.mark.parametrize("what", ["@pytest.mark.chaos\ndef test_it():", "def test_it(network):"])
def test_misplaced(place: Path, what: str) -> None:
    """A test that a group of `make test` would not find stops every run that sees it."""
    test = place / "test_misplaced.py"
    test.write_text(f"import pytest\n\n{what}\n    pass\n")
    command = [*PYTEST, "-p", "tests.conftest", f"--rootdir={REPOSITORY}", "--collect-only", str(test)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "and `make test` does not look for it there" in done.stderr


@pytest.mark.parametrize(("others", "green"), [("False", True), ("True", False)])
def test_once_more_alone(place: Path, capsys: pytest.CaptureFixture[str], others: str, green: bool) -> None:
    """A test that fails beside the others is run once more, and named; one that fails twice is not forgiven."""
    test = place / "test_late.py"
    test.write_text(
        "import pathlib\n\n"
        "def test_late():\n"
        "    seen = pathlib.Path(__file__).with_name('seen')\n"
        f"    again = seen.exists() and not {others}\n"
        "    seen.touch()\n"
        "    assert again\n"
    )
    group = Group(
        "late", [*PYTEST, "-p", "tests.conftest", f"--rootdir={REPOSITORY}", str(test)], failures=place / "failures"
    )
    with group.report:
        assert run([group]) == (0 if green else 1)
    said = capsys.readouterr().out
    assert ("TO BE MENDED: passes only alone: " in said) is green
    assert "late: FAILED (1)" in said


def test_no_second_chance(tmp_path: Path) -> None:
    """What is not a test that failed, such as lint, is not run again."""
    lint = Group("lint", ["false"], failures=tmp_path / "failures")
    with lint.report:
        assert run([lint]) == 1


def test_what_hangs_is_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """A group that never ends is ended and told of, with what it said; what waits for it never starts."""
    stuck = Group("stuck", ["sh", "-c", "echo so far; exec sleep 1d"])
    after = Group("after", ["true"], after=[stuck])
    with stuck.report, after.report:
        assert run([stuck, after], patience_s=1) == 1
    said = capsys.readouterr().out
    assert "ENDED after 1 s: stuck, after" in said
    assert "stuck: FAILED (-15) in" in said
    assert "so far" in said
    assert "after: FAILED (1) in 0 s: no output" in said
