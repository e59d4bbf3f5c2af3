"""Words as a tokenizer cuts them: unique words of a corpus become unique sequences of token ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from studio.tokenizer.continued import Word
from studio.tokenizer.counting import START
from studio.tokenizer.families import PREFIX

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TICK = 8192


def cut_words(
    tokenizer: Tokenizer, types: Mapping[bytes, int], *, tick: Callable[[float], None] = lambda share: None
) -> Counter[Word]:
    """Cut unique words by the tokenizer's own normaliser, splitting and merges.

    A word behind a space is cut with it and one that opens a line without, as in the text. What the splitting keeps
    apart, no merge can join: such parts become entries of their own.

    Args:
        tokenizer: The base tokenizer, perhaps with letters added.
        types: Words and counts as `count_words` finds them.
        tick: Called with the share done; may raise to stop.
    """
    parts = _split(tokenizer, types, lambda share: tick(0.7 * share))
    words: Counter[Word] = Counter()
    # Each part once, and from Python: encode_batch takes both cores and still twice the time, for its offsets.
    cut = tokenizer.model.tokenize
    for done, (part, count) in enumerate(parts.items()):
        words[tuple([token.id for token in cut(part)])] += count
        if done % _TICK == 0:
            tick(0.7 + 0.3 * done / len(parts))
    return words


def _split(tokenizer: Tokenizer, types: Mapping[bytes, int], tick: Callable[[float], None]) -> Counter[str]:
    """The parts that the tokenizer's splitting makes of the words, and their counts."""
    parts: Counter[str] = Counter()
    prefixed = adds_prefix(tokenizer)
    normalise = tokenizer.normalizer.normalize_str if tokenizer.normalizer is not None else None
    split = tokenizer.pre_tokenizer.pre_tokenize_str if tokenizer.pre_tokenizer is not None else None
    for done, (word, count) in enumerate(types.items()):
        text = _spaced(word, prefixed)
        if normalise is not None:
            text = normalise(text)
        if split is None:
            parts[text] += count
        else:
            for part, _ in split(text):
                parts[part] += count
        if done % _TICK == 0:
            tick(done / len(types))
    return parts


def adds_prefix(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer itself puts SentencePiece's mark of a space before a text (Llama-2; Gemma does not)."""
    tokens = tokenizer.encode("x", add_special_tokens=False).tokens
    return bool(tokens) and tokens[0].startswith(PREFIX)


def count_letters(types: Mapping[bytes, int], wanted: Iterable[str]) -> Counter[str]:
    """How often each letter of `wanted` stands in the words."""
    letters = frozenset(wanted)
    found: Counter[str] = Counter()
    for word, count in types.items():
        text = word.decode("utf8", "ignore")
        if not letters.isdisjoint(text):
            for letter in text:
                if letter in letters:
                    found[letter] += count
    return found


def _spaced(word: bytes, prefixed: bool) -> str:
    if word.startswith(START):
        return word[len(START) :].decode("utf8", "ignore")
    return ("" if prefixed else " ") + word.decode("utf8", "ignore")
