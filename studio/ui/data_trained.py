"""The data tab's part that shows rows as training reads them."""

from __future__ import annotations

import gradio as gr

from studio.i18n import say
from studio.services import reading
from studio.services.reading import Read
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.handlers import guarded
from studio.ui.parts import Markup
from studio.ui.widgets import PLAIN, html_block

LONGEST = 6_000
"""Characters of a row that are shown."""


def read_view(locale: str, found: list[Read]) -> Markup:
    """Rows with their special tokens, and marked where the loss is taken."""
    if not found:
        return parts.paragraph(say(locale, "trained.none"), soft=True)
    return parts.join(_read(locale, one) for one in found)


def _read(locale: str, one: Read) -> Markup:
    if one.text is None:
        return parts.banner(say(locale, "trained.left_out"), "", tone="warn")
    body, place = list[object](), 0
    text = one.text[:LONGEST]
    for start, end in one.trained:
        body += [text[place:start], Markup(f"<mark>{parts.escape(text[start:end])}</mark>")]
        place = end
    body.append(text[place:])
    if len(one.text) > LONGEST:
        body.append("…")
    note = say(locale, "trained.tokens", tokens=one.tokens, trained=one.trained_tokens)
    return parts.card(note, Markup(f'<div class="as-trained" dir="auto">{parts.join(body)}</div>'))


def build(locale: str, studio: Studio, choice: gr.Dropdown, model: gr.Dropdown) -> None:
    """The part."""
    html_block(parts.paragraph(say(locale, "trained.lead"), soft=True))
    with gr.Row(elem_classes=["toolbar"]):
        row = gr.Number(1, label=say(locale, "trained.row"), precision=0, minimum=1, elem_id="trained-row")
        button = gr.Button(say(locale, "trained.show"), scale=0, elem_id="trained-show")
    shown = html_block(elem_id="trained")

    def show(name: str | None, reference: str | None, first: float) -> str:
        found = reading.as_trained(studio, name or "", reference or "", max(0, int(first or 1) - 1))
        return read_view(locale, found)

    gr.on([button.click, row.submit], guarded(locale, show), [choice, model, row], shown,
          api_name="data_trained", **PLAIN)  # fmt: skip
