"""Lines over two axes as an SVG that is readable on light and on dark pages."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Point = tuple[float, float]

WIDTH, HEIGHT = 860, 480
LEFT, TOP, RIGHT, BOTTOM = 70, 46, 250, 60  # margins: the legend stands at the right
SHADES = ("#1f77b4", "#d9730d", "#2a9134", "#c0392b", "#8e5bd0", "#8c6d46", "#c2479b", "#6b7785", "#9a8a00", "#0b99a8")
DASHES = ("", "6 3", "2 3")
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .axis { stroke: #57606a; fill: none }
  .grid { stroke: #d0d7de; stroke-width: 0.6 }
  .line { fill: none; stroke-width: 2 }
  .goal { stroke: #57606a; stroke-width: 1; stroke-dasharray: 4 4 }
  .small { font-size: 11px }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .axis, .goal { stroke: #8d96a0 }
    .grid { stroke: #3d444d }
  }
"""


def draw(
    title: str,
    lines: Mapping[str, Sequence[Point]],
    *,
    x_label: str,
    y_label: str,
    goals: Mapping[str, Point] | None = None,
) -> str:
    """Return the drawing of `lines`, by name, in the order given, over logarithmic axes. All values must be above 0.

    `goals` are single points that are not to be passed.
    """
    goals = goals or {}
    points = [point for line in lines.values() for point in line] + list(goals.values())
    x_axis = _Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    y_axis = _Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, whole_decades=True)
    marks = sorted({x for line in lines.values() for x, _ in line})
    return _draw(title, lines, x_axis, y_axis, marks, y_axis.decades(), x_label=x_label, y_label=y_label, goals=goals)


def draw_linear(title: str, lines: Mapping[str, Sequence[Point]], *, x_label: str, y_label: str) -> str:
    """Return the drawing of `lines`, by name, in the order given, over axes that begin at 0."""
    points = [point for line in lines.values() for point in line]
    x_axis = _LinearAxis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    y_axis = _LinearAxis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    marks = (x_axis.marks(), y_axis.marks())
    return _draw(title, lines, x_axis, y_axis, *marks, x_label=x_label, y_label=y_label, goals={})


def _draw(
    title: str,
    lines: Mapping[str, Sequence[Point]],
    x_axis: _Axis | _LinearAxis,
    y_axis: _Axis | _LinearAxis,
    x_marks: Sequence[float],
    y_marks: Sequence[float],
    *,
    x_label: str,
    y_label: str,
    goals: Mapping[str, Point],
) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
    ]
    for value in x_marks:
        at = x_axis.at(value)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{at}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{value:,.0f}</text>')
    for value in y_marks:
        at = y_axis.at(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4}" text-anchor="end">{value:g}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text transform="translate(18 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    for number, (name, line) in enumerate(lines.items()):
        look = f'stroke="{SHADES[number % len(SHADES)]}" stroke-dasharray="{DASHES[number % len(DASHES)]}"'
        path = " ".join(f"{x_axis.at(x)},{y_axis.at(y)}" for x, y in line)
        parts.append(f'<polyline class="line" {look} points="{path}"/>')
        row = TOP + 8 + 22 * number
        parts.append(
            f'<line class="line" {look} x1="{WIDTH - RIGHT + 16}" x2="{WIDTH - RIGHT + 42}" y1="{row}" y2="{row}"/>'
        )
        parts.append(f'<text x="{WIDTH - RIGHT + 50}" y="{row + 4}">{escape(name)}</text>')
    for name, (x, y) in goals.items():
        across, down = x_axis.at(x), y_axis.at(y)
        parts.append(f'<path class="goal" d="M{across - 24} {down}H{across + 10}"/>')
        parts.append(f'<text class="small" x="{across - 28}" y="{down + 4}" text-anchor="end">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """Where values stand on a logarithmic axis from `begin` to `end`, in pixels."""

    def __init__(self, values: Sequence[float], begin: float, end: float, *, whole_decades: bool = False) -> None:
        low, high = math.log10(min(values)), math.log10(max(values))
        if whole_decades:
            low, high = math.floor(low), math.ceil(high)
        self._low, self._span = low, (high - low) or 1.0
        self._begin, self._length = begin, end - begin

    def at(self, value: float) -> float:
        return round(self._begin + (math.log10(value) - self._low) / self._span * self._length, 1)

    def decades(self) -> list[float]:
        first, last = math.ceil(self._low), math.floor(self._low + self._span)
        return [10.0**power for power in range(first, last + 1)]


class _LinearAxis:
    """Where values stand on an axis from 0, at `begin`, to a little more than the largest, at `end`, in pixels."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        most = max(values) or 1.0
        decade = 10.0 ** math.floor(math.log10(most))
        self._step = next(share * decade for share in (0.1, 0.2, 0.5, 1.0, 2.0) if most <= 6 * share * decade)
        self._most = self._step * math.ceil(most / self._step)
        self._begin, self._length = begin, end - begin

    def at(self, value: float) -> float:
        return round(self._begin + value / self._most * self._length, 1)

    def marks(self) -> list[float]:
        return [self._step * number for number in range(round(self._most / self._step) + 1)]
