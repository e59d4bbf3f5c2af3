"""What papers did instead, for comparison: a vocabulary trained apart and appended, or its pieces as added tokens.

Llama-Persian appended 20,000 pieces and PersianMind 10,000 that had been trained on Persian alone; nothing makes such
a piece reachable, or keeps it out of English. `add_tokens` cuts its texts out before any merge is tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from studio.tokenizer.candidates import read_piece
from studio.tokenizer.export import Merge, every_split
from studio.tokenizer.families import PREFIX, Family
from studio.tokenizer.scripts import Script
from studio.tokenizer.vocabulary import Method, Vocabulary, hash_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def learn_apart(
    family: Family, texts: Iterable[str], size: int, script: Script, method: Method, *, reference: str
) -> tuple[Vocabulary, dict[str, Any]]:
    """Train a vocabulary of `size` on `texts` alone and give the base what it lacks of it.

    Args:
        family: The base tokenizer.
        texts: The corpus.
        size: Pieces of the vocabulary trained apart; what the base has already is its overlap.
        script: For the record; nothing is held to it, which is the point.
        method: ``independent`` or ``add_tokens``.
        reference: What the base is called.

    Returns:
        The record and the tokenizer.json, which differs from the base's by new ids only; pieces are in `letters`, or
        in `added_tokens`.
    """
    trained = json.loads(_trained(family, texts, size).to_str())["model"]
    ordered = sorted(trained["vocab"], key=trained["vocab"].__getitem__)
    known = {*family.vocabulary, *(token["content"] for token in family.definition.get("added_tokens") or [])}
    new = [piece for piece in ordered if piece not in known]
    overlap = 1 - len(new) / len(ordered)
    if method == "add_tokens":
        shown = [(read_piece(piece, family.kind) or "").strip() for piece in new]
        contents = [text for text in dict.fromkeys(shown) if text and text not in known]
        definition = _with_tokens(family, contents)
        new = []
    else:
        definition = _with_pieces(family, new, [(left, right) for left, right in trained["merges"]])
        contents = []
    record = Vocabulary(
        base=reference,
        base_hash=hash_of(family.folder),
        kind=family.kind,
        method=method,
        script=script.name,
        first=family.rows,
        base_vocabulary=family.rows,
        base_merges=len(family.definition["model"]["merges"]),
        letters=new,
        merges=[],
        counts=[],
        curve=[],
        words=0,
        added_tokens=contents,
        overlap=overlap,
    )
    return record, definition


def _trained(family: Family, texts: Iterable[str], size: int) -> Tokenizer:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    base = Tokenizer.from_file(str(family.folder / "tokenizer.json"))
    tokenizer = Tokenizer(models.BPE())
    if family.kind == "byte_level":
        if base.normalizer is not None:
            tokenizer.normalizer = base.normalizer
        tokenizer.pre_tokenizer = base.pre_tokenizer
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        alphabet = [PREFIX]
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, limit_alphabet=1000, max_token_length=16, show_progress=False
    )
    tokenizer.train_from_iterator(_lines(texts), trainer)
    return tokenizer


def _lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from text.splitlines()


def _with_pieces(family: Family, pieces: list[str], merges: list[Merge]) -> dict[str, Any]:
    definition = _pinned(family)
    model = definition["model"]
    model["vocab"] |= {piece: family.rows + place for place, piece in enumerate(pieces)}
    vocabulary = model["vocab"]
    old = model["merges"]
    strings = isinstance(old[0], str)
    have = {each if strings else " ".join(each) for each in old}
    if family.kind == "byte_fallback":
        merges = [split for piece in pieces for split in every_split(piece, vocabulary)]
    wanted = [
        (left, right)
        for left, right in merges
        if left in vocabulary and right in vocabulary and left + right in vocabulary and f"{left} {right}" not in have
    ]
    model["merges"] = [*old, *(f"{left} {right}" if strings else [left, right] for left, right in wanted)]
    return definition


def _with_tokens(family: Family, contents: list[str]) -> dict[str, Any]:
    definition = _pinned(family)
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    definition["added_tokens"] = [
        *(definition.get("added_tokens") or []),
        *({"id": family.rows + place, "content": text, **plain} for place, text in enumerate(contents)),
    ]
    return definition


def _pinned(family: Family) -> dict[str, Any]:
    definition = {**family.definition, "model": dict(family.definition["model"])}
    added = {token["content"]: token["id"] for token in definition.get("added_tokens") or []}
    definition["model"]["vocab"] = added | definition["model"]["vocab"]
    return definition
