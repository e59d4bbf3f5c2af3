"""An extended tokenizer.json: new pieces after every old id, new merges after every old one, special tokens pinned."""

from __future__ import annotations

import copy
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from studio.tokenizer.families import Kind, free_id

Merge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Extension:
    """New pieces in the order they were learned: `letters` first, then one per merge; any prefix is a vocabulary."""

    letters: list[str]
    merges: list[Merge]

    @property
    def pieces(self) -> list[str]:
        return [*self.letters, *(left + right for left, right in self.merges)]

    def __len__(self) -> int:
        return len(self.letters) + len(self.merges)

    def first(self, size: int) -> Extension:
        """The first `size` pieces."""
        return Extension(self.letters[:size], self.merges[: max(0, size - len(self.letters))])


def extend(definition: dict[str, Any], kind: Kind, extension: Extension) -> dict[str, Any]:
    """A copy of the tokenizer.json `definition` with the pieces of `extension`.

    The merges keep the file's own form, strings or pairs. With byte fallback every way to divide a new piece becomes
    a merge, since SentencePiece and llama.cpp join any two neighbours that spell a piece.
    """
    extended: dict[str, Any] = {**definition, "model": dict(definition["model"])}
    model = extended["model"]
    vocabulary: dict[str, int] = dict(model["vocab"])
    next_id = free_id(definition)
    # Added tokens that are not in the vocabulary (Llama-3, Qwen, Phi-3) get new ids when the file is loaded, counted
    # from the vocabulary's length: once that grows, <|im_end|> would silently move from 151645 to 152645.
    for token in definition.get("added_tokens") or []:
        vocabulary.setdefault(token["content"], token["id"])
    for place, piece in enumerate(extension.pieces):
        vocabulary[piece] = next_id + place
    merges = _merges(vocabulary, extension, all_splits=kind == "byte_fallback")
    if model["merges"] and isinstance(model["merges"][0], str):
        model["merges"] = [*model["merges"], *(f"{left} {right}" for left, right in merges)]
    else:
        model["merges"] = [*model["merges"], *([left, right] for left, right in merges)]
    model["vocab"] = vocabulary
    return extended


def strip(definition: dict[str, Any], first: int, count: int, merges: int) -> dict[str, Any]:
    """Take the `count` pieces from id `first` on and all but the first `merges` merges away again."""
    stripped = copy.copy(definition)
    model = stripped["model"] = dict(definition["model"])
    new = range(first, first + count)
    model["vocab"] = {piece: place for piece, place in model["vocab"].items() if place not in new}
    model["merges"] = model["merges"][:merges]
    return stripped


def every_split(piece: str, vocabulary: Container[str]) -> list[Merge]:
    """All ways to divide `piece` into two pieces of the vocabulary."""
    cuts = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
    return [(left, right) for left, right in cuts if left in vocabulary and right in vocabulary]


def _merges(vocabulary: dict[str, int], extension: Extension, *, all_splits: bool) -> list[Merge]:
    if not all_splits:
        return extension.merges
    found: list[Merge] = []
    for left, right in extension.merges:
        others = [split for split in every_split(left + right, vocabulary) if split != (left, right)]
        found += [(left, right), *others]
    return found
