"""The models tab: base models on disk, merging a run, and what was checked of the result."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import bytes_text, number, say
from studio.services import chat, merging, models
from studio.services.studio import Studio
from studio.ui import models_code, parts
from studio.ui.handlers import guarded, inform
from studio.ui.job_lines import job_lines
from studio.ui.parts import Markup
from studio.ui.widgets import PLAIN, follow_choices, html_block, live_panel, pulse

BASES, MERGES = "bases", "merges"
CHOICES_SECONDS = 4.0


def bases_view(locale: str, studio: Studio) -> Markup:
    """Base models on disk, and fetches under way."""
    found = models.fetched(studio)
    rows = [(parts.code(name), _note(locale, name)) for name in found]
    return parts.join([job_lines(locale, studio, "fetch"), parts.key_values(rows)])


def _note(locale: str, reference: str) -> str:
    if reference.startswith("local:"):
        return say(locale, "models.expanded_note")
    return say(locale, "models.starter_note") if reference == models.STARTERS[0] else ""


def merges_view(locale: str, studio: Studio) -> Markup:
    """Merges under way, and merged models with their checks."""
    cards = [_merged_card(locale, each) for each in merging.merged(studio)]
    empty = parts.paragraph(say(locale, "models.merged_empty"), soft=True)
    return parts.join([job_lines(locale, studio, "merge"), *(cards or [empty])])


def _merged_card(locale: str, merged: merging.Merged) -> Markup:
    facts = merged.facts
    before, after = (number(locale, facts[f"bits_per_byte_{when}"], 4) for when in ("before", "after"))
    checks = [
        say(locale, "models.check.tensors", count=facts["tensors_checked"]),
        say(locale, "models.check.reload"),
        say(locale, "models.check.bits", before=before, after=after),
    ]
    ticks = parts.join([Markup(f'<p class="check"><span aria-hidden="true">✓</span> {parts.escape(line)}</p>')
                        for line in checks])  # fmt: skip
    place = parts.key_values(
        [
            (say(locale, "models.path"), parts.code(merged.folder)),
            (say(locale, "models.size"), bytes_text(locale, facts["bytes"])),
        ]
    )
    return parts.card(parts.code(merged.name), parts.join([ticks, place]))


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {
        BASES: lambda locale, _: bases_view(locale, studio),
        MERGES: lambda locale, _: merges_view(locale, studio),
    }


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    html_block(parts.heading(say(locale, "models.title"), say(locale, "models.lead")))
    with gr.Row():
        with gr.Column():
            html_block(parts.heading(say(locale, "models.bases")))
            reference = gr.Dropdown(
                list(models.STARTERS), label=say(locale, "models.fetch_reference"), elem_id="fetch-reference",
                info=say(locale, "models.fetch_info"), allow_custom_value=True, elem_classes=["ltr"],
            )  # fmt: skip
            fetch = gr.Button(say(locale, "models.fetch"), elem_id="fetch")
            live_panel(BASES, elem_id="bases")
            models_code.build(locale, studio)
        with gr.Column():
            html_block(parts.heading(say(locale, "models.merge_title")))
            run = gr.Dropdown(chat.adapted(studio), label=say(locale, "models.merge_run"), interactive=True,
                              elem_id="merge-run")  # fmt: skip
            name = gr.Textbox("", label=say(locale, "models.merge_name"), info=say(locale, "models.merge_name_info"),
                              elem_classes=["ltr"], elem_id="merge-name")  # fmt: skip
            merge = gr.Button(say(locale, "models.merge"), variant="primary", elem_id="merge")
            html_block(parts.heading(say(locale, "models.merged")))
            live_panel(MERGES, elem_id="merges")

    def start_fetch(wanted: str | None) -> None:
        job = models.start_fetch(studio, (wanted or "").strip())
        inform(locale, "models.fetching", model=job.title)

    def start_merge(wanted: str | None, folder: str) -> None:
        if not wanted:
            raise StudioError("publish.no_run")
        merging.start_merge(studio, wanted, merging.export_folder(studio, folder) if folder.strip() else None)
        inform(locale, "models.merging", run=wanted)

    def refresh(wanted: str | None) -> dict[str, Any]:
        found = chat.adapted(studio)
        return follow_choices(found, wanted if wanted in found else next(iter(found), None), wanted)

    fetch.click(guarded(locale, start_fetch), reference, None, api_name="models_fetch", **PLAIN)
    merge.click(guarded(locale, start_merge), [run, name], None, api_name="merge", **PLAIN)
    pulse(CHOICES_SECONDS).tick(
        refresh, run, run, api_name="merge_choices", queue=False, show_progress="hidden", **PLAIN
    )
