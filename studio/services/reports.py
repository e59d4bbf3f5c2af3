"""The report of a run: what each stage took and gave, what the vocabulary saves, and answers before and after.

All of it is read from what the run left behind: its recipe, its environment, one metric row per stage, the held-out
measurements, the sample answers, the counts beside the weights of each finished stage; and what people voted. No model
is asked here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from studio.auth import owner_only
from studio.jobs.events import BASE_STAGE, HeldOutRow, MetricRow
from studio.recipes import Recipe, Stage
from studio.services import costs, training, vocabulary, votes, written
from studio.services.costs import Cost
from studio.services.studio import Studio
from studio.services.training import Answer, Run
from studio.services.votes import Tally
from studio.services.words import FOLDER
from studio.services.written import Against, Written

COUNTS = "progress.json"
ENVIRONMENT = "environment.json"

Bits = Mapping[str, float]
"""Held-out bits per byte by language, ``fa`` and ``en``; what was not measured is absent."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage. `tokens` and `characters` are its own, without padding; `loss` is that of its last step.

    `seconds` are those of its steps, without loading, checkpoints and answers; None for a stage that was not finished.
    `english_change` is how much English bits per byte rose against the base, as a share: 0.01 is one per cent lost.
    """

    number: int
    name: str
    kind: Literal["align", "pretrain", "instruct"]
    finished: bool
    steps: int
    tokens: int
    characters: int
    seconds: float | None
    loss: float | None
    bits_per_byte: Bits
    english_change: float | None


@dataclass(frozen=True, slots=True)
class Saving:
    """What the run's vocabulary is worth: tokens to a word of its own corpus, before and after."""

    added: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Answers:
    """What one prompt was answered before the first step (None if that was not asked) and at the end of each stage."""

    prompt: str
    before: str | None
    after: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is known of a run when it has ended, or as far as it has come.

    `base_bits` are the untouched base's. `environment` is what the run was frozen with: versions, device, hashes.
    `against` are the training texts that `written` was held against, None where they are gone or changed.
    """

    run: str
    state: str | None
    recipe: Recipe
    base_bits: Bits
    stages: tuple[StageReport, ...]
    saving: Saving | None
    answers: tuple[Answers, ...]
    environment: Mapping[str, Any]
    peak_memory_bytes: int | None
    seconds: float | None
    cost: Cost | None = None
    written: tuple[Written, ...] = ()
    against: Against | None = None
    votes: tuple[Tally, ...] = ()

    @property
    def stage_names(self) -> list[str]:
        """In their order."""
        return [stage.name for stage in self.stages]

    @property
    def english_is_kept(self) -> bool | None:
        """Whether English is within the recipe's limit after the last measured stage; None without a measurement."""
        known = [stage.english_change for stage in self.stages if stage.english_change is not None]
        return known[-1] <= self.recipe.evaluation.english_limit if known else None


@owner_only
def of_run(studio: Studio, run: str) -> Report:
    """The report of a run of the workspace.

    Raises:
        StudioError: ``run.unknown``, ``prices.broken``.
    """
    found = training.get(studio, run)
    newest, held_out = studio.metrics.newest_of_stages(found.id), training.held_out(studio, found.id)
    report = make_report(found, studio.settings.runs / found.id, newest, held_out)
    folders = [studio.settings.datasets / name for name in report.recipe.datasets]
    figures, against = written.measure(_by_moment(report.answers), folders, report.environment)
    return replace(
        report,
        cost=_cost(studio, found, report),
        written=figures,
        against=against,
        votes=tuple(votes.tally(studio, found.id)),
    )


def _cost(studio: Studio, run: Run, report: Report) -> Cost:
    """The job's own time is that of its last attempt; of a run that was interrupted the steps of all are counted."""
    again = run.job is not None and run.job.attempts > 1
    steps = sum(stage.seconds or 0.0 for stage in report.stages)
    seconds = max(report.seconds or 0.0, steps) or None
    joules = None if run.latest is None else run.latest.energy
    source = training.energy_source(studio, run.id)
    return costs.cost(costs.prices(studio), seconds, joules, source, at_least=again)


def _by_moment(answers: Sequence[Answers]) -> dict[int | None, list[str]]:
    """All answers before the first step, then those after each stage."""
    found: dict[int | None, list[str]] = {}
    before = [each.before for each in answers if each.before is not None]
    if before:
        found[None] = before
    for stage in sorted({place for each in answers for place in each.after}):
        found[stage] = [each.after[stage] for each in answers if stage in each.after]
    return found


def make_report(run: Run, folder: Path, rows: Sequence[MetricRow], held_out: Sequence[HeldOutRow]) -> Report:
    """Put together what is known of `run`.

    Args:
        run: From `studio.services.training.get`.
        folder: The run's.
        rows: Its metric rows in order, of which the newest of each stage are enough.
        held_out: Its held-out measurements in order; the newest of a stage and language counts.
    """
    bits: dict[int, dict[str, float]] = {}
    for measured in held_out:
        bits.setdefault(measured.stage, {})[measured.language] = measured.bits_per_byte
    newest = {row.stage: row for row in rows}
    stages, counted = [], (0, 0, 0.0)
    for number, stage in enumerate(run.recipe.stages):
        made, counted = _stage(folder, number, stage, newest.get(number), counted, bits)
        stages.append(made)
    result = {} if run.job is None else run.job.result or {}
    return Report(
        run=run.id,
        state=None if run.job is None else run.job.state,
        recipe=run.recipe,
        base_bits=bits.get(BASE_STAGE, {}),
        stages=tuple(stages),
        saving=_saving(folder / FOLDER),
        answers=_answers(training.answers_in(folder)),
        environment=_read(folder / ENVIRONMENT),
        peak_memory_bytes=result.get("peak_memory_bytes"),
        seconds=result.get("seconds"),
    )


def _stage(
    folder: Path,
    number: int,
    stage: Stage,
    row: MetricRow | None,
    before: tuple[int, int, float],
    bits: Mapping[int, Bits],
) -> tuple[StageReport, tuple[int, int, float]]:
    """The stage, and what the run had counted when it ended: tokens, characters, seconds."""
    counts = _read(folder / "stages" / f"{number:02d}-{stage.name}" / COUNTS)
    after = before
    if counts:
        after = (counts["tokens"], counts["characters"], counts["seconds"])
    elif row is not None:
        after = (row.tokens, row.characters, before[2])
    own, base = bits.get(number, {}), bits.get(BASE_STAGE, {})
    report = StageReport(
        number=number,
        name=stage.name,
        kind=stage.kind,
        finished=bool(counts),
        steps=0 if row is None else row.step,
        tokens=after[0] - before[0],
        characters=after[1] - before[1],
        seconds=after[2] - before[2] if counts else None,
        loss=None if row is None else row.loss,
        bits_per_byte=own,
        english_change=own["en"] / base["en"] - 1 if "en" in own and "en" in base else None,
    )
    return report, after


def _saving(folder: Path) -> Saving | None:
    if not (folder / "vocabulary.json").is_file():
        return None
    found = vocabulary.opened(folder)
    return Saving(found.added, found.curve[0] / found.words, found.curve[-1] / found.words)


def _answers(answers: Sequence[Answer]) -> tuple[Answers, ...]:
    before: dict[str, str] = {}
    after: dict[str, dict[int, str]] = {}
    for answer in answers:
        ends = after.setdefault(answer.prompt, {})
        if answer.step:
            ends[int(answer.stage)] = answer.answer
        else:
            before.setdefault(answer.prompt, answer.answer)
    return tuple(Answers(prompt, before.get(prompt), ends) for prompt, ends in after.items())


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    return found


def as_json(report: Report) -> dict[str, Any]:
    """What ``report RUN`` answers on the command line."""
    names = [stage.name for stage in report.recipe.stages]
    answers = [
        {"prompt": each.prompt, "before": each.before, "after": {names[at]: said for at, said in each.after.items()}}
        for each in report.answers
    ]
    return {
        "run": report.run,
        "state": report.state,
        "base": report.recipe.base,
        "base_bits_per_byte": dict(report.base_bits),
        "stages": [asdict(stage) for stage in report.stages],
        "english_limit": report.recipe.evaluation.english_limit,
        "english_is_kept": report.english_is_kept,
        "vocabulary": None if report.saving is None else _saving_json(report.saving),
        "answers": answers,
        "seconds": report.seconds,
        "peak_memory_bytes": report.peak_memory_bytes,
        "recipe": report.recipe.model_dump(mode="json"),
        "environment": dict(report.environment),
        "cost": None if report.cost is None else costs.as_json(report.cost),
        "written": [
            {**asdict(each), "stage": None if each.stage is None else names[each.stage]} for each in report.written
        ],
        "written_against": None if report.against is None else asdict(report.against),
        "votes": [votes.as_json(each) for each in report.votes],
    }


def _saving_json(saving: Saving) -> dict[str, Any]:
    return {
        "added": saving.added,
        "tokens_per_word_before": saving.before,
        "tokens_per_word_after": saving.after,
    }
