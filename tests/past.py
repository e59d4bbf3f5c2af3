"""Runs that nobody trained: the rows and folders that a training would have left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import text

from studio.jobs.events import HeldOutRow, MetricRow
from studio.jobs.store import NewJob, State
from studio.recipes import Recipe, dump_recipe, preset_recipe
from studio.services.studio import Studio
from studio.training.checkpoints import WEIGHTS, checkpoint_folder, stage_folder

STEPS = 40
WEIGHT_BYTES, OPTIMIZER_BYTES = 1_000, 2_000


def make_run(
    studio: Studio,
    run: str,
    recipe: Recipe | None = None,
    *,
    state: State | None = "done",
    created: float = 1_800_000_000.0,
    steps: Sequence[int] = (STEPS,),
    finished: int | None = None,
    checkpoints: Mapping[int, Sequence[int]] | None = None,
    origin: str | None = None,
) -> Path:
    """A run with metric rows for each of `steps`, one number per stage begun; returns its folder.

    Args:
        studio: Where.
        run: Its id.
        recipe: What it was begun with; ``first_steps`` by default.
        state: Of its job; None for a folder without one.
        created: When it was asked for, in Unix seconds.
        steps: Last step of each stage; loss falls to ``3 - stage``, and each step reads ten tokens.
        finished: How many stages are finished; all of `steps` by default.
        checkpoints: Steps with a checkpoint by stage.
        origin: The run that it took stages over from.
    """
    recipe = recipe or preset_recipe("first_steps")
    folder = studio.settings.runs / run
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
    environment = {"recipe": recipe.model_dump(mode="json")} | ({"from": origin} if origin else {})
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf8")
    if state is not None:
        add_job(studio, run, state, created)
    tokens = 0
    for stage, last in enumerate(steps):
        for step in range(1, last + 1):
            tokens += 10
            loss = 3.0 - stage + 1 / step
            row = MetricRow(stage, step, created + step, loss, 1.0, None, 2e-4, tokens, 3 * tokens, 5.0, 15.0, 1_000)
            studio.metrics.add(run, row)
        place = stage_folder(folder, stage, recipe.stages[stage])
        place.mkdir(parents=True)
        (place / "order.json").write_text(json.dumps({"steps": last}))
        if stage < (len(steps) if finished is None else finished):
            (place / WEIGHTS).write_bytes(bytes(WEIGHT_BYTES))
            (place / "adapter_config.json").write_text("{}")
        for step in (checkpoints or {}).get(stage, ()):
            add_checkpoint(place, step)
    return folder


def add_job(studio: Studio, run: str, state: State, created: float) -> int:
    """The training job of a run, in any state."""
    job = studio.jobs.add(NewJob("train", run, {"run": run, "smoke": False}, lane="device", run=run))
    query = text("UPDATE jobs SET state = :state, created = :created, finished = :created + 60 WHERE id = :id")
    with studio.jobs.database.writing() as connection:
        connection.execute(query, {"state": state, "created": created, "id": job})
    return job


def add_checkpoint(stage: Path, step: int) -> Path:
    """A checkpoint as `StageTrainer` writes it, without a model in it."""
    folder = checkpoint_folder(stage, step)
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(bytes(WEIGHT_BYTES))
    (folder / "adapter_config.json").write_text("{}")
    (folder / "optimizer.pt").write_bytes(bytes(OPTIMIZER_BYTES))
    return folder


def measure(studio: Studio, run: str, stage: int, step: int, fa: float, en: float) -> None:
    """Held-out figures after a step; stage -1 is the base."""
    for language, bits in (("fa", fa), ("en", en)):
        studio.held_out.add(run, HeldOutRow(stage, step, language, bits, 2.5, 100, 200, 50.0))
