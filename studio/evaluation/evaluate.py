"""One evaluation from its order to its figures: each task is kept as soon as it is finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.evaluation import results
from studio.evaluation.contamination import contaminated, training_texts
from studio.evaluation.correlation import graded
from studio.evaluation.definitions import lay
from studio.evaluation.results import Evaluation, Item, Order, TaskResult
from studio.evaluation.scores import score, signature
from studio.evaluation.suites import SuiteTask, home, load_suite
from studio.jobs.events import Progress, Stopping
from studio.models.files import ModelFiles, document_start, locate
from studio.models.reference import parse_reference
from studio.recipes import load_recipe
from studio.settings import Settings

LIBRARIES = ("lm-eval", "sacrebleu", "transformers", "torch", "peft")
_LOAD_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Subject:
    """The model in memory, and all that a task needs of it."""

    model: Any
    tokenizer: Any
    start: int | None

    def encode(self, text: str) -> Sequence[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def carry_out(order: Order, folder: Path, settings: Settings, *, progress: Progress, stopping: Stopping) -> Evaluation:
    """Find the model of an order, and what it was trained on, and `evaluate` it.

    Raises:
        StudioError: As `evaluate`.
    """
    parsed, trained_on = parse_reference(order.model), None
    if parsed.scheme == "run":
        recipe = load_recipe(settings.runs / parsed.name / "recipe.yaml")
        trained_on = [settings.datasets / name for name in recipe.datasets]
    files = locate(order.model, settings)
    return evaluate(order, files, folder, settings, trained_on=trained_on, progress=progress, stopping=stopping)


def evaluate(
    order: Order,
    files: ModelFiles,
    folder: Path,
    settings: Settings,
    *,
    trained_on: Sequence[Path] | None,
    progress: Progress,
    stopping: Stopping,
) -> Evaluation:
    """Ask a model all questions of a suite; tasks that an earlier attempt finished are not asked again.

    Args:
        order: What and how.
        files: Of the model.
        folder: Of the evaluation; figures and items are written there after every task.
        settings: Of the studio.
        trained_on: Folders of the datasets that the model was trained on, None for a base: nobody knows.
        progress: Told the share of all tasks.
        stopping: Asked often; what is finished by then stays.

    Raises:
        StudioError: ``evaluation.*``, ``model.*``, ``job.stopped``.
    """
    suite = load_suite(order.suite, settings)
    folder.mkdir(parents=True, exist_ok=True)
    tasks = lay(suite, home(order.suite, settings), folder, order.data)
    found = results.read(folder) or Evaluation(folder.name, order, {}, 0.0, _versions(), finished=False)
    wanted = [task for task in suite.tasks if not order.only or task.task in order.only]
    left = [task for task in wanted if task.task not in found.tasks]
    if left:
        progress(0.0, "progress.bits.load")
        ask = _asker(_load(files), order, tasks, stopping)
    for place, task in enumerate(left):
        share = (1 - _LOAD_SHARE) / len(left)

        def told(part: float, note: str, start: float = _LOAD_SHARE + place * share, share: float = share) -> None:
            progress(start + part * share, note)

        began = time.monotonic()
        items = ask(task, told)
        spent = time.monotonic() - began
        results.write_items(folder, task.task, items)
        done = _result(task, items, spent, _met(items, trained_on, stopping))
        found = replace(found, tasks={**found.tasks, task.task: done}, seconds=found.seconds + spent)
        results.write(folder, found)
    found = replace(found, finished=True)
    results.write(folder, found)
    return found


def _load(files: ModelFiles) -> Subject:
    from studio.evaluation.bits import exact_dtype
    from studio.models.load import load_adapted, load_base

    load = load_base if files.adapter is None else load_adapted
    # As bits per byte: in fp32 where it fits, so that a figure does not hang on how questions happen to be batched.
    model, tokenizer = load(files, dtype=exact_dtype(files.folder))
    return Subject(model, tokenizer, document_start(files.folder))


def _asker(
    subject: Subject, order: Order, tasks: Path, stopping: Stopping
) -> Callable[[SuiteTask, Progress], list[Item]]:
    """What asks all questions of one task."""
    from studio.evaluation.harness import WatchedModel, run_task
    from studio.evaluation.retrieval import retrieve
    from studio.evaluation.sentence_pairs import read_pairs
    from studio.evaluation.translation import translate_items

    watched = WatchedModel(subject.model, subject.tokenizer, subject.start, stopping)

    def ask(task: SuiteTask, progress: Progress) -> list[Item]:
        if task.kind == "retrieval":
            laid = tasks.parent / "items" / f"{task.task}.jsonl"
            file = order.data.get(task.task) or (str(laid) if laid.is_file() else None)
            pairs = read_pairs(file).first(order.limit)
            return retrieve(subject.model, subject.encode, pairs.texts, subject.start, grades=pairs.grades,
                            progress=progress, stopping=stopping)  # fmt: skip
        if task.translate:
            translate_items(watched, task, tasks.parent, order.limit, progress=progress)
        return run_task(watched, task, tasks, order, progress=progress)

    return ask


def _met(items: Sequence[Item], trained_on: Sequence[Path] | None, stopping: Stopping) -> int | None:
    """How many items stand in the training texts; None if those are not known (any more)."""
    if trained_on is None or not all(folder.is_dir() for folder in trained_on):
        return None
    found = sum(contaminated([item.text for item in items], training_texts(trained_on, stopping)))
    if stopping():
        raise StudioError("job.stopped")
    return found


def _result(task: SuiteTask, items: Sequence[Item], seconds: float, met: int | None) -> TaskResult:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.category, []).append(item)
    return TaskResult(
        task=task.task,
        language=task.language,
        metric=task.metric,
        figure=score(items, task.metric),
        chance=task.chance if task.kind == "harness" else 2 / len(items),
        seconds=round(seconds, 2),
        categories={name: score(group, task.metric) for name, group in sorted(groups.items())}
        if groups.keys() - {""}
        else {},
        contaminated=met,
        signature=signature(task.metric),
        verified=task.verified,
        also={**{metric: score(items, metric) for metric in task.also}, **graded(items)},
    )


def _versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}
