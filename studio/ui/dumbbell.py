"""All tasks of a suite in one picture: where the first model stands, and how far the last one has come from there."""

from __future__ import annotations

from collections.abc import Sequence

from studio.evaluation.results import Figure
from studio.evaluation.suites import CORPUS_METRICS
from studio.i18n import number, say
from studio.services.comparisons import Compared
from studio.services.evaluation_text import share_text
from studio.ui import parts
from studio.ui.parts import Markup

WIDTH, ROW, TOP, BESIDE = 560, 34, 56, 420
"""Pixels: of the scale, of a task's row, of the room above for names and figures, and of the names beside."""
APART = 5
"""Pixels between the two intervals of a row, which would hide each other."""


def dumbbell(locale: str, compared: Sequence[Compared], names: Sequence[str]) -> Markup:
    """A row for each task that the first and the last model have both answered; nothing without such a task.

    Shares and corpus figures have one scale, 0 to 100. Thin lines are 95% intervals, the thick one is what changed.
    """
    first, last = names[0], names[-1]
    rows = [one for one in compared if first != last and {first, last} <= one.results.keys()]
    if not rows:
        return Markup("")
    height = TOP + ROW * len(rows) + 8
    marks = [_names(locale, first, last), _scale(locale, height)]
    marks += [_row(locale, one, first, last, TOP + ROW * place + ROW // 2) for place, one in enumerate(rows)]
    said = "; ".join(f"{one.task} {_change(locale, one, first, last)}" for one in rows)
    return Markup(
        f'<figure class="dumbbell" dir="ltr"><svg viewBox="-16 0 {WIDTH + BESIDE} {height}" role="img"'
        f' aria-label="{parts.escape(said)}">{"".join(marks)}</svg></figure>'
    )


def _names(locale: str, first: str, last: str) -> str:
    # Each by itself: in one line a viewer would turn Latin names and Persian words about each other.
    note = parts.escape(say(locale, "evaluate.dumbbell"))
    return (
        f'<circle class="series-1 base" cx="8" cy="14" r="6"/><text x="22" y="18">{parts.escape(first)}</text>'
        f'<circle class="series-2" cx="{WIDTH // 2 + 8}" cy="14" r="6"/>'
        f'<text x="{WIDTH // 2 + 22}" y="18">{parts.escape(last)}</text>'
        f'<text x="{WIDTH + 20}" y="{TOP - 16}">{note}</text>'
    )


def _scale(locale: str, height: int) -> str:
    lines = []
    for quarter in range(5):
        at = WIDTH * quarter / 4
        label = f'<text x="{at}" y="{TOP - 16}" text-anchor="middle">{number(locale, 25 * quarter)}</text>'
        lines.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP - 8}" y2="{height}"/>{label}')
    return "".join(lines)


def _row(locale: str, one: Compared, first: str, last: str, y: int) -> str:
    before, after = one.results[first], one.results[last]
    whole = 100.0 if before.metric in CORPUS_METRICS else 1.0
    link = (
        f'<line class="series-2 link" x1="{_x(before.figure.value, whole)}" x2="{_x(after.figure.value, whole)}"'
        f' y1="{y}" y2="{y}"/>'
    )
    chance = ""
    if before.chance is not None:
        at = _x(before.chance, whole)
        chance = f'<line class="chance" x1="{at}" x2="{at}" y1="{y - 14}" y2="{y + 14}"/>'
    beside = f"{one.task}: {_change(locale, one, first, last)}"
    return (
        f"{chance}{link}{_dot(before.figure, whole, y, 'series-1', -APART, ' base')}"
        f"{_dot(after.figure, whole, y, 'series-2', APART)}"
        f'<text x="{WIDTH + 20}" y="{y + 4}">{parts.escape(beside)}</text>'
    )


def _dot(figure: Figure, whole: float, y: int, colour: str, aside: int, kind: str = "") -> str:
    return (
        f'<line class="{colour}" x1="{_x(figure.low, whole)}" x2="{_x(figure.high, whole)}"'
        f' y1="{y + aside}" y2="{y + aside}"/>'
        f'<circle class="{colour}{kind}" cx="{_x(figure.value, whole)}" cy="{y}" r="6"/>'
    )


def _change(locale: str, one: Compared, first: str, last: str) -> str:
    before, after = (share_text(locale, result.metric, result.figure.value) for result in
                     (one.results[first], one.results[last]))  # fmt: skip
    return f"{before} → {after}"


def _x(value: float, whole: float) -> float:
    return round(WIDTH * min(max(value / whole, 0.0), 1.0), 1)
