"""What an evaluation found, as it lies in its folder: one file of figures, and one of items for each task."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from studio.errors import StudioError

FIGURES = "evaluation.json"


@dataclass(frozen=True, slots=True)
class Item:
    """One question and what became of it.

    Attributes:
        id: Task and number; the same question has the same id for every model.
        hash: Of all its columns, by which two evaluations know that they asked the same.
        value: Its score, 0 to 1; None where only all answers together have one (BLEU, chrF).
        wanted: The right answer or reference.
        said: The model's answer: a choice's text, or what it wrote.
        category: Its group, or "".
        text: Its longest column, by which it is known again in training texts.
        likeness: Of a pair of sentences, the cosine of the two; None elsewhere.
        grade: Of such a pair, how alike people found them, on whatever scale; None where nobody was asked.
    """

    id: str
    hash: str
    value: float | None
    wanted: str
    said: str
    category: str = ""
    text: str = ""
    likeness: float | None = None
    grade: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A score with its 95% interval; shares as 0 to 1, BLEU and chrF as 0 to 100."""

    value: float
    low: float
    high: float
    items: int


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One task of an evaluation.

    `contaminated` counts items whose words stand in the texts that the model was trained on; None if nobody looked
    (a base). `signature` is sacrebleu's, so that others can repeat the figure.
    """

    task: str
    language: str
    metric: str
    figure: Figure
    chance: float | None
    seconds: float
    categories: dict[str, Figure] = field(default_factory=dict)
    contaminated: int | None = None
    signature: str | None = None
    verified: bool = True
    also: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """What is evaluated and how; the same order of the same files is the same evaluation.

    Attributes:
        model: Reference.
        mark: What changes when the files behind the reference do.
        suite: Name.
        suite_hash: Of the suite, its tasks and items.
        limit: Most items of each task, None for all.
        few_shot: Solved examples before each question; None as each task says.
        template: Whether questions are put through the model's chat template.
        only: The tasks that are asked; all of the suite if empty.
        data: Files that stand for a task's own items, by task.
    """

    model: str
    mark: str
    suite: str
    suite_hash: str
    limit: int | None = None
    few_shot: int | None = None
    template: bool = False
    only: tuple[str, ...] = ()
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation with the tasks that are finished."""

    id: str
    order: Order
    tasks: dict[str, TaskResult]
    seconds: float
    versions: dict[str, str]
    finished: bool


def write(folder: Path, evaluation: Evaluation) -> None:
    """Put the figures in place at once: a reader sees the old ones or the new."""
    aside = folder / f".{FIGURES}.{os.getpid()}"
    aside.write_text(json.dumps(asdict(evaluation), ensure_ascii=False, indent=1), encoding="utf8")
    aside.replace(folder / FIGURES)


def read(folder: Path) -> Evaluation | None:
    """The figures of an evaluation's folder; None while it has none.

    Raises:
        StudioError: ``evaluation.broken`` for a file that cannot be read.
    """
    path = folder / FIGURES
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf8"))
        return Evaluation(
            id=found["id"],
            order=read_order(found["order"]),
            tasks={name: _task(told) for name, told in found["tasks"].items()},
            seconds=found["seconds"],
            versions=found["versions"],
            finished=found["finished"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StudioError("evaluation.broken", folder=str(folder)) from error


def write_items(folder: Path, task: str, items: Sequence[Item]) -> None:
    """Store what became of every item of a task."""
    lines = "".join(json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items)
    (folder / f"{task}.jsonl").write_text(lines, encoding="utf8")


def read_items(folder: Path, task: str) -> list[Item]:
    """The items of a finished task.

    Raises:
        StudioError: ``evaluation.broken``.
    """
    path = folder / f"{task}.jsonl"
    try:
        return [Item(**json.loads(line)) for line in path.read_text(encoding="utf8").split("\n") if line]
    except (OSError, ValueError, TypeError) as error:
        raise StudioError("evaluation.broken", folder=str(folder)) from error


def read_order(told: dict[str, Any]) -> Order:
    """An order as JSON gives it back."""
    return Order(**{**told, "only": tuple(told["only"])})


def _task(told: dict[str, Any]) -> TaskResult:
    categories = {name: Figure(**figure) for name, figure in told.pop("categories").items()}
    also = {name: Figure(**figure) for name, figure in told.pop("also").items()}
    return TaskResult(figure=Figure(**told.pop("figure")), categories=categories, also=also, **told)
