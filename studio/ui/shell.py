"""The studio as one web application: a page per language, the tabs of the journey, and what pages fetch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from studio.i18n import LOCALES, say
from studio.settings import UPLOAD_LIMIT, Settings
from studio.ui import parts
from studio.ui.assets import asset_routes
from studio.ui.border import hold
from studio.ui.live import Curves, Panel, live_routes, register_endpoints
from studio.ui.page import Page, preferred_locale
from studio.ui.theme import studio_theme
from studio.ui.widgets import html_block, live_panel

Build = Callable[[str, Any], None]
"""Builds the inside of a tab in the page's language over the services, within the `gr.Tab` that is open."""

Tabs = Sequence[tuple[str, Build]]
"""Keys and builders in the order of the journey; the label of a key is ``tabs.KEY``."""

APART = ("models", "jobs", "history", "settings")
STATUS = "status"
"""The panel of this name, if there is one, stands in the header: what is running now."""

Way = tuple[str, str]
"""Where a link to log in or out leads, and the key of its words."""

_OTHER = {"fa": "en", "en": "fa"}


def build_site(
    services: Any,
    settings: Settings,
    *,
    tabs: Tabs,
    panels: Mapping[str, Panel] | None = None,
    curves: Curves | None = None,
    way: Way | None = None,
    routes: Sequence[Route] = (),
) -> FastAPI:
    """The whole site: ``/fa/`` and ``/en/``, ``/`` that chooses between them, ``/assets`` and ``/live``.

    Args:
        services: Passed to every builder as it is.
        settings: Where uploads go.
        tabs: What the pages hold.
        panels: HTML that pages keep fresh, by name; see `live_panel`.
        curves: Metrics of a run after a token; see `studio.ui.plots.live_curves`.
        way: How to log in or out, where that can be done.
        routes: Further addresses of the site, such as files to download.
    """
    panels = panels or {}
    site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    site.router.routes.extend([Route("/", _choose_language), *asset_routes(), *live_routes(panels, curves), *routes])
    for locale in LOCALES:
        gr.mount_gradio_app(
            site,
            build_app(locale, services, tabs=tabs, panels=panels, curves=curves, way=way),
            f"/{locale}",
            server_name=settings.host,
            server_port=settings.port,
            theme=studio_theme(),
            footer_links=[],
            run_history=False,  # otherwise Gradio keeps every call, prompts included, in the browser
            ssr_mode=False,
            max_file_size=UPLOAD_LIMIT,
            mcp_server=False,
            pwa=False,
            show_error=True,
        )
    site.add_middleware(Page)
    return site


def build_app(
    locale: str,
    services: Any,
    *,
    tabs: Tabs,
    panels: Mapping[str, Panel] | None = None,
    curves: Curves | None = None,
    way: Way | None = None,
) -> gr.Blocks:
    """The page of one language."""
    panels = panels or {}
    with gr.Blocks(title=say(locale, "app.name"), analytics_enabled=False, fill_width=True) as app:
        with gr.Row(elem_classes=["masthead"]):
            html_block(_brand(locale), elem_classes=["brand-place"])
            if STATUS in panels:
                live_panel(STATUS, elem_classes=["status-place"])
            html_block(_switches(locale, way), elem_classes=["switches-place"])
        with gr.Tabs(elem_id="journey", overflow_behavior="wrap"):
            for key, build in tabs:
                side = "right" if key in APART else "left"
                tab = gr.Tab(say(locale, f"tabs.{key}"), id=key, alignment=side, elem_id=f"tab-{key}")
                with tab, gr.Column(elem_classes=["screen"]):
                    build(locale, services)
        register_endpoints(locale, panels, curves)
    hold(app, locale)
    return app


async def _choose_language(request: Request) -> RedirectResponse:
    locale = preferred_locale(request.headers.get("cookie", ""), request.headers.get("accept-language", ""))
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{locale}/{query}", status_code=307, headers={"vary": "cookie, accept-language"})


def _brand(locale: str) -> str:
    name, line = parts.escape(say(locale, "app.name")), parts.escape(say(locale, "app.line"))
    return f'<div class="brand"><img src="../assets/icon.svg" alt=""><h1>{name}</h1><span>{line}</span></div>'


def _switches(locale: str, way: Way | None) -> str:
    other = _OTHER[locale]
    door = "" if way is None else f'<a class="quiet" href="{way[0]}" data-door>{parts.escape(say(locale, way[1]))}</a>'
    language, theme = parts.escape(say(locale, "switch.language")), parts.escape(say(locale, "switch.theme"))
    return (
        f'<div class="switches">{door}<button type="button" class="quiet" data-theme-switch aria-label="{theme}"'
        f' title="{theme}"><span class="sun" aria-hidden="true"></span></button>'
        f'<a class="quiet" href="../{other}/" data-language-switch="{other}" lang="{other}" hreflang="{other}">'
        f"{language}</a></div>"
    )
