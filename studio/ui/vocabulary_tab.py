"""The vocabulary tab: what Persian costs under a model's tokenizer, next to English."""

from __future__ import annotations

import gradio as gr

from studio.errors import StudioError
from studio.i18n import explain, number, say
from studio.services import datasets, models, tokenizer
from studio.services.studio import Studio
from studio.tokenizer.fertility import Fertility, Piece
from studio.ui import parts
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.widgets import PLAIN, html_block, pulse

CHOICES_SECONDS = 4.0
COLUMNS = ("text", "tokens_per_word", "characters_per_token", "bytes_per_token", "continued")


def cost_view(locale: str, cost: tokenizer.Cost, others: list[tuple[str, Fertility]]) -> Markup:
    """Three figures, and the table of Persian next to English and the user's own texts."""
    figures = parts.figures(
        [
            (number(locale, cost.persian.tokens_per_word, 2), say(locale, "vocabulary.fertility"), ""),
            (
                number(locale, cost.parity, 2),
                say(locale, "vocabulary.parity"),
                say(locale, "vocabulary.parity_note"),
            ),
            (_share(locale, cost.persian.continued_word_share), say(locale, "vocabulary.cut"), ""),
        ]
    )
    rows = [
        _row(locale, say(locale, "vocabulary.row.persian"), cost.persian),
        _row(locale, say(locale, "vocabulary.row.english"), cost.english),
        *[_row(locale, label, found) for label, found in others],
    ]
    headers = [say(locale, f"vocabulary.column.{name}") for name in COLUMNS]
    table = parts.table(rows, headers, rtl=locale == "fa", numeric=range(1, len(COLUMNS)))
    note = parts.paragraph(say(locale, "vocabulary.table_note"), soft=True)
    return parts.join([figures, parts.card(say(locale, "vocabulary.table"), parts.join([table, note]))])


def _row(locale: str, label: str, found: Fertility) -> list[object]:
    return [
        label,
        number(locale, found.tokens_per_word, 2),
        number(locale, found.characters_per_token, 2),
        number(locale, found.bytes_per_token, 2),
        _share(locale, found.continued_word_share),
    ]


def _share(locale: str, share: float) -> str:
    return say(locale, "progress.percent", percent=number(locale, round(100 * share)))


def sentence_view(locale: str, found: Fertility, pieces: list[Piece]) -> Markup:
    """The sentence as chips in reading order: from the right when most of it is Persian."""
    persian = sum("\u0600" <= letter <= "\u06ff" for piece in pieces for letter in piece.text)
    letters = sum(letter.isalpha() for piece in pieces for letter in piece.text) or 1
    chips = parts.chips([piece.label for piece in pieces], rtl=persian * 2 >= letters)
    note = say(locale, "vocabulary.pieces_note", tokens=found.tokens, words=found.words)
    return parts.card(say(locale, "vocabulary.pieces"), parts.join([chips, parts.paragraph(note, soft=True)]))


def measured_view(locale: str, studio: Studio, model: str, sentence: str, dataset: str) -> Markup:
    """Everything the tab shows; a model that is not here yet has an empty state that says how to get it."""
    try:
        found, pieces = tokenizer.of_sentence(studio, model, sentence)
    except StudioError as error:
        if error.code != "model.not_fetched":
            raise
        title, body = say(locale, "vocabulary.empty_title"), say(locale, "vocabulary.empty_body")
        return parts.empty_state(title, body, example=explain(locale, error))
    others = [(say(locale, "vocabulary.row.sentence"), found)]
    if dataset:
        others.append((dataset, tokenizer.of_dataset(studio, model, dataset)))
    cost = tokenizer.against_english(studio, model)
    return parts.join([sentence_view(locale, found, pieces), cost_view(locale, cost, others)])


def build(locale: str, studio: Studio) -> None:
    """The screen."""

    def dataset_choices() -> list[tuple[str, str]]:
        none = (say(locale, "vocabulary.no_dataset"), "")
        return [none, *[(manifest.name, manifest.name) for manifest in datasets.listing(studio)]]

    def measure(model: str, sentence: str, dataset: str) -> str:
        return measured_view(locale, studio, model, sentence, dataset)

    def refresh(model: str, dataset: str) -> tuple[dict[str, object], dict[str, object]]:
        found = dataset_choices()
        kept = dataset if dataset in [value for _, value in found] else ""
        return gr.update(choices=models.choices(studio), value=model), gr.update(choices=found, value=kept)

    def fetch(model: str) -> None:
        models.start_fetch(studio, model)
        inform(locale, "models.fetching", model=model)

    html_block(parts.heading(say(locale, "vocabulary.title"), say(locale, "vocabulary.lead")))
    with gr.Row():
        model = gr.Dropdown(
            models.choices(studio), label=say(locale, "vocabulary.model"), allow_custom_value=True, interactive=True
        )
        dataset = gr.Dropdown(dataset_choices(), value="", label=say(locale, "vocabulary.dataset"), interactive=True)
    sentence = gr.Textbox(
        say(locale, "vocabulary.example"), label=say(locale, "vocabulary.sentence"), lines=2,
        elem_id="sentence",
    )  # fmt: skip
    with gr.Row():
        button = gr.Button(say(locale, "vocabulary.measure"), variant="primary", elem_id="measure")
        fetch_button = gr.Button(say(locale, "models.fetch"), scale=0)
    shown = html_block(elem_id="cost")
    given = [model, sentence, dataset]
    gr.on([button.click, sentence.submit], guarded(locale, measure), given, shown, api_name="fertility", **PLAIN)
    fetch_button.click(guarded(locale, fetch), model, None, api_name="vocabulary_fetch", **PLAIN)
    pulse(CHOICES_SECONDS).tick(
        refresh,
        [model, dataset],
        [model, dataset],
        api_name="vocabulary_choices",
        queue=False,
        show_progress="hidden",
        **PLAIN,
    )
