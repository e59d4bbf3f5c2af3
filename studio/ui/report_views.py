"""The report of a finished run as a card: stages and figures, answers side by side, recipe and hashes folded."""

from __future__ import annotations

from collections.abc import Sequence

from studio.i18n import bytes_text, duration_text, number, say
from studio.recipes import dump_recipe
from studio.services import reports, training
from studio.services.cost_text import cost_lines
from studio.services.report_tables import Table, vote_table, written_table
from studio.services.reports import Bits, Report, StageReport
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.parts import Markup
from studio.ui.stage_plot import stage_plot

PANEL = "report"
LANGUAGES = ("fa", "en")


def panel(locale: str, studio: Studio, run_id: str) -> Markup:
    """The report of a run that is done; nothing for one that is not, or without a run."""
    shown = run_id or training.current(studio)
    if not shown:
        return Markup("")
    job = training.get(studio, shown).job
    if job is None or job.state != "done":
        return Markup("")
    return parts.join([report_view(locale, reports.of_run(studio, shown)), _download(locale, shown)])


def report_view(locale: str, report: Report) -> Markup:
    """The whole card."""
    body = [
        _table(locale, report),
        stage_plot(locale, report),
        _english(locale, report),
        _figures(locale, report),
        _plain_table(locale, vote_table(locale, report), words=2),
        _plain_table(locale, written_table(locale, report), words=1),
        _answers(locale, report),
        parts.folded(say(locale, "report.recipe"), _recipe(report)),
        parts.folded(say(locale, "report.environment"), _environment(locale, report)),
    ]
    return parts.card(say(locale, "report.title"), parts.join(body), note=parts.ltr(report.run))


def _download(locale: str, run: str) -> Markup:
    """A link to the report as a file of its own."""
    address, words = parts.escape(f"../report/{run}.html"), parts.escape(say(locale, "report.download"))
    return Markup(f'<p><a class="button secondary" href="{address}" download>{words}</a></p>')


def _table(locale: str, report: Report) -> Markup:
    measured = [language for language in LANGUAGES if any(language in bits for bits in _all_bits(report))]
    english = any(stage.english_change is not None for stage in report.stages)
    columns = ["stage", "steps", "tokens", "characters", "time", "loss", *(f"bits_{each}" for each in measured)]
    headers = [say(locale, f"report.column.{name}") for name in [*columns, *(["english"] if english else [])]]
    rows: list[Sequence[object]] = []
    if report.base_bits:
        bits = [_bits(locale, report.base_bits, language) for language in measured]
        rows.append([say(locale, "report.base"), *["—"] * 5, *bits, *(["—"] if english else [])])
    for stage in report.stages:
        bits = [_bits(locale, stage.bits_per_byte, language) for language in measured]
        rows.append([*_stage(locale, stage), *bits, *([_change(locale, stage.english_change)] if english else [])])
    return parts.table(rows, headers, rtl=locale == "fa", numeric=tuple(range(1, len(headers))))


def _all_bits(report: Report) -> list[Bits]:
    return [report.base_bits, *(stage.bits_per_byte for stage in report.stages)]


def _stage(locale: str, stage: StageReport) -> list[object]:
    name = f"{say(locale, f'train.stage.{stage.kind}')} · {stage.name}"
    seconds = "—" if stage.seconds is None else duration_text(locale, stage.seconds)
    loss = "—" if stage.loss is None else number(locale, stage.loss, 3)
    counts = [number(locale, value) for value in (stage.steps, stage.tokens, stage.characters)]
    return [name, *counts, seconds, loss]


def _bits(locale: str, bits: Bits, language: str) -> str:
    return number(locale, bits[language], 3) if language in bits else "—"


def _change(locale: str, change: float | None) -> object:
    """How much English bits per byte rose, signed: the sign stands before the digits in both languages."""
    if change is None:
        return "—"
    sign = "−" if change < 0 else "+"
    return parts.ltr(f"{sign}{say(locale, 'report.percent', percent=number(locale, abs(100 * change), 2))}")


def _english(locale: str, report: Report) -> Markup:
    kept, limit = report.english_is_kept, number(locale, 100 * report.recipe.evaluation.english_limit)
    if kept is None:
        return parts.paragraph(say(locale, "report.loss_note"), soft=True)
    if kept:
        return parts.paragraph(say(locale, "report.english_kept", limit=limit), soft=True)
    return parts.banner(
        say(locale, "report.english_lost"), say(locale, "report.english_lost_body", limit=limit), tone="warn"
    )


def _figures(locale: str, report: Report) -> Markup:
    items: list[tuple[object, object, object]] = []
    if report.saving is not None:
        before, after = (number(locale, value, 2) for value in (report.saving.before, report.saving.after))
        note = say(locale, "report.fertility_note", before=before, added=report.saving.added)
        items.append((after, say(locale, "report.fertility"), note))
    if report.cost is not None:
        items += cost_lines(locale, report.cost)
    if report.peak_memory_bytes:
        items.append((bytes_text(locale, report.peak_memory_bytes), say(locale, "report.memory"), ""))
    return parts.figures(items) if items else Markup("")


def _plain_table(locale: str, table: Table | None, *, words: int) -> Markup:
    """A table of figures after so many columns of words."""
    if table is None:
        return Markup("")
    numeric = tuple(range(words, len(table.headers) - (words - 1)))
    shown = parts.table(table.rows, table.headers, rtl=locale == "fa", numeric=numeric, caption=table.caption)
    return parts.join([shown, parts.paragraph(table.note, soft=True)])


def _answers(locale: str, report: Report) -> Markup:
    if not report.answers:
        return Markup("")
    places = sorted({place for each in report.answers for place in each.after})
    names = {stage.number: stage.name for stage in report.stages}
    headers = [say(locale, "report.prompt"), say(locale, "report.before")]
    headers += [say(locale, "report.after", stage=parts.named(names[place])) for place in places]
    rows = [
        [each.prompt, each.before or "—", *(each.after.get(place) or "—" for place in places)]
        for each in report.answers
    ]  # fmt: skip
    table = parts.table(rows, headers, rtl=locale == "fa", caption=say(locale, "report.answers"))
    return Markup(f'<div class="side-by-side">{table}</div>')


def _recipe(report: Report) -> Markup:
    text = parts.escape(dump_recipe(report.recipe).rstrip())
    return Markup(f'<pre class="log ltr" dir="ltr" tabindex="0">{text}</pre>')


def _environment(locale: str, report: Report) -> Markup:
    found = report.environment
    pairs: list[tuple[object, object]] = [
        (say(locale, f"report.environment.{key}"), parts.code(found[key]))
        for key in ("base", "base_sha256", "tokenizer_sha256", "vocabulary_sha256", "device", "dtype", "python")
        if found.get(key)
    ]
    pairs += [(name, parts.code(version)) for name, version in found.get("versions", {}).items()]
    pairs += [
        (say(locale, "report.environment.dataset", name=parts.named(name)), parts.code(facts.get("sha256") or "—"))
        for name, facts in found.get("datasets", {}).items()
    ]
    return parts.key_values(pairs)
