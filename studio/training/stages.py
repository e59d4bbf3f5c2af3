"""One stage from samples to adapter: make its rows, plan its steps, train, answer the fixed prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from studio.data.stored import read_samples
from studio.errors import StudioError
from studio.jobs.events import MetricRow, Progress, Stopping
from studio.models.files import ModelFiles, document_start
from studio.models.template import ChatTemplate
from studio.recipes import Stage
from studio.settings import Settings
from studio.training.adapter import save_adapter
from studio.training.batches import Report, Row, RowMaker, write_rows
from studio.training.checkpoints import Counts, checkpoints, save_counts, write_whole
from studio.training.plan import Plan, make_plan
from studio.training.prompts import PROMPTS, answer, append_answers
from studio.training.reporter import Reporter
from studio.training.trainer import StageTrainer, arguments

ROWS = ".rows.arrow"
DATA = "data.json"


@dataclass(frozen=True, slots=True)
class Studio:
    """What all stages of one run share: the model with its adapter, the tokenizer, folders, and who is told."""

    model: Any
    tokenizer: Any
    base: ModelFiles
    settings: Settings
    run: Path
    seed: int
    counts: Counts
    record: Callable[[MetricRow], None]
    stopping: Stopping


@dataclass(frozen=True, slots=True)
class StageResult:
    """How a stage ended: whether Stop ended it, its last step and that step's loss."""

    stopped: bool
    steps: int
    loss: float | None


class StoppedError(Exception):
    """Somebody pressed Stop before the first step; nothing is worth a checkpoint yet."""


def stage_folder(run: Path, number: int, stage: Stage) -> Path:
    """Where stage `number` (from 0) of a run keeps its adapter and checkpoints."""
    return run / "stages" / f"{number:02d}-{stage.name}"


def train_instruct(studio: Studio, stage: Stage, number: int, progress: Progress) -> StageResult:
    """Teach the model to answer: its own chat template, loss on the answers and their end token (or on everything).

    Goes on from the newest whole checkpoint of the stage, exactly as if it had never been away.

    Args:
        studio: The run.
        stage: Its data, budget and rates.
        number: Place of the stage in the recipe, from 0.
        progress: Gets the share of this stage that is done.

    Raises:
        StudioError: ``data.no_such_dataset``, ``training.no_rows``, ``training.no_trained_token``,
            ``training.length_too_long``, ``training.all_too_long``, ``template.*``, ``training.not_finite``,
            ``training.family_not_supported``, ``disk.full``.
        StoppedError: If stopped while the rows were still being made.
    """
    folder = stage_folder(studio.run, number, stage)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    template = ChatTemplate.of_tokenizer(studio.tokenizer)
    progress(0.0, "progress.train.rows")
    rows = prepare_rows(studio, stage, template, folder)
    plan = make_stage_plan(stage, rows, studio.seed + number)
    show_answers = _answering(studio, template, number, plan.steps, progress)
    newest = next(reversed(checkpoints(folder)), None)
    if newest is None:
        show_answers(0)
    reporter = _reporter(studio, number, plan.steps, progress, show_answers)
    args = arguments(stage, plan, folder, studio.seed, cuda=studio.model.device.type == "cuda")
    trainer = StageTrainer(studio.model, studio.tokenizer, rows, plan, args, reporter, folder)
    trainer.train_stage(newest)
    if not reporter.stopped:
        finish(studio, folder)
    return StageResult(reporter.stopped, trainer.state.global_step, reporter.loss)


def _answering(
    studio: Studio, template: ChatTemplate, number: int, steps: int, progress: Progress
) -> Callable[[int], None]:
    prompts = [template.prompt(prompt) for prompt in PROMPTS]

    def show(step: int) -> None:
        progress(step / steps, "progress.train.answers")
        append_answers(studio.run / "samples.jsonl", number, step, answer(studio.model, studio.tokenizer, prompts))
        progress(step / steps, "progress.train.steps")

    return show


def _reporter(studio: Studio, number: int, steps: int, progress: Progress, saved: Callable[[int], None]) -> Reporter:
    return Reporter(
        number,
        steps,
        studio.counts,
        record=studio.record,
        progress=lambda fraction: progress(fraction, "progress.train.steps"),
        stopping=studio.stopping,
        saved=saved,
    )


def finish(studio: Studio, folder: Path) -> None:
    """Put the adapter where a finished stage has it, file by file, its weights last: they say that it is finished."""

    def fill(aside: Path) -> None:
        save_adapter(studio.model, aside)
        save_counts(studio.counts, aside)

    write_whole(folder / ".finished", fill)
    for path in sorted((folder / ".finished").iterdir(), key=lambda path: path.suffix == ".safetensors"):
        path.rename(folder / path.name)
    (folder / ".finished").rmdir()
    (folder / ROWS).unlink(missing_ok=True)


def prepare_rows(studio: Studio, stage: Stage, template: ChatTemplate, folder: Path) -> Dataset:
    """Rows of all datasets of `stage`, tokenised once and mapped from disk; ``data.json`` tells what became of them.

    Raises:
        StudioError: See `train_instruct`.
        StoppedError: If stopped meanwhile.
    """
    limit = getattr(studio.model.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and stage.length > limit:
        raise StudioError("training.length_too_long", length=stage.length, limit=limit)
    maker = RowMaker(studio.tokenizer, stage.length, stage.loss, document_start(studio.base.folder), template)
    reports = [Report() for _ in stage.data]
    write_rows(_all_rows(studio, stage, maker, reports), folder / ROWS)
    total = sum(report.rows for report in reports)
    (folder / DATA).write_text(
        json.dumps({source.dataset: asdict(report) for source, report in zip(stage.data, reports, strict=True)}),
        encoding="utf8",
    )
    if total == 0:
        dropped = {
            reason: sum(report.dropped.get(reason, 0) for report in reports) for reason in ("too_long", "template")
        }
        if dropped["too_long"]:
            raise StudioError("training.all_too_long", stage=stage.name, length=stage.length)
        raise StudioError("training.no_trained_token", stage=stage.name)
    return Dataset.from_file(str(folder / ROWS))


def _all_rows(studio: Studio, stage: Stage, maker: RowMaker, reports: list[Report]) -> Iterator[tuple[int, Row]]:
    for number, (source, report) in enumerate(zip(stage.data, reports, strict=True)):
        folder = dataset_folder(studio.settings, source.dataset)
        for row in maker.rows(read_samples(folder), source.direction, report):
            if report.rows % 512 == 0 and studio.stopping():
                raise StoppedError
            yield number, row


def dataset_folder(settings: Settings, name: str) -> Path:
    """Folder of dataset `name`.

    Raises:
        StudioError: ``data.no_such_dataset``.
    """
    folder = settings.datasets / name
    if not (folder / "manifest.json").is_file():
        raise StudioError("data.no_such_dataset", name=name, dataset=name)
    return folder


def make_stage_plan(stage: Stage, rows: Dataset, seed: int) -> Plan:
    """The order of `rows` that `seed` decides; see `make_plan`."""
    import pyarrow.compute as pc

    tokens = pc.list_value_length(rows.data.column("input_ids")).to_pylist()
    sources = rows.data.column("source").to_pylist()
    return make_plan(stage, sources, tokens, [source.weight for source in stage.data], seed)
