"""The training tab: the form, what it will take, and the run that it starts, stops and shows."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.i18n import say
from studio.services import runs, training
from studio.services.studio import Studio
from studio.ui import parts, report_views, train_estimate, train_form
from studio.ui.handlers import guarded, inform
from studio.ui.plots import live_curves
from studio.ui.train_board import BOARD
from studio.ui.train_form import Form, form_choices
from studio.ui.widgets import PLAIN, follow_choices, html_block, live_panel, pulse

CHOICES_SECONDS = 4.0


def build(locale: str, studio: Studio) -> Form:
    """The screen; returns its form, which other tabs may fill."""
    html_block(parts.heading(say(locale, "train.title"), say(locale, "train.lead")))
    form = train_form.build(locale, studio)
    card = train_estimate.build(locale)
    start = gr.Button(say(locale, "train.start"), variant="primary", elem_id="train-start")
    with gr.Row(elem_classes=["toolbar"]):
        run = gr.Dropdown(_run_choices(studio), value=training.current(studio), label=say(locale, "train.run"),
                          interactive=True, elem_id="run-choice")  # fmt: skip
        stop = gr.Button(say(locale, "train.stop"), variant="stop", scale=0, elem_id="train-stop")
        resume = gr.Button(say(locale, "train.resume"), scale=0, elem_id="train-resume")
    shown = [live_panel(BOARD, elem_id="board")]
    shown.append(live_curves(locale, elem_id="curves"))
    shown.append(live_panel(report_views.PANEL, elem_id="report"))
    shown.append(live_panel("answers", elem_id="answers"))
    train_form.wire(locale, studio, form)
    train_estimate.wire(locale, studio, card, form)
    _events(locale, studio, form, start, run, stop, resume, shown)
    return form


def _run_choices(studio: Studio) -> list[str]:
    return [run.id for run in runs.listing(studio)]


def _events(
    locale: str, studio: Studio, form: Form, start: gr.Button, run: gr.Dropdown, stop: gr.Button, resume: gr.Button,
    shown: list[gr.HTML],
) -> None:  # fmt: skip
    def begin(*values: Any) -> dict[str, Any]:
        job = training.start(studio, form.read(*values))
        inform(locale, "train.queued", run=job.title)
        return gr.update(choices=_run_choices(studio), value=job.run)

    def halt(run_id: str | None) -> None:
        training.stop(studio, run_id or "")
        inform(locale, "train.stopping")

    def go_on(run_id: str | None) -> None:
        inform(locale, "train.resumed", run=training.resume(studio, run_id or "").title)

    def refresh(run_id: str | None, recipe: str, base: str, words: str, chosen: list[str]) -> tuple[Any, ...]:
        runs = _run_choices(studio)
        kept = run_id if run_id in runs else training.current(studio)
        return follow_choices(runs, kept, run_id), *form_choices(locale, studio, recipe, base, words, chosen)

    def show(run_id: str | None) -> list[str]:
        return [run_id or ""] * len(shown)

    start.click(guarded(locale, begin), form.inputs, run, api_name="run", **PLAIN)
    stop.click(guarded(locale, halt), run, None, api_name="stop", **PLAIN)
    resume.click(guarded(locale, go_on), run, None, api_name="resume", **PLAIN)
    run.change(show, run, shown, api_name="show_run", queue=False, **PLAIN)
    at = form.fields
    pulse(CHOICES_SECONDS).tick(
        refresh, [run, at["recipe"], at["base"], at["vocabulary"], at["datasets"]],
        [run, at["vocabulary"], at["datasets"]], api_name="runs", queue=False, show_progress="hidden", **PLAIN,
    )  # fmt: skip
