"""Where an export goes: the name on the Hub, what would be sent, what its licences ask for, and the sending."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import say
from studio.services import publishing
from studio.services.studio import Studio
from studio.ui import publish_views
from studio.ui.handlers import guarded, inform
from studio.ui.widgets import PLAIN, html_block


def build(locale: str, studio: Studio, choice: gr.Dropdown) -> None:
    """The section."""
    with gr.Row():
        repo = gr.Textbox("", label=say(locale, "publish.repo"), info=say(locale, "publish.repo_info"),
                          placeholder="org/name", elem_id="publish-repo", elem_classes=["ltr"])  # fmt: skip
        message = gr.Textbox("", label=say(locale, "publish.message"), info=say(locale, "publish.message_info"),
                             elem_id="publish-message")  # fmt: skip
    private = gr.Checkbox(True, label=say(locale, "publish.private"), info=say(locale, "publish.private_info"),
                          elem_id="publish-private")  # fmt: skip
    look = gr.Button(say(locale, "publish.look"), elem_id="publish-look")
    plan = html_block("", elem_id="publish-plan")
    accept = gr.Checkbox(False, label=say(locale, "publish.accept"), info=say(locale, "publish.accept_info"),
                         elem_id="publish-accept")  # fmt: skip
    send = gr.Button(say(locale, "publish.send"), elem_id="publish-send")

    def show(name: str | None, target: str, hidden: bool) -> tuple[str, dict[str, Any]]:
        found = publishing.plan(studio, _chosen(name), target.strip(), private=bool(hidden))
        ready = "secondary" if found.problems else "primary"  # the next sensible step is the brightest button
        return publish_views.plan_view(locale, found), gr.update(variant=ready)

    def publish(name: str | None, target: str, note: str, hidden: bool, accepted: bool) -> None:
        publishing.start_publish(
            studio, _chosen(name), target.strip(), private=bool(hidden), message=note.strip(),
            accept_licence=bool(accepted),
        )  # fmt: skip
        inform(locale, "publish.sending", repo=target.strip())

    look.click(guarded(locale, show), [choice, repo, private], [plan, send], api_name="publish_plan", **PLAIN)
    send.click(guarded(locale, publish), [choice, repo, message, private, accept], None, api_name="publish", **PLAIN)


def _chosen(name: str | None) -> str:
    if not name:
        raise StudioError("publish.no_export")
    return name
