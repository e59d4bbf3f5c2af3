"""The card of an export: read as the Hub shows it, edited as text, and put back as the studio wrote it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import say
from studio.services import cards, publishing
from studio.services.studio import Studio
from studio.ui.handlers import guarded, inform
from studio.ui.widgets import PLAIN, follow_choices, pulse

CHOICES_SECONDS = 4.0
LINES = 18


def build(locale: str, studio: Studio) -> gr.Dropdown:
    """The section; returns the choice of an export, which the next section sends."""
    found = _names(studio)
    choice = gr.Dropdown(found, value=next(iter(found), None), label=say(locale, "publish.export"), interactive=True,
                         info=say(locale, "publish.export_info"), elem_id="publish-export",
                         elem_classes=["ltr"])  # fmt: skip
    with gr.Accordion(say(locale, "publish.card_edit"), open=False, elem_id="card-edit"):
        text = gr.Textbox("", label=say(locale, "publish.card_text"), lines=LINES, max_lines=LINES,
                          elem_id="card-text", elem_classes=["ltr"])  # fmt: skip
        with gr.Row(elem_classes=["actions"]):
            save = gr.Button(say(locale, "publish.card_save"), elem_id="card-save")
            reset = gr.Button(say(locale, "publish.card_reset"), elem_id="card-reset")

    def read(name: str | None) -> str:
        return cards.read(studio, name) if name in _names(studio) else ""

    def keep(name: str | None, written: str) -> None:
        cards.save(studio, _chosen(name), written)
        inform(locale, "publish.card_saved", name=_chosen(name))

    def restore(name: str | None) -> str:
        cards.reset(studio, _chosen(name))
        inform(locale, "publish.card_restored", name=_chosen(name))
        return cards.read(studio, _chosen(name))

    def refresh(held: str | None) -> dict[str, Any]:
        names = _names(studio)
        return follow_choices(names, held if held in names else next(iter(names), None), held)

    gr.on([choice.change], read, choice, text, api_name="card", queue=False, show_progress="hidden", **PLAIN)
    gr.on(None, read, choice, text, api_name="card_open", queue=False, show_progress="hidden", **PLAIN)
    save.click(guarded(locale, keep), [choice, text], None, api_name="card_save", **PLAIN)
    reset.click(guarded(locale, restore), choice, text, api_name="card_reset", **PLAIN)
    pulse(CHOICES_SECONDS).tick(
        refresh, choice, choice, api_name="publish_choices", queue=False, show_progress="hidden", **PLAIN
    )
    return choice


def _names(studio: Studio) -> list[str]:
    return [each.name for each in publishing.exports(studio) if each.record is not None]


def _chosen(name: str | None) -> str:
    if not name:
        raise StudioError("publish.no_export")
    return name
