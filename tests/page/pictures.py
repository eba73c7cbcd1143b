"""`python -m tests.page.pictures`: take the pictures of the page that stand in docs/ (`make page-pictures`)."""

import random
import tempfile
import time
from pathlib import Path

from swarmproxy.cluster.operators import NodeRecord
from swarmproxy.engine.engine import State
from swarmproxy.model.container import PortBinding
from tests.page.browser import PHONE, Browser, opened
from tests.page.scene import GIB, Scene, Stage

DOCS = Path(__file__).parents[2] / "docs"
SCREEN = (1280, 800)
PICTURES = ("page-light.png", "page-dark.png", "page-phone.png")
MAX_BYTES = 200_000
DAY_S = 86_400
APPLICATIONS = {
    "web": "nginx:1.29",
    "api": "registry.example.com/shop/api:2026.11.3",
    "worker": "registry.example.com/shop/worker:2026.11.3",
    "cache": "valkey:9",
    "search": "opensearch:3.1",
}


def furnish(scene: Scene) -> None:
    """Have a pool as many are: most of it is well."""
    dice, now_s = random.Random(8), int(time.time())
    for number in range(24):
        labels = {"zone": f"eu-{number % 3}", "storagedriver": "overlay2", "kernelversion": "6.12.48"}
        engine = scene.join(f"node-{number + 1:02}", labels=labels)
        for slot in range(dice.randrange(4, 14)):
            name, image = dice.choice(list(APPLICATIONS.items()))
            born_s = now_s - dice.randrange(600, 9 * DAY_S)
            is_up = dice.random() < 0.92
            scene.put(
                engine,
                f"{name}-{number * 14 + slot:03}",
                image=image,
                created=born_s,
                started_ns=born_s * 10**9,
                finished_ns=0 if is_up else (born_s + 500) * 10**9,
                state="running" if is_up else "exited",
                health=dice.choice(["none", "healthy", "healthy"]),
                memory_bytes=dice.choice([GIB // 4, GIB // 2, GIB]),
                nano_cpus=dice.choice([0, 250, 500]) * 1_000_000,
                labels={"team": dice.choice(["shop", "data"])},
                networks={"front": "1"},
                published=(PortBinding(container_port="80/tcp", host_port=str(8000 + slot)),) if name == "web" else (),
            )
    silent = scene.engines[5]
    silent._health.enter(State.UNHEALTHY, f"engine {silent.address} does not answer: connection refused")
    scene.cluster.book.put(NodeRecord(id="E9", availability="drain"))


def take(browser: Browser, stage: Stage, path: str, name: str) -> None:
    """Keep a picture of the page at `path`."""
    browser.open(stage.url + path)
    browser.wait(lambda: browser.texts(".said") == ["Live"], "a live page")
    browser.wait(lambda: browser.run("return document.getAnimations().every(a => a.animationName === 'beat')"), "rest")
    browser.shoot(DOCS / name)
    print(name, (DOCS / name).stat().st_size, "bytes")


def main() -> None:
    """Take all pictures anew."""
    with tempfile.TemporaryDirectory() as profile, opened(Path(profile)) as browser, Stage() as stage:
        stage.do(furnish)
        browser.resize(SCREEN)
        browser.open(stage.url)
        browser.wait(lambda: browser.texts(".said") == ["Live"], "a live page")
        for number, action in enumerate(["create", "start", "die", "create", "start", "kill", "die", "start"] * 2):
            code = {"exitCode": "137"} if number == 6 else {}
            stage.tell(action, f"{list(APPLICATIONS)[number % 5]}-{number:03}", engine=number, number=number, **code)
        browser.wait(lambda: len(browser.texts("#feed li")) == 16, "events")
        take(browser, stage, "/", "page-light.png")
        browser.prefer("dark")
        take(browser, stage, "/containers", "page-dark.png")
        browser.prefer("light")
        browser.resize(PHONE, is_phone=True)
        take(browser, stage, "/", "page-phone.png")
    assert all((DOCS / name).stat().st_size < MAX_BYTES for name in PICTURES)


if __name__ == "__main__":
    main()
