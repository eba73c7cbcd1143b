"""The page of a real manager over a thousand engines, in a real browser."""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.fleet.control import Burst, Control, Fault
from benchmarks.processes import Child
from tests.hosts.manager import Manager
from tests.page.browser import Browser, opened

pytestmark = pytest.mark.browser

ENGINES = 1000
ROUNDS = 3
SLOWER = 2.0  # as long as one frame may take of many nodes, as one of few

SCROLL = """
const [from, steps, step, done] = arguments;
const frame = () => new Promise(requestAnimationFrame);
(async () => {
  const start = from * document.documentElement.scrollHeight;
  scrollTo(0, start);
  await frame(); await frame();
  const begun = performance.now();
  for (let at = 1; at <= steps; at++) { scrollTo(0, start + at * step); await frame(); }
  done((performance.now() - begun) / steps);
})();
"""
STEPS, STEP = 30, 150  # frames, and pixels for each: faster than a wheel turns
DRAWN = """
const cards = [...document.querySelectorAll(".node")];
const isDrawn = (each) => each.firstElementChild.checkVisibility({ contentVisibilityAuto: true });
return [cards.length, cards.filter(isDrawn).length];
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def frame_ms(browser: Browser, at: float) -> float:
    """Return how long a frame takes while the page is scrolled from `at`, of its length, on."""
    return float(browser.driver.execute_async_script(SCROLL, at, STEPS, STEP))


def listeners(manager: Manager) -> list[str]:
    """Return where it says that it listens."""
    return re.findall(r"addr=(\S+) proto=tcp", manager.log)


def test_a_thousand_nodes(browser: Browser, tmp_path: Path) -> None:
    """All are there, scroll like a few, are found, and what happens on one of them is seen at once."""
    nodes, orders = tmp_path / "nodes", tmp_path / "orders"
    with ExitStack() as stack:
        options = ("--engines", str(ENGINES), "--containers", "1", "--nodes", str(nodes), "--control", str(orders))
        fleet = Child((sys.executable, "-m", "benchmarks.fleet", *options), tmp_path / "fleet.log", piped=True)
        stack.callback(fleet.stop)
        fleet.read_line()
        control = stack.enter_context(Control(orders))
        at, arguments = "127.0.0.1:0", ("--page-addr", "127.0.0.1:0")
        manager = Manager(tmp_path / "manager", discovery=f"file://{nodes}", address=at, arguments=arguments).start()
        stack.callback(manager.stop)
        manager.wait_until(lambda: len(listeners(manager)) == 2, "its listeners")
        manager.address, page = listeners(manager)
        manager.wait(healthy=ENGINES)

        browser.open(f"http://{page}/")
        browser.wait(lambda: browser.texts(".said") == ["Live"], "a live page")
        browser.wait(lambda: "1,000of 1,000 answer" in browser.text("#overview"), "all nodes")
        count, drawn = browser.run(DRAWN)
        assert count == ENGINES
        assert drawn < ENGINES / 4
        control.send(Burst(engines="7", count=1, action="start"))
        browser.wait(lambda: any("app-00007-00" in each for each in browser.texts("#feed li")), "the event")
        control.send(Fault(engines="3", refuses=True))
        browser.wait(lambda: "1 do not" in browser.text("#overview"), "the sums")
        browser.wait(lambda: "Unhealthy" in browser.text('.node.bad[data-node^="127.1.0.4:"]'), "the node that is down")

        browser.type("#q", "node-000")
        browser.wait(lambda: browser.text(".count").startswith("100 nodes"), "what was searched")
        few_ms = min(frame_ms(browser, 0.0) for _ in range(ROUNDS))
        browser.open(f"http://{page}/")
        browser.wait(
            lambda: frame_ms(browser, 0.4) <= SLOWER * few_ms, f"frames of about {few_ms} ms"
        )  # others work, too
        assert browser.run("return scrollY > 30 * innerHeight")
        assert browser.run(DRAWN)[1] < ENGINES / 4
