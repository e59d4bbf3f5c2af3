"""Making an export: of which run, what kind, in which precision, and how near to the base."""

from __future__ import annotations

from typing import Any, get_args

import gradio as gr

from studio.errors import StudioError
from studio.i18n import number, say
from studio.publish.companions import Dtype
from studio.publish.record import Kind
from studio.services import adapters, chat, exports, gguf, merging
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.handlers import guarded, inform
from studio.ui.widgets import LATEST, PLAIN, follow_choices, live_panel, pulse

KINDS: tuple[str, ...] = get_args(Kind)
DTYPES: tuple[str, ...] = get_args(Dtype)
CHOICES_SECONDS = 4.0


def build(locale: str, studio: Studio, curve: str) -> None:
    """The choices and the button; `curve` is the panel that draws the figures between run and base."""
    found = chat.adapted(studio)
    with gr.Row():
        run = gr.Dropdown(found, value=next(iter(found), None), label=say(locale, "publish.run"), interactive=True,
                          info=say(locale, "publish.run_info"), elem_id="publish-run",
                          elem_classes=["ltr"])  # fmt: skip
        kind = gr.Radio([(say(locale, f"publish.kind.{name}"), name) for name in KINDS], value=KINDS[0],
                        label=say(locale, "publish.kind"), info=say(locale, "publish.kind_info"),
                        elem_id="publish-kind")  # fmt: skip
    with gr.Accordion(say(locale, "knobs.advanced"), open=False, elem_id="publish-advanced"):
        with gr.Row():
            dtype = gr.Radio(list(DTYPES), value=DTYPES[0], label=say(locale, "publish.dtype"),
                             info=say(locale, "publish.dtype_info"), elem_id="publish-dtype")  # fmt: skip
            sort = gr.Dropdown(_sorts(locale, studio), value="q8_0", label=say(locale, "publish.gguf"),
                               info=say(locale, "publish.gguf_info"), interactive=True,
                               elem_id="publish-gguf")  # fmt: skip
        towards = gr.Slider(0, 0.9, 0, step=0.05, label=say(locale, "publish.towards"),
                            info=say(locale, "publish.towards_info"), elem_id="publish-towards")  # fmt: skip
        measure = gr.Button(say(locale, "publish.towards_measure"), elem_id="publish-measure")
        picture = live_panel(curve, next(iter(found), "") or "", elem_id="towards")
    name = gr.Textbox("", label=say(locale, "publish.name"), info=say(locale, "publish.name_info"),
                      elem_classes=["ltr"], elem_id="publish-name")  # fmt: skip
    make = gr.Button(say(locale, "publish.make"), variant="primary", elem_id="publish-make")

    def start(
        wanted: str | None, sort_of: Kind, precision: Dtype, quantised: str, share: float | None, folder: str
    ) -> None:
        if not wanted:
            raise StudioError("publish.no_run")
        out = exports.export_folder(studio, folder) if folder.strip() and sort_of != "gguf" else None
        if sort_of == "adapter":
            adapters.start_adapter(studio, wanted, out)
        elif sort_of == "gguf":
            gguf.start_gguf(studio, wanted, quantised)
        else:
            merging.start_merge(studio, wanted, out, dtype=precision, towards_base=float(share or 0))
        inform(locale, "publish.making", run=wanted)

    def measure_curve(wanted: str | None) -> str:
        if not wanted:
            raise StudioError("publish.no_run")
        merging.start_curve(studio, wanted)
        inform(locale, "publish.measuring", run=wanted)
        return wanted

    def refresh(held: str | None) -> dict[str, Any]:
        names = chat.adapted(studio)
        return follow_choices(names, held if held in names else next(iter(names), None), held)

    def named(sort_of: Kind) -> dict[str, Any]:
        return gr.update(visible=sort_of != "gguf")  # the kinds of one run stand side by side in a folder of their own

    kind.input(named, kind, name, api_name="export_kind", queue=False, show_progress="hidden",
               **LATEST)  # fmt: skip
    make.click(guarded(locale, start), [run, kind, dtype, sort, towards, name], None, api_name="export", **PLAIN)
    measure.click(guarded(locale, measure_curve), run, picture, api_name="towards_measure", **PLAIN)
    run.change(lambda wanted: wanted or "", run, picture, api_name="towards_of", queue=False,
               show_progress="hidden", **PLAIN)  # fmt: skip
    pulse(CHOICES_SECONDS).tick(
        refresh, run, run, api_name="export_choices", queue=False, show_progress="hidden", **PLAIN
    )


def _sorts(locale: str, studio: Studio) -> list[tuple[str, str]]:
    """The kinds of GGUF that can be made here, with their bits for each weight."""
    return [
        (say(locale, "publish.gguf_kind", kind=parts.named(each.name), bits=number(locale, each.bits, 1)), each.name)
        for each in gguf.kinds(studio)
        if each.available
    ]
