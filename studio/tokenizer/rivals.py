"""What papers did instead, for comparison: a vocabulary trained apart and appended, or its pieces as added tokens.

Llama-Persian appended 20,000 pieces and PersianMind 10,000 that had been trained on Persian alone; nothing makes such
a piece reachable, or keeps it out of English. `add_tokens` cuts its texts out before any merge is tried.
"""

from __future__ import annotations

from typing import Any

from studio.tokenizer.apart import Apart
from studio.tokenizer.candidates import read_piece
from studio.tokenizer.export import Merge, every_split
from studio.tokenizer.families import Family
from studio.tokenizer.scripts import Script
from studio.tokenizer.vocabulary import Method, Vocabulary, hash_of


def append_apart(
    family: Family, apart: Apart, script: Script, method: Method, *, reference: str, most: int | None = None
) -> tuple[Vocabulary, dict[str, Any]]:
    """Give the base what it lacks of a vocabulary that was trained apart.

    SentencePiece families get the new pieces behind all old ones. Published merges leave the new pieces their own
    scores, which puts them before old ones and changes more English than is counted here.

    Args:
        family: The base tokenizer.
        apart: What was trained; what the base has already is its overlap.
        script: For the record; nothing is held to it, which is the point.
        method: ``independent`` or ``add_tokens``.
        reference: What the base is called.
        most: New ids at most, the first that were learned.

    Returns:
        The record and the tokenizer.json, which differs from the base's by new ids only; pieces are in `letters`, or
        in `added_tokens`.
    """
    known = {*family.vocabulary, *(token["content"] for token in family.definition.get("added_tokens") or [])}
    new = [piece for piece in apart.pieces if piece not in known]
    overlap = 1 - len(new) / len(apart.pieces)
    if method == "add_tokens":
        shown = [(read_piece(piece, family.kind) or "").strip() for piece in new]
        contents = [text for text in dict.fromkeys(shown) if text and text not in known][:most]
        definition = _with_tokens(family, contents)
        new = []
    else:
        new, contents = new[:most], []
        definition = _with_pieces(family, new, _merges_of(apart, new))
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


def _merges_of(apart: Apart, new: list[str]) -> list[Merge]:
    """The merges up to the one that makes the last of the `new` pieces."""
    last = next((place for place, pair in enumerate(apart.merges) if new and "".join(pair) == new[-1]), None)
    return apart.merges if last is None else apart.merges[: last + 1]


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
