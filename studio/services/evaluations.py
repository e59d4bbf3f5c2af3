"""Evaluations: which suites there are, asking a model their questions as a job, and which model does better."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.evaluation import results
from studio.evaluation.definitions import check_items, fingerprint
from studio.evaluation.results import Evaluation, Order, TaskResult
from studio.evaluation.suites import Suite, home, load_suite, names
from studio.jobs.store import ENDED, Job, NewJob
from studio.models.files import chat_template, locate
from studio.models.reference import parse_reference
from studio.services import chat, models
from studio.services.studio import Studio

_NO_LETTER = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Manner:
    """How questions are put; see `studio.evaluation.results.Order`."""

    limit: int | None = None
    few_shot: int | None = None
    template: bool = False
    only: tuple[str, ...] = ()


@owner_only
def suites(studio: Studio) -> list[str]:
    """Names of all suites, the quick one first."""
    return names(studio.settings)


@owner_only
def suite(studio: Studio, name: str) -> Suite:
    """A suite.

    Raises:
        StudioError: ``evaluation.no_such_suite`` or ``evaluation.bad_suite``.
    """
    return load_suite(name, studio.settings)


@owner_only
def start(
    studio: Studio,
    model: str,
    suite: str,
    manner: Manner | None = None,
    *,
    data: Mapping[str, Path] | None = None,
    after: tuple[int, ...] = (),
) -> Job:
    """Queue an evaluation; one that waits or runs already is not begun twice, a finished one costs nothing.

    Args:
        studio: The studio.
        model: Reference.
        suite: Name of a suite.
        manner: How questions are put.
        data: Files that stand for a task's own items, by task.
        after: Jobs to wait for.

    Raises:
        StudioError: ``evaluation.bad_limit``, ``evaluation.no_template``, ``evaluation.no_such_suite``,
            ``evaluation.no_such_task``, ``evaluation.no_data``, ``model.*``.
    """
    order = make_order(studio, model, suite, manner, data=data)
    arguments = {"id": identity(order), "order": asdict(order)}
    for job in studio.jobs.listing(kind="evaluate"):
        if job.state not in ENDED and job.arguments["id"] == arguments["id"]:
            return job
    parsed = parse_reference(model)
    run = parsed.name if parsed.scheme == "run" else None
    title = f"{suite} · {model}"
    job_id = studio.jobs.add(NewJob("evaluate", title, arguments, lane="device", run=run, after=after))
    studio.queue.advance()
    return studio.jobs.get(job_id)


@owner_only
def make_order(
    studio: Studio, model: str, suite: str, manner: Manner | None = None, *, data: Mapping[str, Path] | None = None
) -> Order:
    """What `start` would ask, checked.

    Raises:
        StudioError: As `start`.
    """
    manner = manner or Manner()
    if manner.limit is not None and manner.limit < 1:
        raise StudioError("evaluation.bad_limit", limit=manner.limit)
    if manner.few_shot is not None and not 0 <= manner.few_shot <= 32:
        raise StudioError("evaluation.bad_few_shot", few_shot=manner.few_shot)
    found = load_suite(suite, studio.settings)
    files = {task: str(path.expanduser().resolve()) for task, path in (data or {}).items()}
    for task in (*files, *manner.only):
        found.task(task)
    check_items(found, home(suite, studio.settings), files)
    located = locate(model, studio.settings)
    if manner.template and chat_template(located.tokenizer_folder) is None:
        raise StudioError("evaluation.no_template")
    weights = located.adapter and located.adapter / "adapter_model.safetensors"
    mark = [str(located.folder), str(located.tokenizer_folder)]
    mark += [f"{weights}@{weights.stat().st_mtime_ns}"] if weights else []
    fingered = fingerprint(found, home(suite, studio.settings), files)
    return Order(
        model, "|".join(mark), suite, fingered, manner.limit, manner.few_shot, manner.template,
        tuple(sorted(set(manner.only))), files,
    )  # fmt: skip


def identity(order: Order) -> str:
    """The folder's name of an evaluation: the same order of the same files is the same evaluation."""
    digest = hashlib.sha256(json.dumps(asdict(order), sort_keys=True).encode()).hexdigest()[:10]
    return f"{_NO_LETTER.sub('-', order.model).strip('-')}--{order.suite}--{digest}"


@owner_only
def get(studio: Studio, evaluation: str) -> Evaluation:
    """An evaluation with the tasks that are finished.

    Raises:
        StudioError: ``evaluation.unknown`` or ``evaluation.broken``.
    """
    found = None if "/" in evaluation else results.read(studio.settings.evaluations / evaluation)
    if found is None:
        raise StudioError("evaluation.unknown", id=evaluation)
    return found


@owner_only
def listing(studio: Studio) -> list[Evaluation]:
    """Every evaluation with at least one finished task, the newest first; a broken one is left out."""
    folders = [path for path in studio.settings.evaluations.iterdir() if (path / results.FIGURES).is_file()]
    folders.sort(key=lambda path: (path / results.FIGURES).stat().st_mtime, reverse=True)
    found = []
    for folder in folders:
        try:
            told = results.read(folder)
        except StudioError:  # `get` says so to whoever asks for this one
            continue
        if told is not None:
            found.append(told)
    return found


@owner_only
def subjects(studio: Studio) -> list[str]:
    """What can be evaluated: bases on disk, then runs, newest first, each with its finished stages."""
    return [
        *models.fetched(studio),
        *(each for each in chat.adapted(studio) if parse_reference(each).revision is None),
    ]


@owner_only
def board(studio: Studio, suite: str) -> list[Evaluation]:
    """The newest evaluations with one suite that were asked the same way: bases first, then the oldest first."""
    found: list[Evaluation] = []
    for each in listing(studio):
        if each.order.suite != suite or each.order.model in [known.order.model for known in found]:
            continue
        if not found or _way(each.order) == _way(found[0].order):
            found.append(each)
    return sorted(reversed(found), key=lambda each: each.order.model.startswith("run:"))


@owner_only
def of_run(studio: Studio, run: str, base: str, stages: Sequence[str] = ()) -> list[list[Evaluation]]:
    """For each suite that a run or one of its stages has answered, its evaluations after those of its base.

    They stand in the order of `stages`, the run itself last.
    """
    order = {base: -1, **{f"run:{run}/{stage}": place for place, stage in enumerate(stages)}}
    found = []
    for name in suites(studio):
        own = [each for each in board(studio, name) if _is_of(each.order.model, run, base)]
        if any(each.order.model != base for each in own):
            found.append(sorted(own, key=lambda each: order.get(each.order.model, len(stages))))
    return found


def _is_of(model: str, run: str, base: str) -> bool:
    parsed = parse_reference(model)
    return model == base or (parsed.scheme == "run" and parsed.name == run)


def _way(order: Order) -> tuple[object, ...]:
    """All that must be the same for two figures to stand beside each other."""
    return (order.suite_hash, order.limit, order.few_shot, order.template, order.only, tuple(sorted(order.data)))


def as_json(evaluation: Evaluation) -> dict[str, object]:
    """What ``evaluate`` answers on the command line."""
    tasks = {name: task_json(result) for name, result in evaluation.tasks.items()}
    return {
        "id": evaluation.id,
        "model": evaluation.order.model,
        "suite": evaluation.order.suite,
        "tasks": tasks,
        "seconds": round(evaluation.seconds, 1),
        "versions": evaluation.versions,
    }


def task_json(result: TaskResult) -> dict[str, object]:
    """One task with full words as keys."""
    return {
        "metric": result.metric,
        **asdict(result.figure),
        "chance": result.chance,
        "language": result.language,
        "seconds": result.seconds,
        "categories": {name: asdict(figure) for name, figure in result.categories.items()},
        "also": {name: asdict(figure) for name, figure in result.also.items()},
        "contaminated": result.contaminated,
        "signature": result.signature,
        "verified": result.verified,
    }
