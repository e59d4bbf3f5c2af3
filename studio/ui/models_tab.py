"""The models tab: base models on disk, fetching more, and whether their own code may run."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.i18n import say
from studio.services import models
from studio.services.studio import Studio
from studio.ui import models_code, parts
from studio.ui.handlers import guarded, inform
from studio.ui.job_lines import job_lines
from studio.ui.parts import Markup
from studio.ui.widgets import PLAIN, html_block, live_panel

BASES = "bases"


def bases_view(locale: str, studio: Studio) -> Markup:
    """Base models on disk, and fetches under way."""
    found = models.fetched(studio)
    rows = [(parts.code(name), _note(locale, name)) for name in found]
    shown = parts.key_values(rows) if rows else parts.paragraph(say(locale, "models.bases_empty"), soft=True)
    return parts.join([job_lines(locale, studio, "fetch"), shown])


def _note(locale: str, reference: str) -> str:
    if reference.startswith("local:"):
        return say(locale, "models.expanded_note")
    return say(locale, "models.starter_note") if reference == models.STARTERS[0] else ""


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {
        BASES: lambda locale, _: bases_view(locale, studio),
    }


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    html_block(parts.heading(say(locale, "models.title"), say(locale, "models.lead")))
    with gr.Row():
        with gr.Column():
            html_block(parts.heading(say(locale, "models.bases")))
            live_panel(BASES, elem_id="bases")
        with gr.Column():
            reference = gr.Dropdown(
                list(models.STARTERS), label=say(locale, "models.fetch_reference"), elem_id="fetch-reference",
                info=say(locale, "models.fetch_info"), allow_custom_value=True, elem_classes=["ltr"],
            )  # fmt: skip
            fetch = gr.Button(say(locale, "models.fetch"), variant="primary", elem_id="fetch")
            models_code.build(locale, studio)

    def start_fetch(wanted: str | None) -> None:
        job = models.start_fetch(studio, (wanted or "").strip())
        inform(locale, "models.fetching", model=job.title)

    fetch.click(guarded(locale, start_fetch), reference, None, api_name="models_fetch", **PLAIN)
