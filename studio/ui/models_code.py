"""The switch for models that bring Python files of their own: what they are, what running them means, yes or no."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.i18n import say
from studio.models.foreign_code import ForeignCode
from studio.services import trust
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.widgets import PLAIN, html_block


def code_view(locale: str, found: ForeignCode) -> Markup:
    """The files with their hashes, and whether they may run."""
    state = "trusted" if found.trusted else "off"
    banner = parts.banner(
        say(locale, f"code.{state}"), say(locale, f"code.{state}_note"), tone="warn" if found.trusted else "good"
    )
    return parts.join([banner, parts.key_values([(name, parts.code(digest)) for name, digest in found.files.items()])])


def build(locale: str, studio: Studio) -> None:
    """The part, closed until somebody looks for it."""
    with gr.Accordion(say(locale, "code.title"), open=False, elem_id="code-part"):
        html_block(parts.paragraph(say(locale, "code.lead"), soft=True))
        model = gr.Dropdown(
            trust.candidates(studio), value=None, label=say(locale, "code.model"), info=say(locale, "code.model_info"),
            allow_custom_value=True, interactive=True, elem_classes=["ltr"], elem_id="code-model",
        )  # fmt: skip
        look = gr.Button(say(locale, "code.look"), elem_id="code-look")
        files = html_block(elem_id="code-files")
        with gr.Row(elem_classes=["actions"]):
            allow = gr.Button(say(locale, "code.allow"), variant="stop", visible=False, elem_id="code-allow")
            forbid = gr.Button(say(locale, "code.forbid"), visible=False, elem_id="code-forbid")

    def shown(found: ForeignCode) -> list[Any]:
        return [
            code_view(locale, found),
            gr.update(visible=not found.trusted),
            gr.update(visible=found.trusted),
        ]

    def see(wanted: str | None) -> list[Any]:
        return shown(trust.look(studio, (wanted or "").strip()))

    def permit(wanted: str | None) -> list[Any]:
        found = shown(trust.trust(studio, (wanted or "").strip()))
        inform(locale, "code.allowed", model=wanted)
        return found

    def withdraw(wanted: str | None) -> list[Any]:
        trust.distrust(studio, (wanted or "").strip())
        inform(locale, "code.forbidden", model=wanted)
        return see(wanted)

    shown_in = [files, allow, forbid]
    look.click(guarded(locale, see), model, shown_in, api_name="code_look", **PLAIN)
    allow.click(guarded(locale, permit), model, shown_in, api_name="code_allow", **PLAIN)
    forbid.click(guarded(locale, withdraw), model, shown_in, api_name="code_forbid", **PLAIN)
    # Another name: what is shown is no longer what would be allowed.
    model.input(lambda: ["", gr.update(visible=False), gr.update(visible=False)], None, shown_in,
                api_name="code_other", queue=False, show_progress="hidden", **PLAIN)  # fmt: skip
