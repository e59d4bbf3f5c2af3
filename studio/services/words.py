"""The vocabulary of a run: one of the workspace, copied, or one learned for it first."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.jobs.store import NewJob
from studio.models.files import ROWS
from studio.recipes import Recipe
from studio.services import vocabulary
from studio.services.studio import Studio
from studio.tokenizer.vocabulary import read_vocabulary

FOLDER = "vocabulary"
START = "fitted"
"""How rows begin where a vocabulary of the workspace has none yet: the best start measured."""


@owner_only
def check(studio: Studio, recipe: Recipe) -> None:
    """Refuse a vocabulary that is gone, of another method or another base, before anything is queued.

    Raises:
        StudioError: ``vocabulary.unknown``, ``vocabulary.not_continued`` or ``rows.other_base``.
    """
    if not isinstance(recipe.vocabulary, str):
        return
    found = read_vocabulary(vocabulary.folder_of(studio, recipe.vocabulary))
    if found.method != "continued":
        raise StudioError("vocabulary.not_continued", method=found.method)
    if found.base != recipe.base:
        raise StudioError("rows.other_base", model=recipe.base, base=found.base)


@owner_only
def prepare(studio: Studio, recipe: Recipe, run: str, after: Sequence[int], *, smoke: bool = False) -> list[int]:
    """Put the vocabulary into the run's folder, or queue what makes it; returns the jobs to wait for."""
    target = studio.settings.runs / run / FOLDER
    given = recipe.vocabulary
    if given is None:
        return []
    if isinstance(given, str):
        source = vocabulary.folder_of(studio, given)
        shutil.copytree(source, target)
        if (target / ROWS).is_file():
            return []
        return [_rows(studio, recipe.base, run, target, START, read_vocabulary(source).corpus, after, smoke)]
    arguments = {
        "model": recipe.base, "corpus": given.corpus, "size": given.size, "out": str(target),
        "method": "continued", "script": "arabic", "at_most": True,
    }  # fmt: skip
    learned = studio.jobs.add(NewJob(vocabulary.KIND, run, arguments, after=tuple(after)))
    return [learned, _rows(studio, recipe.base, run, target, given.start, given.corpus, [*after, learned], smoke)]


def _rows(
    studio: Studio,
    base: str,
    run: str,
    target: Path,
    start: str,
    corpus: Sequence[str],
    after: Sequence[int],
    smoke: bool,
) -> int:
    arguments = {
        "vocabulary": str(target), "model": base, "corpus": list(corpus), "methods": [start], "keep": start,
        "smoke": smoke,
    }  # fmt: skip
    return studio.jobs.add(NewJob("rows", run, arguments, lane="device", after=tuple(after)))
