"""Aligned Persian and English texts for retrieval: openings of the held-out stories, or a file with two columns."""

from __future__ import annotations

from pathlib import Path

from studio.data.read import open_rows
from studio.data.starters import story_pairs
from studio.errors import StudioError
from studio.evaluation.story_endings import first_sentences

OPENING = 2
"""Sentences of a story that are read: both languages tell the same in the same number of them."""


def read_pairs(file: str | None) -> list[tuple[str, str]]:
    """Persian and English, in order.

    Args:
        file: With the columns ``fa`` and ``en``; None for the openings of the held-out stories.

    Raises:
        StudioError: ``evaluation.no_pairs`` for a row without both, and what reading raises.
    """
    if file is None:
        return [(first_sentences(pair.fa, OPENING), first_sentences(pair.en, OPENING)) for pair in story_pairs()]
    found = []
    with open_rows(Path(file)) as rows:
        for number, values in rows:
            fa, en = values.get("fa"), values.get("en")
            if not isinstance(fa, str) or not isinstance(en, str) or not fa.strip() or not en.strip():
                raise StudioError("evaluation.no_pairs", file=Path(file).name, row=number)
            found.append((fa, en))
    return found
