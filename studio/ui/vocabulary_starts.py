"""Where the new tokens start: the ways are measured as a job, compared in a table, and one is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import number, say
from studio.jobs.store import ENDED, Job
from studio.services import jobs, rows, vocabulary
from studio.services.studio import Studio
from studio.tokenizer.starts import METHODS, Starts
from studio.ui import parts
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.vocabulary_cost import percent
from studio.ui.widgets import PLAIN, html_block, live_panel

PANEL = "starts"
KIND, MAKING = "rows", "expand"
COLUMNS = ("method", "fa", "en", "kept")


def starts_view(locale: str, studio: Studio, name: str) -> Markup:
    """The measuring under way, or the table of the starts with the one that is kept."""
    if not name:
        return Markup("")
    folder = vocabulary.folder_of(studio, name)
    job = _job(studio, folder)
    shown: list[object] = []
    if job is not None and job.state not in ENDED:
        text = jobs.note(locale, job) if job.state == "running" else jobs.message(locale, job)
        shown.append(parts.progress_bar(job.progress, text, locale=locale, eta_seconds=job.eta_seconds))
    elif job is not None and job.error is not None and job.state in ("failed", "lost"):
        error = StudioError(job.error["code"], **job.error["details"])
        shown.append(parts.error_banner(locale, error))
    found = rows.measured(folder)
    shown.append(parts.paragraph(say(locale, "starts.none"), soft=True) if found is None else _table(locale, found))
    shown.append(_made(locale, _job(studio, folder, MAKING)))
    return parts.join(shown)


def _job(studio: Studio, folder: Path, kind: str = KIND) -> Job | None:
    found = studio.jobs.listing(kind=kind, limit=20)
    return next((job for job in found if job.arguments["vocabulary"] == str(folder)), None)


def _made(locale: str, job: Job | None) -> Markup:
    """The model folder with these tokens: under way, refused, or where it lies."""
    if job is None or job.state == "stopped":
        return Markup("")
    if job.error is not None:
        return parts.error_banner(locale, StudioError(job.error["code"], **job.error["details"]))
    if job.result is None:
        return parts.progress_bar(job.progress, jobs.message(locale, job), locale=locale, eta_seconds=job.eta_seconds)
    return parts.join([parts.paragraph(say(locale, "starts.applied")), parts.code(job.result["out"])])


def _table(locale: str, found: Starts) -> Markup:
    lines: list[list[object]] = [
        [say(locale, "starts.base"), number(locale, found.base_fa, 3), number(locale, found.base_en, 3), ""]
    ]
    for start in found.starts:
        chosen = f"✓ {say(locale, 'starts.kept')}" if start.method == found.chosen else ""
        lines.append(
            [
                say(locale, f"starts.method.{start.method}"),
                _bits(locale, start.fa, found.base_fa),
                _bits(locale, start.en, found.base_en),
                chosen,
            ]
        )
    headers = [say(locale, f"starts.column.{name}") for name in COLUMNS]
    table = parts.table(lines, headers, rtl=locale == "fa", numeric=(1, 2))
    return parts.join([table, parts.paragraph(say(locale, "starts.note"), soft=True)])


def _bits(locale: str, value: float, base: float) -> Markup:
    change = value / base - 1
    sign = "+" if change >= 0 else "−"
    return parts.join([number(locale, value, 3), " ", parts.ltr(f"({sign}{percent(locale, abs(change), 1)})")])


def methods(locale: str) -> list[tuple[str, str]]:
    """The ways to start as choices of a page."""
    return [(say(locale, f"starts.method.{method}"), method) for method in METHODS]


def keep_update(studio: Studio, name: str | None) -> dict[str, Any]:
    """The choice of a start, shown once there is something to choose."""
    return gr.update(visible=_kept(studio, name or "") is not None)


def _kept(studio: Studio, name: str) -> str | None:
    """The start whose rows a vocabulary has; None where none has been measured, or there is no such vocabulary."""
    try:
        found = rows.measured(vocabulary.folder_of(studio, name))
    except StudioError:
        return None
    return None if found is None else found.chosen


def stop_update(studio: Studio) -> dict[str, Any]:
    """The stop button, shown while something is being measured."""
    running = any(job.state not in ENDED for job in studio.jobs.listing(kind=KIND, limit=20))
    return gr.update(visible=running)


def build(locale: str, studio: Studio, choice: gr.Dropdown) -> tuple[gr.Column, gr.Button]:
    """The section; returns the part that chooses another start, and the stop button."""
    html_block(parts.heading(say(locale, "starts.title"), say(locale, "starts.lead"), term=say(locale, "starts.term")))
    with gr.Row(elem_classes=["actions"]):
        measure = gr.Button(say(locale, "starts.measure"), elem_id="starts-measure")
        stop = gr.Button(say(locale, "train.stop"), variant="stop", visible=False, elem_id="starts-stop")
    table = live_panel(PANEL, elem_id="starts")
    with gr.Column(visible=False) as keeping:
        method = gr.Radio(methods(locale), value=METHODS[-1], label=say(locale, "starts.keep_label"), elem_id="start")
        with gr.Row(elem_classes=["actions"]):
            keep = gr.Button(say(locale, "starts.keep"), elem_id="starts-keep")
            apply = gr.Button(say(locale, "starts.apply"), elem_id="starts-apply")
    _begin_events(locale, studio, choice, measure, stop, method, keep)
    _follow_events(locale, studio, choice, table, measure, keeping, method)

    def make_model(name: str | None) -> None:
        job = rows.expand(studio, vocabulary.folder_of(studio, name or ""))
        inform(locale, "starts.applying", name=job.title)

    apply.click(guarded(locale, make_model), choice, None, api_name="starts_apply", **PLAIN)
    return keeping, stop


def _begin_events(
    locale: str, studio: Studio, choice: gr.Dropdown, measure: gr.Button, stop: gr.Button, method: gr.Radio,
    keep: gr.Button,
) -> None:  # fmt: skip
    def begin(name: str | None) -> dict[str, Any]:
        rows.start_rows(studio, vocabulary.folder_of(studio, name or ""))
        inform(locale, "starts.started")
        return stop_update(studio)

    def keep_one(name: str | None, chosen: Any) -> dict[str, Any]:
        rows.start_rows(studio, vocabulary.folder_of(studio, name or ""), keep=chosen)
        inform(locale, "starts.started")
        return stop_update(studio)

    def halt(name: str | None) -> None:
        job = _job(studio, vocabulary.folder_of(studio, name or ""))
        if job is None:
            raise StudioError("vocabulary.nothing_runs")
        jobs.stop(studio, job.id)
        inform(locale, "vocabulary.stopping")

    measure.click(guarded(locale, begin), choice, stop, api_name="starts_measure", **PLAIN)
    keep.click(guarded(locale, keep_one), [choice, method], stop, api_name="starts_keep", **PLAIN)
    stop.click(guarded(locale, halt), choice, None, api_name="starts_stop", **PLAIN)


def _follow_events(
    locale: str, studio: Studio, choice: gr.Dropdown, table: gr.HTML, measure: gr.Button, keeping: gr.Column,
    method: gr.Radio,
) -> None:  # fmt: skip
    def follow(name: str | None) -> tuple[str, dict[str, Any], dict[str, Any], str]:
        """What belongs to another vocabulary; measuring is the next step once its size is chosen."""
        found, kept = dict(vocabulary.listing(studio)).get(name or ""), _kept(studio, name or "")
        waiting = found is not None and vocabulary.is_cut(name or "", found) and kept is None
        shade = gr.update(variant="primary" if waiting else "secondary")
        return name or "", shade, gr.update(visible=kept is not None), kept or METHODS[-1]

    choice.change(follow, choice, [table, measure, keeping, method], api_name="starts_of", queue=False, **PLAIN)
