"""Evaluation items that stand in the texts a model was trained on: their figures say nothing of what it can do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from studio.data.persian.normalise import normalise
from studio.data.sample import strings
from studio.data.stored import read_samples
from studio.jobs.events import Stopping

FEWEST, MOST = 5, 13
"""Words of an item that must stand in a training text in a row: all of its words, 13 of a longer one (Brown et al.
2020, appendix C). Items of fewer than 5 words are met by chance and not looked for."""

_WORD = re.compile(r"\w+")


def contaminated(items: Sequence[str], texts: Iterable[str]) -> list[bool]:
    """For each item whether its first `MOST` words stand in a row in one of `texts`, however written.

    Normalised as cleaning does, without punctuation and case. Texts pass by once.
    """
    waiting: dict[tuple[str, ...], list[int]] = {}
    keys = [tuple(words(item)[:MOST]) for item in items]
    for number, key in enumerate(keys):
        if len(key) >= FEWEST:
            waiting.setdefault(key[:FEWEST], []).append(number)
    found: set[int] = set()
    for text in texts:
        said = words(text)
        for start in range(len(said) - FEWEST + 1):
            for number in waiting.get(tuple(said[start : start + FEWEST]), ()):
                if tuple(said[start : start + len(keys[number])]) == keys[number]:
                    found.add(number)
    return [number in found for number in range(len(items))]


def words(text: str) -> list[str]:
    """The words of a text, normalised and without punctuation."""
    return _WORD.findall(normalise(text).lower())


def training_texts(folders: Iterable[Path], stopping: Stopping) -> Iterator[str]:
    """All texts of datasets, until somebody stops."""
    for folder in folders:
        for sample in read_samples(folder):
            if stopping():
                return
            yield "\n".join(strings(sample))
