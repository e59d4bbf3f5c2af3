"""The rules of cleaning: each keeps a piece of text or drops it, and is its own reason; presets say which apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from studio.data.cleaning import pieces, repetition, sides, sieves
from studio.data.cleaning.crowd import Spans
from studio.data.cleaning.pieces import Piece
from studio.data.language import THRESHOLD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Unit = Literal["sentence", "line", "document", "chat", "pair"]
Preset = Literal["llama_persian", "documents", "chats", "pairs"]
Check = Callable[[Piece, float], bool]
Sieve = Callable[[Spans, float], "NDArray[np.bool_]"]

CONTAMINATION_WORDS = 8
NEAR = 0.8


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to drop a piece.

    Attributes:
        name: The reason in ledgers, a key under ``clean.rules``.
        unit: What is dropped as a whole.
        check: Whether a piece is dropped under a value; None where other pieces decide (`studio.data.cleaning.dedup`).
        value: The threshold unless the user sets another: a whole number, a share up to 1, or a factor above 1; None
            for a rule that has none.
        sieve: Which of many pieces `check` may drop, so that it need not look at the others; None for all.
        exact: Whether the sieve holds just those that `check` drops, so that it need not look at any.
        on: Whether it drops unless the user says so.
    """

    name: str
    unit: Unit
    check: Check | None = None
    value: float | None = None
    sieve: Sieve | None = None
    exact: bool = False
    on: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """A preset: the rules of whole documents, then those of the units inside them, in the order in which they drop.

    `unit` is what documents are cut into; of the turns of a chat and the sides of a pair none is dropped alone.
    """

    documents: tuple[Rule, ...]
    units: tuple[Rule, ...]
    unit: Literal["sentence", "line", "turn", "side"]

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self.documents + self.units


def _across(unit: Unit) -> tuple[Rule, ...]:
    # These look beyond one document: at evaluation texts, at all documents before.
    return (
        Rule("contamination", unit, None, CONTAMINATION_WORDS),
        Rule("duplicates", unit),
        Rule("near_duplicates", unit, None, NEAR),
    )


PLANS: dict[Preset, Plan] = {
    # Llama-Persian (arXiv 2412.13375): sentences go, what is left of a document stays.
    "llama_persian": Plan(
        (Rule("empty", "document", pieces.is_empty, None, sieves.empty, True), *_across("document")),
        (
            Rule("few_words", "sentence", pieces.has_few_words, 5, sieves.few_words, True),
            Rule("boilerplate", "sentence", pieces.has_boilerplate, None, sieves.phrases),
            Rule("code", "sentence", pieces.has_code, None, sieves.code, True),
            Rule("language", "sentence", pieces.is_other_language, THRESHOLD, sieves.other_language),
            Rule("seen", "sentence"),
        ),
        "sentence",
    ),
    # FineWeb-2, configs/fas_Arab.yml; its 0.85 for the language is GlotLID's, which is another scale.
    "documents": Plan(
        (
            Rule("empty", "document", pieces.is_empty, None, sieves.empty, True),
            Rule("language", "document", pieces.is_other_language, THRESHOLD, sieves.other_language),
            Rule("few_words", "document", pieces.has_few_words, 50, sieves.few_words, True),
            Rule("word_length", "document", pieces.has_odd_words, None, sieves.odd_words, True),
            Rule("symbols", "document", pieces.has_symbols, 0.1, sieves.symbols),
            Rule("letters", "document", pieces.has_few_letters, 0.812, sieves.few_letters, True),
            Rule("stop_words", "document", pieces.has_few_stop_words, 2, sieves.few_stop_words, True),
            Rule("line_ends", "document", pieces.has_open_lines, 0.2, sieves.open_lines, True),
            Rule("new_lines", "document", pieces.has_many_lines, 0.15, sieves.many_lines, True),
            Rule("repeated_lines", "document", repetition.repeats_lines, 0.246, sieves.same_lines),
            Rule("repeated_words", "document", repetition.repeats_words, None, sieves.repeats),
            *_across("document"),
        ),
        (Rule("boilerplate", "line", pieces.has_boilerplate, None, sieves.phrases),),
        "line",
    ),
    "chats": Plan(
        (
            Rule("empty", "chat", pieces.has_empty_turn),
            Rule("roles", "chat", pieces.has_bad_roles),
            Rule("repeated_turns", "chat", pieces.repeats_turns),
            Rule("truncated", "chat", pieces.is_cut_off),
            Rule("language", "chat", pieces.is_other_language, THRESHOLD, sieves.other_language),
            *_across("chat"),
        ),
        (),
        "turn",
    ),
    "pairs": Plan(
        (
            Rule("empty", "pair", sides.has_empty_side),
            Rule("same", "pair", sides.has_same_sides),
            Rule("length_ratio", "pair", sides.has_odd_lengths, sides.RATIO),
            Rule("language", "pair", sides.is_not_persian, sides.PERSIAN),
            Rule("language_en", "pair", sides.is_not_english),
            Rule("numbers", "pair", sides.has_other_numbers, on=False),
            *_across("pair"),
        ),
        (),
        "side",
    ),
}
