"""The report of a run as Markdown, in one language: what a model card, an issue or a letter takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio.auth import owner_only
from studio.evaluation.results import Evaluation
from studio.i18n import bytes_text, number, say
from studio.recipes import dump_recipe
from studio.services import comparisons, evaluations, reports
from studio.services.comparisons import Compared
from studio.services.cost_text import cost_lines
from studio.services.evaluation_text import also_text, difference_text, interval_text, share_text
from studio.services.report_tables import Table, vote_table, written_table
from studio.services.reports import Report
from studio.services.studio import Studio

LANGUAGES = ("fa", "en")
ANSWERS = 6
"""Prompts whose answers are told; the page has all."""


@owner_only
def markdown(studio: Studio, run: str, locale: str, pictures: Mapping[str, str] | None = None) -> str:
    """The report of a run: stages, evaluations against the base, votes, how it writes, answers, cost, recipe.

    Args:
        studio: The studio.
        run: Its id.
        locale: ``fa`` or ``en``.
        pictures: Addresses of pictures, as `studio.ui.report_pictures.write_pictures` names them.

    Raises:
        StudioError: ``run.unknown``, ``evaluation.*``.
    """
    pictures = pictures or {}
    report = reports.of_run(studio, run)
    lines = [f"# {say(locale, 'report.title')}: {run}", "", *_stages(locale, report), ""]
    lines += _picture(say(locale, "curves.bits"), pictures.get("bits"))
    kept, limit = report.english_is_kept, number(locale, 100 * report.recipe.evaluation.english_limit)
    if kept is not None:
        key = "report.english_kept" if kept else "report.english_lost_body"
        lines += [say(locale, key, limit=limit), ""]
    for found in evaluations.of_run(studio, run, report.recipe.base, report.stage_names):
        lines += _evaluations(locale, studio, found, pictures.get(f"suite:{found[0].order.suite}"))
    lines += _section(vote_table(locale, report))
    lines += _section(written_table(locale, report))
    lines += [*_answers(locale, report), *_cost(locale, report)]
    lines += [f"## {say(locale, 'report.recipe')}", "", "```yaml", dump_recipe(report.recipe).rstrip(), "```", ""]
    lines += [f"## {say(locale, 'report.environment')}", "", *_hashes(report)]
    text = "\n".join(lines) + "\n"
    return f'<div dir="rtl" lang="fa">\n\n{text}\n</div>\n' if locale == "fa" else text


def _row(cells: Sequence[object]) -> str:
    shown = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(shown)} |"


def _table(headers: Sequence[object], rows: Sequence[Sequence[object]]) -> list[str]:
    return [_row(headers), _row(["---"] * len(headers)), *(_row(row) for row in rows)]


def _stages(locale: str, report: Report) -> list[str]:
    columns = ["stage", "steps", "tokens", "characters", "loss", "bits_fa", "bits_en"]
    headers = [say(locale, f"report.column.{name}") for name in columns]
    base = [say(locale, "report.base"), *["—"] * 4, *(_bits(locale, report.base_bits.get(one)) for one in LANGUAGES)]
    rows = [base] if report.base_bits else []
    for stage in report.stages:
        counts = [number(locale, count) for count in (stage.steps, stage.tokens, stage.characters)]
        rows.append([stage.name, *counts, _bits(locale, stage.loss),
                     *(_bits(locale, stage.bits_per_byte.get(one)) for one in LANGUAGES)])  # fmt: skip
    return _table(headers, rows)


def _bits(locale: str, value: float | None) -> str:
    return "—" if value is None else number(locale, value, 3)


def _picture(title: str, address: str | None) -> list[str]:
    return [f"![{title}]({address})", ""] if address else []


def _evaluations(locale: str, studio: Studio, found: Sequence[Evaluation], picture: str | None) -> list[str]:
    names = [each.order.model for each in found]
    headers = [say(locale, "evaluate.column.task"), say(locale, "evaluate.column.chance"), *(f"`{n}`" for n in names)]
    rows = []
    for one in comparisons.compare(studio, found):
        first = next(iter(one.results.values()))
        chance = "—" if first.chance is None else share_text(locale, first.metric, first.chance)
        rows.append([f"`{one.task}` ({first.metric}, {number(locale, first.figure.items)})", chance,
                     *(_cell(locale, one, name) for name in names)])  # fmt: skip
    notes = [say(locale, "evaluate.interval_note")]
    for name, task in ((each.order.model, task) for each in found for task in each.tasks.values()):
        if task.contaminated:
            notes.append(say(locale, "evaluate.contaminated", task=task.task, model=name,
                             items=number(locale, task.contaminated)))  # fmt: skip
    title = f"{say(locale, 'evaluate.results')}: {found[0].order.suite}"
    return [f"## {title}", "", *_table(headers, rows), "", *_picture(title, picture), *notes, ""]


def _cell(locale: str, one: Compared, name: str) -> str:
    if name not in one.results:
        return "—"
    metric, figure = one.results[name].metric, one.results[name].figure
    shown = f"{share_text(locale, metric, figure.value)} ({interval_text(locale, metric, figure)})"
    if name in one.differences:
        shown = f"{shown}; {difference_text(locale, metric, one.differences[name])}"
    return "; ".join([shown, *also_text(locale, one.results[name], one.also.get(name, {}))])


def _cost(locale: str, report: Report) -> list[str]:
    told = []
    if report.saving is not None:
        before, after = (number(locale, value, 2) for value in (report.saving.before, report.saving.after))
        note = say(locale, "report.fertility_note", before=before, added=number(locale, report.saving.added))
        told.append(f"- {say(locale, 'report.fertility')}: {after} ({note})")
    if report.cost is not None:
        for value, label, note in cost_lines(locale, report.cost):
            told.append(f"- {label}: {value}{f' ({note})' if note else ''}")
    if report.peak_memory_bytes:
        told.append(f"- {say(locale, 'report.memory')}: {bytes_text(locale, report.peak_memory_bytes)}")
    return [f"## {say(locale, 'cost.title')}", "", *told, ""] if told else []


def _section(table: Table | None) -> list[str]:
    if table is None:
        return []
    return [f"## {table.caption}", "", *_table(table.headers, table.rows), "", table.note, ""]


def _answers(locale: str, report: Report) -> list[str]:
    lines = []
    names = {stage.number: stage.name for stage in report.stages}
    for each in report.answers[:ANSWERS]:
        lines += [f"**{each.prompt}**", ""]
        said = [(say(locale, "report.before"), each.before)]
        said += [(names[place], answer) for place, answer in sorted(each.after.items())]
        for when, answer in said:
            lines += [f"> {when}: {' '.join((answer or '—').split())}", ""]
    return [f"## {say(locale, 'report.answers')}", "", *lines] if lines else []


def _hashes(report: Report) -> list[str]:
    found = report.environment
    keys = ("base", "base_sha256", "tokenizer_sha256", "vocabulary_sha256", "device", "dtype", "python")
    lines = [f"- {key}: `{found[key]}`" for key in keys if found.get(key)]
    lines += [f"- {name}: `{version}`" for name, version in found.get("versions", {}).items()]
    return lines + [f"- {name}: `{facts.get('sha256')}`" for name, facts in found.get("datasets", {}).items()]
