"""How a run's own sample answers are written, before it and after each stage; no model is asked for it.

The answers are few and short (three prompts, 48 tokens): figures to see a stage go wrong by, not to rank models with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from studio.evaluation.contamination import training_texts
from studio.evaluation.generation import judge, recited, summarise
from studio.evaluation.half_spaces import broken_half_spaces, kept_half_spaces

MOST_CHARACTERS = 20_000_000
"""Of training texts that answers are held against, the first ones: a page waits for it once, about two seconds."""


@dataclass(frozen=True, slots=True)
class Written:
    """The answers of one moment.

    Attributes:
        stage: After which stage, None before the first step.
        answers: How many.
        characters: Mean length.
        persian: Mean share of Persian letters; an empty answer counts as 0.
        repetition: Mean rep-4.
        half_spaces: Share of half-spaces that are right; None where nothing wanted one.
        recited: Answers that share 30 characters in a row with the training texts; None where those are gone.
        empty: Answers without a letter.
    """

    stage: int | None
    answers: int
    characters: float
    persian: float
    repetition: float
    half_spaces: float | None
    recited: int | None
    empty: int


@dataclass(frozen=True, slots=True)
class Against:
    """The training texts that answers were held against: how many characters, and whether those are all."""

    characters: int
    whole: bool


def measure(
    answers: Mapping[int | None, Sequence[str]], folders: Sequence[Path], environment: Mapping[str, Any]
) -> tuple[tuple[Written, ...], Against | None]:
    """The figures of each moment that has answers.

    Args:
        answers: By stage, None for those before the first step.
        folders: Of the datasets that the run was trained on.
        environment: What the run was frozen with: of data that changed since nothing can be said.
    """
    moments = [(stage, [each.strip() for each in said]) for stage, said in answers.items() if said]
    copied, against = _copied([answer for _, said in moments for answer in said], folders, environment)
    found, at = [], 0
    for stage, said in moments:
        told = summarise(judge(said, []))
        kept = sum(map(kept_half_spaces, said))
        wanted = kept + sum(len(broken_half_spaces(each)) for each in said)
        own = None if copied is None else sum(copied[at : at + len(said)])
        at += len(said)
        found.append(
            Written(stage, told.answers, told.characters, told.persian, told.repetition,
                    kept / wanted if wanted else None, own, told.empty)
        )  # fmt: skip
    return tuple(found), against


def _copied(
    answers: Sequence[str], folders: Sequence[Path], environment: Mapping[str, Any]
) -> tuple[Sequence[bool] | None, Against | None]:
    trained = environment.get("datasets", {})
    stamps = []
    for folder in folders:
        path = folder / "manifest.json"
        if not path.is_file() or _sum(path) != trained.get(folder.name, {}).get("sha256", _sum(path)):
            return None, None
        stamps.append(path.stat().st_mtime_ns)
    return _compared(tuple(answers), tuple(folders), tuple(stamps)) if folders else (None, None)


def _sum(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf8")).get("sha256")


@lru_cache(maxsize=32)
def _compared(
    answers: tuple[str, ...], folders: tuple[Path, ...], stamps: tuple[int, ...]
) -> tuple[tuple[bool, ...], Against]:
    """A page asks again every two seconds; `stamps` tell that a dataset is another one by now."""
    read, whole = 0, True

    def some() -> Iterator[str]:
        nonlocal read, whole
        for text in training_texts(folders, lambda: False):
            if read + len(text) > MOST_CHARACTERS:
                whole = False
                return
            read += len(text)
            yield text

    found = recited(answers, some())
    return tuple(found), Against(read, whole)
