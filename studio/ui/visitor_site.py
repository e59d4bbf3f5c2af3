"""What visitors see: a chat with the models that the owner shares, and shared reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from fastapi import FastAPI

from studio.i18n import say
from studio.services import chat, visiting
from studio.services.studio import Studio
from studio.services.visiting import ANSWER_TOKENS, Pace
from studio.ui import chat_tab, parts, report_views
from studio.ui.chat_tab import History
from studio.ui.door import VISITOR_KEY
from studio.ui.handlers import guarded
from studio.ui.shell import Build, Way, build_site
from studio.ui.widgets import PLAIN, follow_choices, html_block, pulse

CHOICES_SECONDS = 10.0


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
    found = _models(studio)
    model = gr.Dropdown(found, label=say(locale, "visit.model"), info=_info(locale, found), interactive=True,
                        elem_id="visit-model")  # fmt: skip
    with gr.Row(equal_height=True):
        sides = [chat_tab.side(locale, name) for name in ("base", "adapted")]
    about = html_block(elem_id="chat-notice")
    prompt = gr.Textbox(
        "", label=say(locale, "chat.prompt"), placeholder=say(locale, "chat.prompt_example"), lines=2, elem_id="prompt"
    )
    with gr.Row(elem_classes=["actions"]):
        send = gr.Button(say(locale, "chat.send"), variant="primary", elem_id="send")
        stop = gr.Button(say(locale, "chat.stop"), elem_id="chat-stop")
        clear = gr.Button(say(locale, "chat.clear"))
    histories, feet = [side[0] for side in sides], [side[1] for side in sides]

    def answer(
        reference: str | None, base_history: History, adapted_history: History, text: str, request: gr.Request
    ) -> Iterator[list[Any]]:
        columns = _columns(studio, reference, base_history, adapted_history)
        visitor = str(request.request.scope.get(VISITOR_KEY, "unknown"))
        boards = visiting.talk(
            studio, pace, visitor, [column for column in columns if column is not None], text,
            chat_tab.sampling(0.7, 0.95, ANSWER_TOKENS, 3407), name=str(request.session_hash),
        )  # fmt: skip
        for board in boards:
            told = iter(board.columns)
            rows = [None if column is None else next(told) for column in columns]
            yield [
                *[gr.skip() if row is None else chat_tab.shown_history(row) for row in rows],
                *["" if row is None else chat_tab.foot(locale, row) for row in rows],
                chat_tab.notice(locale, board),
                "",
            ]

    def halt(request: gr.Request) -> None:
        visiting.stop(studio, str(request.session_hash))

    def refresh(held: str | None) -> dict[str, Any]:
        found = _models(studio)
        chosen = held if held in found else next(iter(found), None)
        return {**follow_choices(found, chosen, held), "info": _info(locale, found)}

    gr.on(
        [send.click, prompt.submit], guarded(locale, answer), [model, *histories, prompt],
        [*histories, *feet, about, prompt], api_name="chat", concurrency_limit=2, show_progress="hidden",
        preprocess=False,
    )  # fmt: skip
    stop.click(guarded(locale, halt), None, None, api_name="chat_stop", queue=False)
    clear.click(lambda: [[], [], "", "", ""], None, [*histories, *feet, about], api_name="chat_clear", queue=False)
    pulse(CHOICES_SECONDS).tick(
        guarded(locale, refresh), model, model, api_name="chat_choices", queue=False, show_progress="hidden", **PLAIN
    )


def _models(studio: Studio) -> list[str]:
    return visiting.models(studio)


def _info(locale: str, found: list[str]) -> str:
    return "" if found else say(locale, "visit.no_models")


def _columns(
    studio: Studio, reference: str | None, base_history: History, adapted_history: History
) -> list[chat.Column | None]:
    """Both sides: the base, and beside it the shared model if that is another."""
    if not reference:
        return [None, None]
    base = visiting.base_of(studio, reference)
    adapted = None if base == reference else chat.Column(reference, chat_tab.past(adapted_history))
    return [chat.Column(base, chat_tab.past(base_history)), adapted]


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
