"""The three kinds of stage, each from samples to adapter: what learns, its rows, its steps, the fixed prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset

from studio.data.stored import read_samples
from studio.errors import StudioError
from studio.jobs.events import MetricRow, Progress, Stopping
from studio.models.files import ModelFiles, document_start
from studio.models.template import ChatTemplate
from studio.recipes import Checkpoints, Stage
from studio.settings import Settings
from studio.training.adapter import save_adapter
from studio.training.batches import Report, Row, RowMaker, write_rows
from studio.training.checkpoints import WEIGHTS, Counts, checkpoints, save_counts, stage_folder, write_whole
from studio.training.energy import Meter
from studio.training.held_out import HeldOut
from studio.training.journal import Journal
from studio.training.milestones import Milestones, back_to_best
from studio.training.plan import Plan, deal, halve, make_plan
from studio.training.prompts import NEW_TOKENS
from studio.training.ranks import ALONE, Ranks
from studio.training.reporter import Reporter
from studio.training.shortage import halvings
from studio.training.trainer import StageTrainer, arguments
from studio.training.words import Words

ROWS = ".rows.arrow"
DATA = "data.json"
ORDER = "order.json"


@dataclass(frozen=True, slots=True)
class Studio:
    """What all stages of one run share: the model with its adapter, the tokenizer, folders, and who is told.

    Without a `journal` nothing is measured on held-out texts and no alarm is kept.
    """

    model: Any
    tokenizer: Any
    words: Words | None
    base: ModelFiles
    settings: Settings
    run: Path
    seed: int
    counts: Counts
    record: Callable[[MetricRow], None]
    stopping: Stopping
    journal: Journal | None = None
    held_out: HeldOut | None = None
    meter: Meter | None = None
    ranks: Ranks = ALONE
    answer_tokens: int = NEW_TOKENS
    patience: int | None = None
    checkpoints: Checkpoints = Checkpoints()


@dataclass(frozen=True, slots=True)
class StageResult:
    """How a stage ended: whether Stop ended it, its last step and that step's loss."""

    stopped: bool
    steps: int
    loss: float | None


class StoppedError(Exception):
    """Somebody pressed Stop before the first step; nothing is worth a checkpoint yet."""


def align(studio: Studio, stage: Stage, number: int, progress: Progress) -> StageResult:
    """Teach the vocabulary's rows what they mean, on plain Persian and on pairs, while the layers stand still.

    Rows of the vocabulary learn as ``stage.rows`` says: the new ones, or whole embeddings and head as in Llama-Persian
    (arXiv 2412.13375). Texts and pairs are packed whole; pairs have both sides, the one to be learnt last.

    Args:
        studio: The run.
        stage: Its data, budget and rates.
        number: Place of the stage in the recipe, from 0.
        progress: Gets the share of this stage that is done.

    Raises:
        StudioError: As `run_stage`.
        StoppedError: If stopped while the rows were still being made.
    """
    return run_stage(studio, stage, number, _maker(studio, stage, "texts"), progress)


def pretrain(studio: Studio, stage: Stage, number: int, progress: Progress) -> StageResult:
    """Teach Persian by plain text: the adapter on all layers and the rows, documents packed and never cut away.

    Arguments and errors as `align`.
    """
    return run_stage(studio, stage, number, _maker(studio, stage, "texts"), progress)


def instruct(studio: Studio, stage: Stage, number: int, progress: Progress) -> StageResult:
    """Teach the model to answer: its own chat template, loss on the answers and their end token (or on everything).

    Arguments and errors as `align`; a model without a chat template is refused.
    """
    if not studio.tokenizer.chat_template:
        raise StudioError("template.missing")
    return run_stage(studio, stage, number, _maker(studio, stage, "chats"), progress)


KINDS: dict[str, Callable[[Studio, Stage, int, Progress], StageResult]] = {
    "align": align,
    "pretrain": pretrain,
    "instruct": instruct,
}


def run_stage(studio: Studio, stage: Stage, number: int, maker: RowMaker, progress: Progress) -> StageResult:
    """Make the rows, plan the steps and train, from the newest whole checkpoint as if it had never been away.

    Raises:
        StudioError: ``data.no_such_dataset``, ``training.no_rows``, ``training.no_trained_token``,
            ``training.template_refuses``, ``training.length_too_long``, ``training.all_too_long``, ``template.*``,
            ``training.not_finite``, ``training.family_not_supported``, ``disk.full``.
        StoppedError: If stopped while the rows were still being made.
    """
    folder = stage_folder(studio.run, number, stage)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    progress(0.0, "progress.train.rows")
    rows = prepare_rows(studio, stage, maker, folder)
    whole = halve(make_stage_plan(stage, rows, studio.seed + number), halvings(studio.run))
    if studio.ranks.first:
        order = {"sha256": whole.sha256, "seed": studio.seed + number, "steps": whole.steps, "rows": len(rows)}
        (folder / ORDER).write_text(json.dumps(order), encoding="utf8")
    plan = deal(whole, studio.ranks.number, studio.ranks.count)
    _choose_learners(studio, stage)
    show = Milestones(studio, folder, maker.template, number, plan.steps, progress)
    newest = next(reversed(checkpoints(folder)), None)
    if newest is None and number == 0:  # a later stage begins with what the one before ended with
        show(0)
    reporter = _reporter(studio, number, plan.steps, progress, show)
    args = arguments(stage, plan, folder, studio.seed, cuda=studio.model.device.type == "cuda")
    trainer = StageTrainer(
        studio.model, studio.tokenizer, rows, plan, args, reporter, folder, stage, studio.words, studio.ranks
    )
    trainer.train_stage(newest)
    if reporter.early:
        back_to_best(studio, folder, number, trainer.state.global_step)
    if not reporter.stopped:
        if studio.held_out is not None:
            progress(1.0, "progress.train.held_out")
            studio.held_out.at_end(number, trainer.state.global_step)
        if studio.ranks.first:
            finish(studio, folder)
    return StageResult(reporter.stopped, trainer.state.global_step, reporter.loss)


def _maker(studio: Studio, stage: Stage, pairs: Literal["chats", "texts"]) -> RowMaker:
    template = ChatTemplate.of_tokenizer(studio.tokenizer) if studio.tokenizer.chat_template else None
    # Plain text carries the loss everywhere; so does a chat among it.
    loss = stage.loss if stage.kind == "instruct" else "all"
    start = document_start(studio.base.folder)
    return RowMaker(studio.tokenizer, stage.length, loss, start, template, pairs)


def _choose_learners(studio: Studio, stage: Stage) -> None:
    for name, weight in studio.model.named_parameters():
        if "lora_" in name:
            weight.requires_grad_(stage.trains_lora)
    if studio.words is not None:
        studio.words.learn(stage.rows)


def _reporter(studio: Studio, number: int, steps: int, progress: Progress, saved: Milestones) -> Reporter:
    return Reporter(
        number,
        steps,
        studio.counts,
        record=studio.record,
        progress=lambda fraction: progress(fraction, "progress.train.steps"),
        stopping=studio.ranks.agreed(studio.stopping),
        enough=(lambda: False) if studio.patience is None else studio.ranks.agreed(lambda: saved.enough),
        saved=saved,
        minutes=studio.checkpoints.minutes,
        agreed=studio.ranks.agreed,
        alarm=(lambda alarm: None) if studio.journal is None else studio.journal.alarm,
        meter=studio.meter,
    )


def finish(studio: Studio, folder: Path) -> None:
    """Put the adapter where a finished stage has it, file by file, its weights last: they say that it is finished."""

    def fill(aside: Path) -> None:
        save_adapter(studio.model, aside)
        if studio.words is not None:
            studio.words.save(aside)
        save_counts(studio.counts, aside)

    write_whole(folder / ".finished", fill)
    for path in sorted((folder / ".finished").iterdir(), key=lambda path: path.name == WEIGHTS):
        path.rename(folder / path.name)
    (folder / ".finished").rmdir()
    (folder / ROWS).unlink(missing_ok=True)


def prepare_rows(studio: Studio, stage: Stage, maker: RowMaker, folder: Path) -> Dataset:
    """Rows of all datasets of `stage`, tokenised once and mapped from disk; ``data.json`` tells what became of them.

    Raises:
        StudioError: See `run_stage`.
        StoppedError: If stopped meanwhile.
    """
    limit = getattr(studio.model.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and stage.length > limit:
        raise StudioError("training.length_too_long", length=stage.length, limit=limit)
    if studio.ranks.first:
        _write_rows(studio, stage, maker, folder)
    studio.ranks.meet()
    return Dataset.from_file(str(folder / ROWS))


def _write_rows(studio: Studio, stage: Stage, maker: RowMaker, folder: Path) -> None:
    reports = [Report() for _ in stage.data]
    write_rows(_all_rows(studio, stage, maker, reports), folder / ROWS)
    total = sum(report.rows for report in reports)
    (folder / DATA).write_text(
        json.dumps({source.dataset: asdict(report) for source, report in zip(stage.data, reports, strict=True)}),
        encoding="utf8",
    )
    if total == 0:
        dropped = {reason for report in reports for reason in report.dropped}
        if "too_long" in dropped:
            raise StudioError("training.all_too_long", stage=stage.name, length=stage.length)
        if "template" in dropped:
            raise StudioError("training.template_refuses", stage=stage.name)
        raise StudioError("training.no_trained_token", stage=stage.name)


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
