"""The vocabulary tab: what Persian costs under a tokenizer, next to English."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from studio.auth import owner_only
from studio.data import starters, stored
from studio.data.read import read_lines
from studio.data.sample import strings
from studio.errors import StudioError
from studio.models.files import locate_tokenizer
from studio.models.tokenizer import load_tokenizer
from studio.services import datasets
from studio.services.studio import Studio
from studio.tokenizer.fertility import Fertility, Piece, measure_fertility, pieces

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DATASET_CHARACTERS = 1_000_000
"""A page measures this much of a dataset: enough for three digits, and a second of work."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What texts cost in tokens; `parity` is the tokens of Persian over those of the same stories in English."""

    model: str
    persian: Fertility
    english: Fertility
    parity: float


@owner_only
def of_sentence(studio: Studio, model: str, sentence: str) -> tuple[Fertility, list[Piece]]:
    """Fertility of one text and the pieces it is cut into.

    Raises:
        StudioError: ``tokenizer.no_words`` or ``model.*``.
    """
    if not sentence.split():
        raise StudioError("tokenizer.no_words")
    tokenizer = load_tokenizer(locate_tokenizer(model, studio.settings))
    return measure_fertility(tokenizer, sentence.splitlines()), pieces(tokenizer, sentence)


@owner_only
def against_english(studio: Studio, model: str) -> Cost:
    """Persian next to English on the studio's own stories, which say the same in both languages."""
    tokenizer = load_tokenizer(locate_tokenizer(model, studio.settings))
    pairs = starters.story_pairs()
    persian = measure_fertility(tokenizer, [line for pair in pairs for line in pair.fa.splitlines()])
    english = measure_fertility(tokenizer, [line for pair in pairs for line in pair.en.splitlines()])
    return Cost(model, persian, english, persian.tokens / english.tokens)


@owner_only
def of_dataset(studio: Studio, model: str, name: str, *, characters: int | None = DATASET_CHARACTERS) -> Fertility:
    """Fertility of a stored dataset, line by line, over its first `characters` (None: all of it).

    Raises:
        StudioError: ``data.no_such_dataset``, ``tokenizer.no_words`` or ``model.*``.
    """
    tokenizer = load_tokenizer(locate_tokenizer(model, studio.settings))
    return _measure(tokenizer, first_lines(studio, name, characters=characters))


@owner_only
def first_lines(studio: Studio, name: str, *, characters: int | None = DATASET_CHARACTERS) -> Iterator[str]:
    """The lines of a stored dataset until they have `characters` (None: all of them).

    Raises:
        StudioError: ``data.no_such_dataset``.
    """
    lines = _lines(datasets.folder(studio, name))
    return lines if characters is None else _first(lines, characters)


@owner_only
def of_file(studio: Studio, model: str, path: Path) -> Fertility:
    """Fertility of a text file, line by line.

    Raises:
        StudioError: ``data.no_such_file``, ``tokenizer.no_words`` or ``model.*``.
    """
    tokenizer = load_tokenizer(locate_tokenizer(model, studio.settings))
    return _measure(tokenizer, read_lines(path))


def _measure(tokenizer: Tokenizer, lines: Iterable[str]) -> Fertility:
    try:
        return measure_fertility(tokenizer, lines)
    except ValueError as error:
        raise StudioError("tokenizer.no_words") from error


def _lines(folder: Path) -> Iterator[str]:
    for sample in stored.read_samples(folder):
        for written in strings(sample):
            yield from written.splitlines()


def _first(lines: Iterator[str], characters: int) -> Iterator[str]:
    seen = 0
    for line in islice(lines, characters):
        yield line
        seen += len(line)
        if seen >= characters:
            return
