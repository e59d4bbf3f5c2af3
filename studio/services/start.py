"""The first screen: what was found here, and the one button that walks the whole story."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from studio import workspace
from studio.auth import owner_only
from studio.device import Device, find_device
from studio.jobs.store import ENDED, Job, NewJob
from studio.models.files import is_fetched
from studio.services import datasets, merging, models, training
from studio.services.studio import Studio

STORY_RECIPE = "first_steps"
STORY_PARTS = ("fetch", "data", "before", "train", "after", "merge")

# Tokens per second and core of the 135 million parameter starter under LoRA: 140 to 250 measured with bf16
# instructions, on a busy and on a quiet machine; a guess of 80 without them and of a few thousand for a GPU. Measured
# runs replace these as soon as there are any.
CORE_SPEED = 200.0
SLOW_CORE_SPEED = 80.0
GPU_SPEED = 8_000.0
STORY_TOKENS_PER_ROW = 600  # the sample chats under the starter's tokenizer, about a token per letter
FIXED_SECONDS = 150.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected seconds; `measured` tells whether earlier runs on this machine stand behind it."""

    seconds: float
    measured: bool


@dataclass(frozen=True, slots=True)
class StoryPart:
    """One step of the first story and its jobs; without jobs it was done before the story began."""

    key: str
    jobs: list[Job]

    @property
    def state(self) -> str:
        """The state of the part: the worst of its jobs, ``done`` without any."""
        states = {job.state for job in self.jobs}
        order = ("failed", "lost", "stopped", "stopping", "running", "needs_login", "waiting", "queued")
        return next((state for state in order if state in states), "done")


@dataclass(frozen=True, slots=True)
class Story:
    """The first story as far as it has come."""

    run: str
    parts: list[StoryPart]

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs or waits any more."""
        return all(job.state in ENDED for part in self.parts for job in part.jobs)

    def part(self, key: str) -> StoryPart:
        """The part called `key`."""
        return next(part for part in self.parts if part.key == key)


@owner_only
def is_kept(studio: Studio) -> bool:
    """Whether what is made here outlives a restart; in a Space without a mounted volume it does not."""
    return workspace.is_kept(studio.settings)


@owner_only
def device(studio: Studio) -> Device:
    """What this machine offers."""
    return find_device(studio.settings.workspace)


@owner_only
def expected(studio: Studio) -> Estimate:
    """How long the first story will take here."""
    recipe = training.read_recipe(STORY_RECIPE)
    stage = recipe.stages[0]
    rows = (stage.budget.steps or 60) * stage.batch * stage.accumulation
    past = [
        job.result["tokens_per_second"]
        for job in studio.jobs.listing(states=("done",), kind="train")
        if job.result is not None and job.arguments["run"].startswith(recipe.name)
    ]
    found = device(studio)
    core = CORE_SPEED if found.fast_bf16 else SLOW_CORE_SPEED
    speed = median(past) if past else GPU_SPEED if found.kind == "cuda" else core * found.cores
    return Estimate(FIXED_SECONDS + rows * STORY_TOKENS_PER_ROW / speed, measured=bool(past))


@owner_only
def begin_story(studio: Studio) -> Story:
    """Queue the whole story: fetch, data, figures before, training, figures after, merge.

    A story that is still under way is returned as it is.

    Raises:
        StudioError: What its parts raise, such as ``disk.full``.
    """
    under_way = story(studio)
    if under_way is not None and not under_way.ended:
        return under_way
    recipe = training.read_recipe(STORY_RECIPE)
    parts: dict[str, list[int]] = {part: [] for part in STORY_PARTS}
    if not is_fetched(recipe.base, studio.settings):
        parts["fetch"] = [models.start_fetch(studio, recipe.base).id]
    parts["data"] = [
        datasets.start_starter_import(studio, name).id
        for name in datasets.starter_names(shipped_only=True)
        if not datasets.exists(studio, name)
    ]
    parts["before"] = [_measure(studio, recipe.base, after=(*parts["fetch"], *parts["data"]))]
    train = training.start(studio, recipe)
    parts["train"] = [train.id]
    run = train.arguments["run"]
    parts["after"] = [_measure(studio, f"run:{run}", after=(train.id,))]
    parts["merge"] = [merging.start_merge(studio, f"run:{run}", after=(parts["after"][0],)).id]
    _record(studio).write_text(json.dumps({"run": run, "parts": parts}), encoding="utf8")
    studio.queue.advance()
    found = story(studio)
    assert found is not None, "a story was just queued"
    return found


@owner_only
def story(studio: Studio) -> Story | None:
    """The newest first story, or None."""
    path = _record(studio)
    if not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf8"))
    parts = [StoryPart(key, [studio.jobs.get(job) for job in kept["parts"][key]]) for key in STORY_PARTS]
    return Story(kept["run"], parts)


def _measure(studio: Studio, model: str, after: tuple[int, ...]) -> int:
    return studio.jobs.add(NewJob("bits", model, {"model": model}, lane="device", after=after))


def _record(studio: Studio) -> Path:
    return studio.settings.workspace / "story.json"
