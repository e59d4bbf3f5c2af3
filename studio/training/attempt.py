"""A training as a job: from its frozen recipe, with one retry by itself where memory does not do."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from studio.errors import StudioError
from studio.jobs.burial import KILLED
from studio.models.files import locate
from studio.recipes import Recipe, load_recipe
from studio.training import several, shortage
from studio.training.journal import open_journal
from studio.training.prompts import NEW_TOKENS, SMOKE_TOKENS

if TYPE_CHECKING:
    from studio.worker import Work

log = logging.getLogger("studio.training")


def train(work: Work) -> dict[str, Any]:
    """Train a run: argument `run`; with `smoke` answers are short and nothing is measured.

    Raises:
        StudioError: ``job.again`` after the first shortage of memory, for the worker to start anew in a process whose
            memory is empty; after the second one what to change; else what the training raises.
    """
    run, smoke = work.job.arguments["run"], work.job.arguments.get("smoke", False)
    folder = work.settings.runs / run
    recipe = load_recipe(folder / "recipe.yaml")
    if work.job.arguments.get(KILLED):
        _after_kill(work, folder, recipe)
    try:
        result = several.train(
            folder,
            recipe,
            locate(recipe.base, work.settings),
            work.settings,
            record=lambda row: work.metrics.add(run, row),
            journal=None if smoke else open_journal(work.store.database, run),
            progress=work.progress,
            stopping=work.stopping,
            answer_tokens=SMOKE_TOKENS if smoke else NEW_TOKENS,
        )
    except Exception as error:
        if not shortage.is_shortage(error):
            raise
        log.exception("memory does not do")
        raise _after_shortage(work, folder, recipe, error) from error
    return {"run": run, **asdict(result)}


def _after_kill(work: Work, run: Path, recipe: Recipe) -> None:
    """Go on with half the batch where the system ended the process before this one for want of memory."""
    found = _after_shortage(work, run, recipe, StudioError("memory.host_killed"))
    if found.code != "job.again":
        raise found
    work.store.note(work.job.id, "again", found.details)


def _after_shortage(work: Work, run: Path, recipe: Recipe, error: Exception) -> StudioError:
    if not shortage.halve(run, recipe):
        return shortage.advice(error, recipe, cuda=torch.cuda.is_available())
    rows = work.metrics.newest(run.name, 1)
    stage = recipe.stages[rows[-1].stage if rows else 0]
    return StudioError("job.again", batch=stage.batch, accumulation=stage.accumulation)
