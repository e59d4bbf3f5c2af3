"""Tasks run by lm-eval with a model that is already in memory, told as items."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from studio.errors import StudioError
from studio.evaluation.results import Item, Order
from studio.evaluation.suites import CORPUS_METRICS, SuiteTask
from studio.jobs.events import Progress, Stopping

BATCH = {"cpu": 4, "cuda": 16}
"""Rows at once. fp32 logits of 4 rows of 500 tokens over 49,152 words are 0.4 GB, and lm-eval keeps them twice."""


class WatchedModel(HFLM):  # type: ignore[misc]
    """lm-eval's own Hugging Face model around one in memory, that tells how far it is and can be stopped.

    Args:
        model: A `transformers` causal model or one with an adapter, in evaluation mode.
        tokenizer: Its tokenizer.
        document_start: Token before a text without a context; lm-eval would take the tokenizer's BOS, which for
            SmolLM2 opens a chat turn and costs 9% of bits per byte.
        stopping: Asked before each batch.
    """

    def __init__(self, model: Any, tokenizer: Any, document_start: int | None, stopping: Stopping) -> None:
        super().__init__(
            pretrained=model,
            tokenizer=tokenizer,
            batch_size=BATCH.get(model.device.type, 1),
            prefix_token_id=document_start,
        )
        self._stopping = stopping
        self._progress: Progress = _silent
        self._rows, self._wanted = 0, 1

    def watch(self, progress: Progress) -> None:
        """Tell the rows of the next task to `progress`."""
        self._progress, self._rows, self._wanted = progress, 0, 1

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        self._wanted = max(1, len(requests))
        return super().loglikelihood(requests, disable_tqdm=True)  # type: ignore[no-any-return]

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
        self._wanted = max(1, len(requests))
        return super().generate_until(requests, disable_tqdm=True)  # type: ignore[no-any-return]

    def _model_call(self, inps: Any, *args: Any, **kwargs: Any) -> Any:
        self._tick(len(inps))
        return super()._model_call(inps, *args, **kwargs)

    def _model_generate(self, context: Any, *args: Any, **kwargs: Any) -> Any:
        self._tick(len(context))
        return super()._model_generate(context, *args, **kwargs)

    def _tick(self, rows: int) -> None:
        if self._stopping():
            raise StudioError("job.stopped")
        self._rows += rows
        self._progress(min(1.0, self._rows / self._wanted), "progress.evaluation.measure")


def _silent(share: float, note: str) -> None:
    """Tell nobody."""


def run_task(
    model: WatchedModel, task: SuiteTask, tasks: Path, order: Order, *, progress: Progress, seed: int = 3407
) -> list[Item]:
    """Ask all questions of a task, or of every task of a group.

    Args:
        model: Answers them.
        task: What to ask.
        tasks: Folder with the definitions of our own tasks; lm-eval's are found by themselves.
        order: How questions are put: limit, solved examples, chat template.
        progress: Told the share done.
        seed: Of the examples drawn before a question.

    Raises:
        StudioError: ``evaluation.no_such_task``, ``evaluation.no_data`` when the items cannot be had,
            ``evaluation.no_template``, ``evaluation.no_metric``, ``job.stopped``.
    """
    if order.template and not model.tokenizer.chat_template:
        raise StudioError("evaluation.no_template")
    model.watch(progress)
    manager = definitions(task, tasks)
    asked = loaded(manager, task)
    found = simple_evaluate(
        model=model,
        tasks=asked,
        task_manager=manager,
        num_fewshot=order.few_shot,
        limit=order.limit,
        bootstrap_iters=0,
        apply_chat_template=order.template,
        log_samples=True,
        random_seed=seed,
        numpy_random_seed=seed,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
    )
    samples = found["samples"]
    return [_item(task, name, row, len(samples) > 1) for name, rows in samples.items() for row in _first_filter(rows)]


def definitions(task: SuiteTask, tasks: Path) -> TaskManager:
    """What lm-eval knows of a task: ours alone where that is enough, as reading its own ten thousand takes seconds.

    Raises:
        StudioError: ``evaluation.no_such_task``.
    """
    ours = (tasks / f"{task.task}.yaml").is_file()
    with _quiet():
        manager = TaskManager(include_path=str(tasks), include_defaults=not ours)
    if task.task not in manager.all_tasks:
        raise StudioError("evaluation.no_such_task", task=task.task, suite="lm-eval")
    return manager


def loaded(manager: TaskManager, task: SuiteTask) -> list[Any]:
    """The task, or the tasks of the group, with their items.

    Raises:
        StudioError: ``evaluation.no_data``.
    """
    try:
        return list(manager.load([task.task])["tasks"].values())
    except Exception as error:  # whatever the library of datasets meets: no connection, no such file, a changed form
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise StudioError("evaluation.no_data", task=task.task, reason=reason) from error


def _first_filter(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A task may judge its answers in several ways; the first in its definition counts."""
    return [row for row in rows if row["filter"] == rows[0]["filter"]]


def _item(task: SuiteTask, name: str, row: Mapping[str, Any], grouped: bool) -> Item:
    if task.metric not in row:
        raise StudioError("evaluation.no_metric", task=name, metric=task.metric)
    category = name if grouped else str(row["doc"].get(task.category, "")) if task.category else ""
    wanted, said = _answers(row)
    value = None
    if task.metric in CORPUS_METRICS:
        wanted, said = _pair(row[task.metric])
    else:
        value = float(row[task.metric])
    text = max((one for one in row["doc"].values() if isinstance(one, str)), key=len, default="")
    return Item(f"{name}/{row['doc_id']}", str(row["doc_hash"]), value, wanted, said, category, text)


def _answers(row: Mapping[str, Any]) -> tuple[str, str]:
    """The right answer, and the likeliest or written one."""
    said = row["filtered_resps"]
    if said and isinstance(said[0], tuple | list):  # log-likelihoods of the choices
        choices = [str(arguments[1]).strip() for arguments in row["arguments"]]
        scores = [float(one[0]) for one in said]
        target = row["target"]
        wanted = choices[target] if isinstance(target, int) and target < len(choices) else str(target)
        return wanted, choices[scores.index(max(scores))] if len(choices) == len(scores) else ""
    return str(row["target"]), str(said[0]) if said else ""


def _pair(value: Any) -> tuple[str, str]:
    """The reference and the answer that lm-eval hands to a figure of all answers."""
    wanted, said = value
    return str(wanted[0] if isinstance(wanted, list) else wanted), str(said)


class _quiet:
    """No warnings of lm-eval's about definitions that are not ours."""

    def __enter__(self) -> None:
        self._logger = logging.getLogger("lm_eval")
        self._level = self._logger.level
        self._logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(self._level)
