"""The tab of runs: find one, look at it, name it, note on it, copy it, free its space, delete it, compare some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.i18n import bytes_text, say
from studio.services import checkpoints, copies, evaluation_folders, history, history_csv, runs
from studio.services.history import MOST_COMPARED, PastRun
from studio.services.studio import Studio
from studio.ui import history_views, parts, train_form
from studio.ui.handlers import guarded, inform
from studio.ui.plots import live_curves
from studio.ui.train_form import Form
from studio.ui.widgets import PLAIN, follow_choices, go_to, html_block, live_panel, pulse

TABLE, RUN = "history", "past_run"
CSV = "/runs.csv"
CHOICES_SECONDS = 4.0
COMPARED = ("loss", "bits")
LEGEND_LETTERS = 32
"""Of a title in a legend: on a narrow screen a longer one leaves no room for the curves."""


@dataclass(frozen=True, slots=True)
class Finder:
    """Words to find, and which page of what they find the table shows."""

    words: gr.Textbox
    number: gr.Number
    newer: gr.Button
    older: gr.Button
    table: gr.HTML


@dataclass(frozen=True, slots=True)
class Desk:
    """The run that is open, what can be changed of it, and the question before something is lost."""

    run: gr.Dropdown
    card: gr.HTML
    title: gr.Textbox
    note: gr.Textbox
    save: gr.Button
    clone: gr.Button
    free: gr.Button
    delete: gr.Button
    question: gr.HTML
    free_sure: gr.Button
    delete_sure: gr.Button
    cancel: gr.Button

    @property
    def asked(self) -> list[Any]:
        """The question and its answers."""
        return [self.question, self.free_sure, self.delete_sure, self.cancel]


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {
        TABLE: lambda locale, subject: history_views.table_view(locale, studio, subject),
        RUN: lambda locale, run: history_views.run_view(locale, studio, run),
    }


def routes(studio: Studio) -> list[Route]:
    """``GET /runs.csv``: the whole history as a file."""

    async def download(_: Request) -> Response:
        table = await run_in_threadpool(history_csv.as_csv, studio)
        headers = {"content-disposition": 'attachment; filename="runs.csv"', "cache-control": "no-store",
                   "x-content-type-options": "nosniff"}  # fmt: skip
        return Response(history_csv.as_bytes(table), media_type="text/csv; charset=utf-8", headers=headers)

    return [Route(CSV, download)]


def build(locale: str, studio: Studio, form: Form) -> None:
    """The screen; `form` is that of the training tab, which a run's recipe is opened in."""
    html_block(parts.heading(say(locale, "history.title"), say(locale, "history.lead")))
    finder = _finder(locale)
    desk = _desk(locale)
    compared = gr.Dropdown(
        [], multiselect=True, max_choices=MOST_COMPARED, label=say(locale, "history.compare"), interactive=True,
        info=say(locale, "history.compare_info", most=MOST_COMPARED), elem_id="compared",
    )  # fmt: skip
    curves = live_curves(locale, [], panels=COMPARED, none="history.compare_none", elem_id="compared-curves")
    _find(locale, studio, finder, desk, compared)
    _open(locale, studio, desk, form)
    _remove(locale, studio, desk)

    def compare(chosen: Sequence[str] | None) -> list[dict[str, str]]:
        return curve_runs([history.get(studio, run) for run in chosen or ()])

    compared.change(guarded(locale, compare), compared, curves, api_name="history_compare", show_progress="hidden",
                    **PLAIN)  # fmt: skip


def _finder(locale: str) -> Finder:
    with gr.Row(elem_classes=["toolbar"]):
        words = gr.Textbox("", label=say(locale, "history.find"), info=say(locale, "history.find_info"),
                           elem_id="history-find")  # fmt: skip
        newer = gr.Button(say(locale, "history.newer"), scale=0, interactive=False, elem_id="history-newer")
        older = gr.Button(say(locale, "history.older"), scale=0, interactive=False, elem_id="history-older")
        link = f'<a class="button secondary" href="..{CSV}" download>{parts.escape(say(locale, "history.csv"))}</a>'
        html_block(link, elem_id="history-csv")
    table = live_panel(TABLE, "0:", elem_id="history")
    return Finder(words, gr.Number(0, visible=False), newer, older, table)


def _desk(locale: str) -> Desk:
    run = gr.Dropdown([], label=say(locale, "history.choose"), interactive=True, elem_id="past-run")
    card = live_panel(RUN, elem_id="past-run-card")
    with gr.Row():
        title = gr.Textbox("", label=say(locale, "history.name"), info=say(locale, "history.name_info"),
                           max_length=history.LONGEST_TITLE, elem_id="run-title")  # fmt: skip
        note = gr.Textbox("", label=say(locale, "history.note"), info=say(locale, "history.note_info"), lines=2,
                          elem_id="run-note")  # fmt: skip
    with gr.Row(elem_classes=["actions"]):
        save = gr.Button(say(locale, "history.save"), elem_id="run-save")
        clone = gr.Button(say(locale, "history.clone"), elem_id="run-clone")
        free = gr.Button(say(locale, "history.free"), elem_id="run-free")
        delete = gr.Button(say(locale, "history.delete"), variant="stop", elem_id="run-delete")
    question = html_block("", elem_id="run-question")
    with gr.Row(elem_classes=["actions"]):
        free_sure = gr.Button(say(locale, "history.free_sure"), variant="stop", visible=False, elem_id="free-sure")
        delete_sure = gr.Button(
            say(locale, "history.delete_sure"), variant="stop", visible=False, elem_id="delete-sure"
        )
        cancel = gr.Button(say(locale, "history.cancel"), visible=False, elem_id="run-cancel")
    return Desk(run, card, title, note, save, clone, free, delete, question, free_sure, delete_sure, cancel)


def _find(locale: str, studio: Studio, finder: Finder, desk: Desk, compared: gr.Dropdown) -> None:
    def refresh(words: str, number: float, run: str | None, chosen: Sequence[str] | None) -> list[Any]:
        return page_updates(studio, words, int(number or 0), run, chosen or ())

    def first(words: str, _: float, run: str | None, chosen: Sequence[str] | None) -> list[Any]:
        return page_updates(studio, words, 0, run, chosen or ())

    def newer(words: str, number: float, run: str | None, chosen: Sequence[str] | None) -> list[Any]:
        return page_updates(studio, words, int(number or 0) - 1, run, chosen or ())

    def older(words: str, number: float, run: str | None, chosen: Sequence[str] | None) -> list[Any]:
        return page_updates(studio, words, int(number or 0) + 1, run, chosen or ())

    given = [finder.words, finder.number, desk.run, compared]
    shown = [finder.number, finder.table, finder.newer, finder.older, desk.run, compared]
    quiet = {"queue": False, "show_progress": "hidden", **PLAIN}
    finder.words.input(first, given, shown, api_name="history_find", trigger_mode="always_last", **quiet)
    finder.newer.click(newer, given, shown, api_name="history_newer", **quiet)
    finder.older.click(older, given, shown, api_name="history_older", **quiet)
    pulse(CHOICES_SECONDS).tick(refresh, given, shown, api_name="history_runs", **quiet)


def page_updates(studio: Studio, words: str, number: int, run: str | None, chosen: Sequence[str]) -> list[Any]:
    """Page, table, buttons and choices for page `number` of the runs with `words`; what is chosen stays."""
    found = history.page(studio, words, number)
    here = [(choice_text(each), each.id) for each in found.rows]
    offered = {value for _, value in here}
    kept = [history.get(studio, each) for each in chosen if each not in offered and runs.exists(studio, each)]
    held = run if runs.exists(studio, run) else None
    opened = [] if held is None or held in offered else [history.get(studio, held)]
    value = held or next((each.id for each in found.rows), None)
    left = [each for each in chosen if each in offered or each in {other.id for other in kept}]
    return [
        found.number,
        f"{found.number}:{words}",
        gr.update(interactive=found.number > 0),
        gr.update(interactive=found.number + 1 < found.pages),
        follow_choices([*here, *((choice_text(each), each.id) for each in opened)], value, run),
        follow_choices([*here, *((choice_text(each), each.id) for each in kept)], left, list(chosen)),
    ]


def choice_text(run: PastRun) -> str:
    """A run in a list of choices: its title beside its id."""
    return f"{parts.named(run.title)} · {parts.named(run.id)}" if run.title else run.id


def curve_runs(chosen: Sequence[PastRun]) -> list[dict[str, str]]:
    """What the plot is given to draw; one run alone is no comparison."""
    if len(chosen) < 2:
        return []
    return [{"run": each.id, "title": _legend(each.name)} for each in chosen[:MOST_COMPARED]]


def _legend(name: str) -> str:
    return name if len(name) <= LEGEND_LETTERS else name[: LEGEND_LETTERS - 1].rstrip() + "…"


def _open(locale: str, studio: Studio, desk: Desk, form: Form) -> None:
    def show(run: str | None) -> list[Any]:
        if not run:
            return ["", "", "", *_silence()]
        found = history.get(studio, run)
        return [found.id, found.title, found.note, *_silence()]

    def save(run: str | None, title: str, note: str) -> list[Any]:
        kept = [history.rename(studio, run, title or ""), history.set_note(studio, run, note or "")]
        inform(locale, "history.saved")
        return kept

    def clone(run: str | None) -> list[Any]:
        found = history.get(studio, run)
        path = str(copies.draft(studio, run))
        copy = (say(locale, "history.copy_of", run=parts.named(found.name)), path)
        choices = gr.update(choices=[copy, *train_form.recipe_choices(locale)], value=path)
        updates = [choices, *train_form.recipe_updates(locale, studio, path)]
        inform(locale, "history.cloned", run=found.name)
        return updates

    desk.run.change(guarded(locale, show), desk.run, [desk.card, desk.title, desk.note, *desk.asked],
                    api_name="history_open", show_progress="hidden", **PLAIN)  # fmt: skip
    desk.save.click(guarded(locale, save), [desk.run, desk.title, desk.note], [desk.title, desk.note],
                    api_name="history_save", **PLAIN)  # fmt: skip
    cloned = desk.clone.click(guarded(locale, clone), desk.run, form.filled, api_name="history_clone", **PLAIN)
    cloned.success(None, js=go_to("train"), api_name="history_cloned")


def _remove(locale: str, studio: Studio, desk: Desk) -> None:
    def ask_free(run: str | None) -> list[Any]:
        found = checkpoints.room(studio, run)
        if not found.spares:
            inform(locale, "history.free_nothing")
            return _silence()
        return _question(history_views.room_view(locale, found), free=True)

    def free(run: str | None) -> list[Any]:
        inform(locale, "history.freed", size=bytes_text(locale, checkpoints.free(studio, run).bytes))
        return _silence()

    def ask_delete(run: str | None) -> list[Any]:
        history.check_delete(studio, run)
        found = history.get(studio, run)
        evaluated = len(evaluation_folders.of_run(studio, found.id))
        shown = history_views.delete_view(locale, found, runs.size_of(studio, found.id), evaluated)
        return _question(shown, free=False)

    def delete(run: str | None) -> list[Any]:
        history.delete(studio, run)
        inform(locale, "history.deleted", run=run)
        return [gr.update(value=None), *_silence()]

    def cancel() -> list[Any]:
        return _silence()

    desk.free.click(guarded(locale, ask_free), desk.run, desk.asked, api_name="history_free", **PLAIN)
    desk.free_sure.click(guarded(locale, free), desk.run, desk.asked, api_name="history_free_sure", **PLAIN)
    desk.delete.click(guarded(locale, ask_delete), desk.run, desk.asked, api_name="history_delete", **PLAIN)
    desk.delete_sure.click(guarded(locale, delete), desk.run, [desk.run, *desk.asked],
                           api_name="history_delete_sure", **PLAIN)  # fmt: skip
    desk.cancel.click(cancel, None, desk.asked, api_name="history_cancel", queue=False, show_progress="hidden")


def _question(shown: str, *, free: bool) -> list[Any]:
    return [shown, gr.update(visible=free), gr.update(visible=not free), gr.update(visible=True)]


def _silence() -> list[Any]:
    return ["", *[gr.update(visible=False)] * 3]
