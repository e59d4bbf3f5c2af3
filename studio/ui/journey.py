"""All tabs in the order of the journey, put together as one site."""

from __future__ import annotations

from fastapi import FastAPI

from studio.services import training
from studio.services.studio import Studio
from studio.ui import chat_tab, data_tab, models_tab, settings_tab, start_tab, train_board, train_tab, vocabulary_tab
from studio.ui.shell import build_site

TABS = (
    ("start", start_tab.build),
    ("data", data_tab.build),
    ("vocabulary", vocabulary_tab.build),
    ("train", train_tab.build),
    ("chat", chat_tab.build),
    ("models", models_tab.build),
    ("settings", settings_tab.build),
)


def build_studio(studio: Studio) -> FastAPI:
    """The studio's pages in both languages."""
    panels = {
        name: panel
        for tab in (start_tab, data_tab, vocabulary_tab, train_board, chat_tab, models_tab, settings_tab)
        for name, panel in tab.panels(studio).items()
    }
    return build_site(
        studio,
        studio.settings,
        tabs=TABS,
        panels=panels,
        curves=lambda run, after: training.curves(studio, run or training.current(studio) or "", after),
    )
