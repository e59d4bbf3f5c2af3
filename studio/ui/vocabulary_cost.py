"""What Persian costs under a model's own tokenizer, next to English, and what the chosen texts say before learning."""

from __future__ import annotations

from collections.abc import Sequence

from studio.errors import StudioError
from studio.i18n import explain, number, say
from studio.jobs.store import ENDED
from studio.services import datasets, expansion, jobs, tokenizer
from studio.services.studio import Studio
from studio.tokenizer.fertility import Fertility, Piece
from studio.ui import parts
from studio.ui.parts import Markup
from studio.ui.plots import Spec, bars

COLUMNS = ("text", "tokens_per_word", "characters_per_token", "bytes_per_token", "continued")
COMPARED = ("model", "vocabulary", "persian", "english", "parity", "characters_per_token")


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
            (percent(locale, cost.persian.continued_word_share), say(locale, "vocabulary.cut"), ""),
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
        percent(locale, found.continued_word_share),
    ]


def percent(locale: str, share: float, digits: int = 0) -> str:
    """A share of 0 to 1 in percent."""
    return say(locale, "progress.percent", percent=number(locale, 100 * share, digits))


def sentence_chips(pieces: Sequence[Piece], marked: Sequence[bool] | None = None) -> Markup:
    """The pieces of a sentence in reading order: from the right when most of it is Persian."""
    persian = sum("\u0600" <= letter <= "\u06ff" for piece in pieces for letter in piece.text)
    letters = sum(letter.isalpha() for piece in pieces for letter in piece.text) or 1
    return parts.chips([piece.label for piece in pieces], rtl=persian * 2 >= letters, marked=marked)


def sentence_view(locale: str, found: Fertility, pieces: list[Piece]) -> Markup:
    """The sentence as chips, and how many there are."""
    note = say(locale, "vocabulary.pieces_note", tokens=found.tokens, words=found.words)
    body = parts.join([sentence_chips(pieces), parts.paragraph(note, soft=True)])
    return parts.card(say(locale, "vocabulary.pieces"), body)


def measured_view(locale: str, studio: Studio, model: str, sentence: str, corpus: Sequence[str]) -> Markup:
    """Everything measured of a base; one that is not here yet has an empty state that says how to get it."""
    try:
        found, pieces = tokenizer.of_sentence(studio, model, sentence)
    except StudioError as error:
        if error.code != "model.not_fetched":
            raise
        title, body = say(locale, "vocabulary.empty_title"), say(locale, "vocabulary.empty_body")
        return parts.empty_state(title, body, example=explain(locale, error))
    others = [(say(locale, "vocabulary.row.sentence"), found)]
    for name in corpus:
        if datasets.exists(studio, name) or name not in datasets.starter_names():
            others.append((name, tokenizer.of_dataset(studio, model, name)))
    cost = tokenizer.against_english(studio, model)
    return parts.join([sentence_view(locale, found, pieces), cost_view(locale, cost, others)])


def base_view(locale: str, studio: Studio, model: str) -> Markup:
    """Why a base cannot be extended, or that it has to be fetched first; nothing where all is well."""
    error = expansion.refusal(studio, model) if model else None
    if error is None:
        return Markup("")
    if error.code.startswith("vocabulary."):
        return parts.banner(say(locale, "vocabulary.refused"), explain(locale, error), tone="warn")
    if error.code != "model.not_fetched":
        return parts.error_banner(locale, error)
    for job in jobs.listing(studio, active_only=True):
        if job.kind == "fetch" and job.arguments["model"] == model and job.state not in ENDED:
            return parts.progress_bar(job.progress, jobs.note(locale, job), locale=locale, eta_seconds=job.eta_seconds)
    return parts.banner(say(locale, "vocabulary.empty_title"), say(locale, "vocabulary.empty_body"))


def needs_fetching(studio: Studio, model: str) -> bool:
    """Whether a base could be used once it is fetched."""
    error = expansion.refusal(studio, model) if model else None
    return error is not None and error.code == "model.not_fetched"


def letters_view(locale: str, studio: Studio, model: str, corpus: Sequence[str]) -> Markup:
    """What Arabic ي and ك in the chosen texts cost; nothing where there are hardly any."""
    if expansion.refusal(studio, model) is not None:  # another part of the page says why
        return Markup("")
    found = expansion.arabic_letters(studio, model, corpus)
    if found is None:
        return Markup("")
    body = say(
        locale,
        "vocabulary.letters" if found.saving >= 0.001 else "vocabulary.letters_same",
        share=percent(locale, found.share),
        before=number(locale, found.before, 2),
        after=number(locale, found.after, 2),
        saving=percent(locale, found.saving, 1),
    )
    return parts.banner(say(locale, "vocabulary.letters_title"), body, tone="warn")


def compared_view(locale: str, studio: Studio, models: Sequence[str]) -> tuple[Markup, Spec]:
    """A table of several bases on the studio's stories, and its bars."""
    found = expansion.compare(studio, models)
    rows = [
        [
            parts.code(each.cost.model),
            number(locale, each.vocabulary),
            number(locale, each.cost.persian.tokens_per_word, 2),
            number(locale, each.cost.english.tokens_per_word, 2),
            number(locale, each.cost.parity, 2),
            number(locale, each.cost.persian.characters_per_token, 2),
        ]
        for each in found
    ]
    headers = [say(locale, f"vocabulary.compared.{name}") for name in COMPARED]
    table = parts.table(rows, headers, rtl=locale == "fa", numeric=range(1, len(COMPARED)))
    sizes = {each.cost.model: round(each.cost.persian.tokens_per_word, 2) for each in found}
    title = say(locale, "vocabulary.compared.persian")
    return table, bars(sizes, title=title, x=title, sideways=True)
