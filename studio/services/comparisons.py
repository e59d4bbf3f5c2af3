"""Evaluations beside each other: every figure of the others against the first model's, on the same items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from studio.auth import owner_only
from studio.evaluation import results
from studio.evaluation.results import Evaluation, TaskResult
from studio.evaluation.suites import SPEARMAN
from studio.services.evaluations import task_json
from studio.services.studio import Studio


@dataclass(frozen=True, slots=True)
class Difference:
    """As `studio.evaluation.scores.Difference`; `shown` says whether the interval leaves zero out."""

    difference: float
    low: float
    high: float
    items: int
    shown: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """One task of several models: each with its figures, and how it differs from the first.

    `also` holds the differences of a task's further figures, by model and metric.
    """

    task: str
    results: dict[str, TaskResult]
    differences: dict[str, Difference]
    also: dict[str, dict[str, Difference]]


@owner_only
def compare(studio: Studio, evaluations: Sequence[Evaluation]) -> list[Compared]:
    """Each task that the first has, for all; the others' differences from the first with their intervals.

    Raises:
        StudioError: ``evaluation.other_items`` when two did not answer the same questions, ``evaluation.broken``.
    """
    home = studio.settings.evaluations
    first, *others = evaluations
    compared = []
    for task, result in first.tasks.items():
        one = Compared(task, {first.order.model: result}, {}, {})
        for other in others:
            if task not in other.tasks:
                continue
            model, files = other.order.model, (home / first.id, home / other.id)
            one.results[model] = other.tasks[task]
            one.differences[model] = _difference(*files, task, result.metric)
            both = [metric for metric in result.also if metric in other.tasks[task].also]
            one.also[model] = {metric: _difference(*files, task, metric) for metric in both}
        compared.append(one)
    return compared


def _difference(first: Path, second: Path, task: str, metric: str) -> Difference:
    stamps = tuple((folder / f"{task}.jsonl").stat().st_mtime_ns for folder in (first, second))
    return _measured(first, second, task, metric, stamps)


@lru_cache(maxsize=4096)
def _measured(first: Path, second: Path, task: str, metric: str, stamps: tuple[int, ...]) -> Difference:
    """A page asks again every two seconds, and 2,000 resamples of 60 items take 20 ms; `stamps` tell files apart."""
    from studio.evaluation import correlation, scores

    before, after = results.read_items(first, task), results.read_items(second, task)
    graded = metric == SPEARMAN
    found = correlation.difference(before, after) if graded else scores.difference(before, after, metric)
    return Difference(**asdict(found), shown=found.shown)


def compared_json(one: Compared) -> dict[str, object]:
    """What ``compare`` answers for a task: all figures, every difference from the first model, and by itself, as
    ``difference``, ``low`` and ``high``, that of the last."""
    differences = {model: asdict(found) for model, found in one.differences.items()}
    also = {model: {name: asdict(each) for name, each in found.items()} for model, found in one.also.items()}
    return {
        "metric": next(iter(one.results.values())).metric,
        "results": {model: task_json(result) for model, result in one.results.items()},
        "differences": differences,
        "also_differences": also,
        **next(reversed(differences.values()), {}),
    }
