"""Fertility: how many tokens a tokenizer spends on a word (lower is better), and the pieces a sentence falls into."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_WORD = re.compile(r"\S+")  # the same words as `str.split()`, with their places
_BATCH_CHARACTERS = 400_000
_PREFIX = "▁"  # SentencePiece puts it before a text that has no space there


@dataclass(frozen=True, slots=True)
class Fertility:
    """What texts cost under a tokenizer.

    `words` are those of `str.split()`; `bytes` are of UTF-8; `continued` counts the words cut into two or more tokens;
    `lines` are those with a word in them.
    """

    tokens: int
    words: int
    characters: int
    bytes: int
    lines: int
    continued: int

    @property
    def tokens_per_word(self) -> float:
        return self.tokens / self.words

    @property
    def characters_per_token(self) -> float:
        return self.characters / self.tokens

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / self.tokens

    @property
    def continued_word_share(self) -> float:
        """Share of the words, 0 to 1, that are cut into two or more tokens."""
        return self.continued / self.words


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of a sentence.

    `text` is the part of the sentence, ``sentence[start:end]``, that the token touches. A byte-level tokenizer may cut
    through a letter: the tokens that share the letter then all show it, `whole` is False, and the token is number
    `part` of the `parts` that make that letter. (A token that shares a letter at both ends is numbered by the last.)
    """

    id: int
    text: str
    start: int
    end: int
    part: int = 1
    parts: int = 1

    @property
    def whole(self) -> bool:
        return self.parts == 1

    @property
    def label(self) -> str:
        """The text, with ``1/2`` behind it when the token ends inside a letter."""
        return self.text if self.whole else f"{self.text} {self.part}/{self.parts}"


def measure_fertility(tokenizer: Tokenizer, lines: Iterable[str]) -> Fertility:
    """Count tokens, words, characters and bytes, each line by itself and without special tokens.

    A word counts as continued when two or more tokens touch its characters in their place in the line: a space that a
    token carries before the word does not cut it, a letter spread over two byte tokens does. The mark that
    SentencePiece puts before a line is a token but cuts no word.

    Args:
        tokenizer: Of the model in question.
        lines: Text without line ends (one at the end is left out); blank lines are ignored.

    Raises:
        ValueError: If no line holds a word.
    """
    prefix = tokenizer.token_to_id(_PREFIX)
    tokens = words = characters = size = count = continued = 0
    for batch in _batches(lines):
        # Offsets cost a third of the speed, but only they tell which words are cut.
        for line, encoding in zip(batch, tokenizer.encode_batch(batch, add_special_tokens=False), strict=True):
            spans = [match.span() for match in _WORD.finditer(line)]
            tokens += len(encoding)
            words += len(spans)
            characters += len(line)
            size += len(line.encode("utf8"))
            continued += _cut(encoding, spans, prefix)
        count += len(batch)
    if words == 0:
        raise ValueError("fertility needs at least one word")
    return Fertility(tokens, words, characters, size, count, continued)


def parity(persian: Fertility, english: Fertility) -> float:
    """How many times the tokens of English the same content takes in Persian; 1 is fair.

    Args:
        persian: Measured on Persian lines.
        english: Measured on lines that say the same in English.
    """
    return persian.tokens / english.tokens


def pieces(tokenizer: Tokenizer, sentence: str) -> list[Piece]:
    """The tokens of `sentence` in order, each with the text it touches; no special tokens."""
    encoding = tokenizer.encode(sentence, add_special_tokens=False)
    spans = _filled(encoding, sentence, tokenizer.token_to_id(_PREFIX))
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    found = []
    for place, (token, (start, end)) in enumerate(zip(encoding.ids, spans, strict=True)):
        part = parts = 1
        for letter in (end - 1, start) if end > start else ():
            first, last = bisect_right(ends, letter), bisect_left(starts, letter + 1)
            if last - first > 1:
                part, parts = place - first + 1, last - first
                break
        found.append(Piece(token, sentence[start:end], start, end, part, parts))
    return found


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    held = 0
    for line in lines:
        line = line.rstrip("\r\n")
        if not line or line.isspace():
            continue
        batch.append(line)
        held += len(line)
        if held >= _BATCH_CHARACTERS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _cut(encoding: Encoding, spans: list[tuple[int, int]], prefix: int | None) -> int:
    """How many of the words at `spans` are touched by two or more tokens."""
    offsets = encoding.offsets
    if not offsets or not spans:
        return 0
    starts, ends = map(list, zip(*offsets, strict=True))
    if prefix is not None and spans[0][0] == 0 and encoding.ids[0] == prefix:
        ends[0] = 0  # it stands before the line, not on its first letter
    cut = 0
    place = 0
    for start, end in spans:
        place = bisect_right(ends, start, place)
        cut += bisect_left(starts, end, place) - place > 1
    return cut


def _filled(encoding: Encoding, sentence: str, prefix: int | None) -> list[tuple[int, int]]:
    """Offsets with the spaces that some tokenizers trim away given back, and without the artificial prefix."""
    spans: list[tuple[int, int]] = []
    before = 0
    for place, (start, end) in enumerate(encoding.offsets):
        if place == 0 and encoding.ids[0] == prefix and not sentence[:1].isspace():
            start = end = 0
        elif start > before and sentence[before:start].isspace():
            start = before
        spans.append((start, end))
        before = max(before, end)
    return spans
