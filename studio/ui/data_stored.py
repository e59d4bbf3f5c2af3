"""The data tab's stored datasets: choose one; look at it, measure it, clean it, see it as training reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import explain, say
from studio.services import datasets, models
from studio.services.studio import Studio
from studio.ui import data_clean, data_health, data_trained, parts
from studio.ui.data_views import dataset_view
from studio.ui.handlers import guarded
from studio.ui.plots import figure_html
from studio.ui.widgets import PLAIN, follow_choices, html_block, pulse

CHOICES_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Toolbar:
    """Which dataset, in the tokens of which model; `coming` is one that is being made and opens itself when ready."""

    choice: gr.Dropdown
    model: gr.Dropdown
    delete: gr.Button
    sure: gr.Button
    coming: gr.Textbox


def build(locale: str, studio: Studio) -> None:
    """The section."""
    html_block(parts.heading(say(locale, "data.stored")))
    bar = _toolbar(locale, studio)
    with gr.Tabs(elem_id="data-parts", overflow_behavior="wrap"):
        with gr.Tab(say(locale, "data.part.look"), id="look", elem_id="part-look"):
            shown = html_block(elem_id="dataset")
            picture = figure_html(locale, elem_id="lengths", visible=False)
        with gr.Tab(say(locale, "data.part.health"), id="health", elem_id="part-health"):
            health_place = gr.Column()
        with gr.Tab(say(locale, "data.part.clean"), id="clean", elem_id="part-clean"):
            clean_place = gr.Column()
        with gr.Tab(say(locale, "data.part.trained"), id="trained", elem_id="part-trained"):
            data_trained.build(locale, studio, bar.choice, bar.model)
    with gr.Accordion(say(locale, "clean.against"), open=False, elem_id="against-part"):
        html_block(parts.paragraph(say(locale, "clean.against_info"), soft=True))
        against = gr.File(file_count="multiple", show_label=False, elem_id="against")
    with health_place:
        health = data_health.build(locale, studio, bar.choice, bar.model, against)
    with clean_place:
        followed, follow, stop = data_clean.build(locale, studio, bar.choice, against, bar.coming)
    _events(locale, studio, bar, shown, picture, health, followed, follow, stop)


def names(studio: Studio) -> list[str]:
    """The datasets of the workspace, newest first."""
    return [manifest.name for manifest in datasets.listing(studio)]


def _toolbar(locale: str, studio: Studio) -> Toolbar:
    with gr.Row(elem_classes=["toolbar"]):
        choice = gr.Dropdown(
            names(studio), label=say(locale, "data.choose"), interactive=True, elem_id="dataset-choice"
        )
        model = gr.Dropdown(models.choices(studio), label=say(locale, "data.model"), interactive=True)
        delete = gr.Button(say(locale, "data.delete"), variant="stop", scale=0)
        sure = gr.Button(say(locale, "data.delete_sure"), variant="stop", scale=0, visible=False)
    return Toolbar(choice, model, delete, sure, gr.Textbox("", visible=False))


def _events(
    locale: str, studio: Studio, bar: Toolbar, shown: gr.HTML, picture: gr.HTML, health: gr.HTML,
    followed: list[Any], follow: Any, stop: gr.Button,
) -> None:  # fmt: skip
    def show(name: str | None, reference: str) -> tuple[str, dict[str, Any]]:
        return dataset_view(locale, studio, name, reference)

    def refresh(name: str | None, awaited: str | None) -> list[Any]:
        found = names(studio)
        value = awaited if awaited in found else name if name in found else next(iter(found), None)
        # A look that began before a button was pressed must not take away what the button said is coming.
        waiting = "" if awaited and awaited in found else gr.skip()
        return [follow_choices(found, value, name), waiting, data_clean.stop_update(studio, value)]

    def remove(name: str | None) -> list[Any]:
        try:
            datasets.delete(studio, name or "")
        except StudioError as error:
            if error.code != "data.in_use":
                raise
            gr.Warning(parts.escape(explain(locale, error)), duration=12, title=say(locale, "toast.warning"))
            return [*refresh(name, "")[:1], gr.update(visible=True)]
        return [*refresh(None, "")[:1], gr.update(visible=False)]

    def remove_anyway(name: str | None) -> list[Any]:
        datasets.delete(studio, name or "", anyway=True)
        return [*refresh(None, "")[:1], gr.update(visible=False)]

    def open_parts(name: str | None) -> list[Any]:
        return [name or "", *follow(name)]

    pulse(CHOICES_SECONDS).tick(
        refresh, [bar.choice, bar.coming], [bar.choice, bar.coming, stop], api_name="data_names", queue=False,
        show_progress="hidden", **PLAIN,
    )  # fmt: skip
    gr.on(
        [bar.choice.change, bar.model.change], guarded(locale, show), [bar.choice, bar.model], [shown, picture],
        api_name="data_show", **PLAIN,
    )  # fmt: skip
    bar.choice.change(guarded(locale, open_parts), bar.choice, [health, *followed], api_name="data_open",
                      show_progress="hidden", **PLAIN)  # fmt: skip
    bar.delete.click(guarded(locale, remove), bar.choice, [bar.choice, bar.sure], api_name="data_delete", **PLAIN)
    bar.sure.click(guarded(locale, remove_anyway), bar.choice, [bar.choice, bar.sure],
                   api_name="data_delete_anyway", **PLAIN)  # fmt: skip
