"""The chat tab: one prompt, two to four models side by side, by name or unnamed, or a set of prompts at once."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.i18n import say
from studio.services.studio import Studio
from studio.ui import chat_knobs, chat_models, chat_prompts, chat_talk, chat_vote, parts
from studio.ui.chat_columns import NAMES, box, side
from studio.ui.chat_models import FEWEST
from studio.ui.chat_views import memory_view
from studio.ui.widgets import html_block, live_panel

PANEL = "chat_memory"


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    html_block(parts.heading(say(locale, "chat.title"), say(locale, "chat.lead")))
    columns, models, sides = [], [], []
    with gr.Row(equal_height=True):
        for place, name in enumerate(NAMES):
            with gr.Column(min_width=280, visible=place < FEWEST) as column:
                models.append(chat_models.field(locale, studio, place))
                sides.append(side(locale, name, say(locale, "chat.column", place=place + 1)))
            columns.append(column)
    with gr.Row(elem_classes=["actions"]):
        add = gr.Button(say(locale, "chat.add"), elem_id="chat-add")
        remove = gr.Button(say(locale, "chat.remove"), elem_id="chat-remove", interactive=False)
    hide = gr.Checkbox(
        False, label=say(locale, "vote.hide"), info=say(locale, "vote.hide_info"), elem_id="chat-hide"
    )  # fmt: skip
    vote = gr.Radio([], visible=False, label=say(locale, "vote.question"), elem_id="chat-vote")
    panel, actions = box(locale, sides)
    with actions:
        again, edit, unload, as_json, as_markdown = [
            gr.Button(say(locale, f"chat.{name}"), elem_id=place)
            for name, place in (("retry", "chat-retry"), ("edit", "chat-edit"), ("unload", "unload"),
                                ("json", "chat-json"), ("markdown", "chat-markdown"))
        ]  # fmt: skip
    live_panel(PANEL, elem_id="chat-memory")
    knobs = chat_knobs.build(locale)
    with gr.Accordion(say(locale, "prompts.title"), open=False, elem_id="chat-prompts"):
        chat_prompts.build(locale, studio, models, knobs)
    with gr.Accordion(say(locale, "vote.tally"), open=False, elem_id="chat-tally"):
        live_panel(chat_vote.PANEL, elem_id="votes")
    # Clocks and places for files come last: unseen, they would take a gap each between what is seen.
    screen = chat_talk.Screen(models, panel, knobs, hide, vote, gr.State(()), gr.State(None))
    chat_models.connect(locale, studio, models, columns, panel, (add, remove))
    events = chat_talk.connect_asking(locale, studio, screen, again, edit)
    chat_talk.connect_voting(locale, studio, screen, events)
    chat_talk.connect_saving(locale, screen, as_json, as_markdown)
    chat_talk.connect_unload(locale, studio, unload)


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {
        PANEL: lambda locale, _: memory_view(locale, studio),
        chat_vote.PANEL: lambda locale, _: chat_vote.tally_view(locale, studio),
    }
