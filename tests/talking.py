"""Runs that can talk: the tiny model with random adapters where a training would have left its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studio.recipes import preset_recipe
from studio.services.studio import Studio
from studio.training.checkpoints import stage_folder
from tests.past import make_run
from tests.unit.chat.conftest import make_adapter


def make_talking_run(studio: Studio, run: str, base: Path, names: Sequence[str] = ("chat",)) -> list[str]:
    """A finished run over the model in `base` with a stage for each of `names`; returns their references.

    Every stage has an adapter of its own and answers otherwise.
    """
    plan = preset_recipe("first_steps")
    stages = [plan.stages[0].model_copy(update={"name": name}) for name in names]
    plan = plan.model_copy(update={"base": f"local:{base}", "stages": stages})
    folder = make_run(studio, run, plan, state=None, steps=(4,) * len(stages))
    for number, stage in enumerate(plan.stages):
        make_adapter(base, stage_folder(folder, number, stage), seed=10 + number)
    return [f"run:{run}/{stage.name}" for stage in plan.stages]
