"""The cluster page over real engines, in a real browser."""

from pathlib import Path

import pytest

from tests.conftest import StartEngines, StartManager
from tests.hosts.engine import Engine
from tests.hosts.manager import PORTS
from tests.page.browser import opened

pytestmark = pytest.mark.browser


def test_three_engines(
    engines: list[Engine], start_engines: StartEngines, start_manager: StartManager, tmp_path: Path
) -> None:
    """What clients do on three nodes is on the page without a reload, and so is a node that dies, with the reason."""
    [third] = start_engines(1)
    page = f"127.0.0.1:{next(PORTS)}"
    manager = start_manager([*engines, third], arguments=("--page-addr", page))
    manager.docker("run", "-d", "--name", "first", "-m", "64m", "--label", "team=<b>x</b>", "busybox", "sleep", "1d")
    with opened(tmp_path / "browser") as browser:
        browser.open(f"http://{page}/")
        browser.wait(lambda: browser.texts(".said") == ["Live"], "a live page")
        names = sorted([*(engine.name for engine in engines), third.name])
        assert sorted(browser.texts("h3")) == names
        browser.wait(lambda: "1of 1 run" in browser.text("#overview"), "the container")
        assert [text for text in browser.texts(".much") if text.startswith("64 MiB of ")]
        manager.docker("run", "-d", "--name", "second", "busybox", "sleep", "1d")
        browser.wait(lambda: any("start container second" in each for each in browser.texts("#feed li")), "the event")
        browser.wait(lambda: "2of 2 run" in browser.text("#overview"), "the sums")

        browser.open(f"http://{page}/containers?sort=name")
        browser.wait(lambda: browser.texts(".said") == ["Live"], "a live page")
        assert browser.texts("#part summary") == ["first", "second"]
        assert "team=<b>x</b>" in browser.texts(".labels li")
        manager.docker("kill", "second")
        browser.wait(lambda: any("Exited (137)" in each for each in browser.texts("#part .badge")), "its end")
        manager.docker("rm", "-f", "first")
        browser.wait(lambda: browser.texts("#part summary") == ["second"], "its removal")

        browser.open(f"http://{page}/")
        third.kill()
        browser.wait(lambda: third.name in browser.text(".node.bad h3"), "the node that died")
        assert len(browser.text(".node.bad .why")) > 10
