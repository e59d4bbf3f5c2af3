"""What evaluations found: a table of tasks and models, and for each task a plot of figures with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from studio.evaluation.results import Evaluation, Figure, TaskResult
from studio.evaluation.suites import CORPUS_METRICS
from studio.i18n import number, say
from studio.services import comparisons, evaluations
from studio.services.comparisons import Compared
from studio.services.evaluation_text import also_text, difference_text, interval_text, share_text
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.dumbbell import dumbbell
from studio.ui.job_lines import job_lines
from studio.ui.parts import Markup

WIDTH, ROW, TOP = 640, 26, 22
"""Pixels of the plot: its scale's width, a model's row, and the room above for the scale's figures."""
COLOURS = 4
"""Of the style sheet's ``series-N``; further models take them again, and are told apart by their row."""


def board_view(locale: str, studio: Studio, suite: str) -> Markup:
    """Evaluations under way, and all figures of one suite."""
    under_way = job_lines(locale, studio, "evaluate")
    found = evaluations.board(studio, suite) if suite else []
    if not found:
        empty = parts.empty_state(say(locale, "evaluate.empty_title"), say(locale, "evaluate.empty_body"),
                                  example=say(locale, "evaluate.empty_example"))  # fmt: skip
        return parts.join([under_way, empty])
    return parts.join([under_way, results_view(locale, studio, found)])


def results_view(locale: str, studio: Studio, found: Sequence[Evaluation]) -> Markup:
    """The figures of evaluations that were asked the same way, held to the first."""
    compared = comparisons.compare(studio, found)
    names = [each.order.model for each in found]
    picture = dumbbell(locale, compared, names)
    whole = bool(picture) and len(names) == 2  # of more models it shows the first and the last
    plots = [] if whole else [_plot(locale, one) for one in compared]
    body = [_table(locale, compared, names), picture, *plots, _notes(locale, compared)]
    return parts.card(say(locale, "evaluate.results"), parts.join(body), note=parts.ltr(found[0].order.suite))


def _table(locale: str, compared: Sequence[Compared], names: Sequence[str]) -> Markup:
    headers = [
        say(locale, "evaluate.column.task"), say(locale, "evaluate.column.chance"), *(parts.ltr(n) for n in names)
    ]  # fmt: skip
    rows: list[list[object]] = []
    for one in compared:
        first = next(iter(one.results.values()))
        chance = "—" if first.chance is None else share_text(locale, first.metric, first.chance)
        cells = [_cell(locale, one, name) for name in names]
        rows.append([_title(locale, first), chance, *cells])
    return parts.table(rows, headers, rtl=locale == "fa", numeric=(1,))


def _title(locale: str, result: TaskResult) -> Markup:
    language = say(locale, f"evaluate.language.{result.language}")
    small = (
        f"{language} · {result.metric} · {say(locale, 'evaluate.items', items=number(locale, result.figure.items))}"
    )
    return parts.join([parts.code(result.task), Markup("<br>"), Markup(f"<small>{parts.escape(small)}</small>")])


def _cell(locale: str, one: Compared, name: str) -> Markup:
    if name not in one.results:
        return Markup("—")
    result, difference = one.results[name], one.differences.get(name)
    figure, metric = result.figure, result.metric
    lines = [f"<strong><bdi>{share_text(locale, metric, figure.value)}</bdi></strong>",
             f"<small>{parts.escape(interval_text(locale, metric, figure))}</small>"]  # fmt: skip
    if difference is not None:
        lines.append(f"<small>{parts.escape(difference_text(locale, metric, difference))}</small>")
    also = also_text(locale, result, one.also.get(name, {}))
    lines += [f"<small>{parts.escape(line)}</small>" for line in also]
    return Markup("<br>".join(lines))


def _plot(locale: str, one: Compared) -> Markup:
    """A row for each model: a dot, its interval as a line, and chance as a dashed line through all rows."""
    first = next(iter(one.results.values()))
    whole = 100.0 if first.metric in CORPUS_METRICS else 1.0
    height = TOP + ROW * len(one.results)
    marks = [_scale(locale, first.metric, whole, height)]
    if first.chance is not None:
        at = _x(first.chance, whole)
        marks.append(f'<line class="chance" x1="{at}" x2="{at}" y1="{TOP}" y2="{height}"/>')
    for place, (model, result) in enumerate(one.results.items()):
        marks.append(_row(model, result.figure, whole, place))
    said = "; ".join(f"{model} {share_text(locale, r.metric, r.figure.value)}" for model, r in one.results.items())
    return Markup(
        f'<figure class="dots" dir="ltr"><figcaption>{parts.code(one.task)}</figcaption>'
        f'<svg viewBox="-24 0 {WIDTH + 356} {height + 8}" role="img" aria-label="{parts.escape(said)}">'
        f"{''.join(marks)}</svg></figure>"
    )


def _scale(locale: str, metric: str, whole: float, height: int) -> str:
    lines = []
    for quarter in range(5):
        at = _x(quarter / 4 * whole, whole)
        label = parts.escape(share_text(locale, metric, quarter / 4 * whole))
        lines.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{height}"/>'
                     f'<text x="{at}" y="14" text-anchor="middle">{label}</text>')  # fmt: skip
    return "".join(lines)


def _row(model: str, figure: Figure, whole: float, place: int) -> str:
    y = TOP + ROW * place + ROW // 2
    colour = f"series-{place % COLOURS + 1}"
    dot = f'<circle class="{colour}{"" if place else " base"}" cx="{_x(figure.value, whole)}" cy="{y}" r="6"/>'
    line = f'<line class="{colour}" x1="{_x(figure.low, whole)}" x2="{_x(figure.high, whole)}" y1="{y}" y2="{y}"/>'
    return f'{line}{dot}<text x="{WIDTH + 16}" y="{y + 4}">{parts.escape(model)}</text>'


def _x(value: float, whole: float) -> float:
    return round(WIDTH * min(max(value / whole, 0.0), 1.0), 1)


def _notes(locale: str, compared: Sequence[Compared]) -> Markup:
    """What makes a figure worth less than it looks."""
    notes = [parts.paragraph(say(locale, "evaluate.interval_note"), soft=True)]
    for one in compared:
        for model, result in one.results.items():
            if result.contaminated:
                told = say(locale, "evaluate.contaminated", task=one.task, model=model,
                           items=number(locale, result.contaminated))  # fmt: skip
                notes.append(parts.banner(say(locale, "evaluate.contaminated_title"), told, tone="warn"))
    unverified = [one.task for one in compared if not next(iter(one.results.values())).verified]
    if unverified:
        notes.append(parts.paragraph(say(locale, "evaluate.unverified", tasks=", ".join(unverified)), soft=True))
    return parts.join(notes)
