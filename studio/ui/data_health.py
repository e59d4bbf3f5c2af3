"""The data tab's health part: a card of what a model would learn from a dataset, and what to mend first."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import number, say, sentences
from studio.jobs.store import ENDED
from studio.services import cleaning, datasets, jobs
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.uploaded import uploaded
from studio.ui.vocabulary_cost import percent
from studio.ui.widgets import PLAIN, html_block, live_panel

PANEL = "health"
LANGUAGES_SHOWN = 5
ARABIC, HALF_SPACE, DUPLICATES, OTHER = 0.01, 0.9, 0.02, 0.1
"""From these shares on a reader would notice the fault: cleaning is advised."""


def health_view(locale: str, studio: Studio, name: str) -> Markup:
    """The measuring under way, or the card."""
    if not name or not datasets.exists(studio, name):
        return Markup("")
    shown: list[object] = []
    job = next((job for job in studio.jobs.listing(kind="examine", limit=20) if job.arguments["name"] == name), None)
    if job is not None and job.state not in ENDED:
        shown.append(parts.progress_bar(job.progress, jobs.message(locale, job), locale=locale))
    elif job is not None and job.error is not None:
        shown.append(parts.error_banner(locale, StudioError(job.error["code"], **job.error["details"])))
    found = cleaning.report(studio, name)
    if "languages" not in found:
        return parts.join([*shown, parts.paragraph(say(locale, "health.none"), soft=True)])
    return parts.join([*shown, _advice(locale, found), _card(locale, found)])


def language_name(locale: str, code: str) -> object:
    """A language's name; its code where there is no name here."""
    key = f"languages.{code}"
    return say(locale, key) if key in sentences(locale) else parts.code(code)


def languages_text(locale: str, shares: dict[str, float]) -> Markup:
    """The commonest languages with their shares, the rest left out."""
    comma = "، " if locale == "fa" else ", "
    shown: list[object] = []
    for code, share in list(shares.items())[:LANGUAGES_SHOWN]:
        shown += [language_name(locale, code), " ", percent(locale, share, 0 if share > 0.1 else 1), comma]
    return parts.join(shown[:-1])


def _advice(locale: str, found: dict[str, Any]) -> Markup:
    reasons = []
    if found["arabic_ye_kaf_share"] >= ARABIC:
        reasons.append(say(locale, "health.reason.arabic", share=percent(locale, found["arabic_ye_kaf_share"])))
    if found["half_space_share"] is not None and found["half_space_share"] < HALF_SPACE:
        reasons.append(say(locale, "health.reason.half_space", share=percent(locale, found["half_space_share"])))
    if found["duplicate_share"] >= DUPLICATES:
        reasons.append(say(locale, "health.reason.duplicates", share=percent(locale, found["duplicate_share"])))
    other = 1 - found["languages"].get("fa", 0.0)
    if found["kind"] != "pair" and other >= OTHER:
        reasons.append(say(locale, "health.reason.language", share=percent(locale, other)))
    if found["contaminated_rows"]:
        reasons.append(say(locale, "health.reason.contaminated", rows=found["contaminated_rows"]))
    if not reasons:
        return parts.banner(
            say(locale, "health.title", name=parts.named(found["name"])), say(locale, "health.advice_fine")
        )
    joined = ("؛ " if locale == "fa" else "; ").join(reasons)
    title, body = (
        say(locale, "health.title", name=parts.named(found["name"])),
        say(locale, "health.advice_clean", reasons=joined),
    )
    return parts.banner(title, body, tone="warn")


def _card(locale: str, found: dict[str, Any]) -> Markup:
    half = found["half_space_share"]
    figures: list[tuple[object, object, object]] = [
        (percent(locale, found["persian_share"]), say(locale, "health.persian"), say(locale, "health.persian_note")),
        (percent(locale, found["arabic_ye_kaf_share"], 1), say(locale, "health.arabic"),
         say(locale, "health.arabic_note")),
        ("—" if half is None else percent(locale, half), say(locale, "health.half_space"),
         say(locale, "health.half_space_none" if half is None else "health.half_space_note")),
        (percent(locale, found["duplicate_share"], 1), say(locale, "health.duplicates"),
         say(locale, "health.duplicates_note")),
    ]  # fmt: skip
    lengths = {key: number(locale, value) for key, value in found["lengths"].items()}
    contaminated: object = say(locale, "health.not_looked")
    if found["contaminated_rows"] is not None:
        files = ("، " if locale == "fa" else ", ").join(found["against"])
        contaminated = say(locale, "health.contaminated_value", rows=found["contaminated_rows"], files=files)
    licence: object = parts.code(found["licence"]) if found["licence"] else say(locale, "health.licence_unknown")
    english = found.get("languages_en")
    pairs = parts.key_values(
        [
            (say(locale, "health.languages"), languages_text(locale, found["languages"])),
            *([(say(locale, "health.languages_en"), languages_text(locale, english))] if english else []),
            (say(locale, "health.lengths"), say(locale, "health.lengths_value", **lengths)),
            *([(say(locale, "health.tokens"), _tokens(locale, tokens))] if (tokens := found.get("tokens")) else []),
            (say(locale, "health.contaminated"), contaminated),
            (say(locale, "health.licence"), licence),
        ]
    )
    return parts.join([parts.figures(figures), parts.card(say(locale, "health.details"), pairs)])


def _tokens(locale: str, tokens: dict[str, Any]) -> str:
    model = parts.named(tokens["model"])
    return say(locale, "health.tokens_value", median=tokens["median"], most=tokens["most"], model=model)


def build(locale: str, studio: Studio, choice: gr.Dropdown, model: gr.Dropdown, against: gr.File) -> gr.HTML:
    """The part; returns the panel, whose value is the dataset it follows."""
    html_block(parts.paragraph(say(locale, "health.lead"), soft=True))
    with gr.Row(elem_classes=["actions"]):
        button = gr.Button(say(locale, "health.measure"), elem_id="health-measure")
    panel = live_panel(PANEL, elem_id="health")

    def measure(name: str | None, reference: str | None, files: list[dict[str, Any]] | None) -> str:
        given = uploaded(studio, files)
        try:
            job = cleaning.start_report(studio, name or "", given, reference)
        except StudioError as error:
            if error.code != "model.not_fetched":
                raise
            job = cleaning.start_report(studio, name or "", given)  # all but the lengths in its tokens
        inform(locale, "health.started", name=job.title)
        return job.title

    button.click(guarded(locale, measure), [choice, model, against], panel, api_name="data_report", **PLAIN)
    return panel
