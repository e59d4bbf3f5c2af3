"""The data tab's cleaning part: start one, look at its ledger and at what it changed, undo a rule and redo it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.data.cleaning.filters import PLANS, Plan
from studio.data.cleaning.switches import FITTING, NORMALISE
from studio.data.sample import Kind
from studio.errors import StudioError
from studio.i18n import say
from studio.jobs.store import ENDED, Job
from studio.services import cleaning, datasets, jobs
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.data_ledger import changes_view, ledger_bars, ledger_view
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.plots import figure_html
from studio.ui.uploaded import uploaded
from studio.ui.vocabulary_cost import percent
from studio.ui.widgets import LATEST, PLAIN, html_block, live_panel

PANEL = "cleaning"
SHOWN = 3
"""Rows with their changes on one page: more do not fit a screen."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a user can set before a cleaning."""

    preset: gr.Radio
    about: gr.HTML
    rules: gr.CheckboxGroup
    thresholds: gr.Textbox
    normalise: gr.Checkbox


@dataclass(frozen=True, slots=True)
class Result:
    """What is shown of a cleaned dataset; `box` holds the rest and is hidden for any other dataset."""

    box: gr.Column
    ledger: gr.HTML
    plot: gr.HTML
    rules: gr.CheckboxGroup
    reason: gr.Dropdown
    place: gr.Number
    changes: gr.HTML

    @property
    def all(self) -> list[Any]:
        return [self.box, self.ledger, self.plot, self.rules, self.reason, self.place, self.changes]


def cleaning_view(locale: str, studio: Studio, name: str) -> Markup:
    """The newest cleaning of the dataset `name`, or the one that made it: under way, refused, or how it ended."""
    job = _job(studio, name)
    if job is None or job.state == "stopped":
        return Markup("")
    if job.error is not None and job.state in ("failed", "lost"):
        return parts.error_banner(locale, StudioError(job.error["code"], **job.error["details"]))
    if job.state not in ENDED or job.result is None:
        return parts.progress_bar(
            job.progress,
            f"{parts.named(job.title)}: {jobs.message(locale, job)}",
            locale=locale,
            eta_seconds=job.eta_seconds,
        )
    if not datasets.exists(studio, job.result["name"]):
        return Markup("")
    share = job.result["bytes_out"] / max(1, job.result["bytes_in"])
    told = say(
        locale, "clean.done", name=parts.named(job.result["name"]), kept=job.result["rows_out"],
        rows=job.result["rows_in"], share=percent(locale, share, 1),
    )  # fmt: skip
    return parts.banner(
        told, "" if name == job.title else say(locale, "clean.open", name=parts.named(job.title)), tone="good"
    )


def _job(studio: Studio, name: str) -> Job | None:
    found = studio.jobs.listing(kind="clean", limit=30)
    return next((job for job in found if name and name in (job.arguments["name"], job.arguments["out"])), None)


def build(locale: str, studio: Studio, choice: gr.Dropdown, against: gr.File, coming: gr.Textbox) -> tuple[
    list[Any], Any, gr.Button
]:  # fmt: skip
    """The part; returns the components that follow the chosen dataset, what fills them, and the stop button.

    `coming` receives the name of the dataset that a cleaning makes, so that the page opens it once it is there.
    """
    html_block(parts.paragraph(say(locale, "clean.lead"), soft=True))
    knobs = _knobs(locale)
    with gr.Row(elem_classes=["actions"]):
        button = gr.Button(say(locale, "clean.start"), variant="primary", elem_id="clean")
        stop = gr.Button(say(locale, "train.stop"), variant="stop", visible=False, elem_id="clean-stop")
    panel = live_panel(PANEL, elem_id="cleaning")
    result = _result_part(locale, studio, choice, coming)
    _start_events(locale, studio, choice, against, coming, knobs, button, stop, panel)

    def follow(name: str | None) -> list[Any]:
        if not name or not datasets.exists(studio, name):
            return [gr.update()] * 5 + ["", gr.update(visible=False)] + [gr.update()] * 6
        return [*preset_updates(locale, datasets.manifest(studio, name).kind), name,
                *result_updates(locale, studio, name)]  # fmt: skip

    followed = [knobs.preset, knobs.about, knobs.rules, knobs.thresholds, knobs.normalise, panel, *result.all]
    return followed, follow, stop


def stop_update(studio: Studio, name: str | None) -> dict[str, Any]:
    """The stop button, shown while the dataset `name` is being cleaned or waits for it."""
    job = _job(studio, name or "")
    return gr.update(visible=job is not None and job.state not in ENDED)


def _knobs(locale: str) -> Knobs:
    preset = gr.Radio(_presets(locale, "text"), label=say(locale, "clean.preset"), elem_id="clean-preset",
                      value="llama_persian")  # fmt: skip
    about = html_block(elem_id="clean-about")
    with gr.Accordion(say(locale, "knobs.advanced"), open=False):
        rules = gr.CheckboxGroup(
            _rules(locale, "llama_persian"), value=_names("llama_persian"), label=say(locale, "clean.rules_label"),
            info=say(locale, "clean.rules_info"), elem_id="clean-rules",
        )  # fmt: skip
        thresholds = gr.Textbox(
            _thresholds("llama_persian"), label=say(locale, "clean.thresholds"), lines=4,
            info=say(locale, "clean.thresholds_info"), elem_classes=["ltr"], elem_id="clean-thresholds",
        )  # fmt: skip
        normalise = gr.Checkbox(True, label=say(locale, "clean.normalise"))
    knobs = Knobs(preset, about, rules, thresholds, normalise)

    def change(chosen: str) -> list[Any]:
        return _preset_of(locale, chosen)

    preset.input(change, preset, [about, rules, thresholds], api_name="data_preset", queue=False,
                 show_progress="hidden", **LATEST)  # fmt: skip
    return knobs


def preset_updates(locale: str, kind: Kind) -> list[Any]:
    """The knobs for a dataset of `kind`, all at their defaults."""
    default = FITTING[kind][0]
    return [gr.update(choices=_presets(locale, kind), value=default), *_preset_of(locale, default), True]


def _preset_of(locale: str, preset: str) -> list[Any]:
    plan = _plan(preset)
    notes = [f"clean.preset_info.{preset}", *(["clean.verse_note"] if preset == "documents" else [])]
    about = parts.join(parts.paragraph(say(locale, note), soft=True) for note in notes)
    rules = gr.update(choices=_rules(locale, preset), value=[rule.name for rule in plan.rules if rule.on])
    return [about, rules, _thresholds(preset)]


def _presets(locale: str, kind: Kind) -> list[tuple[str, str]]:
    return [(say(locale, f"clean.preset.{preset}"), preset) for preset in FITTING[kind]]


def _rules(locale: str, preset: str) -> list[tuple[str, str]]:
    return [(say(locale, f"clean.rules.{name}"), name) for name in _names(preset)]


def _names(preset: str) -> list[str]:
    return [rule.name for rule in _plan(preset).rules]


def _plan(preset: str) -> Plan:
    found = next((plan for name, plan in PLANS.items() if name == preset), None)
    if found is None:
        raise StudioError("clean.no_such_preset", preset=preset, presets=", ".join(PLANS))
    return found


def _thresholds(preset: str) -> str:
    return "\n".join(f"{rule.name}={rule.value:g}" for rule in _plan(preset).rules if rule.value is not None)


def choices_of(preset: str, on: list[str], thresholds: str, normalise: bool) -> list[str]:
    """The knobs as the choices that `cleaning.start_clean` takes; a rule that is off wins over its threshold."""
    written = [line.strip() for line in (thresholds or "").splitlines() if line.strip()]
    switched = [
        f"{rule.name}={'on' if rule.name in on else 'off'}"
        for rule in _plan(preset).rules
        if (rule.name in on) != rule.on or rule.name not in on
    ]
    return [*written, *switched, *([] if normalise else [f"{NORMALISE}=off"])]


def _start_events(
    locale: str, studio: Studio, choice: gr.Dropdown, against: gr.File, coming: gr.Textbox, knobs: Knobs,
    button: gr.Button, stop: gr.Button, panel: gr.HTML,
) -> None:  # fmt: skip
    def start(
        name: str | None, files: list[dict[str, Any]] | None, preset: str | None, on: list[str], thresholds: str,
        normalise: bool,
    ) -> tuple[str, str]:  # fmt: skip
        choices = choices_of(preset or "", on or [], thresholds, normalise)
        job = cleaning.start_clean(
            studio, name or "", preset=preset or None, choices=choices, against=uploaded(studio, files)
        )
        inform(locale, "clean.started", name=name)
        return job.title, name or ""

    def halt(name: str | None) -> None:
        job = _job(studio, name or "")
        if job is None or job.state in ENDED:
            raise StudioError("vocabulary.nothing_runs")
        jobs.stop(studio, job.id)
        inform(locale, "vocabulary.stopping")

    asked = [choice, against, knobs.preset, knobs.rules, knobs.thresholds, knobs.normalise]
    button.click(guarded(locale, start), asked, [coming, panel], api_name="data_clean", **PLAIN)
    stop.click(guarded(locale, halt), choice, None, api_name="data_clean_stop", **PLAIN)


def _result_part(locale: str, studio: Studio, choice: gr.Dropdown, coming: gr.Textbox) -> Result:
    with gr.Column(visible=False) as box:
        ledger = html_block(elem_id="ledger")
        plot = figure_html(locale, elem_id="ledger-plot", visible=False)
        rules = gr.CheckboxGroup([], label=say(locale, "clean.rules_label"), info=say(locale, "clean.again_info"),
                                 elem_id="kept-rules")  # fmt: skip
        with gr.Row(elem_classes=["actions"]):
            again = gr.Button(say(locale, "clean.again"), elem_id="clean-again")
        html_block(parts.heading(say(locale, "clean.changes"), say(locale, "clean.changes_lead")))
        reason = gr.Dropdown([], label=say(locale, "clean.changes_rule"), interactive=True, elem_id="changes-rule")
        place = gr.Number(0, visible=False)
        changes = html_block(elem_id="changes")
        with gr.Row(elem_classes=["actions"]):
            previous = gr.Button(say(locale, "clean.previous"), elem_id="changes-previous")
            following = gr.Button(say(locale, "clean.next"), elem_id="changes-next")
    result = Result(box, ledger, plot, rules, reason, place, changes)

    def redo(name: str | None, on: list[str]) -> str:
        books = cleaning.ledger(studio, name or "")
        known = [] if books is None else [rule.name for rule in books.switches.plan.rules]
        off = [rule for rule in known if rule not in (on or [])]
        job = cleaning.start_again(studio, name or "", off)
        inform(locale, "clean.started", name=name)
        return job.title

    def turn(step: int) -> Any:
        def show(name: str | None, rule: str, first: float) -> tuple[int, str]:
            start = max(0, int(first or 0) + step * SHOWN)
            found, total = cleaning.changes(studio, name or "", rule or None, start, SHOWN)
            if not found and start:
                return int(first), gr.skip()
            return start, changes_view(locale, found, start, total)

        return guarded(locale, show)

    def first_page(name: str | None, rule: str) -> tuple[int, str]:
        found, total = cleaning.changes(studio, name or "", rule or None, 0, SHOWN)
        return 0, changes_view(locale, found, 0, total)

    again.click(guarded(locale, redo), [choice, rules], coming, api_name="data_clean_again", **PLAIN)
    reason.input(guarded(locale, first_page), [choice, reason], [place, changes], api_name="data_changes", **LATEST)
    for button, step, name in ((previous, -1, "data_changes_previous"), (following, 1, "data_changes_next")):
        button.click(turn(step), [choice, reason, place], [place, changes], api_name=name, **PLAIN)
    return result


def result_updates(locale: str, studio: Studio, name: str) -> list[Any]:
    """What is shown of the dataset `name` if a cleaning made it, in the order of `Result.all`."""
    books, made = cleaning.ledger(studio, name), datasets.manifest(studio, name).cleaned
    if books is None or made is None:
        return [gr.update(visible=False), *[gr.update()] * 6]
    plan = books.switches.plan
    rules = [(say(locale, f"clean.rules.{rule.name}"), rule.name) for rule in plan.rules]
    on = [rule.name for rule in plan.rules if rule.name not in books.switches.off]
    reasons = [(say(locale, "clean.changes_all"), ""), (say(locale, "clean.changes_normalise"), NORMALISE)]
    reasons += [(say(locale, f"clean.rules.{rule}"), rule) for rule in books.dropped()]
    try:
        found, total = cleaning.changes(studio, name, None, 0, SHOWN)
        shown = changes_view(locale, found, 0, total)
    except StudioError as error:
        if not error.code.startswith("clean."):
            raise
        shown = parts.error_banner(locale, error)
    return [
        gr.update(visible=True),
        ledger_view(locale, books, made.parent),
        gr.update(value=ledger_bars(locale, books), visible=True),
        gr.update(choices=rules, value=on),
        gr.update(choices=reasons, value=""),
        0,
        shown,
    ]
