"""The publish tab: make an export of a run and prove it, look over its card, see what would be sent, and send it."""

from __future__ import annotations

from typing import Any

from studio.i18n import say
from studio.services.studio import Studio
from studio.ui import parts, publish_card, publish_make, publish_send, publish_views
from studio.ui.widgets import html_block, live_panel

EXPORTS, PUBLISHED, TOWARDS = "exports", "published", "towards"


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {
        EXPORTS: lambda locale, _: publish_views.exports_view(locale, studio),
        TOWARDS: lambda locale, run: publish_views.towards_view(locale, studio, run),
        PUBLISHED: lambda locale, _: publish_views.published_view(locale, studio),
    }


def build(locale: str, studio: Studio) -> None:
    """The screen, from top to bottom in the order of the work."""
    html_block(parts.heading(say(locale, "publish.title"), say(locale, "publish.lead")))
    publish_make.build(locale, studio, TOWARDS)
    live_panel(EXPORTS, elem_id="exports")
    html_block(parts.heading(say(locale, "publish.card_title"), say(locale, "publish.card_lead")))
    choice = publish_card.build(locale, studio)
    html_block(parts.heading(say(locale, "publish.where_title"), say(locale, "publish.where_lead")))
    publish_send.build(locale, studio, choice)
    live_panel(PUBLISHED, elem_id="published")
