"""What a program can tell of how a page is to read, to hear and to use without a mouse."""

from typing import Any

from tests.page.browser import Browser

# Source: WCAG 2.2, success criterion 1.4.3, and its definition of relative luminance.
FAINT = """
const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parts = (color) => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
function ground(element) {
  for (let each = element; each; each = each.parentElement) {
    const color = parts(getComputedStyle(each).backgroundColor);
    if (color.length < 4 || color[3] === 1) return color;
  }
  throw new Error("no ground");
}
const faint = [];
let looked = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
  if (!text || !element.checkVisibility({ contentVisibilityAuto: true, opacityProperty: true })) continue;
  if (element.closest(".unseen, svg, option")) continue;
  const style = getComputedStyle(element), size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const [a, b] = [light(parts(style.color)), light(ground(element))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  looked++;
  if (ratio < (large ? 3 : 4.5)) faint.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
}
return [looked, faint];
"""

STILL = "return document.getAnimations().every(each => each.effect.getComputedTiming().iterations === Infinity)"
"""Whether nothing is on its way to what it is to look like."""

SLIPS = """
const slips = [];
const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
for (const id of new Set(ids)) if (ids.filter((each) => each === id).length > 1) slips.push(`id ${id} twice`);
for (const name of ["aria-labelledby", "aria-controls", "for"])
  for (const each of document.querySelectorAll(`[${name}]`))
    if (!ids.includes(each.getAttribute(name))) slips.push(`${name} ${each.getAttribute(name)} is nowhere`);
for (const each of document.querySelectorAll("img:not([alt])")) slips.push("picture without alt");
for (const each of document.querySelectorAll('[role="meter"]'))
  if (!each.ariaLabel || !each.ariaValueText || !(each.ariaValueNow >= 0 && each.ariaValueNow <= 100))
    slips.push("meter");
if (document.documentElement.lang !== "en" || !document.title) slips.push("language or title");
if (document.querySelectorAll("h1").length !== 1) slips.push("not one h1");
let level = 0;
for (const each of document.querySelectorAll("h1, h2, h3, h4")) {
  if (Number(each.tagName[1]) > level + 1) slips.push(`heading ${each.textContent} skips a level`);
  level = Number(each.tagName[1]);
}
for (const each of ["header", "nav[aria-label]", "main", "footer"])
  if (document.querySelectorAll(each).length < 1) slips.push(`no ${each}`);
return slips;
"""

NAMED = ("link", "button", "searchbox", "combobox", "DisclosureTriangle", "meter", "img", "table", "log", "navigation")

WIDER = """
const most = document.documentElement.clientWidth;
return [...document.querySelectorAll("body *")]
  .filter((each) => !each.closest(".unseen, .sprite, svg") && each.getBoundingClientRect().right > most + 1)
  .map((each) => `${each.tagName}.${each.className}`);
"""

RING = """
const style = getComputedStyle(document.activeElement), box = document.activeElement.getBoundingClientRect();
return [document.activeElement.tagName, document.activeElement.textContent.trim().slice(0, 30),
        style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        box.bottom > 0 && box.top < innerHeight && box.width > 0];
"""


def faint_texts(browser: Browser) -> list[str]:
    """Return the texts that stand out too little from their ground; fails if there was nothing to look at."""
    browser.wait(lambda: browser.run(STILL), "a page that stands still")
    looked, faint = browser.run(FAINT)
    assert looked > 20
    return list(faint)


def slips(browser: Browser) -> list[str]:
    """Return what those cannot use who hear a page, or who have no mouse."""
    found = list(browser.run(SLIPS))
    for node in spoken(browser):
        role, name = node["role"]["value"], node.get("name", {}).get("value", "")
        if role in NAMED and not name.strip():
            found.append(f"{role} without a name")
    return found


def spoken(browser: Browser) -> list[dict[str, Any]]:
    """Return the page as it is told to those who do not see it."""
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [node for node in nodes if not node["ignored"]]


def too_wide(browser: Browser) -> list[str]:
    """Return what does not fit: one would have to scroll to the side."""
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), browser.run(WIDER)
    return list(browser.run(WIDER))


def ring(browser: Browser) -> tuple[str, str, bool, bool]:
    """Return what has the focus: its kind, its text, whether that can be seen, and whether it is in sight."""
    kind, text, is_marked, is_in_sight = browser.run(RING)
    return kind, text, is_marked, is_in_sight
