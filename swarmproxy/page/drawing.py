"""Templates and the files beside them. All that comes from engines or readers is escaped by the template engine."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

_HERE = Path(__file__).parent
PARTS = "parts.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that never changes under its address, which holds its hash."""

    content: bytes
    media_type: str
    url: str


def read_assets() -> dict[str, Asset]:
    """Return all files of the page by name."""
    assets = {}
    for path in sorted((_HERE / "static").iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:12]
        assets[path.name] = Asset(content, _TYPES[path.suffix], f"/static/{digest}/{path.name}")
    return assets


class Drawing:
    """Makes HTML. The same for every reader: what a reader may not see is not handed in."""

    def __init__(self, assets: dict[str, Asset], **shared: Any) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters["number"] = "{:,}".format
        self._environment.globals.update(shared, urls={name: asset.url for name, asset in assets.items()})
        for name in self._environment.list_templates():  # now, and not when requests would wait for it
            self._environment.get_template(name)
        self._parts = self._environment.get_template(PARTS).module

    def draw(self, template: str, **values: Any) -> str:
        """Return the template, filled in."""
        return self._environment.get_template(template).render(values)

    def part(self, name: str, **values: Any) -> str:
        """Return what the macro `name` of PARTS makes: a part of a page, as it is when the page is loaded."""
        macro = getattr(self._parts, name)
        return str(macro(**values))
