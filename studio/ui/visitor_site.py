"""What visitors see: a chat with the models that the owner shares, and shared reports."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr
from fastapi import FastAPI

from studio.chat.requests import Sampling
from studio.i18n import say
from studio.services import visiting
from studio.services.chat import Column
from studio.services.studio import Studio
from studio.services.visiting import ANSWER_TOKENS, Pace
from studio.ui import chat_columns, parts, report_views
from studio.ui.chat_columns import Asked, Showing
from studio.ui.door import VISITOR_KEY
from studio.ui.handlers import guarded
from studio.ui.shell import Build, Way, build_site
from studio.ui.widgets import PLAIN, follow_choices, html_block, pulse

CHOICES_SECONDS = 10.0
SIDES = ("base", "adapted")


def build_visitors(studio: Studio, way: Way | None) -> FastAPI:
    """The visitors' pages in both languages.

    Args:
        studio: Opened for visitors.
        way: To the owner's login.
    """
    pace = Pace()
    tabs: tuple[tuple[str, Build], ...] = (
        ("chat", lambda locale, services: _build_chat(locale, services, pace)),
        ("reports", _build_reports),
    )
    return build_site(studio, studio.settings, tabs=tabs, way=way)


def _build_chat(locale: str, studio: Studio, pace: Pace) -> None:
    html_block(parts.heading(say(locale, "chat.title"), say(locale, "visit.lead")))
    found = visiting.models(studio)
    model = gr.Dropdown(found, label=say(locale, "visit.model"), info=_info(locale, found), interactive=True,
                        elem_id="visit-model")  # fmt: skip
    sides = []
    with gr.Row(equal_height=True):
        for name in SIDES:
            with gr.Column(min_width=280):
                sides.append(chat_columns.side(locale, name, say(locale, f"chat.{name}")))
    panel, _ = chat_columns.box(locale, sides)

    def talk(asked: Asked) -> Iterator[Showing]:
        columns = _columns(studio, asked)
        visitor = str(asked.request.request.scope.get(VISITOR_KEY, "unknown"))
        sampling = Sampling(max_new_tokens=ANSWER_TOKENS)
        for board in visiting.talk(studio, pace, visitor, columns, asked.text, sampling, name=asked.name):
            yield Showing(board, range(len(columns)))

    def refresh(held: str | None) -> dict[str, Any]:
        found = visiting.models(studio)
        chosen = held if held in found else next(iter(found), None)
        return {**follow_choices(found, chosen, held), "info": _info(locale, found)}

    halt = partial(visiting.stop, studio)

    event = chat_columns.connect(
        locale, panel, choosing=[model], further=[], filled=[], talk=talk,
        halt=halt, limit=2,
    )  # fmt: skip
    chat_columns.connect_clear(panel, events=[event], halt=halt)
    pulse(CHOICES_SECONDS).tick(
        guarded(locale, refresh), model, model, api_name="chat_choices", queue=False, show_progress="hidden", **PLAIN
    )


def _info(locale: str, found: list[str]) -> str:
    return "" if found else say(locale, "visit.no_models")


def _columns(studio: Studio, asked: Asked) -> list[Column]:
    """The base, and beside it the shared model if that is another."""
    reference = asked.chosen[0]
    if not reference:
        return []
    base = visiting.base_of(studio, reference)
    shown = [base] if base == reference else [base, reference]
    return [Column(name, said) for name, said in zip(shown, asked.conversations, strict=False)]


def _build_reports(locale: str, studio: Studio) -> None:
    html_block(parts.heading(say(locale, "visit.reports"), say(locale, "visit.reports_lead")))
    found = visiting.shared_reports(studio)
    run = gr.Dropdown(found, value=next(iter(found), None), label=say(locale, "train.run"), interactive=True,
                      elem_id="visit-run")  # fmt: skip
    card = html_block(_report(locale, studio, next(iter(found), None)), elem_id="report")

    def show(name: str | None) -> str:
        return _report(locale, studio, name)

    def refresh(held: str | None) -> dict[str, Any]:
        names = visiting.shared_reports(studio)
        return follow_choices(names, held if held in names else next(iter(names), None), held)

    run.change(guarded(locale, show), run, card, api_name="report", **PLAIN)
    pulse(CHOICES_SECONDS).tick(
        guarded(locale, refresh), run, run, api_name="reports", queue=False, show_progress="hidden", **PLAIN
    )


def _report(locale: str, studio: Studio, run: str | None) -> str:
    if not run:
        return parts.paragraph(say(locale, "visit.no_reports"), soft=True)
    return report_views.report_view(locale, visiting.report(studio, run))
