"""How many new tokens: a learned vocabulary, a slider over its sizes, and what each size is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.i18n import say
from studio.services import expansion, vocabulary
from studio.services.studio import Studio
from studio.ui import parts, vocabulary_views
from studio.ui.handlers import guarded, inform
from studio.ui.plots import figure_html
from studio.ui.widgets import PLAIN, html_block


@dataclass(frozen=True, slots=True)
class Shown:
    """The components of the section, in the order of the page."""

    choice: gr.Dropdown
    advice: gr.HTML
    slider: gr.Slider
    figures: gr.HTML
    curve: gr.HTML
    chips: gr.HTML
    behind: gr.HTML
    english: gr.HTML
    tokens: gr.HTML

    @property
    def at_a_size(self) -> list[Any]:
        """What changes with every move of the slider."""
        return [self.figures, self.curve, self.chips, self.behind, self.english]


def names(studio: Studio) -> list[str]:
    """The vocabularies that have an order, newest first."""
    return [name for name, found in vocabulary.listing(studio) if found.method == "continued"]


def build(locale: str, studio: Studio, sentence: gr.Textbox, learn: gr.Button) -> Shown:
    """The section; `learn` steps back behind the button that takes a size."""
    html_block(parts.heading(say(locale, "vocabulary.size_title"), say(locale, "vocabulary.size_lead")))
    with gr.Row(elem_classes=["toolbar"]):
        choice = gr.Dropdown([], label=say(locale, "vocabulary.choice"), interactive=True, elem_id="vocabulary-choice")
        delete = gr.Button(say(locale, "vocabulary.delete"), variant="stop", scale=0, elem_id="vocabulary-delete")
        sure = gr.Button(say(locale, "vocabulary.delete"), variant="stop", scale=0, visible=False,
                         elem_id="vocabulary-delete-sure")  # fmt: skip
    advice = html_block(elem_id="advice")
    slider = gr.Slider(0, 1, value=0, step=1, label=say(locale, "vocabulary.new_tokens"), interactive=True,
                       buttons=[], elem_id="size")  # fmt: skip
    figures = html_block(elem_id="size-figures")
    with gr.Row(elem_classes=["actions"]):
        use = gr.Button(say(locale, "vocabulary.use"), elem_id="use-size")
        measure = gr.Button(say(locale, "vocabulary.english_measure"), elem_id="english-measure")
    english = html_block(elem_id="english")
    curve = figure_html(locale, elem_id="curve", visible=False)
    chips = html_block(elem_id="size-chips")
    behind = html_block(elem_id="size-behind")
    with gr.Accordion(say(locale, "vocabulary.tokens_title"), open=False, elem_id="tokens-part"):
        search = gr.Textbox("", label=say(locale, "vocabulary.search"), elem_id="token-search")
        tokens = html_block(elem_id="tokens")
    shown = Shown(choice, advice, slider, figures, curve, chips, behind, english, tokens)
    _show_events(locale, studio, shown, sentence, use, learn, measure)
    _move_events(locale, studio, shown, sentence, search)
    _change_events(locale, studio, shown, use, delete, sure)
    return shown


def moved(locale: str, studio: Studio, view: expansion.View, sentence: str) -> list[Any]:
    """What the slider's move to a size shows, in the order of `Shown.at_a_size`."""
    return [
        vocabulary_views.figures_view(locale, view),
        gr.update(value=vocabulary_views.curve_spec(locale, view), visible=True),
        vocabulary_views.chips_view(locale, studio, view, sentence or ""),
        vocabulary_views.behind_view(locale, view),
        vocabulary_views.english_view(locale, studio, view, measure=False),
    ]


_QUIET: dict[str, Any] = {**PLAIN, "show_progress": "hidden"}


def _show_events(
    locale: str, studio: Studio, shown: Shown, sentence: gr.Textbox, use: gr.Button, learn: gr.Button,
    measure: gr.Button,
) -> None:  # fmt: skip
    def show(name: str | None, text: str) -> list[Any]:
        if not name:
            return [gr.update()] * (3 + len(shown.at_a_size)) + [gr.update(variant="primary")]
        view = expansion.view(studio, name)
        slider = gr.update(maximum=max(1, view.vocabulary.added), value=view.figures.size)
        taking = gr.update(variant="primary" if view.advice else "secondary")
        figures = moved(locale, studio, view, text)
        advice = vocabulary_views.advice_view(locale, view)
        return [advice, slider, *figures, taking, gr.update(variant="secondary")]

    def prove(name: str | None, size: float) -> str:
        if not name:
            return ""
        view = expansion.view(studio, name, int(size or 0))
        return vocabulary_views.english_view(locale, studio, view, measure=True)

    at_size = [shown.choice, shown.slider]
    chosen = shown.choice.change(
        guarded(locale, show), [shown.choice, sentence],
        [shown.advice, shown.slider, *shown.at_a_size, use, learn], api_name="vocabulary_show", **_QUIET,
    )  # fmt: skip
    chosen.then(guarded(locale, prove), at_size, shown.english, api_name="vocabulary_english_first",
                trigger_mode="always_last", **_QUIET)  # fmt: skip
    gr.on([shown.slider.release, measure.click], guarded(locale, prove), at_size, shown.english,
          api_name="vocabulary_english", trigger_mode="always_last", **_QUIET)  # fmt: skip


def _move_events(locale: str, studio: Studio, shown: Shown, sentence: gr.Textbox, search: gr.Textbox) -> None:
    def move(name: str | None, size: float, text: str) -> list[Any]:
        if not name:
            return [gr.update()] * len(shown.at_a_size)
        return moved(locale, studio, expansion.view(studio, name, int(size or 0)), text)

    def find(name: str | None, size: float, wanted: str) -> str:
        if not name:
            return ""
        view = expansion.view(studio, name, int(size or 0))
        return vocabulary_views.tokens_view(locale, studio, view, wanted or "")

    at_size = [shown.choice, shown.slider]
    gr.on(
        [shown.slider.input, sentence.change], guarded(locale, move), [*at_size, sentence], shown.at_a_size,
        api_name="vocabulary_size", trigger_mode="always_last", queue=False, **_QUIET,
    )  # fmt: skip
    # The list is written by this event alone: the answer to an earlier move would undo what was searched for since.
    gr.on(
        [shown.choice.change, shown.slider.change, search.input, search.submit], guarded(locale, find),
        [*at_size, search], shown.tokens, api_name="vocabulary_tokens", trigger_mode="always_last", **_QUIET,
    )  # fmt: skip


def _change_events(
    locale: str, studio: Studio, shown: Shown, use: gr.Button, delete: gr.Button, sure: gr.Button
) -> None:
    def take(name: str | None, size: float) -> dict[str, Any]:
        taken = vocabulary.keep_size(studio, name or "", int(size or 0))
        inform(locale, "vocabulary.used", name=taken)
        return gr.update(choices=names(studio), value=taken)

    def ask(name: str | None) -> dict[str, Any]:
        vocabulary.folder_of(studio, name or "")
        return gr.update(visible=True, value=say(locale, "vocabulary.delete_sure", name=name))

    def remove(name: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        vocabulary.delete(studio, name or "")
        inform(locale, "vocabulary.deleted", name=name)
        left = names(studio)
        return gr.update(choices=left, value=next(iter(left), None)), gr.update(visible=False)

    use.click(guarded(locale, take), [shown.choice, shown.slider], shown.choice, api_name="vocabulary_use", **PLAIN)

    # In the browser, at once: an answer of ours that came late would take away a question asked meanwhile.
    shown.choice.change(
        None, None, sure, js="() => ({__type__: 'update', visible: false})", api_name="vocabulary_keep"
    )
    delete.click(guarded(locale, ask), shown.choice, sure, api_name="vocabulary_delete", **PLAIN)
    sure.click(guarded(locale, remove), shown.choice, [shown.choice, sure], api_name="vocabulary_delete_sure", **PLAIN)
