"""The evaluation tab: questions put to several models, and which of them does better."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import number, say
from studio.services import evaluations, own_suites
from studio.services.evaluations import Manner
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.evaluate_views import board_view
from studio.ui.handlers import guarded, inform
from studio.ui.uploaded import uploaded
from studio.ui.widgets import PLAIN, follow_choices, html_block, live_panel, pulse

PANEL = "evaluations"
CHOICES_SECONDS = 4.0
QUICK = "quick"


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {PANEL: lambda locale, suite: board_view(locale, studio, suite or QUICK)}


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    html_block(parts.heading(say(locale, "evaluate.title"), say(locale, "evaluate.lead")))
    with gr.Row():
        suite = gr.Dropdown(_suites(locale, studio), value=QUICK, label=say(locale, "evaluate.suite"),
                            info=say(locale, "evaluate.suite_info"), interactive=True, elem_id="suite")  # fmt: skip
        found = evaluations.subjects(studio)
        models = gr.Dropdown(found, value=found[:1], multiselect=True, label=say(locale, "evaluate.models"),
                             info=say(locale, "evaluate.models_info"), interactive=True, elem_id="evaluate-models",
                             allow_custom_value=True, elem_classes=["ltr"])  # fmt: skip
    about = html_block(_about(locale, studio, QUICK), elem_id="suite-tasks")
    with gr.Accordion(say(locale, "knobs.advanced"), open=False), gr.Row():
        limit = gr.Number(0, label=say(locale, "evaluate.limit"), info=say(locale, "evaluate.limit_info"),
                          precision=0, minimum=0, elem_id="evaluate-limit")  # fmt: skip
        shots = gr.Number(0, label=say(locale, "evaluate.few_shot"), info=say(locale, "evaluate.few_shot_info"),
                          precision=0, minimum=0)  # fmt: skip
        template = gr.Checkbox(
            False, label=say(locale, "evaluate.template"), info=say(locale, "evaluate.template_info")
        )
    start = gr.Button(say(locale, "evaluate.start"), variant="primary", elem_id="evaluate")
    board = live_panel(PANEL, QUICK, elem_id="evaluations")
    with gr.Accordion(say(locale, "evaluate.own"), open=False):
        html_block(parts.paragraph(say(locale, "evaluate.own_lead"), soft=True))
        file = gr.File(label=say(locale, "evaluate.own_file"), file_count="single", elem_id="own-file")
        name = gr.Textbox("", label=say(locale, "evaluate.own_name"), info=say(locale, "evaluate.own_name_info"),
                          elem_classes=["ltr"], elem_id="own-name")  # fmt: skip
        make = gr.Button(say(locale, "evaluate.own_make"), elem_id="own-make")

    def begin(chosen: list[str], wanted: str, most: float | None, examples: float | None, with_template: bool) -> None:
        if not chosen:
            raise StudioError("evaluation.no_model")
        manner = Manner(_whole(most), _whole(examples), bool(with_template))
        for model in chosen:
            evaluations.make_order(studio, model, wanted, manner)  # all are looked at before the first begins
        for model in chosen:
            evaluations.start(studio, model, wanted, manner)
        inform(locale, "evaluate.started", models=number(locale, len(chosen)), suite=wanted)

    def show(wanted: str) -> tuple[str, str]:
        return _about(locale, studio, wanted), wanted

    def add(path: dict[str, Any] | None, wanted: str) -> Any:
        files = uploaded(studio, [path] if path else None)
        if not files:
            raise StudioError("data.no_files")
        made = own_suites.add(studio, wanted.strip(), files[0])
        inform(locale, "evaluate.own_made", name=made.name, items=number(locale, made.items))
        return gr.update(choices=_suites(locale, studio), value=made.name)

    def refresh(held: list[str]) -> dict[str, Any]:
        found = evaluations.subjects(studio)
        return follow_choices(found, [each for each in held or [] if each in found], held)

    start.click(guarded(locale, begin), [models, suite, limit, shots, template], None, api_name="evaluate", **PLAIN)
    suite.change(guarded(locale, show), suite, [about, board], api_name="evaluate_suite", **PLAIN)
    make.click(guarded(locale, add), [file, name], suite, api_name="suites_add", **PLAIN)
    pulse(CHOICES_SECONDS).tick(
        refresh, models, models, api_name="evaluate_choices", queue=False, show_progress="hidden", **PLAIN
    )


def _suites(locale: str, studio: Studio) -> list[tuple[str, str]]:
    return [(_title(locale, studio, name), name) for name in evaluations.suites(studio)]


def _title(locale: str, studio: Studio, name: str) -> str:
    try:
        return evaluations.suite(studio, name).title["fa" if locale == "fa" else "en"]
    except StudioError:  # said when it is chosen; the others stay usable
        return name


def _about(locale: str, studio: Studio, name: str) -> str:
    """What a suite asks, and where from."""
    suite = evaluations.suite(studio, name)
    rows = [(parts.code(task.task), f"{say(locale, f'evaluate.language.{task.language}')} · {task.source}")
            for task in suite.tasks]  # fmt: skip
    return parts.folded(say(locale, "evaluate.tasks", tasks=number(locale, len(suite.tasks))), parts.key_values(rows))


def _whole(value: float | None) -> int | None:
    """None for 0: Gradio's page gives an empty number back as 0."""
    return int(value or 0) or None
