"""The settings tab: Hub login, what the workspace holds, what training costs, what is shared."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.i18n import bytes_text, say
from studio.password import is_open
from studio.services import account, sharing, start
from studio.services.studio import Studio
from studio.ui import parts, settings_prices
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.widgets import PLAIN, fresh_block, html_block, pulse

CHOICES_SECONDS = 4.0


def workspace_view(locale: str, studio: Studio) -> Markup:
    """Where everything is, and what it takes."""
    uses = account.disk_use(studio)
    rows = [(say(locale, f"settings.part.{use.part}"), bytes_text(locale, use.bytes)) for use in uses]
    free = (say(locale, "settings.workspace_free"), bytes_text(locale, start.device(studio).disk_free))
    body = parts.join([parts.code(studio.settings.workspace), parts.key_values([*rows, free])])
    return parts.card(say(locale, "settings.workspace"), body)


def login_view(locale: str, studio: Studio) -> Markup:
    """Whether a token is kept; never the token."""
    return parts.paragraph(
        say(locale, "settings.token_kept" if account.has_token(studio) else "settings.token_absent")
    )


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    html_block(parts.heading(say(locale, "settings.title")))
    with gr.Row():
        with gr.Column():
            html_block(parts.heading(say(locale, "settings.hub"), say(locale, "settings.hub_info")))
            state = fresh_block(lambda: login_view(locale, studio), api_name="token")
            token = gr.Textbox("", label=say(locale, "settings.token"), type="password", elem_classes=["ltr"])
            with gr.Row(elem_classes=["actions"]):
                save = gr.Button(say(locale, "settings.save_token"))
                login = gr.Button(say(locale, "settings.use_login"))
                forget = gr.Button(say(locale, "settings.forget"))
            html_block(parts.heading(say(locale, "settings.look"), say(locale, "settings.look_info")))
        with gr.Column():
            use = fresh_block(lambda: workspace_view(locale, studio), api_name="workspace")
            refresh = gr.Button(say(locale, "settings.refresh"), scale=0)
    settings_prices.build(locale, studio)
    _sharing(locale, studio)

    def keep(given: str) -> tuple[str, str]:
        account.set_token(studio, given)
        return login_view(locale, studio), ""

    def use_login() -> str:
        account.use_login(studio)
        return login_view(locale, studio)

    def drop() -> str:
        account.forget_token(studio)
        return login_view(locale, studio)

    save.click(guarded(locale, keep), token, [state, token], api_name="token_set")
    login.click(guarded(locale, use_login), None, state, api_name="token_from_login")
    forget.click(guarded(locale, drop), None, state, api_name="token_forget")
    refresh.click(lambda: workspace_view(locale, studio), None, use, api_name="disk_use", queue=False)


def _sharing(locale: str, studio: Studio) -> None:
    html_block(parts.heading(say(locale, "share.title"), say(locale, "share.lead")))
    if not is_open(studio.settings):
        html_block(parts.paragraph(say(locale, "share.nobody"), soft=True))
    now, can = sharing.shared(studio), sharing.shareable(studio)
    with gr.Row():
        models = gr.Dropdown(can.models, value=now.models, multiselect=True, label=say(locale, "share.models"),
                             interactive=True, elem_id="share-models")  # fmt: skip
        reports = gr.Dropdown(can.reports, value=now.reports, multiselect=True, label=say(locale, "share.reports"),
                              interactive=True, elem_id="share-reports")  # fmt: skip
    save = gr.Button(say(locale, "share.save"), scale=0, elem_id="share")

    def share(chosen_models: list[str] | None, chosen_reports: list[str] | None) -> None:
        found = sharing.share(studio, chosen_models or [], chosen_reports or [])
        inform(locale, "share.done", models=len(found.models), reports=len(found.reports))

    def refresh() -> tuple[dict[str, Any], dict[str, Any]]:
        found = sharing.shareable(studio)
        return gr.update(choices=found.models), gr.update(choices=found.reports)

    def held() -> tuple[dict[str, Any], dict[str, Any]]:
        shared, found = sharing.shared(studio), sharing.shareable(studio)
        return (
            gr.update(choices=found.models, value=shared.models),
            gr.update(choices=found.reports, value=shared.reports),
        )

    save.click(guarded(locale, share), [models, reports], None, api_name="share", **PLAIN)
    gr.on(None, guarded(locale, held), None, [models, reports], api_name="shared", queue=False, show_progress="hidden")
    pulse(CHOICES_SECONDS).tick(
        guarded(locale, refresh), None, [models, reports], api_name="shareable", queue=False, show_progress="hidden"
    )
