"""Importing from the Hub: choose from the catalogue or name a dataset, and see what is known of it before."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.data.catalogue import PAPERS, PURPOSES, ROWS, Entry, entries, entry_of
from studio.i18n import say
from studio.services import catalogue, datasets
from studio.services.studio import Studio
from studio.ui.catalogue_views import catalogue_card, check_line
from studio.ui.handlers import guarded, inform, warn
from studio.ui.widgets import LATEST, PLAIN, live_panel

PANEL = "catalogue"


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts: the card of the dataset that is the subject."""
    return {PANEL: lambda locale, name: card(locale, studio, name)}


def card(locale: str, studio: Studio, name: str) -> str:
    """The card of a dataset of the catalogue; without a name only how the last check went."""
    check = catalogue.last_check(studio)
    return catalogue_card(locale, catalogue.offer(studio, name), check) if name else check_line(locale, check)


def choices(locale: str) -> list[tuple[str, str]]:
    """Labels and names: those of the papers first, each with its kind and papers."""

    def order(entry: Entry) -> tuple[bool, int, int]:
        return not entry.used_by, min(map(PAPERS.index, entry.used_by), default=0), PURPOSES.index(entry.kind)

    known = sorted(entries(), key=order)
    return [(_label(locale, entry), entry.name) for entry in known]


def _label(locale: str, entry: Entry) -> str:
    papers = [say(locale, f"catalogue.paper.{paper}") for paper in entry.used_by]
    return " · ".join([entry.name, say(locale, f"catalogue.kind.{entry.kind}"), *papers])


def fill(studio: Studio, wanted: str | None) -> list[Any]:
    """For a chosen dataset: the subject of the card, and id, configuration, split, rows and name for the boxes."""
    if not wanted:
        return ["", "", "", "train", ROWS, ""]
    offer = catalogue.offer(studio, wanted)
    facts = offer.entry
    free = datasets.free_name(studio, facts.name) if facts.id else ""
    return [wanted, facts.id or "", facts.config or "", facts.split, offer.rows_to_read, free]


def start(locale: str, studio: Studio, repo: str, config: str, split: str, rows: float | None, name: str) -> str:
    """Queue the import; one that is only for measuring is warned of loudly."""
    job = datasets.start_hub_import(
        studio,
        repo.strip(),
        name.strip(),
        config=config.strip(),
        split=split.strip(),
        rows_limit=int(rows) if rows else None,
    )
    inform(locale, "data.started", name=job.title)
    known = entry_of(job.arguments["repo"])
    if known is not None and "benchmark_only" in known.warnings:
        warn(locale, "catalogue.warning.benchmark_only.do")
    return job.title


def build(locale: str, studio: Studio, imports: gr.HTML) -> None:
    """The boxes of a Hub import above its button; `imports` is the live list that follows what was started."""
    chosen = gr.Dropdown(
        choices(locale), value=None, label=say(locale, "catalogue.choose"), info=say(locale, "catalogue.choose_info"),
        interactive=True, elem_id="catalogue-choice",
    )  # fmt: skip
    shown = live_panel(PANEL, elem_id="catalogue")
    with gr.Row():
        check_one = gr.Button(say(locale, "catalogue.check_one"), size="sm")
        check_all = gr.Button(say(locale, "catalogue.check_all"), size="sm")
    repo = gr.Textbox(
        "", label=say(locale, "data.hub_id"), placeholder="org/name", elem_classes=["ltr"], elem_id="hub-id"
    )
    with gr.Row():
        config = gr.Textbox("", label=say(locale, "data.hub_config"), elem_classes=["ltr"])
        split = gr.Textbox("train", label=say(locale, "data.hub_split"), elem_classes=["ltr"])
        rows = gr.Number(ROWS, label=say(locale, "data.hub_rows"), info=say(locale, "data.hub_rows_info"), precision=0)
    name = gr.Textbox("", label=say(locale, "data.name"), info=say(locale, "data.name_info"))
    button = gr.Button(say(locale, "data.hub_import"))

    def check(wanted: str | None) -> None:
        catalogue.start_check(studio, wanted or None)
        inform(locale, "catalogue.checking")

    boxes = [repo, config, split, rows, name]
    chosen.select(  # a dropdown says `input` twice for one choice
        guarded(locale, lambda wanted: fill(studio, wanted)),
        chosen,
        [shown, *boxes],
        api_name="catalogue_choose",
        **LATEST,
    )
    check_one.click(guarded(locale, check), chosen, None, api_name="catalogue_check", **PLAIN)
    check_all.click(guarded(locale, lambda: check(None)), None, None, api_name="catalogue_check_all")
    button.click(
        guarded(locale, lambda *values: start(locale, studio, *values)),
        boxes,
        imports,
        api_name="data_import_hub",
        **PLAIN,
    )
