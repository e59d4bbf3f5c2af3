"""What an extended vocabulary is worth: tokens per word, pieces out of reach or unused, English that changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from studio.tokenizer.families import Family
from studio.tokenizer.fertility import measure_fertility
from studio.tokenizer.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 2000


@dataclass(frozen=True, slots=True)
class Report:
    """Base and extended tokenizer on the same text.

    `unreachable` counts new pieces that no text can ever give. `english_changed` counts the lines, of
    `english_checked`, whose ids differ from the base's. `unused_share` is the share of new pieces, 0 to 1, that the
    text does not use.
    """

    base_tokens_per_word: float
    tokens_per_word: float
    unreachable: int
    english_changed: int
    english_checked: int
    unused_share: float


def measure(
    base: Family, definition: dict[str, Any], vocabulary: Vocabulary, text: Sequence[str], english: Iterable[str]
) -> Report:
    """Measure an extended tokenizer.

    Args:
        base: The tokenizer before.
        definition: The tokenizer.json after.
        vocabulary: What was added.
        text: Lines in the target script.
        english: Lines that ought to stay the same, id for id.

    Raises:
        ValueError: If no line of `text` holds a word.
    """
    before, after = load(base.definition), load(definition)
    changed, checked = count_changed(before, after, english)
    used: set[int] = set()
    for lines in _batches(text):
        for encoding in after.encode_batch_fast(lines, add_special_tokens=False):
            used.update(encoding.ids)
    new = range(vocabulary.first, vocabulary.first + vocabulary.added)
    return Report(
        measure_fertility(before, text).tokens_per_word,
        measure_fertility(after, text).tokens_per_word,
        count_unreachable(after, vocabulary),
        changed,
        checked,
        sum(place not in used for place in new) / len(new) if new else 0.0,
    )


def count_changed(before: Tokenizer, after: Tokenizer, lines: Iterable[str]) -> tuple[int, int]:
    """How many of the lines two tokenizers cut differently, and how many lines there are; blank ones are left out."""
    changed = checked = 0
    for batch in _batches(line for line in lines if line and not line.isspace()):
        old = before.encode_batch_fast(batch, add_special_tokens=False)
        new = after.encode_batch_fast(batch, add_special_tokens=False)
        changed += sum(one.ids != other.ids for one, other in zip(old, new, strict=True))
        checked += len(batch)
    return changed, checked


def count_unreachable(tokenizer: Tokenizer, vocabulary: Vocabulary) -> int:
    """How many new pieces do not even come out of their own spelling.

    What happens inside a piece is the same wherever it stands, so such a piece comes out of no other text either.
    """
    pieces = vocabulary.extension.pieces
    lost = 0
    for place, piece in enumerate(pieces):
        cut = tokenizer.model.tokenize(piece)
        lost += len(cut) != 1 or cut[0].id != vocabulary.first + place
    for place, text in enumerate(vocabulary.added_tokens, vocabulary.first + len(pieces)):
        lost += place not in tokenizer.encode(text, add_special_tokens=False).ids
    return lost


def load(definition: dict[str, Any]) -> Tokenizer:
    """A tokenizer from the content of a tokenizer.json, without truncation and padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(json.dumps(definition))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(lines)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
