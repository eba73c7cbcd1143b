"""A real browser without a screen, which reaches nothing but this machine."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.common.exceptions import JavascriptException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
PATIENCE_S = 60.0
PASSING = (StaleElementReferenceException, JavascriptException)  # while a page, or a part of it, is replaced
WIDE, PHONE = (1440, 900), (390, 844)

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which root cannot have
    "--disable-dev-shm-usage",
    "--disable-gpu",
    # Nothing but the page is to be asked for, and only of this machine.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--metrics-recording-only",
    "--disable-features=OptimizationHints,MediaRouter,Translate,InterestFeedContentSuggestions,CertificateTransparencyComponentUpdater",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--force-color-profile=srgb",
    "--lang=en-GB",
)


class Browser:
    """What a person does with a page, and sees of it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def resize(self, size: tuple[int, int], *, scale: float = 1.0, is_phone: bool = False) -> None:
        """Make what is visible so many pixels wide and high."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Be a system with a dark or a light theme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what `script` returns."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        """Click on what may be replaced at any moment."""
        self._act(selector, lambda element: element.click())

    def type(self, selector: str, *keys: str) -> None:
        """Press keys in what may be replaced at any moment."""
        self._act(selector, lambda element: element.send_keys(*keys))

    def _act(self, selector: str, act: Callable[[WebElement], None]) -> None:
        def done() -> bool:
            act(self.one(selector))
            return True

        self.wait(done, selector)

    def text(self, selector: str) -> str:
        """Return the text of the first element that `selector` names; nothing while there is none."""
        return next(iter(self.texts(selector)), "")

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements that `selector` names, also where they are not drawn."""
        return list(self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector))

    def wait(self, holds: Callable[[], Any], what: str) -> None:
        """Return when `holds` does."""
        waiting = WebDriverWait(self.driver, PATIENCE_S, 0.05, ignored_exceptions=PASSING)
        waiting.until(lambda _: holds(), what)

    def log(self, kind: str) -> list[dict[str, Any]]:
        return list(self.driver.get_log(kind))  # type: ignore[no-untyped-call]

    def shoot(self, path: Path) -> None:
        """Keep what is visible as a picture."""
        path.write_bytes(self.driver.get_screenshot_as_png())


@contextmanager
def opened(profile: Path) -> Iterator[Browser]:
    """Yield a browser that keeps what it keeps in `profile`, and end it."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={WIDE[0]},{WIDE[1]}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    environment = {**os.environ, "HOME": str(profile), "SE_AVOID_STATS": "true"}
    driver = Chrome(options=options, service=Service(DRIVER, env=environment))
    try:
        driver.set_page_load_timeout(PATIENCE_S)
        driver.set_script_timeout(PATIENCE_S)
        yield Browser(driver)
    finally:
        driver.quit()
