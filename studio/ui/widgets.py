"""Gradio components of our own making: HTML without Gradio's typography, panels that stay fresh, and a clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

SECONDS = 2.0

PLAIN = {"preprocess": False}
"""For events over texts, numbers and choices: the handler gets what was given, and answers in the page's language.

Otherwise Gradio holds a choice against the list of when the app was built and refuses, in English, what came later.
"""

LATEST = {**PLAIN, "trigger_mode": "always_last"}
"""For events over a choice that a person may change again at once.

Gradio leaves out what is chosen while the answer to the choice before is under way (except after ``change``).
"""


def html_block(value: str = "", **options: Any) -> gr.HTML:
    """HTML built with `parts`, shown as it is; handlers give a new value as to any component."""
    return gr.HTML(value, js_on_load=None, apply_default_css=False, padding=False, **options)


def fresh_block(read: Callable[[], str], api_name: str, **options: Any) -> gr.HTML:
    """HTML that `read` gives anew whenever a page is opened; `api_name` is what `gradio_client` calls it."""
    block = html_block(read(), **options)
    gr.on(None, read, None, block, api_name=api_name, queue=False, show_progress="hidden")
    return block


def live_panel(name: str, subject: str = "", **options: Any) -> gr.HTML:
    """A place that shows the panel `name` of `build_site` and keeps it fresh while it can be seen.

    Its value is the subject: give another one from a handler and the panel follows at once.
    """
    return gr.HTML(
        subject,
        html_template='<div class="live"></div>',
        js_on_load=f"studio.panel(element, props, watch, {json.dumps(name)})",
        apply_default_css=False,
        padding=False,
        **options,
    )


def pulse(seconds: float = SECONDS, **options: Any) -> gr.HTML:
    """An invisible clock for a Gradio event: ``pulse().tick(handler, …, queue=False, show_progress="hidden")``.

    Unlike `gr.Timer` it beats only while its tab is open, and every 10 s when the page is hidden.
    """
    return gr.HTML(
        html_template="<i></i>",
        js_on_load=f"studio.pulse(element, () => trigger('tick'), {seconds * 1000:.0f})",
        elem_classes=["pulse"],
        apply_default_css=False,
        padding=False,
        **options,
    )


def follow_choices(choices: Sequence[Any], value: Any, held: Any) -> dict[str, Any]:
    """What a clock tells a dropdown: its choices, and `value` only where it differs from what the field `held`.

    Told back what it held, the field would lose what a person chose while the clock was on its way.
    """
    return gr.update(choices=choices) if value == held else gr.update(choices=choices, value=value)


def saver(**options: Any) -> gr.HTML:
    """An invisible place that saves a `file_to_save` in the browser; nothing of it stays on the server's disk."""
    return gr.HTML(
        html_template="<i></i>",
        js_on_load="studio.saver(element, props, watch)",
        elem_classes=["pulse"],
        apply_default_css=False,
        padding=False,
        **options,
    )


def file_to_save(name: str, kind: str, text: str) -> str:
    """What a handler gives a `saver`: a file of its own every time, be it the same text again."""
    return json.dumps({"name": name, "kind": kind, "text": text, "at": time.time()}, ensure_ascii=False)


def go_to(tab: str) -> str:
    """The `js` of an event that opens another tab: ``button.click(None, js=go_to("train"))``."""
    return f"() => {{ studio.go({json.dumps(tab)}); }}"
