"""A run that goes on from where another one's recipe and its own part: what was finished is taken over."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from studio.auth import owner_only
from studio.errors import StudioError
from studio.recipe_changes import ENVIRONMENT, changes
from studio.recipes import Recipe, Stage, load_recipe
from studio.services.studio import Studio
from studio.services.words import FOLDER
from studio.training.checkpoints import WEIGHTS, checkpoints, stage_folder

ANSWERS = "samples.jsonl"
_WHOLE = ("base", "vocabulary", "quantisation", "lora", "seed")
"""Keys that every stage depends on: another value makes another adapter, or another order of the same data."""


@dataclass(frozen=True, slots=True)
class Branch:
    """What a new run takes over of the run `origin`.

    Attributes:
        origin: Name of the run.
        kept: Its finished stages, the first ones of both recipes.
        checkpoint: The newest checkpoint of the stage after them, if that is the same in both recipes too.
        changed: What differs, as `studio.recipe_changes.changes` says it.
    """

    origin: str
    kept: tuple[Path, ...]
    checkpoint: Path | None
    changed: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """The branch as the command line tells it."""
        return {
            "from": self.origin,
            "kept": [stage.name.partition("-")[2] for stage in self.kept],
            "checkpoint": None if self.checkpoint is None else self.checkpoint.name,
            "changed": list(self.changed),
        }


@owner_only
def plan(studio: Studio, recipe: Recipe, origin: str) -> Branch:
    """See what a run of `recipe` can take over of `origin`, a run's name or reference.

    Raises:
        StudioError: ``run.unknown``; ``training.cannot_branch`` if a key differs that all stages depend on;
            ``training.nothing_to_branch`` if no stage that both have in common has got anywhere.
    """
    name = origin.removeprefix("run:")
    folder = studio.settings.runs / Path(name).name
    if not name or not (folder / ENVIRONMENT).is_file():
        raise StudioError("run.unknown", run=origin)
    then = load_recipe(folder / "recipe.yaml")
    before, after = then.model_dump(mode="json"), recipe.model_dump(mode="json")
    if found := changes(_shape(then), _shape(recipe)):
        raise StudioError("training.cannot_branch", run=name, changes="; ".join(found))
    common = [stage_folder(folder, number, stage) for number, stage in enumerate(_common(then.stages, recipe.stages))]
    kept = list(takewhile(lambda stage: (stage / WEIGHTS).is_file(), common))
    begun = checkpoints(common[len(kept)]) if len(kept) < len(common) else []
    if not kept and not begun:
        raise StudioError("training.nothing_to_branch", run=name)
    told = changes(before | {"name": None}, after | {"name": None})  # every run may have a name of its own
    return Branch(name, tuple(kept), begun[-1] if begun else None, tuple(told))


@owner_only
def fill(studio: Studio, branch: Branch, recipe: Recipe, run: str) -> None:
    """Copy what `branch` takes over into the folder of `run`, which is held to the same base, vocabulary and data.

    Its figures and answers go along: the new run's curves and report begin at the base, as the old one's do.
    """
    source, target = studio.settings.runs / branch.origin, studio.settings.runs / run
    if (source / FOLDER).is_dir():
        shutil.copytree(source / FOLDER, target / FOLDER)
    for stage in branch.kept:
        shutil.copytree(stage, target / "stages" / stage.name, ignore=shutil.ignore_patterns("checkpoints", ".*"))
    if branch.checkpoint is not None:
        shutil.copytree(branch.checkpoint, target / branch.checkpoint.relative_to(source))
    step = 0 if branch.checkpoint is None else int(branch.checkpoint.name.partition("-")[2])
    studio.metrics.take_over(run, branch.origin, len(branch.kept), step)
    _copy_answers(source / ANSWERS, target / ANSWERS, len(branch.kept), step)
    environment = json.loads((source / ENVIRONMENT).read_text(encoding="utf8"))
    taken = recipe.stages[: len(branch.kept) + (branch.checkpoint is not None)]
    used = {each.dataset for stage in taken for each in stage.data}
    environment["datasets"] = {name: facts for name, facts in environment["datasets"].items() if name in used}
    environment |= {"recipe": recipe.model_dump(mode="json"), "from": branch.origin}
    (target / ENVIRONMENT).write_text(json.dumps(environment, indent=2, ensure_ascii=False), encoding="utf8")


def _copy_answers(source: Path, target: Path, stage: int, step: int) -> None:
    if source.is_file():
        lines = [line for line in source.read_text(encoding="utf8").split("\n") if line]
        places = [(int(answer["stage"]), int(answer["step"])) for answer in map(json.loads, lines)]
        # Step 0 of the stage to come is asked anew by the run itself.
        kept = [
            line
            for line, at in zip(lines, places, strict=True)
            if at[0] < stage or (at[0] == stage and 0 < at[1] <= step)
        ]
        target.write_text("".join(line + "\n" for line in kept), encoding="utf8")


def _shape(recipe: Recipe) -> dict[str, Any]:
    data = recipe.model_dump(mode="json")
    whole = any(stage.rows == "all" for stage in recipe.stages)
    return {**{key: data[key] for key in _WHOLE}, "stages.*.rows": "all" if whole else "new"}


def _common(then: list[Stage], now: list[Stage]) -> list[Stage]:
    """The stages that both recipes begin with."""
    return [new for old, new in takewhile(lambda pair: pair[0] == pair[1], zip(then, now, strict=False))]
