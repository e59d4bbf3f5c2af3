"""A line for each series over named places, as a picture without a script; every series says its name at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.i18n import number
from studio.ui import parts
from studio.ui.parts import Markup

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 240, 56, 16, 36
"""Pixels: of the picture, and the room for the figures at its edges."""
ROOM = 90
"""Pixels to the right of the last place, for the names of the lines."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series: its `name` and its points ``(place, value)``, in order."""

    name: str
    points: Sequence[tuple[int, float]]


def line_picture(locale: str, title: str, places: Sequence[str], lines: Sequence[Line]) -> Markup:
    """The picture; nothing where no line has two points.

    Args:
        locale: Of the figures.
        title: Said above it.
        places: What stands below each place, from left to right in either language.
        lines: At most as many as the style sheet has colours for (``series-N``).
    """
    values = [value for line in lines for _, value in line.points]
    if all(len(line.points) < 2 for line in lines):
        return Markup("")
    low, high = min(values), max(values)
    margin = 0.1 * (high - low) or 0.1
    scale = _Scale(len(places), low - margin, high + margin)
    marks = [scale.grid(locale, places), *(_line(line, at, scale) for at, line in enumerate(lines, start=1))]
    said = "; ".join(
        f"{line.name}: {', '.join(number(locale, value, 3) for _, value in line.points)}" for line in lines
    )
    size = f"0 0 {WIDTH + ROOM} {HEIGHT}"
    return Markup(
        f'<figure class="dots" dir="ltr"><figcaption>{parts.escape(title)}</figcaption>'
        f'<svg viewBox="{size}" role="img" aria-label="{parts.escape(said)}">{"".join(marks)}</svg></figure>'
    )


class _Scale:
    """Where a place and a value lie in the picture."""

    def __init__(self, places: int, low: float, high: float) -> None:
        self.places, self.low, self.high = places, low, high

    def x(self, place: int) -> float:
        return round(LEFT + (WIDTH - LEFT - 24) * place / max(1, self.places - 1), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share), 1)

    def grid(self, locale: str, names: Sequence[str]) -> str:
        lines = []
        for quarter in range(5):
            value = self.low + (self.high - self.low) * quarter / 4
            y = self.y(value)
            lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y}" y2="{y}"/>')
            lines.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{number(locale, value, 2)}</text>')
        for place, name in enumerate(names):
            at = f'x="{self.x(place)}" y="{HEIGHT - 12}"'
            lines.append(f'<text {at} text-anchor="middle">{parts.escape(name)}</text>')
        return "".join(lines)


def _line(line: Line, colour: int, scale: _Scale) -> str:
    if not line.points:
        return ""
    path = " ".join(f"{scale.x(place)},{scale.y(value)}" for place, value in line.points)
    dots = "".join(f'<circle cx="{scale.x(place)}" cy="{scale.y(value)}" r="4"/>' for place, value in line.points)
    place, value = line.points[-1]
    name = f'<text x="{scale.x(place) + 10}" y="{scale.y(value) + 4}">{parts.escape(line.name)}</text>'
    return f'<g class="series-{colour}"><polyline points="{path}"/>{dots}{name}</g>'
