"""Curves as an SVG picture that stands beside a model card: lines, axes and words, no script and no outside font."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from tsdownsample import MinMaxLTTBDownsampler

from studio.i18n import Locale, number

POINTS = 500
"""Most points of a line: more are not seen at this width."""
WIDTH, HEIGHT = 800, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 46, 44
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito, of which these read well on white
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Line:
    """Points of step and value; `level` draws one value from side to side instead, in the colour of line `like`."""

    name: str
    points: Sequence[tuple[float, float]] = ()
    level: float | None = None
    like: int = 0


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture above the next: a title and lines over the same steps."""

    title: str
    lines: Sequence[Line]


def picture(locale: Locale, panels: Sequence[Panel], marks: Sequence[tuple[str, int]], steps: str) -> str:
    """An SVG of panels with a common axis of steps, time from left to right in both languages.

    Args:
        locale: Of the numbers.
        panels: At least one, each with a point.
        marks: Names of stages and the steps where they begin.
        steps: What the axis counts.
    """
    last = max((point[0] for panel in panels for line in panel.lines for point in line.points), default=1.0) or 1.0
    height = HEIGHT * len(panels)
    drawn = [_panel(locale, panel, marks, steps, last, place * HEIGHT) for place, panel in enumerate(panels)]
    label = escape("; ".join(panel.title for panel in panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{label}" font-family="Vazirmatn, system-ui, sans-serif" font-size="13">'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>{"".join(drawn)}</svg>\n'
    )


def _panel(locale: Locale, panel: Panel, marks: Sequence[tuple[str, int]], steps: str, last: float, top: float) -> str:
    values = [value for line in panel.lines for _, value in line.points]
    values += [line.level for line in panel.lines if line.level is not None]
    ticks = _ticks(min(values), max(values))
    low, high = ticks[0], ticks[-1]

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * step / last, 1)

    def y(value: float) -> float:
        return round(top + TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    parts = [_text(LEFT, top + 20, panel.title, anchor="start", weight="600")]
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)) + (len(ticks) > 1 and _is_quarter(ticks))
    for tick in ticks:
        parts.append(f'<path d="M{LEFT} {y(tick)}H{WIDTH - RIGHT}" stroke="#e0e0e0"/>')
        parts.append(_text(LEFT - 8, y(tick) + 4, number(locale, tick, digits), anchor="end"))
    bottom = top + HEIGHT - BOTTOM
    for tick in [each for each in _ticks(0, last) if each <= last]:
        parts.append(_text(x(tick), bottom + 18, number(locale, tick), anchor="middle"))
    for name, start in [mark for mark in marks if mark[1] < last]:
        parts.append(f'<path d="M{x(start)} {top + TOP}V{bottom}" stroke="#9a9a9a" stroke-dasharray="2 3"/>')
        parts.append(_text(x(start) + 4, bottom - 6, name, anchor="start", colour="#555555"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, bottom + 36, steps, anchor="middle", colour="#555555"))
    for place, line in enumerate(panel.lines):
        colour = COLOURS[(place if line.level is None else line.like) % len(COLOURS)]
        if line.level is not None:
            parts.append(
                f'<path d="M{LEFT} {y(line.level)}H{WIDTH - RIGHT}" stroke="{colour}" stroke-dasharray="6 5"/>'
            )
        else:
            path = " ".join(f"{x(step)},{y(value)}" for step, value in _thinned(line.points))
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return "".join(parts) + (_legend(panel.lines, top + 36) if len(panel.lines) > 1 else "")


def _legend(lines: Sequence[Line], y: float) -> str:
    parts, x = [], float(LEFT)
    for place, line in enumerate(lines):
        colour = COLOURS[(place if line.level is None else line.like) % len(COLOURS)]
        dashes = ' stroke-dasharray="6 5"' if line.level is not None else ""
        parts.append(f'<path d="M{x} {y - 4}h24" stroke="{colour}" stroke-width="2"{dashes}/>')
        parts.append(_text(x + 30, y, line.name, anchor="start"))
        x += 54 + 7.5 * len(line.name)
    return "".join(parts)


def _text(x: float, y: float, text: str, *, anchor: str, weight: str = "400", colour: str = "#222222") -> str:
    # `start` is the left side whatever the language, since a picture runs from left to right; words keep their own.
    place = f'x="{round(x, 1)}" y="{round(y, 1)}" text-anchor="{anchor}"'
    look = f'direction="ltr" style="unicode-bidi:plaintext" font-weight="{weight}" fill="{colour}"'
    return f"<text {place} {look}>{escape(text)}</text>"


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= POINTS:
        return list(points)
    table = np.array(points, dtype=np.float64)
    steps, values = np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])
    chosen = MinMaxLTTBDownsampler().downsample(steps, values, n_out=POINTS)
    return [(float(steps[place]), float(values[place])) for place in chosen]


def _ticks(low: float, high: float) -> list[float]:
    """Four to seven round values around `low` to `high`."""
    span = high - low or abs(high) or 1.0
    rough = span / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in _STEPS if each * power >= rough * (1 - 1e-9))
    first, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 10) for place in range(first, max(end, first + 1) + 1)]


def _is_quarter(ticks: Sequence[float]) -> bool:
    """Whether the ticks are 2.5 apart, times a power of ten, and need a digit more."""
    step = ticks[1] - ticks[0]
    return math.isclose(step / math.pow(10, math.floor(math.log10(step) + 1e-9)), 2.5)
