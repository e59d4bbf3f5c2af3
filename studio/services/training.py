"""The training tab: recipes, starting a run, watching it, stopping and resuming it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from studio.auth import owner_only
from studio.errors import StudioError
from studio.jobs.curves import COLUMNS, NEWEST, curve_payload, stage_starts, unchanged
from studio.jobs.events import Alarm, HeldOutRow, MetricRow
from studio.jobs.store import ENDED, Job, NewJob
from studio.models.files import is_fetched, locate, locate_tokenizer
from studio.models.fitness import check_fitness
from studio.models.reference import parse_reference
from studio.recipe_changes import check_recipe
from studio.recipe_problems import problems
from studio.recipes import Recipe, dump_recipe, load_recipe, parse_recipe
from studio.services import branching, datasets, jobs, logs, models, recipes, runs, words
from studio.services.branching import Branch
from studio.services.studio import Studio
from studio.tokenizer.families import read_family

ADAPTER = "adapter_model.safetensors"
GENERATION = 10**9
"""More metric rows than a workspace can have; tokens stay below 2**53, which JavaScript keeps exactly."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as lists show it; `stages` holds the finished or checkpointed ones, oldest first."""

    id: str
    recipe: Recipe
    job: Job | None
    latest: MetricRow | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A sample answer written while training; `step` 0 is before the first step."""

    stage: str
    step: int
    prompt: str
    answer: str


def recipe_names() -> list[str]:
    """The recipes that ship with the studio."""
    return recipes.names()


def read_recipe(name_or_path: str, settings: Iterable[str] = ()) -> Recipe:
    """A recipe by the name of a preset or the path of a YAML file, with ``key=value`` settings applied.

    Raises:
        StudioError: ``recipe.*``.
    """
    return recipes.read(name_or_path, settings)


@owner_only
def start(studio: Studio, recipe: Recipe, branch: Branch | None = None, *, smoke: bool = False) -> Job:
    """Queue a run of `recipe`, with whatever it needs first: base model, the studio's own texts, a vocabulary.

    Args:
        studio: The workspace.
        recipe: What to do.
        branch: What the run takes over of another one, from `studio.services.branching.plan`.
        smoke: Start rows are fitted for a few steps only and sample answers are short.

    Returns:
        The job of the training; it waits for what must be fetched.

    Raises:
        StudioError: ``data.no_such_dataset``, ``model.*``, ``vocabulary.*``, ``recipe.*`` or what `problems` finds;
            nothing is queued then.
    """
    recipe = parse_recipe(recipe.model_dump(mode="json"))
    if found := problems(recipe, recipes.known_limit(recipe, studio.settings)):
        raise found[0]
    fetch = _must_fetch(studio, recipe)
    wanted = recipe.datasets
    if branch is None:  # else the vocabulary is that of the other run
        words.check(studio, recipe)
    missing = [name for name in wanted if not datasets.exists(studio, name)]
    for name in missing:
        if name not in datasets.starter_names():
            raise StudioError("data.no_such_dataset", name=name)
    before = [datasets.start_starter_import(studio, name).id for name in missing]
    if fetch:
        before.append(models.start_fetch(studio, recipe.base).id)
    run = _make_run(studio, recipe)
    if branch is None:
        before += words.prepare(studio, recipe, run, before, smoke=smoke)
    else:
        branching.fill(studio, branch, recipe, run)
    job = studio.jobs.add(
        NewJob("train", run, {"run": run, "smoke": smoke}, lane="device", run=run, after=tuple(before))
    )
    studio.queue.advance()
    return studio.jobs.get(job)


def _must_fetch(studio: Studio, recipe: Recipe) -> bool:
    """Whether the base has yet to come; one on disk that cannot be trained is refused now, not by a dead job."""
    scheme = parse_reference(recipe.base).scheme
    if scheme == "run":
        raise StudioError("model.base_is_run", reference=recipe.name, base=recipe.base)
    if scheme != "local" and not is_fetched(recipe.base, studio.settings):
        return True
    check_fitness(locate(recipe.base, studio.settings), recipe)
    if recipe.vocabulary is not None:
        read_family(locate_tokenizer(recipe.base, studio.settings))
    return False


def _make_run(studio: Studio, recipe: Recipe) -> str:
    """Make the run's folder with its frozen recipe; the number is the first free one."""
    number = 1
    while True:
        folder = studio.settings.runs / f"{recipe.name}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            continue
        (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
        return folder.name


@owner_only
def listing(studio: Studio) -> list[Run]:
    """All runs, newest first."""
    folders = [path.parent for path in studio.settings.runs.glob("*/recipe.yaml")]
    folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    return [get(studio, folder.name) for folder in folders]


@owner_only
def get(studio: Studio, run: str) -> Run:
    """One run.

    Raises:
        StudioError: ``run.unknown``.
    """
    path = studio.settings.runs / Path(run).name / "recipe.yaml"
    if not run or not path.exists():
        raise StudioError("run.unknown", run=run)
    return Run(run, _read_recipe(path, path.stat().st_mtime_ns), studio.jobs.of_run(run), studio.metrics.latest(run))


@lru_cache(maxsize=64)
def _read_recipe(path: Path, changed: int) -> Recipe:
    # Reading one takes 2.7 ms of processor, most of what a poll of the board took.
    return load_recipe(path)


@owner_only
def current(studio: Studio) -> str | None:
    """The run that a page shows when it opens: the running or waiting one, else the newest."""
    active = [job for job in studio.jobs.listing(kind="train") if job.state not in ENDED]
    if active:
        running = [job for job in active if job.state in ("running", "stopping")]
        return (running or active)[0].run
    found = runs.listing(studio)
    return found[0].id if found else None


@owner_only
def curves(studio: Studio, run: str, token: int | None = None) -> dict[str, Any]:
    """What a page must draw beyond what its `token` says it has.

    The token is the id of the newest row plus `GENERATION` times what makes everything that a page has drawn old: the
    starts of the run, since a resumed one replaces rows, and the newest held-out figure, of which there are few.

    Returns:
        What `studio.jobs.curves.curve_payload` gives; ``{"token", "unchanged": True}`` if nothing is new.
    """
    job = studio.jobs.of_run(run)
    origin = GENERATION * ((0 if job is None else job.attempts) + studio.held_out.last_id(run))
    last = studio.metrics.last_id(run)
    if token == origin + last:
        return unchanged(token)
    seen = token - origin if token is not None and origin <= token < origin + GENERATION else 0
    rows = studio.metrics.rows_after(run, seen, COLUMNS)
    if not rows:
        return {**curve_payload([]), "token": origin}
    if seen and len(rows) < NEWEST:
        payload = curve_payload(rows, appended=True, starts=stage_starts(studio.metrics.last_steps(run)))
    else:
        whole = rows if not seen else studio.metrics.rows_after(run, 0, COLUMNS)
        payload = curve_payload(whole, held_out=studio.held_out.rows(run))
    return {**payload, "token": origin + payload["token"]}


@owner_only
def held_out(studio: Studio, run: str) -> list[HeldOutRow]:
    """What a run scored on held-out texts, oldest first; those of `BASE_STAGE` are the base's own."""
    return studio.held_out.rows(run)


@owner_only
def alarms(studio: Studio, run: str) -> list[Alarm]:
    """What a person should look at in a run, oldest first; `studio.services.diary` says it."""
    return studio.alarms.rows(run)


@owner_only
def energy_source(studio: Studio, run: str) -> str | None:
    """How the energy of a run is told: ``nvml``, ``rapl`` or ``codecarbon``; None if it is not."""
    path = studio.settings.runs / Path(run).name / "energy.json"
    return json.loads(path.read_text(encoding="utf8"))["source"] if path.exists() else None


@owner_only
def checkpoints(studio: Studio, run: str) -> list[str]:
    """References of what a run has to talk to or merge: itself, its finished stages where it has several, and its
    checkpoints, each of these newest first."""
    found, finished = [], []
    for stage in sorted(_names(studio.settings.runs / Path(run).name / "stages"), reverse=True):
        here, name = studio.settings.runs / Path(run).name / "stages" / stage, stage.partition("-")[2]
        inside = _names(here)
        finished += [f"run:{run}/{name}"] if ADAPTER in inside else []
        steps = _names(here / "checkpoints") if "checkpoints" in inside else []
        for step in sorted((each for each in steps if each.startswith("step-")), reverse=True):
            if (here / "checkpoints" / step / ADAPTER).exists():
                found.append(f"run:{run}/{name}@{int(step.partition('-')[2])}")
    stages = finished if len(finished) > 1 else []
    return [f"run:{run}", *stages, *found] if found or finished else []


def _names(folder: Path) -> list[str]:
    """What a folder holds; nothing where there is none. (For 2,000 runs `glob` takes five times as long.)"""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


@owner_only
def answers(studio: Studio, run: str) -> list[Answer]:
    """The sample answers of a run, oldest first; a line that is being written now is left for later."""
    return answers_in(studio.settings.runs / Path(run).name)


def answers_in(folder: Path) -> list[Answer]:
    """The sample answers in the folder of a run, as `answers`."""
    path = folder / "samples.jsonl"
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf8").splitlines(keepends=True):
        if line.endswith("\n"):
            row = json.loads(line)
            found.append(Answer(str(row["stage"]), row["step"], row["prompt"], row["answer"]))
    return found


@owner_only
def log_lines(studio: Studio, run: str, lines: int = 12) -> list[str]:
    """The last lines of a run's log."""
    return logs.tail_of(studio, studio.settings.runs / Path(run).name / "log.txt", lines)


@owner_only
def stop(studio: Studio, run: str) -> Job:
    """Stop a run at its next step, with a checkpoint.

    Raises:
        StudioError: ``run.unknown`` or ``job.already_ended``.
    """
    return jobs.stop(studio, _job(studio, run).id)


@owner_only
def resume(studio: Studio, run: str) -> Job:
    """Go on from the newest whole checkpoint, with the recipe that the run began with.

    Raises:
        StudioError: ``run.unknown``, ``job.still_running``, ``job.already_done``, or ``training.changed`` for a recipe
            that was edited meanwhile; nothing is queued then.
    """
    job = _job(studio, run)
    if job.state in ENDED and job.state != "done":
        check_recipe(studio.settings.runs / run, get(studio, run).recipe)
    return jobs.resume(studio, job.id)


def _job(studio: Studio, run: str) -> Job:
    job = studio.jobs.of_run(run)
    if job is None:
        raise StudioError("run.unknown", run=run)
    return job
