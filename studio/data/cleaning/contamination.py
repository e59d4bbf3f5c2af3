"""Evaluation texts as groups of words that must not be trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.data.cleaning.hashing import hash_groups, hash_words
from studio.data.persian.normalise import normalise
from studio.data.read import open_rows
from studio.errors import StudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_AT_ONCE = 2_000


def read_suites(files: Sequence[Path], size: int) -> NDArray[np.uint64]:
    """The hashes of all groups of `size` words in all strings of evaluation files, sorted.

    Texts of fewer words cannot be found in data. 8 bytes for each word of the files stay in memory.

    Raises:
        StudioError: ``clean.suite_empty`` for a file without a text of `size` words, or what `open_rows` raises.
    """
    found = []
    for file in files:
        here = _groups_of(file, size)
        if not len(here):
            raise StudioError("clean.suite_empty", file=file.name, words=size)
        found.append(here)
    return np.unique(np.concatenate(found))


def touches(
    words: NDArray[np.uint64], starts: NDArray[np.int64], suites: NDArray[np.uint64], size: int
) -> NDArray[np.bool_]:
    """For each document whether it shares a group of `size` words with the suites."""
    groups, begins = hash_groups(words, starts, size)
    places = np.minimum(np.searchsorted(suites, groups), len(suites) - 1)
    hits = np.flatnonzero(suites[places] == groups)
    found = np.zeros(len(starts) - 1, bool)
    found[np.searchsorted(begins, hits, side="right") - 1] = True
    return found


def _groups_of(file: Path, size: int) -> NDArray[np.uint64]:
    found, texts = [np.zeros(0, np.uint64)], list[str]()

    def take() -> None:
        found.append(np.unique(hash_groups(*hash_words(texts), size)[0]))
        texts.clear()

    with open_rows(file) as rows:
        for _, values in rows:
            texts += [normalise(text) for text in _strings(values)]
            if len(texts) >= _ROWS_AT_ONCE:
                take()
    take()
    return np.unique(np.concatenate(found))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
