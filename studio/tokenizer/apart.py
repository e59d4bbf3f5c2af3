"""Vocabularies trained apart, as papers did: from the corpus alone, whatever the base has already."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from studio.tokenizer.counting import START
from studio.tokenizer.export import Merge
from studio.tokenizer.families import Family

COVERAGE = 0.9995
"""Share of all characters that are pieces: SentencePiece's default, which the published scripts leave as it is."""

_SPARE = 64  # special pieces, the space's mark, and letters that its own normalising makes


@dataclass(frozen=True, slots=True)
class Apart:
    """A vocabulary trained apart.

    `pieces` stand in the order they were learned, single characters first, so that the first of them are what a
    smaller training would have found. `merges` make them where only listed pairs merge; SentencePiece lists none.
    """

    pieces: list[str]
    merges: list[Merge]


def train_bytes(family: Family, texts: Iterable[str], size: int) -> Apart:
    """Byte-level BPE by `tokenizers`' trainer, with the base's own normaliser and splitting.

    Args:
        family: The base tokenizer.
        texts: The corpus, in parts that end where a word does.
        size: Pieces, the 256 bytes included.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    base = Tokenizer.from_str(json.dumps(family.definition))
    tokenizer = Tokenizer(models.BPE())
    if base.normalizer is not None:
        tokenizer.normalizer = base.normalizer
    tokenizer.pre_tokenizer = base.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(_lines(texts), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    ordered = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return Apart(ordered, [(left, right) for left, right in model["merges"]])


def train_sentencepiece(words: Mapping[str, int], size: int, **options: Any) -> Apart:
    """SentencePiece's BPE with its defaults.

    It is given words and counts instead of the corpus: it splits at white space anyway, so the pieces are the same
    (all 10,000 of a run on 75 MB), and memory does not grow with the corpus.

    Args:
        words: Words between white space, and how often each stands in the corpus.
        size: Pieces, its three special ones included; fewer when the words do not give so many.
        options: What else its trainer is to be told.
    """
    import sentencepiece

    written = io.BytesIO()
    letters = len(set(unicodedata.normalize("NFKC", "".join(words))))
    arguments: dict[str, Any] = {
        "sentence_iterator": (f"{word}\t{count}" for word, count in words.items() if word.strip()),
        "input_format": "tsv",
        "model_writer": written,
        "model_type": "bpe",
        "vocab_size": max(size, letters + _SPARE),  # it refuses a vocabulary smaller than the alphabet
        "character_coverage": COVERAGE,
        "hard_vocab_limit": False,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(**arguments | options)
    model = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    pieces = [model.id_to_piece(place) for place in range(model.get_piece_size())]
    # It writes single characters last; they are in a vocabulary of any size, in front of all that is made of them.
    return Apart(sorted(pieces, key=lambda piece: len(piece) > 1)[:size], [])


def plain_words(types: Mapping[bytes, int]) -> dict[str, int]:
    """Words as `count_words` finds them, without the mark of those that open a line."""
    words: dict[str, int] = {}
    for word, count in types.items():
        text = word.removeprefix(START).decode("utf8", "ignore")
        words[text] = words.get(text, 0) + count
    return words


def _lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from text.splitlines()
