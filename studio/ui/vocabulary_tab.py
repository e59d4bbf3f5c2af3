"""The vocabulary tab: what Persian costs a model, learning new tokens for it, choosing how many, comparing bases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import say
from studio.services import datasets, jobs, models, vocabulary
from studio.services.studio import Studio
from studio.ui import parts, vocabulary_size, vocabulary_starts
from studio.ui.handlers import guarded, inform
from studio.ui.plots import figure_html
from studio.ui.vocabulary_cost import base_view, compared_view, letters_view, measured_view, needs_fetching
from studio.ui.vocabulary_views import active_job, learning_view
from studio.ui.widgets import PLAIN, follow_choices, html_block, live_panel, pulse

BASE, LEARNING = "vocabulary_base", "learning"
CHOICES_SECONDS = 4.0
SIZE = 20_000
SCRIPT = "arabic"


@dataclass(frozen=True, slots=True)
class Given:
    """What a user chooses at the top: the base, texts and a sentence; and the button that fetches the base."""

    model: gr.Dropdown
    corpus: gr.Dropdown
    sentence: gr.Textbox
    fetch: gr.Button


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {
        BASE: lambda locale, model: base_view(locale, studio, model),
        LEARNING: lambda locale, _: learning_view(locale, studio),
        vocabulary_starts.PANEL: lambda locale, name: vocabulary_starts.starts_view(locale, studio, name),
    }


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    given = _measure_part(locale, studio)
    learn, stop, coming = _learn_part(locale, studio, given)
    with gr.Column(visible=False) as explored:
        shown = vocabulary_size.build(locale, studio, given.sentence, learn)
        keeping, stop_rows = vocabulary_starts.build(locale, studio, shown.choice)
    with gr.Accordion(say(locale, "vocabulary.compare_title"), open=False):
        _compare_part(locale, studio)

    def refresh(model: str | None, chosen: str | None, awaited: str | None) -> list[Any]:
        names = vocabulary_size.names(studio)
        value = awaited if awaited in names else chosen if chosen in names else next(iter(names), None)
        return [
            gr.update(choices=models.choices(studio)),
            gr.update(visible=needs_fetching(studio, model or "")),
            gr.update(choices=_texts(studio)),
            follow_choices(names, value, chosen),
            # A look that began before a button was pressed must not take away what the button said is coming.
            "" if awaited and awaited in names else gr.skip(),
            gr.update(visible=bool(names)),
            gr.update(visible=active_job(studio, vocabulary.KIND) is not None),
            vocabulary_starts.stop_update(studio),
            vocabulary_starts.keep_update(studio, value),
        ]

    pulse(CHOICES_SECONDS).tick(
        refresh, [given.model, shown.choice, coming],
        [given.model, given.fetch, given.corpus, shown.choice, coming, explored, stop, stop_rows, keeping],
        api_name="vocabulary_choices", queue=False, show_progress="hidden", **PLAIN,
    )  # fmt: skip


def _texts(studio: Studio) -> list[str]:
    """Datasets of the workspace, and the studio's own texts, which are imported when they are needed."""
    stored = [manifest.name for manifest in datasets.listing(studio)]
    return list(dict.fromkeys([*stored, *datasets.starter_names()]))


def _measure_part(locale: str, studio: Studio) -> Given:
    html_block(parts.heading(say(locale, "vocabulary.title"), say(locale, "vocabulary.lead")))
    bases = models.choices(studio)
    with gr.Row():
        model = gr.Dropdown(
            bases,
            label=say(locale, "vocabulary.model"),
            info=say(locale, "vocabulary.model_info"),
            allow_custom_value=True,
            interactive=True,
            elem_id="base",
        )
        corpus = gr.Dropdown(
            _texts(studio), value=[], label=say(locale, "vocabulary.corpus"),
            info=say(locale, "vocabulary.corpus_info"), multiselect=True, interactive=True, elem_id="corpus",
        )  # fmt: skip
    sentence = gr.Textbox(
        say(locale, "vocabulary.example"), label=say(locale, "vocabulary.sentence"), lines=2, elem_id="sentence"
    )
    with gr.Row(elem_classes=["actions"]):
        button = gr.Button(say(locale, "vocabulary.measure"), elem_id="measure")
        fetch_button = gr.Button(
            say(locale, "vocabulary.fetch"), elem_id="vocabulary-fetch", visible=needs_fetching(studio, bases[0])
        )
    base = live_panel(BASE, bases[0], elem_id="base-state")
    letters = html_block(elem_id="letters")
    shown = html_block(elem_id="cost")
    given = Given(model, corpus, sentence, fetch_button)
    _measure_events(locale, studio, given, button, base, letters, shown)
    return given


def _measure_events(
    locale: str, studio: Studio, given: Given, button: gr.Button, base: gr.HTML, letters: gr.HTML, shown: gr.HTML
) -> None:
    def measure(reference: str, text: str, names: list[str] | str | None) -> str:
        return measured_view(locale, studio, reference, text, _listed(names))

    def fetch(reference: str) -> None:
        models.start_fetch(studio, reference)
        inform(locale, "models.fetching", model=reference)

    def look(reference: str, names: list[str] | str | None) -> str:
        return letters_view(locale, studio, reference, _listed(names))

    def follow(reference: str | None) -> str:
        return reference or ""

    model, corpus, sentence = given.model, given.corpus, given.sentence
    gr.on([button.click, sentence.submit], guarded(locale, measure), [model, sentence, corpus], shown,
          api_name="fertility", **PLAIN)  # fmt: skip
    given.fetch.click(guarded(locale, fetch), model, None, api_name="vocabulary_fetch", **PLAIN)
    model.change(follow, model, base, api_name="vocabulary_base_of", queue=False, **PLAIN)
    gr.on([model.change, corpus.change], guarded(locale, look), [model, corpus], letters,
          api_name="vocabulary_letters", show_progress="hidden", **PLAIN)  # fmt: skip


def _listed(names: list[str] | str | None) -> list[str]:
    return [names] if isinstance(names, str) and names else list(names or [])


def _learn_part(locale: str, studio: Studio, given: Given) -> tuple[gr.Button, gr.Button, gr.Textbox]:
    """Learning; returns its button, the one that stops it, and what holds the name that is being learned."""
    html_block(parts.heading(say(locale, "vocabulary.learn_title"), say(locale, "vocabulary.learn_lead")))
    name = gr.Textbox(
        "", label=say(locale, "vocabulary.name"), info=say(locale, "vocabulary.name_info"), elem_classes=["ltr"],
        elem_id="vocabulary-name", placeholder=vocabulary.free_name(studio, models.choices(studio)[0]),
    )  # fmt: skip
    with gr.Accordion(say(locale, "knobs.advanced"), open=False), gr.Row():
        size = gr.Number(
            SIZE, label=say(locale, "vocabulary.size"), info=say(locale, "vocabulary.size_info"), precision=0,
            minimum=1, elem_id="vocabulary-size",
        )  # fmt: skip
        script = gr.Textbox(
            SCRIPT, label=say(locale, "vocabulary.script"), info=say(locale, "vocabulary.script_info"),
            elem_classes=["ltr"],
        )  # fmt: skip
    with gr.Row(elem_classes=["actions"]):
        button = gr.Button(say(locale, "vocabulary.learn"), variant="primary", elem_id="learn")
        stop = gr.Button(say(locale, "train.stop"), variant="stop", visible=False, elem_id="learn-stop")
    live_panel(LEARNING, elem_id="learning")
    coming = gr.Textbox("", visible=False)
    _learn_events(locale, studio, given, [name, size, script], button, stop, coming)
    return button, stop, coming


def _learn_events(
    locale: str, studio: Studio, given: Given, knobs: list[Any], button: gr.Button, stop: gr.Button, coming: gr.Textbox
) -> None:
    def begin(model: str, names: list[str] | str | None, chosen: str, pieces: float, written: str) -> list[Any]:
        job = vocabulary.learn_here(
            studio, model, _listed(names), int(pieces or 0), chosen or "", script=(written or "").strip() or SCRIPT
        )
        inform(locale, "vocabulary.started", name=job.title)
        next_name = gr.update(value="", placeholder=vocabulary.free_name(studio, model))
        return [job.title, next_name, gr.update(visible=True)]

    def halt() -> None:
        job = active_job(studio, vocabulary.KIND)
        if job is None:
            raise StudioError("vocabulary.nothing_runs")
        jobs.stop(studio, job.id)
        inform(locale, "vocabulary.stopping")

    def suggest(model: str | None) -> dict[str, Any]:
        return gr.update(placeholder=vocabulary.free_name(studio, model or ""))

    name = knobs[0]
    asked = [given.model, given.corpus, *knobs]
    button.click(guarded(locale, begin), asked, [coming, name, stop], api_name="vocabulary_learn", **PLAIN)
    stop.click(guarded(locale, halt), None, None, api_name="vocabulary_stop", **PLAIN)
    given.model.change(suggest, given.model, name, api_name="vocabulary_name", queue=False,
                       show_progress="hidden", **PLAIN)  # fmt: skip


def _compare_part(locale: str, studio: Studio) -> None:
    html_block(parts.paragraph(say(locale, "vocabulary.compare_lead"), soft=True))
    chosen = gr.Dropdown(
        models.choices(studio), value=[], label=say(locale, "vocabulary.compare_models"), multiselect=True,
        interactive=True, allow_custom_value=True, elem_id="compared-models",
    )  # fmt: skip
    with gr.Row(elem_classes=["actions"]):
        button = gr.Button(say(locale, "vocabulary.compare"), elem_id="compare")
    table = html_block(elem_id="compared")
    picture = figure_html(locale, elem_id="compared-plot", visible=False)

    def compare(names: list[str] | str | None) -> tuple[str, dict[str, Any]]:
        shown, spec = compared_view(locale, studio, _listed(names) or models.fetched(studio))
        return shown, gr.update(value=spec, visible=True)

    button.click(guarded(locale, compare), chosen, [table, picture], api_name="vocabulary_compare", **PLAIN)
