"""All tabs in the order of the journey, put together as one site."""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI

from studio.password import has_password, is_open
from studio.services import training
from studio.services.studio import Studio
from studio.settings import Settings
from studio.ui import (
    chat_tab,
    data_tab,
    evaluate_tab,
    history_tab,
    jobs_tab,
    models_tab,
    publish_tab,
    settings_tab,
    start_tab,
    train_board,
    train_tab,
    vocabulary_tab,
)
from studio.ui.door import Gate, build_door
from studio.ui.entrance import ENTER, LEAVE
from studio.ui.logs import log_routes
from studio.ui.report_routes import report_routes
from studio.ui.shell import Tabs, Way, build_site
from studio.ui.train_form import Form
from studio.ui.visitor_site import build_visitors


def journey() -> Tabs:
    """All tabs in their order; the history opens a run's recipe in the form of the training tab."""
    forms: dict[str, Form] = {}

    def train(locale: str, studio: Studio) -> None:
        forms[locale] = train_tab.build(locale, studio)

    def history(locale: str, studio: Studio) -> None:
        history_tab.build(locale, studio, forms[locale])

    return (
        ("start", start_tab.build),
        ("data", data_tab.build),
        ("vocabulary", vocabulary_tab.build),
        ("train", train),
        ("chat", chat_tab.build),
        ("evaluate", evaluate_tab.build),
        ("publish", publish_tab.build),
        ("models", models_tab.build),
        ("jobs", jobs_tab.build),
        ("history", history),
        ("settings", settings_tab.build),
    )


def build_studio(studio: Studio) -> FastAPI:
    """The studio's pages in both languages, the owner's and, where others may come in, the visitors'."""
    visitors = build_visitors(studio.for_visitors(), _way(studio.settings, "in")) if is_open(studio.settings) else None
    return build_door(studio.settings, build_owners(studio), visitors, Gate(studio.settings, vault=studio.vault))


def build_owners(studio: Studio) -> FastAPI:
    """The owner's pages, for those whom the door lets in."""
    panels = {
        name: panel
        for tab in (
            start_tab,
            data_tab,
            vocabulary_tab,
            train_board,
            chat_tab,
            evaluate_tab,
            publish_tab,
            models_tab,
            jobs_tab,
            history_tab,
        )
        for name, panel in tab.panels(studio).items()
    }
    return build_site(
        studio,
        studio.settings,
        tabs=journey(),
        panels=panels,
        curves=lambda run, after: training.curves(studio, run or training.current(studio) or "", after),
        way=_way(studio.settings, "out"),
        routes=[*history_tab.routes(studio), *log_routes(studio), *report_routes(studio)],
    )


def _way(settings: Settings, side: Literal["in", "out"]) -> Way | None:
    if settings.space is not None and settings.space.login:
        return {"in": ("/login/huggingface", "auth.log_in"), "out": ("/logout", "auth.log_out")}[side]
    if has_password(settings):
        return {"in": (ENTER, "auth.log_in"), "out": (LEAVE, "auth.log_out")}[side]
    return None
