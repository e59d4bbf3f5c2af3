"""Fixed prompts: chosen subjects put to all columns at once, as a table that a spreadsheet can read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import number, say
from studio.services import chat, prompt_sets
from studio.services.prompt_sets import Row, Table
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.chat_knobs import Knobs, sampling
from studio.ui.chat_views import flags_view, notice, title
from studio.ui.handlers import guarded
from studio.ui.parts import Markup
from studio.ui.widgets import file_to_save, html_block, saver

_MARK = "\ufeff"
"""At the start of a file it tells spreadsheets that this is UTF-8, or Persian turns to noise."""


def build(locale: str, studio: Studio, models: Sequence[gr.Dropdown], knobs: Knobs) -> None:
    """The section: subjects, buttons, table."""
    html_block(parts.paragraph(say(locale, "prompts.lead"), soft=True))
    subjects = gr.CheckboxGroup(
        [(subject_text(locale, name), name) for name in prompt_sets.subjects()],
        value=[], label=say(locale, "prompts.subjects"), elem_id="prompt-subjects",
    )  # fmt: skip
    with gr.Row(elem_classes=["actions"]):
        start = gr.Button(say(locale, "prompts.start"), variant="primary", elem_id="prompts-start")
        stop = gr.Button(say(locale, "prompts.stop"), elem_id="prompts-stop")
        download = gr.Button(say(locale, "prompts.csv"), elem_id="prompts-csv")
    about, table = html_block(elem_id="prompts-notice"), html_block(elem_id="prompts-table")
    kept, file, stopped = gr.State(None), saver(), set[str]()
    run = _running(locale, studio, len(models), stopped)

    def halt(request: gr.Request) -> None:
        stopped.add(_name(request))  # between two prompts the chat process knows of nothing to stop
        chat.stop(studio, _name(request))

    def save(found: Table | None) -> str:
        if found is None or not found.rows:
            raise StudioError("prompts.nothing_to_save")
        return file_to_save("prompts.csv", "text/csv", _MARK + prompt_sets.as_csv(found))

    start.click(guarded(locale, run), [subjects, *models, knobs.system, *knobs.numbers], [about, table, kept],
                api_name="prompts", concurrency_limit=1, show_progress="hidden", preprocess=False)  # fmt: skip
    stop.click(guarded(locale, halt), None, None, api_name="prompts_stop", queue=False)
    download.click(guarded(locale, save), kept, file, api_name="prompts_csv")


def subject_text(locale: str, name: str) -> str:
    """A subject of the file in the page's language."""
    return say(locale, f"prompts.subject.{name}")


def progress(locale: str, table: Table) -> Markup:
    """How many prompts are answered, or who is waited for."""
    if table.board.waiting is not None or table.board.loading is not None:
        return notice(locale, table.board)
    done = len(table.rows)
    said = say(locale, "prompts.progress", done=done, total=table.total)
    return parts.progress_bar(done / table.total, said, locale=locale)


def table_view(locale: str, table: Table) -> Markup:
    """Prompts and what every model answered, with what stands out."""
    if not table.rows:
        return Markup("")
    headers = [say(locale, "prompts.prompt"), *[parts.ltr(title(model)) for model in table.models]]
    rows = [[_prompt(locale, row), *[_answer(locale, column) for column in row.columns]] for row in table.rows]
    return Markup(f'<div class="prompt-table">{parts.table(rows, headers, rtl=locale == "fa")}</div>')


def _running(locale: str, studio: Studio, count: int, stopped: set[str]) -> Callable[..., Iterator[list[Any]]]:
    def run(request: gr.Request, chosen: list[str], *values: Any) -> Iterator[list[Any]]:
        models = list(dict.fromkeys(model for model in values[:count] if model))
        system, *numbers = values[count:]
        name = _name(request)
        stopped.discard(name)
        tables = prompt_sets.ask_all(
            studio, models, chosen, sampling(*numbers), system=system, name=name, stopping=lambda: name in stopped
        )
        told, rows = Markup(""), -1
        for table in tables:
            now = progress(locale, table)
            # Boards come with every token, and the table is long.
            if now != told or len(table.rows) != rows:
                yield [now, gr.skip() if len(table.rows) == rows else table_view(locale, table), table]
                told, rows = now, len(table.rows)
        if len(table.rows) < table.total:
            said = say(locale, "prompts.stopped", done=len(table.rows), total=table.total)
            yield [parts.paragraph(said), gr.skip(), table]

    return run


def _name(request: gr.Request) -> str:
    """Another one than the chat's on the same page, so that each is stopped by its own button."""
    return f"{request.session_hash} prompts"


def _prompt(locale: str, row: Row) -> Markup:
    subject = parts.escape(subject_text(locale, row.subject))
    return Markup(f'<small class="soft">{subject}</small><p dir="auto">{parts.escape(row.prompt)}</p>')


def _answer(locale: str, column: chat.Column) -> Markup:
    if column.refused is not None:
        return parts.error_banner(locale, column.refused)
    if column.finished is None:
        return Markup("")
    speed = say(locale, "prompts.speed", value=number(locale, column.finished.tokens_per_second, 1))
    answer = f'<div class="answer" tabindex="0">{parts.escape(column.finished.text)}</div>'
    below = parts.join([flags_view(locale, column.flags), Markup(f'<p class="soft speed">{parts.escape(speed)}</p>')])
    direction = "rtl" if locale == "fa" else "ltr"
    return Markup(f'{answer}<div dir="{direction}">{below}</div>')
