"""Aligned Persian and English texts for retrieval: openings of the held-out stories, or a file with two columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.data.read import open_rows
from studio.data.starters import story_pairs
from studio.errors import StudioError
from studio.evaluation.story_endings import first_sentences

OPENING = 2
"""Sentences of a story that are read: both languages tell the same in the same number of them."""
STORIES = "story_pairs"
"""The task whose pairs are the studio's own."""
PERSIAN, ENGLISH = ("fa", "persian", "فارسی"), ("en", "english", "انگلیسی")
GRADE = ("score", "grade", "similarity", "نمره", "امتیاز")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Persian and English, in order; `grades` are people's, one for each pair, where the file has such a column."""

    texts: list[tuple[str, str]]
    grades: list[float] | None = None

    def first(self, limit: int | None) -> Pairs:
        """At most so many of them."""
        return Pairs(self.texts[:limit], None if self.grades is None else self.grades[:limit])


def read_pairs(file: str | None) -> Pairs:
    """Persian and English, in order.

    Args:
        file: With a column of each language and perhaps one of grades; None for the openings of the held-out stories.

    Raises:
        StudioError: ``evaluation.no_pairs`` for a row without both, ``evaluation.bad_grade`` for a grade that is no
            number or missing where other rows have one, and what reading raises.
    """
    if file is None:
        return Pairs(
            [(first_sentences(pair.fa, OPENING), first_sentences(pair.en, OPENING)) for pair in story_pairs()]
        )
    with open_rows(Path(file)) as rows:
        return collect(rows, Path(file).name)


def collect(rows: Iterable[tuple[int, Mapping[str, Any]]], name: str) -> Pairs:
    """Numbered rows of the file `name` as pairs.

    Raises:
        StudioError: As `read_pairs`.
    """
    texts, grades, places = [], [], []
    for number, values in rows:
        fa, en, grade = (_first(values, wanted) for wanted in (PERSIAN, ENGLISH, GRADE))
        if not isinstance(fa, str) or not isinstance(en, str):
            raise StudioError("evaluation.no_pairs", file=name, row=number)
        texts.append((fa, en))
        grades.append(grade)
        places.append(number)
    if all(grade is None for grade in grades):
        return Pairs(texts)
    return Pairs(texts, [_number(grade, name, row) for grade, row in zip(grades, places, strict=True)])


def are_pairs(columns: Iterable[str]) -> bool:
    """Whether a table's columns are those of pairs."""
    plain = {str(column).strip().lower() for column in columns}
    return bool(plain & set(PERSIAN)) and bool(plain & set(ENGLISH))


def _first(values: Mapping[str, Any], wanted: tuple[str, ...]) -> Any:
    columns = {str(name).strip().lower(): value for name, value in values.items()}
    found = [columns[name] for name in wanted if name in columns]
    return next((value for value in found if value is not None and str(value).strip()), None)


def _number(grade: Any, name: str, row: int) -> float:
    """A grade as it is written: ``3.5``, ``3,5``, ``۳٫۵``."""
    try:
        value = float(str(grade).strip().replace("٫", ".").replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StudioError("evaluation.bad_grade", file=name, row=row, grade="" if grade is None else str(grade))
    return value
