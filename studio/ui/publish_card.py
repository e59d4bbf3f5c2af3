"""The card of an export: read as the Hub shows it, edited as text, and put back as the studio wrote it."""

from __future__ import annotations

import json
from hashlib import sha256
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
    shown = gr.Textbox("", visible=False)  # which card the text is, and its hash before anything was typed
    arrived = gr.Textbox("", visible="hidden")  # a card, on its way into the text
    with gr.Accordion(say(locale, "publish.card_edit"), open=False, elem_id="card-edit"):
        text = gr.Textbox("", label=say(locale, "publish.card_text"), lines=LINES, max_lines=LINES,
                          elem_id="card-text", elem_classes=["ltr"])  # fmt: skip
        with gr.Row(elem_classes=["actions"]):
            save = gr.Button(say(locale, "publish.card_save"), elem_id="card-save")
            reset = gr.Button(say(locale, "publish.card_reset"), elem_id="card-reset")

    def read(name: str | None, held: str, written: str) -> Any:
        found = card_update(studio, name, held, written)
        return gr.skip() if found is None else json.dumps([*found, written], ensure_ascii=False)

    def keep(name: str | None, written: str) -> str:
        cards.save(studio, _chosen(name), written)
        inform(locale, "publish.card_saved", name=_chosen(name))
        return f"{_digest(written)} {_made(studio)[_chosen(name)]}"

    def restore(name: str | None) -> tuple[str, str]:
        cards.reset(studio, _chosen(name))
        inform(locale, "publish.card_restored", name=_chosen(name))
        return _card(studio, _chosen(name), _made(studio)[_chosen(name)])

    def refresh(held: str | None) -> dict[str, Any]:
        names = _names(studio)
        return follow_choices(names, held if held in names else next(iter(names), None), held)

    quiet = {"queue": False, "show_progress": "hidden", **PLAIN}
    sent, filled = [choice, shown, text], [text, shown]
    gr.on([choice.change], read, sent, arrived, api_name="card", **quiet)
    gr.on(None, read, sent, arrived, api_name="card_open", **quiet)
    pulse(CHOICES_SECONDS).tick(read, sent, arrived, api_name="card_again", **quiet)
    # Only the page knows what was typed while an answer was under way.
    arrived.change(
        None, [arrived, shown, text], filled, js="(...given) => studio.card(...given)", api_name="card_arrived"
    )
    save.click(guarded(locale, keep), [choice, text], shown, api_name="card_save", **PLAIN)
    reset.click(guarded(locale, restore), choice, filled, api_name="card_reset", **PLAIN)
    pulse(CHOICES_SECONDS).tick(refresh, choice, choice, api_name="publish_choices", **quiet)
    return choice


def card_update(studio: Studio, name: str | None, held: str = "", written: str = "") -> tuple[str, str] | None:
    """The card of an export and what `shown` holds of it; None where it stands there already.

    What was typed stays, be the export made again meanwhile.
    """
    digest, _, before = held.partition(" ")
    typed = bool(held) and digest != _digest(written)
    found = _made(studio)
    if name not in found:
        return None if typed or not held else ("", "")
    if found[name] == before or (typed and before.endswith(f" {name}")):
        return None
    return _card(studio, name, found[name])


def _card(studio: Studio, name: str, made: str) -> tuple[str, str]:
    card = cards.read(studio, name)
    return card, f"{_digest(card)} {made}"


def _made(studio: Studio) -> dict[str, str]:
    """When each export was made, with its name."""
    known = [(each.name, each.record) for each in publishing.exports(studio)]
    return {name: f"{record.made.isoformat()} {name}" for name, record in known if record is not None}


def _digest(text: str) -> str:
    return sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def _names(studio: Studio) -> list[str]:
    return list(_made(studio))


def _chosen(name: str | None) -> str:
    if not name:
        raise StudioError("publish.no_export")
    return name
