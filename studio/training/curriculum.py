"""The whole adaptation of one run: every stage in turn over one adapter, from where it was left."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from studio.jobs.events import Alarm, MetricRow, Progress, Stopping
from studio.models.files import ModelFiles
from studio.models.fitness import check_fitness
from studio.models.load import pick_device, pick_dtype
from studio.recipes import Recipe
from studio.settings import Settings
from studio.training.adapter import add_adapter, load_adapter
from studio.training.base import load_frozen
from studio.training.checkpoints import (
    COUNTS,
    Counts,
    checkpoints,
    is_finished,
    load_counts,
    set_aside_broken,
    stage_folder,
)
from studio.training.divided import Loaded, load_divided
from studio.training.energy import open_meter
from studio.training.environment import describe_environment, freeze_environment
from studio.training.fused_llama import fuse_layers
from studio.training.held_out import HeldOut, choose_texts
from studio.training.journal import Journal
from studio.training.memory import memory_peak
from studio.training.prompts import NEW_TOKENS
from studio.training.ranks import ALONE, Ranks
from studio.training.stages import (
    KINDS,
    StageResult,
    StoppedError,
    Studio,
    dataset_folder,
)
from studio.training.words import open_words, words_of

log = logging.getLogger("studio.training")


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How a run ended. Speeds are over all its steps, without loading, checkpoints and sample answers."""

    state: Literal["done", "stopped"]
    steps: int
    loss: float | None
    tokens_per_second: float
    characters_per_second: float
    seconds: float
    peak_memory_bytes: int


def train(
    run: Path,
    recipe: Recipe,
    base: ModelFiles,
    settings: Settings,
    *,
    record: Callable[[MetricRow], None],
    progress: Progress,
    stopping: Stopping,
    dtype: torch.dtype | None = None,
    journal: Journal | None = None,
    ranks: Ranks = ALONE,
    answer_tokens: int = NEW_TOKENS,
) -> TrainResult:
    """Train `recipe` in the folder `run`, from the newest whole checkpoint there if there is one.

    Args:
        run: Folder of the run; stages, samples and ``environment.json`` are written below it.
        recipe: What to do.
        base: A model on this disk.
        settings: Tells where datasets are.
        record: Gets one row per optimizer step.
        progress: Gets the share of the run that is done.
        stopping: Asked once a step; True saves a checkpoint and ends the run.
        dtype: Of the frozen base; by default what suits the device.
        journal: Gets held-out figures and alarms; without one nothing is measured and nobody is warned.
        ranks: The processes that train this run together; each of them calls this.
        answer_tokens: Longest sample answer.

    Raises:
        StudioError: See `check`, `freeze_environment`, `open_words` and `run_stage`.
    """
    started = time.monotonic()
    check(recipe, base, settings)
    progress(0.0, "progress.train.load")
    studio = _open(run, recipe, base, settings, record, stopping, dtype, journal, ranks, answer_tokens)
    result, steps = _run_stages(studio, recipe, progress)
    counts, seconds = studio.counts, max(studio.counts.seconds, 1e-9)
    return TrainResult(
        state="stopped" if result.stopped else "done",
        steps=steps,
        loss=result.loss,
        tokens_per_second=counts.tokens / seconds,
        characters_per_second=counts.characters / seconds,
        seconds=time.monotonic() - started,
        peak_memory_bytes=memory_peak(cuda=studio.model.device.type == "cuda"),
    )


def _open(
    run: Path,
    recipe: Recipe,
    base: ModelFiles,
    settings: Settings,
    record: Callable[[MetricRow], None],
    stopping: Stopping,
    dtype: torch.dtype | None,
    journal: Journal | None,
    ranks: Ranks,
    answer_tokens: int,
) -> Studio:
    meter = open_meter(card=_card()) if ranks.first else None
    if meter is not None:
        run.mkdir(parents=True, exist_ok=True)
        (run / "energy.json").write_text(json.dumps({"source": meter.source}), encoding="utf8")
    device = pick_device()
    dtype = dtype or pick_dtype(device)
    run.mkdir(parents=True, exist_ok=True)
    names = {source.dataset for stage in recipe.stages for source in stage.data}
    datasets = {name: dataset_folder(settings, name) for name in sorted(names)}
    folder = words_of(run)
    if ranks.first:
        freeze_environment(run, describe_environment(recipe, base, datasets, dtype, folder), recipe)
    load = partial(_load, recipe, base, folder, dtype)
    if ranks.divided:
        adapted, tokenizer, words = load_divided(ranks, device, load)
    else:
        adapted, tokenizer, words = load(device)
        fuse_layers(adapted)
    held_out = None
    if journal is not None:
        texts, limit = choose_texts(recipe, settings), recipe.evaluation.english_limit
        agreed = ranks.agreed if ranks.divided else _as_asked
        held_out = HeldOut(adapted, words, base, texts, journal, limit, agreed(stopping), agreed)
        record = journal.beside(record)
    counts = Counts(energy=None if meter is None else 0.0)
    return Studio(
        adapted, tokenizer, words, base, settings, run, recipe.seed, counts, record, stopping,
        journal, held_out, meter, ranks, answer_tokens, recipe.evaluation.patience, recipe.checkpoints,
    )  # fmt: skip


def _load(recipe: Recipe, base: ModelFiles, folder: Path | None, dtype: torch.dtype, device: str) -> Loaded:
    """The frozen base with the vocabulary in `folder`, if any, and a fresh adapter."""
    files = base if folder is None else replace(base, tokenizer_folder=folder)
    model, tokenizer = load_frozen(files, device=device, dtype=dtype, quantisation=recipe.quantisation)
    whole = any(stage.rows == "all" for stage in recipe.stages)
    words = None if folder is None else open_words(folder, base, model, whole=whole)
    return add_adapter(model, recipe.lora, base.reference, recipe.seed), tokenizer, words


def _as_asked(stopping: Stopping) -> Stopping:
    return stopping


def _card() -> str | None:
    return f"GPU-{torch.cuda.get_device_properties(0).uuid}" if torch.cuda.is_available() else None


def check(recipe: Recipe, base: ModelFiles, settings: Settings) -> None:
    """Refuse at once what would fail later: datasets that went away, a base that cannot be trained so.

    Raises:
        StudioError: ``data.no_such_dataset``, or as `check_fitness`.
    """
    check_fitness(base, recipe)
    for stage in recipe.stages:
        for source in stage.data:
            dataset_folder(settings, source.dataset)


def _run_stages(studio: Studio, recipe: Recipe, progress: Progress) -> tuple[StageResult, int]:
    finished = _restore(studio, recipe)
    result, steps, total = StageResult(False, 0, None), 0, len(recipe.stages)
    for number, stage in enumerate(recipe.stages[finished:], start=finished):

        def stage_progress(fraction: float, note: str, number: int = number) -> None:
            progress((number + fraction) / total, note)

        try:
            result = KINDS[stage.kind](studio, stage, number, stage_progress)
        except StoppedError:
            return StageResult(True, 0, None), steps
        steps += result.steps
        if result.stopped:
            break
        if number + 1 < total and recipe.evaluation.english == "stop" and _english_is_lost(studio):
            _tell_english(studio, number, result.steps)
            return StageResult(True, result.steps, result.loss), steps
    return result, steps


def _english_is_lost(studio: Studio) -> bool:
    held_out = studio.held_out
    return studio.ranks.agreed(lambda: held_out is not None and held_out.english_is_lost)()


def _tell_english(studio: Studio, stage: int, step: int) -> None:
    if studio.journal is not None:
        studio.journal.alarm(Alarm(stage, step, "english_stopped", time.time(), {}))


def _restore(studio: Studio, recipe: Recipe) -> int:
    """Put the newest finished stage's adapter and the counts of the newest checkpoint back; return stages finished."""
    folders = [stage_folder(studio.run, number, stage) for number, stage in enumerate(recipe.stages)]
    finished = 0
    while finished < len(folders) and is_finished(folders[finished]):
        finished += 1
    if finished < len(folders) and studio.ranks.first:
        set_aside_broken(folders[finished], partial(_tell_broken, studio, finished))
    studio.ranks.meet()
    if finished:
        load_adapter(studio.model, folders[finished - 1])
        if studio.words is not None:
            studio.words.load(folders[finished - 1])
    begun = checkpoints(folders[finished]) if finished < len(folders) else []
    newest = begun[-1] if begun else folders[finished - 1] if finished else None
    if newest is not None and (newest / COUNTS).is_file():
        counts: Any = load_counts(newest)
        studio.counts.tokens, studio.counts.characters = counts.tokens, counts.characters
        studio.counts.seconds, studio.counts.energy = counts.seconds, counts.energy
    return finished


def _tell_broken(studio: Studio, stage: int, step: int, instead: int) -> None:
    log.warning(
        "stage %s: the checkpoint of step %s is not as it was written; going on from step %s", stage, step, instead
    )
    if studio.journal is not None:
        studio.journal.alarm(
            Alarm(stage, instead, "checkpoint_broken", time.time(), {"broken": step, "instead": instead})
        )
