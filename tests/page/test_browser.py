"""The page in a real browser."""

import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.keys import Keys

from swarmproxy.engine.engine import State
from swarmproxy.model.container import PortBinding
from tests.page import looking
from tests.page.browser import PHONE, WIDE, Browser, opened
from tests.page.scene import GIB, Scene, Stage
from tests.page.test_app import EVIL

pytestmark = pytest.mark.browser

VIEWS = ("/", "/containers", "/events")
LONG = "registry.example.com/a-team-with-a-long-name/an-application-with-a-longer-name:2026.11.21-rc.1"


def furnish(scene: Scene) -> None:
    """Have all that a page can show."""
    for number in range(8):
        engine = scene.join(f"node-{number}", labels={"zone": f"eu-{number % 3}", "storagedriver": "overlay2"})
        for slot in range(9):
            ports = (PortBinding(container_port="80/tcp", host_port=str(8000 + slot)),) if slot < 7 else ()
            scene.put(
                engine,
                f"web-{number}-{slot}",
                image=LONG if slot == 8 else "nginx:1.29",
                state="exited" if slot == 1 else "running",
                health=("none", "unhealthy", "starting", "healthy")[slot % 4],
                memory_bytes=GIB * (slot < number),
                nano_cpus=500_000_000,
                labels={"team": "ab"[slot % 2]},
                networks={"front": "1"},
                published=ports,
            )
    scene.engines[3]._health.enter(State.UNHEALTHY, "engine 10.0.0.4:2375 does not answer: connection refused")
    scene.join("late", healthy=False)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def stage(browser: Browser) -> Iterator[Stage]:
    """Lend a furnished stage, and a wide light browser that has said nothing, nor will have complained of anything."""
    browser.resize(WIDE)
    browser.prefer("light")
    for kind in ("browser", "performance"):
        browser.log(kind)
    with Stage() as stage:
        stage.do(furnish)
        yield stage
        complaints = [each["message"] for each in browser.log("browser") if each["level"] in ("SEVERE", "WARNING")]
        browser.open("about:blank")  # or it would miss the stage
    assert complaints == []


def visit(browser: Browser, stage: Stage, path: str = "/") -> None:
    """Open a page and wait until it is live."""
    browser.open(stage.url + path)
    browser.wait(lambda: browser.texts(".said") == ["Live"], "a live page")


def asked_for(browser: Browser) -> set[str]:
    """Return whom the browser has asked for anything since the last look."""
    told = [json.loads(each["message"])["message"] for each in browser.log("performance")]
    urls = [each["params"]["request"]["url"] for each in told if each["method"] == "Network.requestWillBeSent"]
    return {f"{url.scheme}://{url.netloc}" for url in map(urlsplit, urls) if url.scheme not in ("data", "about")}


def test_reads_well(browser: Browser, stage: Stage) -> None:
    """In light and dark, wide and on a phone: every text stands out, everything has a name, nothing is cut off."""
    visit(browser, stage)
    stage.tell("start", "web-1", number=7)
    stage.tell("die", LONG, number=8, exitCode="137")
    browser.wait(lambda: len(browser.texts("#feed li")) == 2, "the events")
    for path in VIEWS:
        visit(browser, stage, path)
        assert looking.slips(browser) == []
        for scheme in ("light", "dark"):
            browser.prefer(scheme)
            for size, is_phone in ((WIDE, False), (PHONE, True)):
                browser.resize(size, is_phone=is_phone)
                assert looking.faint_texts(browser) == []
                assert looking.too_wide(browser) == []
        browser.resize(WIDE)
    roles = {node["role"]["value"] for node in looking.spoken(browser)}
    assert {"banner", "navigation", "main", "contentinfo", "log", "status"} <= roles


def test_table_on_a_phone(browser: Browser, stage: Stage) -> None:
    """Where there is no room for columns each container is a card that names its fields, and is still a table's row."""
    visit(browser, stage, "/containers")
    browser.resize(PHONE, is_phone=True)
    cells = "#part tbody tr:first-child td"
    tops = browser.run(
        "return [...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect().top)", cells
    )
    assert len(tops) == 7
    assert len([top for top in tops if top]) == len(set(tops) - {0}) == 6  # one below the other; the empty one is away
    label = "return getComputedStyle(document.querySelector(arguments[0]), '::before').content"
    assert browser.run(label, f"{cells}:nth-child(2)") == '"State"'
    roles = [node["role"]["value"] for node in looking.spoken(browser)]
    assert roles.count("row") == 51
    assert roles.count("cell") + roles.count("gridcell") == 50 * 7 - len(browser.all("#part td:empty"))
    assert looking.too_wide(browser) == []


def test_themes(browser: Browser, stage: Stage) -> None:
    """The page is as the system, until a person chooses; that is kept, and the first picture has it."""
    visit(browser, stage)
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.prefer("dark")
    dark = browser.run(ground)
    assert light != dark
    assert browser.text("#theme") == "Theme: auto"
    browser.click("#theme")
    assert (browser.text("#theme"), browser.run(ground)) == ("Theme: light", light)
    visit(browser, stage, "/containers")
    assert (browser.text("#theme"), browser.run(ground)) == ("Theme: light", light)
    browser.click("#theme")
    browser.prefer("light")
    assert (browser.text("#theme"), browser.run(ground)) == ("Theme: dark", dark)
    browser.click("#theme")
    assert (browser.text("#theme"), browser.run(ground)) == ("Theme: auto", light)


def test_keyboard(browser: Browser, stage: Stage) -> None:
    """All can be reached with keys, in the order of the page, and one always sees where one is."""
    visit(browser, stage, "/containers")
    browser.press(Keys.TAB)
    assert looking.ring(browser) == ("A", "Skip to the content", True, True)
    browser.press(Keys.ENTER)
    assert browser.run("return document.activeElement.id") == "main"
    walked = []
    for _ in range(12):
        browser.press(Keys.TAB)
        walked.append(looking.ring(browser))
    assert all(is_marked and is_in_sight for _, _, is_marked, is_in_sight in walked), walked
    assert [kind for kind, *_ in walked[:2]] == ["INPUT", "SELECT"]
    assert [text.rstrip("↓↑") for _, text, _, _ in walked[2:7]] == ["Name", "State", "Node", "Image", "Created"]
    browser.press("/")
    assert browser.run("return document.activeElement.id") == "q"
    browser.press("node-7", Keys.ENTER)
    browser.wait(lambda: "node-7" in browser.text(".count"), "what was searched")
    browser.press(Keys.ESCAPE)
    assert browser.run("return document.activeElement.id") == ""
    browser.type('[data-keep="s-name"]', Keys.ENTER)
    browser.wait(lambda: browser.all('th[aria-sort="ascending"]'), "what was sorted")
    assert looking.ring(browser)[1:3] == ("Name↑", True)
    browser.type("#part summary", Keys.ENTER)
    assert "Networks" in browser.text("#part details[open] dl")


def test_searches(browser: Browser, stage: Stage) -> None:
    """What is typed is found without a reload, the address says what is shown, and going back goes back."""
    visit(browser, stage, "/containers")
    browser.run("window.same = true")
    browser.type("#q", "web-2 team=a")
    browser.wait(lambda: browser.text(".count").startswith("1–5 of 5"), "what was typed")
    assert browser.run("return location.search") == "?q=web-2+team%3Da"
    assert browser.run("return document.activeElement.id") == "q"
    browser.click('[data-keep="s-name"]')
    browser.wait(lambda: "sort=name" in browser.run("return location.search"), "the order in the address")
    browser.wait(lambda: browser.texts("#part summary")[:2] == ["web-2-0", "web-2-2"], "the order")
    browser.driver.back()
    browser.wait(lambda: browser.texts("#part summary")[0] == "web-2-8", "the order before")
    assert browser.run("return window.same")
    browser.open(stage.url + "/containers?q=web-2&sort=name&state=stopped")
    assert browser.texts("#part summary") == ["web-2-1"]
    assert browser.one("#q").get_attribute("value") == "web-2"
    visit(browser, stage, "/")
    browser.type("#q", "zone=eu-1")
    browser.wait(lambda: browser.texts("h3") == ["node-1", "node-4", "node-7"], "the nodes")
    browser.click("h3 a")
    browser.wait(lambda: "on node-1" in browser.text(".count"), "its containers")


def test_without_scripts(browser: Browser, stage: Stage) -> None:
    """Who has switched scripts off sees, searches and turns pages all the same."""
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(stage.url + "/containers")
        assert browser.text(".said") == "Not live"
        browser.type("#q", "web")
        browser.click("form button")
        browser.wait(lambda: browser.text(".count") == "1–50 of 72 containers for “web”", "what was searched")
        browser.click('[rel="next"]')
        browser.wait(lambda: browser.text(".count") == "51–72 of 72 containers for “web”", "the next page")
        assert "q=web" in browser.driver.current_url
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_live(browser: Browser, stage: Stage) -> None:
    """What happens is there without a reload: the event, the node's new state and sums, the container's row."""
    visit(browser, stage)
    browser.run("window.same = true")
    stage.tell("start", "fresh", number=99)
    browser.wait(lambda: any("fresh" in each for each in browser.texts("#feed li")), "the event")
    card = '[data-node="10.0.0.3:2375"]'
    browser.click(f"{card} summary")
    stage.do(lambda scene: scene.engines[2]._health.enter(State.UNHEALTHY, "it was unplugged"))
    browser.wait(lambda: "it was unplugged" in browser.text(card), "the reason")
    assert browser.all(f"{card} details[open]")
    browser.wait(lambda: "3 do not" in browser.text("#overview"), "the sums")
    stage.do(lambda scene: scene.join("newcomer"))
    browser.wait(lambda: "newcomer" in browser.texts("h3"), "the new node")
    browser.click("#pause")
    stage.tell("die", "unheard", number=100)
    stage.do(lambda scene: scene.engines[2]._health.enter(State.HEALTHY))
    browser.wait(lambda: "2 do not" in browser.text("#overview"), "the sums again")
    assert not any("unheard" in each for each in browser.texts("#feed li"))
    assert browser.run("return window.same")
    visit(browser, stage, "/containers")
    stage.do(lambda scene: scene.put(scene.engines[0], "fresh", created=2_000_000_000))
    stage.tell("start", "fresh", number=101)
    browser.wait(lambda: browser.texts("#part summary")[0] == "fresh", "the row")


def test_comes_back(browser: Browser, stage: Stage) -> None:
    """A page that has lost its manager says so, and catches up with the next one."""
    visit(browser, stage)
    stage.do(lambda scene: scene.cluster.hub.close())
    browser.wait(lambda: browser.texts(".said") == ["Reconnecting"], "the loss")
    stage.do(lambda scene: scene.leave(scene.engines[0]))
    browser.wait(lambda: browser.texts(".said") == ["Live"], "the return")
    browser.wait(lambda: "node-0" not in browser.texts("h3"), "what has happened meanwhile")


def test_nothing_runs(browser: Browser, stage: Stage) -> None:
    """Names and labels that are programs stay text, wherever they come from, and no address but ours is asked."""
    trap = "<img src=http://10.9.9.9/x onerror=window.ran=1>" + EVIL

    def plant(scene: Scene) -> None:
        engine = scene.join(trap, labels={trap: trap})
        scene.put(engine, trap, image=trap, labels={trap: trap}, networks={trap: "1"}, created=2_000_000_000)
        engine._health.enter(State.UNHEALTHY, trap)

    stage.do(plant)
    for path in ("/", "/containers", "/events"):
        visit(browser, stage, path)
        stage.tell("start", trap, number=5, engine=-1, image=trap)
        if path == "/containers":
            browser.wait(lambda: trap in browser.texts("#part summary"), "the container")
            assert any(trap in each for each in browser.texts(".labels li"))
        else:
            browser.wait(lambda: any(trap in each for each in browser.texts("#feed li")), "the event")
        if path == "/":
            assert trap in browser.texts("h3")
        browser.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert browser.run("return [window.ran, document.querySelectorAll('main img').length]") == [None, 0]
    assert asked_for(browser) == {stage.url}
    loaded = browser.run("return performance.getEntriesByType('resource').map(each => each.name)")
    assert loaded
    assert all(each.startswith(stage.url + "/") for each in loaded)


def test_policy_holds(browser: Browser, stage: Stage) -> None:
    """Even if HTML got into the page, nothing of it would run, and nothing would be loaded."""
    visit(browser, stage)
    blocked = browser.run("""
        const tried = [];
        try { document.body.innerHTML += "<b>x</b>"; tried.push("markup"); } catch { }
        const script = document.createElement("script");
        try { script.textContent = "window.ran = 1"; document.body.append(script); } catch { }
        const image = new Image(); image.src = "http://127.0.0.1:9/x"; document.body.append(image);
        return tried;
    """)
    assert blocked == []
    assert browser.run("return window.ran") is None
    said = " ".join(each["message"] for each in browser.log("browser"))  # and nothing is left for the next to find
    assert re.search("Trusted(Script|HTML)", said)
    assert "img-src 'self'" in said
