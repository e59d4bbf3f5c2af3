"""Held-out bits per byte from the base through the stages, as a picture without a script."""

from __future__ import annotations

from collections.abc import Sequence

from studio.i18n import number, say
from studio.services.reports import Report
from studio.ui import parts
from studio.ui.parts import Markup

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 240, 56, 16, 36
"""Pixels: of the picture, and the room for the figures at its edges."""
LANGUAGES = ("fa", "en")


def stage_plot(locale: str, report: Report) -> Markup:
    """A line for each language, lower is better; nothing where fewer than two points were measured."""
    points = [report.base_bits, *(stage.bits_per_byte for stage in report.stages)]
    names = [say(locale, "report.base"), *(stage.name for stage in report.stages)]
    lines = {
        language: [(place, bits[language]) for place, bits in enumerate(points) if language in bits]
        for language in LANGUAGES
    }
    values = [value for line in lines.values() for _, value in line]
    if len(values) < 2 or all(len(line) < 2 for line in lines.values()):
        return Markup("")
    low, high = min(values), max(values)
    margin = 0.1 * (high - low) or 0.1
    scale = _Scale(len(names), low - margin, high + margin)
    marks = [scale.grid(locale, names), *(_line(locale, language, line, scale) for language, line in lines.items())]
    said = "; ".join(
        f"{say(locale, f'curves.bits_{language}')}: {', '.join(number(locale, value, 3) for _, value in line)}"
        for language, line in lines.items()
    )
    return Markup(
        f'<figure class="dots" dir="ltr"><figcaption>{parts.escape(say(locale, "curves.bits"))}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH + 90} {HEIGHT}" role="img" aria-label="{parts.escape(said)}">{"".join(marks)}</svg>'
        "</figure>"
    )


class _Scale:
    """Where a stage and a value lie in the picture."""

    def __init__(self, stages: int, low: float, high: float) -> None:
        self.stages, self.low, self.high = stages, low, high

    def x(self, place: int) -> float:
        return round(LEFT + (WIDTH - LEFT - 24) * place / max(1, self.stages - 1), 1)

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


def _line(locale: str, language: str, points: Sequence[tuple[int, float]], scale: _Scale) -> str:
    if not points:
        return ""
    colour = f"series-{LANGUAGES.index(language) + 1}"
    path = " ".join(f"{scale.x(place)},{scale.y(value)}" for place, value in points)
    dots = "".join(f'<circle cx="{scale.x(place)}" cy="{scale.y(value)}" r="4"/>' for place, value in points)
    place, value = points[-1]
    label = parts.escape(say(locale, f"curves.bits_{language}"))
    return (f'<g class="{colour}"><polyline points="{path}"/>{dots}'
            f'<text x="{scale.x(place) + 10}" y="{scale.y(value) + 4}">{label}</text></g>')  # fmt: skip
